"""Phrases for prompts: conditions, titles, impacts, todos. Each belongs to one split by its hash.

A third comes from the grammar of `words.yaml`, a third is the product's own language (rules, catalog, runbooks),
the rest cannot be guessed: what stands behind a slot must not matter to the words around it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal, cast

import yaml

from setpoint.learning import known

Split = Literal["train", "dev", "test"]
WORDS = Path(__file__).parent / "words.yaml"
_SYLLABLES = (
    "ba", "co", "du", "fen", "gri", "hal", "ix", "jo", "ka", "lor", "mi", "nu", "or", "pra", "qua", "ros", "sti",
    "tem", "ur", "vel", "wen", "yar", "zo", "ster", "ling", "ton",
)  # fmt: skip
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def condition(rng: Random, split: Split) -> str:
    """What happened, a phrase without facts."""
    return _in_split(lambda: _mixed(rng, _condition, known.conditions()), split)


def title(rng: Random, split: Split) -> str:
    """A cause's title."""
    names = tuple(name for _, name in known.titles())
    return _in_split(lambda: _mixed(rng, _title, names), split)


def impact(rng: Random, split: Split) -> str:
    """Why it matters, a clause."""
    return _in_split(lambda: _mixed(rng, _impact, known.impacts()), split)


def todo(rng: Random, split: Split) -> str:
    """What to do, an imperative."""
    return _in_split(lambda: _mixed(rng, _todo, known.remedies()), split)


def intent(rng: Random, split: Split) -> str:
    """What an operator asks. The list is short: a split may have to fall back on another's."""
    return _in_split(lambda: str(rng.choice(words()["intents"])), split, tries=20)


def split_of(text: str) -> Split:
    """The split a phrase belongs to: a tenth dev, a tenth test.

    >>> split_of("coolant pump failed") == split_of("coolant pump failed")
    True
    """
    bucket = hashlib.sha256(text.lower().encode()).digest()[0] % 10
    return "dev" if bucket == 0 else "test" if bucket == 1 else "train"


@cache
def words() -> dict[str, Any]:
    """The word lists."""
    return cast(dict[str, Any], yaml.safe_load(WORDS.read_text(encoding="utf-8")))


def _in_split(draw: Callable[[], str], split: Split, tries: int = 200) -> str:
    """The first drawn phrase of `split`; a short list may hold none, then the last drawn stands."""
    text = draw()
    for _ in range(tries):
        if split_of(text) == split:
            break
        text = draw()
    return text


def _mixed(rng: Random, composed: Callable[[Random], str], own: tuple[str, ...]) -> str:
    form = rng.random()
    if form < 0.38:
        return composed(rng)
    if form < 0.58:
        return rng.choice(own)
    return _span(rng) if form < 0.76 else _strange(rng)


def _condition(rng: Random) -> str:
    lists, form = words(), rng.random()
    if form < 0.5:
        text = f"{_component(rng)} {rng.choice(lists['failures'])}"
    elif form < 0.7:
        text = f"{rng.choice(lists['metrics'])} {rng.choice(lists['states'])}"
    elif form < 0.9:
        text = str(rng.choice(lists["events"]))
    else:
        text = f"{rng.choice(lists['metrics'])} of the {_component(rng)} {rng.choice(lists['states'])}"
    if rng.random() < 0.06:
        return f"{text} {rng.choice(['while', 'and', 'after', 'without'])} {rng.choice(lists['events'])}"
    return f"{text} {rng.choice(lists['adverbs'])}" if rng.random() < 0.15 else text


def _title(rng: Random) -> str:
    return f"{_component(rng)} {rng.choice(words()['causes'])}"


def _impact(rng: Random) -> str:
    lists = words()["impacts"]
    if rng.random() < 0.3:
        return str(rng.choice(lists["whole"]))
    subject = f"the {_component(rng)}" if rng.random() < 0.3 else rng.choice(lists["subjects"])
    return f"{subject} {rng.choice(lists['predicates'])}"


def _todo(rng: Random) -> str:
    lists = words()["todos"]
    if rng.random() < 0.2:
        return str(rng.choice(lists["whole"]))
    target = f"the {_component(rng)}" if rng.random() < 0.5 else rng.choice(lists["objects"])
    return f"{rng.choice(lists['verbs'])} {target} {rng.choice(lists['tails'])}".strip()


def _component(rng: Random) -> str:
    name = str(rng.choice(words()["components"]))
    if rng.random() < 0.1:
        return f"{rng.choice(['primary', 'secondary', 'spare', 'upper', 'shared', 'remote'])} {name}"
    return name


def _span(rng: Random) -> str:
    """Some neighbouring words of a runbook sentence."""
    sentence = rng.choice(known.sentences()).split()
    length = min(len(sentence), rng.randint(2, 15))
    start = rng.randint(0, len(sentence) - length)
    return " ".join(sentence[start : start + length]).strip(",- '/()")


def _strange(rng: Random) -> str:
    """A phrase nobody can guess: words shuffled, or invented."""
    form = rng.random()
    if form < 0.55:
        return " ".join(rng.choices(known.vocabulary(), k=rng.randint(2, 10)))
    if form < 0.75:
        parts = ("components", "failures", "metrics", "events")
        pool = [word for part in parts for word in rng.choice(words()[part]).split()]
        return " ".join(rng.sample(pool, min(len(pool), rng.randint(2, 6))))
    # Letters at random reach the tokens that our own words never use, as a foreign word will.
    invented = [_invented(rng) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.3:
        invented[0] = invented[0][:4].upper()
    return " ".join([*invented, rng.choice(words()["failures"])])


def _invented(rng: Random) -> str:
    if rng.random() < 0.6:
        return "".join(rng.choices(_SYLLABLES, k=rng.randint(2, 3)))
    return "".join(rng.choices(_LETTERS, k=rng.randint(2, 8)))
