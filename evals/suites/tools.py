"""Suite `tools`: is a question put to the right tool, with the right arguments, and to no other?

One sample is one question to the chat of a played night. Its meaning (intent, subject, arguments) gives reference calls,
and agentevals compares what was called with them: all of them there (superset), and nothing else (subset). What is a wish
to act must lead to no call at all. The tasks of another hand are reported apart from our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from inspect_ai.dataset import Sample

from evals.figures import Figure, rate
from evals.registry import Ask, Prepared, Row
from evals.running.tasks import interleaved, suite_task
from evals.talk.asking import converse, unfounded
from evals.talk.meaning import subject
from evals.talk.reference import compare, reference, written
from evals.talk.tasks import Dialogue, Turn, skipped, tasks
from evals.talk.world import World

KEYS = ("tools", "arguments", "no_needless")


def prepare(ask: Ask) -> Prepared:
    """The task."""
    world, found = tasks(ask, single=True)
    samples = _fair([_sample(one) for one in found])[: ask.limit]
    model, left_out = ask.contender.role("light"), list(skipped(ask))
    if model is None:
        left_out.append(f"lead sentences of a model: {ask.contender.name} has no light model")

    def answer(case: Row) -> Row:
        said = converse([case["turn"]["say"]], world, model)[0]
        return said | {"unfounded": unfounded(said, case["turn"]["say"]), "findings": []}

    def judge(case: Row, said: Row) -> Row:
        return judged(case, said, world)

    task = suite_task("tools", samples, answer, judge, KEYS)
    return Prepared(task, lambda rows: figures(rows, ask.split), tuple(left_out), labels=lambda _: ())


def _fair(samples: Sequence[Sample]) -> list[Sample]:
    """By turns of each hand, and of each hand by turns of each meaning."""
    return interleaved(
        interleaved(samples, lambda one: _of_case(one, "intent")), lambda one: _of_case(one, "hand")
    )


def _of_case(sample: Sample, key: str) -> str:
    return str((sample.metadata or {})[key])


def _sample(one: Dialogue) -> Sample:
    (turn,) = one.turns
    return Sample(
        id=one.id, input=turn.say,
        metadata={"hand": one.hand, "intent": turn.intent, "turn": asdict(turn)},
    )  # fmt: skip


def judged(case: Row, said: Row, world: World) -> dict[str, Any]:
    """Everything measured of one question."""
    turn = Turn(**case["turn"])
    wanted = reference(turn, subject(turn.about, world))
    found = compare(said["calls"], wanted)
    problems = [f"not in any tool's result: {claim}" for claim in said["unfounded"]]
    if not found.exact:
        problems.append(f"called {written(said['calls'])}; right is {wanted}")
    return {
        "hand": case["hand"], "intent": turn.intent, "tools": found.tools, "arguments": found.arguments,
        "no_needless": not found.needless, "exact": found.exact, "facts": not said["unfounded"],
        "written_by": said["written_by"], "fell_back": bool(said["fallback"]), "problems": problems,
    }  # fmt: skip


def figures(rows: Sequence[Row], split: str = "dev") -> list[Figure]:
    """By whose tasks, then per meaning."""
    found: list[Figure] = []
    for hand in dict.fromkeys(row["hand"] for row in rows):
        mine = [row for row in rows if row["hand"] == hand]
        set_ = f"{split}, {'our own tasks' if hand == 'own' else 'another hand'}"
        found += _of(set_, mine)
    for intent in sorted({row["intent"] for row in rows}):
        some = [row for row in rows if row["intent"] == intent]
        found.append(
            rate(f"{split}, per meaning", intent, some, lambda row: row["exact"], note="right calls alone")
        )
    return found + _model(rows, split)


def _of(set_: str, rows: Sequence[Row]) -> list[Figure]:
    wishes = [row for row in rows if row["intent"] == "refused"]
    asks = [row for row in rows if row["intent"] != "refused"]
    found = [
        rate(set_, "right tools", asks, lambda row: row["tools"]),
        rate(set_, "right tools and arguments", asks, lambda row: row["arguments"]),
        rate(set_, "no needless call", asks, lambda row: row["no_needless"]),
        rate(set_, "exactly the right calls", asks, lambda row: row["exact"]),
        rate(set_, "facts from tools alone", rows, lambda row: row["facts"]),
    ]
    if wishes:
        found.insert(4, rate(set_, "wishes to act refused", wishes, lambda row: row["exact"]))
    return found


def _model(rows: Sequence[Row], split: str) -> list[Figure]:
    """Of the lead sentences that a model was asked for: a template's without a problem is not one of them."""
    asked = [row for row in rows if row["fell_back"] or row["written_by"] != "template"]
    if not asked:
        return []
    return [
        rate(
            f"{split}, lead sentence",
            "fell back to code's own",
            asked,
            lambda row: row["fell_back"],
            better="lower",
        ),
        rate(f"{split}, lead sentence", "facts from tools alone", asked, lambda row: row["facts"]),
    ]
