"""Chat tasks from files: single questions and conversations, each turn with what it means.

A file holds `single`, a list of {id, question, intent, about, args}, and `dialogues`, a list of {id, turns}, each turn
{say, intent, about, args, must_not, holds}. `about` names an asset or incident, or says in words what is meant ("the rack
of gpu-16", "the incident of turn 2"); `holds` are words that a right answer has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from evals.registry import Ask, Split
from evals.talk.world import World, made_up_ids, with_real_ids, world
from setpoint.errors import InputError

TEXTS = Path(__file__).parents[1] / "texts"
FILES: dict[Split, tuple[str, ...]] = {
    "dev": ("chat-dev.yaml", "chat-by-hand-dev.yaml"),
    "held-out": ("chat-by-hand-held-out.yaml",),
}
Meant = Literal[
    "overview", "incident", "asset", "reviews", "knowledge", "refused", "what_if", "fail", "size", "power", "cooling",
    "battery", "trend", "topology", "gpus", "jobs", "serving", "site", "telemetry",
]  # fmt: skip


@dataclass(frozen=True)
class Turn:
    """One thing a person says, and what it means."""

    say: str
    intent: Meant
    about: str = ""
    args: dict[str, Any] = field(default_factory=dict)
    must_not: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dialogue:
    """Turns in their order; one turn: a single question."""

    id: str
    hand: str
    """Whose tasks: "own", or "other" for the file of an author who saw neither rules nor catalogs."""
    turns: tuple[Turn, ...]


def tasks(ask: Ask, *, single: bool) -> tuple[World, list[Dialogue]]:
    """The tasks of the split asked for, in the world of the seed. Made-up incident ids are those of its night."""
    made = world(ask.seed)
    found = [
        task for name in FILES[ask.split] if (TEXTS / name).exists() for task in _read(name, made, single)
    ]
    return made, found


def skipped(ask: Ask) -> tuple[str, ...]:
    """Files of the split that are not there."""
    return tuple(f"{name}: not in evals/texts" for name in FILES[ask.split] if not (TEXTS / name).exists())


@cache
def _text(name: str) -> str:
    return (TEXTS / name).read_text(encoding="utf-8")


def _read(name: str, made: World, single: bool) -> list[Dialogue]:
    text = _text(name)
    value = yaml.safe_load(with_real_ids(text, made_up_ids(text), made.incidents))
    hand = "other" if "by-hand" in name else "own"
    try:
        if single:
            return [
                Dialogue(f"{hand}-{one['id']}", hand, (_turn(one, one["question"]),))
                for one in value["single"]
            ]
        return [
            Dialogue(f"{hand}-{one['id']}", hand, tuple(_turn(turn, turn["say"]) for turn in one["turns"]))
            for one in value["dialogues"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"not a file of chat tasks: {error!r}", where=name) from error


def _turn(one: dict[str, Any], say: str) -> Turn:
    if one["intent"] not in get_args(Meant):
        raise ValueError(f"no intent {one['intent']!r} in {say!r}")
    return Turn(
        say=" ".join(say.split()), intent=one["intent"], about=str(one.get("about") or ""), args=dict(one.get("args") or {}),
        must_not=_words(one.get("must_not")), holds=_words(one.get("holds")),
    )  # fmt: skip


def _words(value: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(map(str, value or ()))
