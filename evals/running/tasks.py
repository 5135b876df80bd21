"""A suite as an Inspect task: the product answers in a thread, code judges, every model call is in the transcript."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import transcript
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from evals.running.calls import recorded
from evals.running.progress import case_done
from setpoint.errors import UsageError

T = TypeVar("T")
Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From a case (the metadata of its sample) to what the product said of it, as JSON. `text` in it is what a reader of
the log sees as the answer."""
Judge = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]
"""From a case and what was said to a row of measurements. `problems` in it, a list of texts, says what is wrong."""


def suite_task(
    name: str, samples: Sequence[Sample], answer: Answer, judge: Judge, keys: Sequence[str]
) -> Task:
    """`keys`: entries of the row that become the scores of a case, 1 good to 0 bad. Raises UsageError without cases."""
    if not samples:
        raise UsageError("there is no case to run", where=name, remedy="Look at --split, --cases and --data")
    dataset = MemoryDataset(list(samples), name=name)
    return Task(dataset=dataset, solver=_answering(answer), scorer=_judging(judge, tuple(keys)), name=name)


@solver(name="setpoint")
def _answering(answer: Answer) -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        began = time.monotonic()
        with recorded() as calls:
            try:
                said = await asyncio.to_thread(answer, state.metadata)
            finally:  # of an answer that raised, what the model said is wanted most
                for call in calls:
                    transcript().info(call.as_json(), source=f"{call.role} model")
                case_done()
        state.output.completion = str(said.get("text", ""))
        state.store.set("said", dict(said))
        state.store.set("spent", {
            "seconds": time.monotonic() - began, "calls": len(calls),
            "model_seconds": sum(call.seconds for call in calls),
            "failed_calls": sum(bool(call.error) for call in calls),
            "tokens": sum(call.tokens_in + call.tokens_out for call in calls),
        })  # fmt: skip
        return state

    return solve


@scorer(metrics={"*": [mean()]}, name="judged")
def _judging(judge: Judge, keys: tuple[str, ...]) -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        row = await asyncio.to_thread(judge, state.metadata, state.store.get("said"))
        return Score(
            value={key: float(row[key]) for key in keys if row.get(key) is not None},
            answer=state.output.completion,
            explanation="; ".join(row.get("problems", ())),
            metadata={
                **row,
                "spent": state.store.get("spent"),
                "epoch": state.epoch,
                "case": str(state.sample_id),
            },
        )

    return score


def interleaved(samples: Sequence[T], kind: Callable[[T], str]) -> list[T]:
    """In turn one of each kind, so that the first few are a fair picture of all."""
    piles: dict[str, list[T]] = {}
    for sample in samples:
        piles.setdefault(kind(sample), []).append(sample)
    places = [(number, sample) for pile in piles.values() for number, sample in enumerate(pile)]
    return [sample for _, sample in sorted(places, key=lambda place: place[0])]
