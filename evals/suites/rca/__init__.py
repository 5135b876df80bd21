"""Suite `rca`: is the root cause named, at the right asset, by the right path, and is it said how sure that is?

One sample is one fault, or one harmless story, of a generated night on a site that is not what its file says. What the
diagnosis sees ends at its moment, ten minutes after the fault showed its worst. Code composes, answers and judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from inspect_ai.dataset import Sample

from evals.registry import Ask, Prepared, Row
from evals.running.tasks import suite_task
from evals.suites.rca.figures import figures
from evals.suites.rca.judging import judge
from evals.suites.rca.nights import GENERATOR, RcaFault, RcaNight, case_text, night_of, nights, twist_of
from evals.suites.rca.systems import answering

NOT_NOTICED = "nothing: no incident above P3"


def prepare(ask: Ask) -> Prepared:
    """The task. `data` is not needed: every case is generated."""
    made = list(nights(ask.split, ask.seed, ask.limit))
    samples = [_sample(night, fault) for night in made for fault in night.asked][: ask.limit]
    answer_of = answering(ask.contender)

    def answer(case: Row) -> Row:
        seat = _fault_of(case)[1].seat
        return {"text": NOT_NOTICED} if seat is None else answer_of(seat)

    task = suite_task("rca", samples, answer, as_true, ("top1", "top3", "exact"))
    note = f"{ask.split}, nights {made[0].seed} to {made[-1].seed}, {GENERATOR}"
    told: list[str] = []
    if ask.contender.system == "model" and ask.contender.heavy.kind == "none":
        told.append(f"model words: {ask.contender.name} has no heavy model")
    return Prepared(task, partial(figures, note=note), tuple(told), labels=labels)


def _sample(night: RcaNight, fault: RcaFault) -> Sample:
    return Sample(
        id=f"{night.seed}-{fault.story}",
        input=case_text(night, fault),
        target=fault.plan.fault.cause,
        metadata={
            "seed": night.seed, "story": fault.story, "twist": twist_of(night.seed)[0], "tags": list(fault.tags),
            "real": list(night.case.notes), "generator": GENERATOR,
        },
    )  # fmt: skip


def _fault_of(case: Row) -> tuple[RcaNight, RcaFault]:
    night = night_of(case["seed"])
    return night, night.fault(case["story"])


def as_true(case: Row, said: Row) -> Row:
    """Against what was really the matter."""
    return judge(*_fault_of(case), said)


def labels(sample: Sample) -> Sequence[str]:
    """Names that only the generator and the catalogs use. Plain words such as "smoke" are said by equipment."""
    story = str((sample.metadata or {})["story"])
    names = (story, story.partition("@")[0], str(sample.target))
    return [name for name in names if "_" in name]
