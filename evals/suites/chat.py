"""Suite `chat`: conversations of several turns, with an end state that code checks.

One sample is one conversation with the chat of a played night, in one thread: a follow-up leans on what was said before.
Of each turn its calls are compared with what it means, every number and name of the answer must stand in what the tools
gave, and what an answer must hold or must not say is looked for. Afterwards the ledger, its audit chain and the plant must
be just what they were: a conversation reads, whatever it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from inspect_ai.dataset import Sample

from evals.figures import Figure, rate, share
from evals.registry import Ask, Prepared, Row
from evals.running.tasks import interleaved, suite_task
from evals.talk.asking import converse, unfounded
from evals.talk.meaning import Subject, subject
from evals.talk.reference import compare, reference, written
from evals.talk.tasks import Dialogue, Turn, skipped, tasks
from evals.talk.world import World

KEYS = ("turns_right", "facts", "unchanged")


def prepare(ask: Ask) -> Prepared:
    """The task."""
    world, found = tasks(ask, single=False)
    samples = interleaved([_sample(one) for one in found], lambda one: str((one.metadata or {})["hand"]))
    model, left_out = ask.contender.role("light"), list(skipped(ask))
    if model is None:
        left_out.append(f"lead sentences of a model: {ask.contender.name} has no light model")

    def answer(case: Row) -> Row:
        before = world.fingerprint()
        said = converse([turn["say"] for turn in case["turns"]], world, model)
        changed = [key for key, value in world.fingerprint().items() if value != before[key]]
        return {"text": _transcript(case, said), "turns": _slim(case, said), "changed": changed}

    def judge(case: Row, said: Row) -> Row:
        return judged(case, said, world)

    task = suite_task("chat", samples[: ask.limit], answer, judge, KEYS)
    return Prepared(task, lambda rows: figures(rows, ask.split), tuple(left_out), gate, lambda _: ())


def _sample(one: Dialogue) -> Sample:
    turns = [asdict(turn) for turn in one.turns]
    said = "\n".join(turn.say for turn in one.turns)
    return Sample(id=one.id, input=said, metadata={"hand": one.hand, "turns": turns})


def _transcript(case: Row, said: Sequence[Mapping[str, Any]]) -> str:
    pairs = zip(case["turns"], said, strict=True)
    return "\n\n".join(f"> {turn['say']}\n{one['text']}" for turn, one in pairs)


def _slim(case: Row, said: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What judging needs: what the tools gave is looked through here, and only the incidents they listed are kept."""
    kept = []
    for turn, one in zip(case["turns"], said, strict=True):
        more = {"unfounded": unfounded(one, turn["say"]), "listed": _listed(one["findings"])}
        kept.append({key: value for key, value in one.items() if key not in ("findings", "facts")} | more)
    return kept


def _listed(findings: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Incidents that the turn listed, in their order; routine records are not shown."""
    rows = [row for one in findings if one["tool"] == "incidents" for row in one["result"]]
    return [{"id": row["id"]} for row in rows if row["priority"] != "P3"]


# ---- judging -----------------------------------------------------------------------------------------------------


def judged(case: Row, said: Row, world: World) -> dict[str, Any]:
    """Everything measured of one conversation."""
    past: list[tuple[Subject, Sequence[Mapping[str, Any]]]] = []
    rows, problems = [], list[str]()
    for number, (raw, one) in enumerate(zip(case["turns"], said["turns"], strict=True), 1):
        turn = Turn(**raw)
        meant = subject(turn.about, world, past)
        past.append((meant, one["listed"]))
        row = _turn(turn, meant, one, number)
        rows.append(row)
        problems += [f"turn {number} {turn.say!r}: {problem}" for problem in row["problems"]]
    problems += [f"the conversation changed the {key}" for key in said["changed"]]
    right = [row["right"] for row in rows]
    return {
        "hand": case["hand"], "turns": rows, "turns_right": sum(right) / len(right), "all_right": all(right),
        "facts": all(row["facts"] for row in rows), "unchanged": not said["changed"], "problems": problems,
    }  # fmt: skip


def _turn(turn: Turn, meant: Subject, said: Row, number: int) -> dict[str, Any]:
    wanted = reference(turn, meant)
    found = compare(said["calls"], wanted)
    text = said["text"].lower()
    bad = [word for word in turn.must_not if word.lower() in text]
    absent = [word for word in _needed(turn, meant) if word.lower() not in text]
    problems = [f"not in any tool's result: {claim}" for claim in said["unfounded"]]
    problems += [f"says {word!r}" for word in bad] + [f"does not say {word!r}" for word in absent]
    if not found.exact:
        problems.append(f"called {written(said['calls'])}; right is {wanted}")
    return {
        "intent": turn.intent, "follow_up": number > 1, "resolved": meant.known, "calls": found.exact,
        "subject": found.arguments, "holds": not bad and not absent, "facts": not said["unfounded"],
        "right": found.exact and not bad and not absent, "written_by": said["written_by"],
        "fell_back": bool(said["fallback"]), "problems": problems,
    }  # fmt: skip


def _needed(turn: Turn, meant: Subject) -> tuple[str, ...]:
    """What a right answer names: its author's words, and the subject it is about."""
    if turn.intent in ("refused", "reviews", "knowledge", "size", "overview"):
        return turn.holds
    return (*turn.holds, *([meant.incident] if meant.incident else meant.assets))


# ---- figures -----------------------------------------------------------------------------------------------------


def figures(rows: Sequence[Row], split: str = "dev") -> list[Figure]:
    """By whose conversations they are."""
    found: list[Figure] = []
    for hand in dict.fromkeys(row["hand"] for row in rows):
        mine = [row for row in rows if row["hand"] == hand]
        found += _of(f"{split}, {'our own' if hand == 'own' else 'another hand'}", mine)
    turns = [turn for row in rows for turn in row["turns"]]
    vague = sum(not turn["resolved"] for turn in turns)
    found.append(
        rate(
            f"{split}, all",
            "ledger, audit chain and plant unchanged",
            rows,
            lambda row: row["unchanged"],
            hard=True,
        )
    )
    if vague:
        found.append(share(f"{split}, all", "turns of which only the tool is judged", vague, len(turns), "subject not resolved", better=""))  # fmt: skip
    asked = [turn for turn in turns if turn["fell_back"] or turn["written_by"] != "template"]
    if asked:
        fell = sum(turn["fell_back"] for turn in asked)
        found.append(
            share(f"{split}, lead sentence", "fell back to code's own", fell, len(asked), better="lower")
        )
        sound = sum(turn["facts"] for turn in asked)
        found.append(share(f"{split}, lead sentence", "facts from tools alone", sound, len(asked)))
    return found


def _of(set_: str, rows: Sequence[Row]) -> list[Figure]:
    def over(name: str, key: str, keep: str = "", *, hard: bool = False) -> Figure:
        """The mean over a conversation's turns, so that two runs are compared conversation by conversation."""
        some = [row for row in rows if any(_kept(turn, keep) for turn in row["turns"])]
        return rate(
            set_, name, some, lambda row: _mean([t[key] for t in row["turns"] if _kept(t, keep)]), hard=hard
        )

    return [
        rate(set_, "conversations right in every turn", rows, lambda row: row["all_right"]),
        over("turns right", "right"),
        over("right calls", "calls"),
        over("right calls of follow-ups", "calls", "follow_up"),
        over("says what it must, nothing else", "holds"),
        over("wishes to act refused", "calls", "refused"),
        over("facts from tools alone", "facts"),
    ]


def _kept(turn: Row, keep: str) -> bool:
    return not keep or (turn["intent"] == keep if keep == "refused" else bool(turn[keep]))


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values)


def gate(found: Sequence[Figure]) -> str:
    """A conversation never changes anything."""
    bad = [one for one in found if one.name.endswith("unchanged") and one.value < 1.0]
    return "; ".join(f"{one.set}: only {one.value:.3f} of {one.n} left everything as it was" for one in bad)
