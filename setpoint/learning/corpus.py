"""Training examples: prompts rendered by the product's own renderer, answers composed from our own sentences.

Everything is drawn from a seeded generator. Phrases (conditions, titles, impacts, todos) belong to a split by
their hash, so that a phrase of the test split was never trained on in any task.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal, cast

import yaml

from prompts import (
    TASKS,
    AlertInput,
    Certainty,
    ChatInput,
    Relation,
    StepInput,
    SummaryInput,
    Task,
    WordInput,
    render,
)
from prompts.renderer import capital, inner
from setpoint.contracts import PRIORITIES, Fact, FactKind, FactSheet
from setpoint.learning.sentences import alert_answer, chat_answer, step_answer, summary_answer

Split = Literal["train", "dev", "test"]
WORDS = Path(__file__).parent / "words.yaml"
_SYLLABLES = (
    "ba", "co", "du", "fen", "gri", "hal", "ix", "jo", "ka", "lor", "mi", "nu", "or", "pra", "qua", "ros", "sti",
    "tem", "ur", "vel", "wen", "yar", "zo", "ster", "ling", "ton",
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """One training pair. `task` is "copy" for the curriculum, which no product prompt uses."""

    task: Task | Literal["copy"]
    system: str
    user: str
    answer: str
    inputs: WordInput | None = None


def task_example(rng: Random, split: Split, task: Task) -> Example:
    """One prompt of `task` and its answer, from phrases of `split`."""
    inputs, answer = _MAKERS[task](rng, split)
    prompt = render(task, inputs)
    return Example(task=task, system=prompt.system, user=prompt.user, answer=answer, inputs=inputs)


def copy_example(rng: Random) -> Example:
    """Dense copying: several phrases under keys, asked for in another order, then every starred slot."""
    keys = rng.sample(["why", "first", "then", "cause", "expected", "top"], rng.randint(1, 4))
    phrases = {key: inner(_any_phrase(rng, "train")) for key in keys}
    asked = rng.sample(keys, len(keys))
    lead = capital(condition(rng, "train"))
    facts = draw_facts(rng, rng.randint(1, 7))
    lines = ["copy " + " ".join(asked), lead]
    lines += [f"{key}: {text}" if key != "top" else f"cause: {text}" for key, text in phrases.items()]
    lines += [f"{{{fact.slot}}} {fact.kind}{' *' if fact.required else ''}" for fact in facts]
    slots = " ".join(f"{{{fact.slot}}}" for fact in facts if fact.required)
    answer = (
        "; ".join([lead + (f" {slots}" if slots else ""), *(f"say: {phrases[key]}" for key in asked)]) + "."
    )
    return Example(task="copy", system="Copy.", user="\n".join(lines), answer=answer)


def mixed_example(rng: Random, copy_share: float) -> Example:
    """A training example: the curriculum with probability `copy_share`, else one of the tasks, evenly."""
    return copy_example(rng) if rng.random() < copy_share else task_example(rng, "train", rng.choice(TASKS))


def draw_facts(rng: Random, count: int) -> tuple[Fact, ...]:
    """`count` facts in an order the product might use; slot names are mostly the kind's usual one."""
    kinds: Sequence[str] = rng.choices(
        [
            "asset",
            "place",
            "metric",
            "quantity",
            "limit",
            "count",
            "time",
            "duration",
            "code",
            "quote",
            "tenant",
            "name",
        ],
        weights=[30, 9, 10, 14, 10, 10, 14, 7, 7, 4, 5, 5],
        k=count,
    )
    if count > 1 and rng.random() < 0.6:
        kinds = ["asset", *kinds[1:]]
    needy = rng.choice([0.3, 0.7, 1.0])
    facts: dict[str, Fact] = {}
    for kind in kinds:
        slot = rng.choice(_words()["slot_names"][kind][: 3 if rng.random() < 0.7 else None])
        needed = rng.random() < needy
        facts.setdefault(
            slot, Fact(slot=slot, kind=cast(FactKind, kind), text="x", evidence_id="E1", required=needed)
        )
    return tuple(facts.values())


def condition(rng: Random, split: Split) -> str:
    """What happened, a phrase without facts."""
    words = _words()

    def draw() -> str:
        form = rng.random()
        if form < 0.42:
            text = f"{_component(rng)} {rng.choice(words['failures'])}"
        elif form < 0.60:
            text = f"{rng.choice(words['metrics'])} {rng.choice(words['states'])}"
        elif form < 0.73:
            text = str(rng.choice(words["events"]))
        elif form < 0.81:
            text = f"{rng.choice(words['metrics'])} of the {_component(rng)} {rng.choice(words['states'])}"
        elif form < 0.97:
            return _strange(rng)
        else:
            text = str(rng.choice(_known("condition") or words["events"]))
        if rng.random() < 0.06:
            return f"{text} {rng.choice(['while', 'and', 'after', 'without'])} {rng.choice(words['events'])}"
        return f"{text} {rng.choice(words['adverbs'])}" if rng.random() < 0.15 else text

    return _in_split(draw, split)


def title(rng: Random, split: Split) -> str:
    """A cause's title."""

    def draw() -> str:
        form = rng.random()
        if form < 0.25 and _known("title"):
            return rng.choice(_known("title"))
        if form < 0.43:
            return _strange(rng)
        return f"{_component(rng)} {rng.choice(_words()['causes'])}"

    return _in_split(draw, split)


def impact(rng: Random, split: Split) -> str:
    """Why it matters, a clause."""
    lists = _words()["impacts"]

    def draw() -> str:
        form = rng.random()
        if form < 0.25:
            return str(rng.choice(lists["whole"]))
        if form < 0.40:
            return _strange(rng)
        subject = f"the {_component(rng)}" if form < 0.55 else rng.choice(lists["subjects"])
        return f"{subject} {rng.choice(lists['predicates'])}"

    return _in_split(draw, split)


def todo(rng: Random, split: Split) -> str:
    """What to do, an imperative."""
    lists = _words()["todos"]

    def draw() -> str:
        form = rng.random()
        if form < 0.15:
            return str(rng.choice(lists["whole"]))
        if form < 0.30:
            return f"{rng.choice(lists['verbs'])} {_strange(rng)}"
        target = f"the {_component(rng)}" if rng.random() < 0.5 else rng.choice(lists["objects"])
        return f"{rng.choice(lists['verbs'])} {target} {rng.choice(lists['tails'])}".strip()

    return _in_split(draw, split)


def split_of(text: str) -> Split:
    """The split a phrase belongs to: a tenth dev, a tenth test.

    >>> split_of("coolant pump failed") == split_of("coolant pump failed")
    True
    """
    bucket = hashlib.sha256(text.lower().encode()).digest()[0] % 10
    return "dev" if bucket == 0 else "test" if bucket == 1 else "train"


def data_hash() -> str:
    """Identifies the corpus: the word lists, the composed sentences and the prompts, by a fixed sample."""
    digest = hashlib.sha256()
    rng = Random(0)
    for _ in range(500):
        example = mixed_example(rng, 0.3)
        digest.update(f"{example.system}\0{example.user}\0{example.answer}\n".encode())
    return digest.hexdigest()[:16]


def _alert(rng: Random, split: Split) -> tuple[WordInput, str]:
    inputs = AlertInput(
        priority=rng.choice(PRIORITIES),
        sheet=_sheet(rng, split),
        impact=impact(rng, split) if rng.random() < 0.8 else "",
        todo=todo(rng, split) if rng.random() < 0.75 else "",
    )
    return inputs, alert_answer(rng, inputs)


def _step(rng: Random, split: Split) -> tuple[WordInput, str]:
    relations: tuple[Relation, ...] = ("supports", "contradicts", "absent")
    inputs = StepInput(title=title(rng, split), relation=rng.choice(relations), sheet=_sheet(rng, split))
    return inputs, step_answer(rng, inputs)


def _summary(rng: Random, split: Split) -> tuple[WordInput, str]:
    certainties: tuple[Certainty, ...] = ("clear", "likely", "open")
    inputs = SummaryInput(
        cause=rng.choice(["named"] * 6 + ["unknown", "no_fault"]),
        title=title(rng, split),
        certainty=rng.choice(certainties),
        sheet=_sheet(rng, split),
        todo=todo(rng, split) if rng.random() < 0.7 else "",
    )
    return inputs, summary_answer(rng, inputs)


def _chat(rng: Random, split: Split) -> tuple[WordInput, str]:
    intent = _in_split(lambda: str(rng.choice(_words()["intents"])), split, tries=20)
    inputs = ChatInput(intent=intent, sheet=_sheet(rng, split))
    return inputs, chat_answer(rng, inputs)


_MAKERS: dict[Task, Callable[[Random, Split], tuple[WordInput, str]]] = {
    "alert": _alert,
    "step": _step,
    "summary": _summary,
    "chat": _chat,
}


def _sheet(rng: Random, split: Split) -> FactSheet:
    count = rng.choices([0, 1, 2, 3, 4, 5, 6, 7], weights=[2, 10, 20, 24, 20, 12, 7, 5])[0]
    return FactSheet(condition=condition(rng, split), facts=draw_facts(rng, count))


def _in_split(draw: Callable[[], str], split: Split, tries: int = 200) -> str:
    """The first drawn phrase of `split`; a short list may hold none, then the last drawn stands."""
    text = draw()
    for _ in range(tries):
        if split_of(text) == split:
            break
        text = draw()
    return text


def _any_phrase(rng: Random, split: Split) -> str:
    maker = rng.choice([impact, todo, title, condition, condition])
    return _strange(rng) if rng.random() < 0.4 else maker(rng, split)


def _component(rng: Random) -> str:
    name = str(rng.choice(_words()["components"]))
    return (
        f"{rng.choice(['primary', 'secondary', 'spare', 'upper', 'shared', 'remote'])} {name}"
        if rng.random() < 0.1
        else name
    )


def _strange(rng: Random) -> str:
    """A phrase nobody can guess: invented words, or known words shuffled. It must be copied, not remembered."""
    if rng.random() < 0.5:
        pool = [
            w
            for part in ("components", "failures", "metrics", "events")
            for w in rng.choice(_words()[part]).split()
        ]
        return " ".join(rng.sample(pool, min(len(pool), rng.randint(2, 6))))
    # Letters at random reach the tokens that our own words never use, as a foreign word will.
    pieces = _SYLLABLES if rng.random() < 0.6 else "abcdefghijklmnopqrstuvwxyz"
    words = [
        "".join(rng.choices(pieces, k=rng.randint(2, 3 if pieces is _SYLLABLES else 8)))
        for _ in range(rng.randint(1, 3))
    ]
    if rng.random() < 0.3:
        words[0] = words[0][:4].upper()
    return " ".join([*words, rng.choice(_words()["failures"])])


@cache
def _words() -> dict[str, Any]:
    return cast(dict[str, Any], yaml.safe_load(WORDS.read_text(encoding="utf-8")))


@cache
def _known(key: str) -> tuple[str, ...]:
    """Phrases the product's own rules and catalogs use under `key`, without digits, as far as they exist."""
    root = Path(__file__).parents[2] / "knowledge"
    files = (
        sorted((root / "rules").glob("*.yaml")) if key == "condition" else [root / "catalogs" / "causes.yaml"]
    )
    found: list[str] = []
    for file in files:
        if file.is_file():
            _collect(yaml.safe_load(file.read_text(encoding="utf-8")), key, found)
    return tuple(dict.fromkeys(text for text in found if not any(c.isdigit() or c in "{}" for c in text)))


def _collect(tree: object, key: str, found: list[str]) -> None:
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key and isinstance(value, str):
                found.append(value)
            else:
                _collect(value, key, found)
    elif isinstance(tree, list):
        for value in tree:
            _collect(value, key, found)
