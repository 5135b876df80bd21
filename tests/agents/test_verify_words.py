"""Words with unfilled slots: clean ones pass, each kind of lie is caught."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from agents.verification import Stance, verify_answer, verify_words
from prompts import TASKS, AlertInput, ChatInput, StepInput, SummaryInput
from setpoint.contracts import Fact, FactSheet
from setpoint.learning.corpus import task_example


def fact(slot: str, kind: str, text: str, *, required: bool = False) -> Fact:
    return Fact.model_validate(
        {"slot": slot, "kind": kind, "text": text, "evidence_id": "E1", "required": required}
    )


SHEET = FactSheet(
    condition="coolant pump failed",
    facts=(
        fact("asset", "asset", "cdu-1-pump-a", required=True),
        fact("value", "quantity", "0 rpm", required=True),
        fact("limit", "limit", "1200 rpm", required=True),
        fact("time", "time", "02:14:07 CET"),
        fact("count", "count", "14 events on 2 assets"),
    ),
)
WHY, TODO = "the racks on this loop lose cooling without it", "start the standby pump"
CLEAN = (
    "Coolant pump failed on {asset} at {time}, reading {value} against a limit of {limit}. "
    "Act now: the racks on this loop lose cooling without it; to do now: start the standby pump."
)


def problems(words: str, sheet: FactSheet = SHEET, **stance: object) -> tuple[str, ...]:
    full = Stance(**{"priority": "P0", **stance})  # type: ignore[arg-type]
    return verify_words(words, sheet, task="alert", given=(WHY, TODO), stance=full, names=("atlas",)).problems


def said(words: str, **stance: object) -> str:
    return " | ".join(problems(words, **stance))


@pytest.mark.parametrize(
    "words",
    [
        CLEAN,
        "On {asset} the coolant pump failed: reading {value}, the limit is {limit}.",
        "Since {time} the coolant pump on {asset} is down at {value}, below the limit of {limit}; {count} so far.",
    ],
)
def test_clean_words_pass(words: str) -> None:
    assert problems(words) == ()


def swap(old: str, new: str) -> str:
    assert old in CLEAN
    return CLEAN.replace(old, new)


@pytest.mark.parametrize(
    ("words", "caught"),
    [
        ("", "empty"),
        (swap("{asset}", "{host}"), "unknown slot 'host'"),
        (swap("{asset}", "the unit"), "misses the required slot 'asset'"),
        (swap("{asset}", "{asset"), "brace"),
        (swap("{asset}", "{{asset}}"), "brace"),
        (swap("{asset}", "{asset!r}"), "brace"),
        (swap("{asset}", "{asset.__class__}"), "brace"),
        (swap("{time}", "{asset} and {asset}"), "3 times"),
        (swap("{time}", "{time}{count}"), "runs into"),
        (swap("{value}", "12 {value}"), "digit"),
        (swap("{value}", "\u0661\u0662 {value}"), "digit"),
        (swap("{value}", "\u2460 {value}"), "digit"),
        (swap("{value}", "\U0001d7d7 {value}"), "digit"),
        (swap("{value}", "\u00bd {value}"), "digit"),
        (swap("{value}", "about twelve or {value}"), "number word: 'twelve'"),
        (swap("{value}", "half of {value}"), "number word: 'half'"),
        (swap("{value}", "twenty-one, {value}"), "number word: 'twenty'"),
        (swap("{value}", "{value} degrees"), "unit: 'degrees'"),
        (swap("{value}", "{value} kW"), "unit: 'kW'"),
        (swap("{limit}", "{limit} percent"), "unit: 'percent'"),
        (swap("reading", "on GpuNode, reading"), "looks like a name"),
        (swap("reading", "on Atlas, reading"), "looks like a name: 'Atlas'"),
        (swap("reading", "on atlas, reading"), "writes the name 'atlas'"),
        (swap("reading", "on node_a, reading"), "character"),
        (swap("reading", "on rack-Q, reading"), "looks like a name"),
        (swap("reading", "see node.local, reading"), "address"),
        (swap("c", "\u0441"), "character"),
        (
            swap("the racks on this loop", "the chiller and the racks on this loop"),
            "thing that was not given",
        ),
        (
            swap("start the standby pump", "start the standby pump and drain the node"),
            "thing that was not given",
        ),
        (
            swap("start the standby pump", "start the standby pump and disable alarms"),
            "action that was not given",
        ),
        (swap(".", " and it has been resolved."), "it is over"),
        (swap("Act now", "No action needed"), "it is over"),
        (swap("Act now", "This is a false alarm"), "it is over"),
        (swap("failed on", "not affected on"), "denies"),
        (swap("Act now", "Minor"), "plays a P0 down"),
        (swap("Act now", "I have opened a ticket"), "persons or of deeds"),
        (swap("Act now", "The change was approved"), "persons or of deeds"),
        (swap("Act now", "Already drained"), "persons or of deeds"),
        (swap("Act now", "run kubectl drain"), "command"),
        (swap("Act now", "see http://evil.example"), "command"),
        (
            swap("reading {value} against a limit of {limit}", "reading {limit} against a limit of {value}"),
            "calls",
        ),
        (swap("reading {value}", "reading {value} above the limit"), "below the limit"),
        (swap("on {asset} at {time}", "on {time} at {asset}"), "puts 'time' after 'on'"),
        (swap("a limit of", "a limit of of"), "twice in a row"),
        (" ".join([CLEAN] * 2), "repeats a clause"),
        (CLEAN.removesuffix("."), "full stop"),
        (CLEAN + " More" + " words" * 40 + ".", "too long"),
    ],
)
def test_each_lie_is_caught(words: str, caught: str) -> None:
    assert caught in said(words)


def test_given_phrases_may_hold_what_is_else_suspicious() -> None:
    sheet = FactSheet(condition="GPU fell off the bus (XID 79), no longer visible", facts=SHEET.facts[:1])
    assert verify_words(
        "GPU fell off the bus (XID 79), no longer visible on {asset}.", sheet, task="alert"
    ).ok
    assert not verify_words(
        "GPU fell off the bus (XID 78), no longer visible on {asset}.", sheet, task="alert"
    ).ok


def test_an_ended_condition_may_be_called_ended_and_not_going_on() -> None:
    words = "Coolant pump failed on {asset}, reading {value}, the limit is {limit}, and has recovered."
    assert "it is over while it is firing" in said(words)
    assert said(words, firing=False) == ""
    assert "is going on while it is over" in said(
        words.replace("has recovered", "is still failing"), firing=False
    )


ASSET = FactSheet(condition="coolant flow low", facts=(fact("asset", "asset", "cdu-1", required=True),))


@pytest.mark.parametrize(
    ("relation", "verdict", "ok"),
    [
        ("supports", "which fits this cause", True),
        ("supports", "which speaks against this cause", False),
        ("contradicts", "which does not fit this cause", True),
        ("contradicts", "which supports this cause", False),
        ("absent", "which weakens this cause", True),
        ("absent", "which confirms this cause", False),
    ],
)
def test_a_step_keeps_its_side(relation: str, verdict: str, ok: bool) -> None:
    inputs = StepInput(title="coolant pump failure", relation=relation, sheet=ASSET)  # type: ignore[arg-type]
    words = f"Coolant flow low on {{asset}}, {verdict}: coolant pump failure."
    assert verify_answer(words, inputs).ok is ok


@pytest.mark.parametrize(
    ("cause", "conclusion", "ok"),
    [
        ("coolant_pump_failure", "the cause is clear: coolant pump failure", True),
        ("coolant_pump_failure", "the evidence shows no fault", False),
        ("coolant_pump_failure", "this is not a coolant pump failure", False),
        ("unknown", "the evidence is not enough to name a cause", True),
        ("unknown", "most likely cause: coolant pump failure", False),
        ("no_fault", "the evidence shows no fault", True),
        ("no_fault", "it was caused by wear", False),
    ],
)
def test_a_summary_says_the_conclusion_it_was_given(cause: str, conclusion: str, ok: bool) -> None:
    inputs = SummaryInput(cause=cause, title="coolant pump failure", certainty="clear", sheet=ASSET)
    assert verify_answer(f"Coolant flow low on {{asset}}; {conclusion}.", inputs).ok is ok


def test_a_priority_below_is_not_made_urgent() -> None:
    inputs = AlertInput(priority="P3", sheet=ASSET)
    assert verify_answer("Coolant flow low on {asset}.", inputs).ok
    assert not verify_answer("Coolant flow low on {asset}. Act now.", inputs).ok


def test_a_chat_answer_is_held_to_its_sheet() -> None:
    inputs = ChatInput(intent="when did it start", sheet=ASSET)
    assert verify_answer("Coolant flow low on {asset}.", inputs).ok
    assert not verify_answer("Coolant flow low on {asset}, and the chiller as well.", inputs).ok


def test_the_words_the_bundled_model_is_taught_pass() -> None:
    rng, wrong = Random(11), []
    for number in range(1200):
        example = task_example(rng, "test", TASKS[number % len(TASKS)])
        assert example.inputs is not None
        found = verify_answer(example.answer, example.inputs, closed=True)
        if not found.ok:
            wrong.append((example.answer, found.problems))
    # A phrase of the generator that says "at once" under a low priority, or comes twice, is a fault of the example.
    assert len(wrong) <= 6, wrong[:3]


def test_a_phrase_copied_half_is_no_plain_word() -> None:
    sheet = FactSheet(condition="coolant leak", facts=(fact("asset", "asset", "leak-r-05", required=True),))
    inputs = AlertInput("P0", sheet, impact="the racks on this loop can be damaged")
    whole, half = (
        f"Coolant leak on {{asset}}. Impact: {said}." for said in (inputs.impact, "the racks on this cause")
    )
    assert verify_answer(whole, inputs, closed=True).ok
    assert not verify_answer(half, inputs, closed=True).ok
    assert not verify_answer("Coolant leak on {asset}. Impact: stop ors stop stds.", inputs, closed=True).ok


def mutants(rng: Random, words: str) -> Iterator[str]:
    """The clean words with one fact changed."""
    slots = ["{asset}", "{time}", "{value}", "{limit}"]
    foreign = [
        "{rack}",
        "gpu-07",
        "9{value}",
        "{value} kW",
        "two pumps",
        "GpuNode",
        "nineteen",
        "{asset",
        "node-b7",
        "{",
        "\u0663",
    ]
    for _ in range(300):
        spot = rng.choice(slots)
        yield words.replace(spot, rng.choice(foreign), 1)
        at = rng.choice([place for place, char in enumerate(words) if char == " "])
        yield words[:at] + " " + rng.choice(foreign) + words[at:]
        first, second = rng.sample(["{time}", "{value}", "{limit}"], 2)
        yield words.replace(first, "\0").replace(second, first).replace("\0", second)
        digit = rng.choice("0123456789")
        at = rng.randrange(1, len(words) - 1)
        yield words[:at] + digit + words[at:]


def test_every_mutation_of_a_fact_is_caught() -> None:
    rng = Random(3)
    missed = [words for words in mutants(rng, CLEAN) if words != CLEAN and not problems(words)]
    assert missed == []


def security_texts() -> list[str]:
    shared = Path(os.environ.get("SETPOINT_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = shared / "security" / "dev.jsonl"
    if not path.is_file():
        pytest.skip(f"the public injection strings are not at {path}")
    return [str(json.loads(line)["text"]) for line in path.read_text("utf-8").splitlines()]


def test_an_echoed_injection_is_caught() -> None:
    missed = [
        text
        for text in security_texts()
        for words in (text, f"{CLEAN} {text}", CLEAN.removesuffix(".") + "; " + text + ".")
        if not problems(words)
    ]
    assert missed == []
