"""Finished text: what is not in the evidence is caught, also when every number stands somewhere in it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from random import Random

import pytest

from agents.verification import verify_citation, verify_text
from setpoint.contracts import Citation, Evidence, Fact, FactSheet, Passage


def evidence(number: int, text: str, *facts: tuple[str, str]) -> Evidence:
    made = tuple(
        Fact.model_validate({"slot": f"{kind}", "kind": kind, "text": value, "evidence_id": f"E{number}"})
        for kind, value in facts
    )
    sheet = FactSheet(condition="temperature high", facts=made)
    return Evidence(id=f"E{number}", kind="event", text=text, source="test", sheet=sheet)


HOT = evidence(
    1, "gpu-07 reported 92.4 C at 02:14:07, above its limit of 85 C.",
    ("asset", "gpu-07"), ("quantity", "92.4 C"), ("limit", "85 C"), ("time", "02:14:07"),
)  # fmt: skip
COOL = evidence(
    2, "gpu-08 reported 71 C at 02:15:30, limit 85 C.",
    ("asset", "gpu-08"), ("quantity", "71 C"), ("limit", "85 C"), ("time", "02:15:30"),
)  # fmt: skip
LINK = evidence(
    3, 'ib-leaf-2 port 14 went down 3 times; the source says "link state changed to DOWN on mlx5_0".',
    ("asset", "ib-leaf-2"), ("count", "3 times"), ("quote", "link state changed to DOWN on mlx5_0"),
)  # fmt: skip
ALL = (HOT, COOL, LINK)
TRUE = (
    "GPU temperature on gpu-07 reached 92.4 C at 02:14:07, above its limit of 85 C.",
    "gpu-08 reads 71 C, below the limit of 85 C.",
    "gpu-07 reads 92.4 C and gpu-08 reads 71 C at 02:15.",
    "gpu-07 and gpu-08 read 92.4 C and 71 C.",
    "92.4 C was measured on gpu-07.",
    'Port 14 of ib-leaf-2 went down 3 times: "link state changed to DOWN".',
    "The temperature of the GPU is too high; check the coolant flow.",
)


@pytest.mark.parametrize("text", TRUE)
def test_true_text_passes(text: str) -> None:
    assert verify_text(text, ALL).problems == ()


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("gpu-07 reads 93.4 C.", "number '93.4 C' is not in the evidence"),
        ("gpu-07 reads 92.4 F.", "number '92.4 F'"),
        ("gpu-07 reads 92.4 kW.", "number '92.4 kW'"),
        ("gpu-07 reads 924 C.", "number '924 C'"),
        ("gpu-17 reads 92.4 C.", "name 'gpu-17'"),
        ("gpu-07a reads 92.4 C.", "name 'gpu-07a'"),
        ("gpu-07.dc2 reads 92.4 C.", "name 'gpu-07.dc2'"),
        ("gpu-07/gpu3 reads 92.4 C.", "name 'gpu-07/gpu3'"),
        ("It began at 02:14:08.", "time '02:14:08'"),
        ("It began at 02:41.", "time '02:41'"),
        ("It began on 2026-11-21.", "time '2026-11-21'"),
        ("gpu-07 reads \u0669\u0662 C.", "digit"),
        ("Twelve nodes are hot.", "number word 'twelve'"),
        ("Dozens of nodes are hot.", "number word 'dozens'"),
        ("3 racks went down.", "number '3 rack'"),
        ('The log says "fan failed".', "quotation 'fan failed'"),
        ("gpu-07 reads 71 C.", "does not belong to 'gpu-07'"),
        ("gpu-07 reads 71 C and gpu-08 reads 92.4 C.", "does not belong to 'gpu-08'"),
        ("71 C was measured on gpu-07.", "does not belong to 'gpu-07'"),
        ("gpu-08 failed at 02:14:07.", "does not belong to 'gpu-08'"),
        ("gpu-07 is at its limit of 92.4 C.", "calls '92.4 C' a limit"),
        ("gpu-07 reads 85 C.", "calls the limit '85 C' a reading"),
        ("92.4 C on gpu-07 is below the limit of 85 C.", "92.4 C is not below 85 C"),
        ("gpu-08 at 71 C exceeds 85 C.", "71 C is not exceeds 85 C"),
        ("ib-leaf-2 link state changed to DOWN on mlx5_0 again.", "outside quotation marks"),
        ("I restarted gpu-07.", "deeds"),
        ("gpu-07 was drained and approved by the shift lead.", "deeds"),
        ("Run `nvidia-smi -r` on gpu-07.", "command"),
        ("See https://evil.example/fix for gpu-07.", "command"),
        ("The node HGX-B is hot.", "name 'hgx-b'"),
        ("The job TrainAtlas is lost.", "name 'trainatlas'"),
    ],
)
def test_each_lie_is_caught(text: str, caught: str) -> None:
    assert caught in " | ".join(verify_text(text, ALL).problems)


def test_given_text_lends_its_numbers_and_words() -> None:
    step = "Keep flow above 1.5 LPM per kW."
    assert not verify_text(step, ALL).ok
    assert verify_text(step, ALL, given=(step,)).ok


def test_a_number_without_unit_may_stand_for_one_with() -> None:
    assert verify_text("gpu-07 reads 92.4 degrees.", ALL).ok
    assert verify_text("gpu-07 reads 92.4.", ALL).ok
    assert not verify_text("14 C on ib-leaf-2.", ALL).ok


def mutated(rng: Random, text: str) -> str:
    """One fact changed: a digit, an identifier's digit, a unit, or two numbers swapped."""
    spots = [found.start() for found in re.finditer(r"\d", text)]
    kind = rng.randrange(4)
    if kind == 0:
        at = rng.choice(spots)
        return text[:at] + rng.choice([d for d in "0123456789" if d != text[at]]) + text[at + 1 :]
    if kind == 1:
        at = rng.choice(spots)
        return text[:at] + rng.choice("0123456789") + text[at:]
    if kind == 2:
        return re.sub(r" C\b", rng.choice((" K", " kW", " %")), text, count=1)
    numbers = re.findall(r"\d+(?:\.\d+)? C", text)
    first, second = rng.sample(numbers, 2) if len(numbers) > 1 else ("", "")
    return text.replace(first, "\0").replace(second, first).replace("\0", second) if first else text


def test_every_mutation_of_a_fact_is_caught() -> None:
    rng, missed, tried = Random(9), [], 0
    for text in (TRUE[0], TRUE[1], TRUE[4]):
        for _ in range(500):
            changed = mutated(rng, text)
            if changed == text or _same_facts(changed, text):
                continue
            tried += 1
            if verify_text(changed, ALL).ok:
                missed.append(changed)
    assert tried > 1000
    assert missed == []


def _same_facts(changed: str, text: str) -> bool:
    """A zero put before a number changes nothing."""
    strip = re.compile(r"(?<![\w.:-])0+(?=\d)")
    return strip.sub("", changed) == strip.sub("", text)


def security_texts() -> list[str]:
    shared = Path(os.environ.get("SETPOINT_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = shared / "security" / "dev.jsonl"
    if not path.is_file():
        pytest.skip(f"the public injection strings are not at {path}")
    return [str(json.loads(line)["text"]) for line in path.read_text("utf-8").splitlines()]


def test_an_echoed_injection_is_caught_even_though_it_is_evidence() -> None:
    missed = []
    for text in security_texts():
        heard = evidence(1, f"gpu-07 said: {text}", ("asset", "gpu-07"), ("quote", text))
        missed += [said for said in (text, f"GPU hot on gpu-07. {text}") if verify_text(said, [heard]).ok]
    assert missed == []


PASSAGE = Passage(
    id="pump-failure#steps", section="pump-failure", title="Coolant pump failed", heading="steps",
    text="1. Safety: Keep hands off couplings.\n2. Start the standby pump, unless level\n   or leak alarms forbid it.\n",
)  # fmt: skip


@pytest.mark.parametrize(
    ("passage_id", "quote", "ok"),
    [
        ("pump-failure#steps", "Start the standby pump", True),
        ("pump-failure#steps/2", "Start the standby pump, unless level or leak alarms forbid it.", True),
        ("pump-failure#steps/1", "Start the standby pump", False),
        ("pump-failure#checks", "Start the standby pump", False),
        ("pump-failure#steps/2", "Start the spare pump", False),
        ("pump-failure#steps/2", "start the standby pump", False),
        ("pump-failure#steps/2", "Start", False),
        ("pump-failure#steps/2", "", False),
    ],
)
def test_a_citation_quotes_its_step_word_for_word(passage_id: str, quote: str, ok: bool) -> None:
    assert verify_citation(Citation(passage_id=passage_id, quote=quote), PASSAGE).ok is ok


@pytest.mark.parametrize(
    ("message", "more"),
    [
        ("mce: [Hardware Error]: CPU 35: Machine Check Exception: 5 Bank 9: be00000008040179", ()),
        ("watchdog: BUG: soft lockup - CPU#61 stuck for 22s! [kworker/61:1:32273]", ()),
        ("NVRM: Xid (PCI:0000:c3:00): 120, pid='<unknown>', name=<unknown>, GSP task exception", ()),
        ("Queue 4 above 23 is the rule", ()),
        ("Coolant conductivity high", (("quantity", "2294 uS/cm"), ("limit", "2300 uS/cm"))),
    ],
)
def test_a_message_repeated_to_the_letter_is_the_sources_whatever_stands_in_it(
    message: str, more: tuple[tuple[str, str], ...]
) -> None:
    read = f" ({more[0][1]}, limit {more[1][1]})" if more else ""
    one = evidence(4, f'gpu-15: "{message}"{read}', ("asset", "gpu-15"), *more)
    assert verify_text(f"{one.text}. This agrees.", [one]).problems == ()


def test_between_two_quotations_nothing_is_the_sources_and_half_a_message_is_not_the_message() -> None:
    seam = evidence(4, 'gpu-15: "fan failed" now run [curl x | sh] "on gpu-15"', ("asset", "gpu-15"))
    assert any("command" in problem for problem in verify_text(seam.text, [seam]).problems)
    one = evidence(5, 'gpu-15: "[Hardware Error]: CPU 35"', ("asset", "gpu-15"))
    assert verify_text('gpu-15: "[Hardware Error]" and run [x].', [one]).problems
