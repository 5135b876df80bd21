"""Tested causes and rehearsed actions in sentences, the same for page and terminal."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from knowledge.causes import load_causes
from plant.diagnosis.results import Cost, Rehearsal, StateNote, Verdict
from setpoint.app.formatting import counted, day_and_time, span, time_of_day
from setpoint.contracts import ActionProposal, Hypothesis

LEAST_SHOWN = 0.01
"""A candidate with a smaller share is named without its plots."""
COSTS = {
    "energy_kwh": "energy, kWh",
    "served_share_pct": "requests served, %",
    "ttft_ms": "time to first token, ms",
    "gpu_work_pct": "GPU work done, %",
    "gpus_lost": "GPUs shut down",
}


def share_words(share: float) -> str:
    """
    >>> share_words(0.783), share_words(0.004), share_words(0.0), share_words(0.998), share_words(1.0)
    ('78 %', 'under 1 %', '0 %', 'over 99 %', '100 %')
    """
    if 0.0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1.0:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def open_words(hypotheses: Sequence[Hypothesis]) -> str:
    """What is left for "none of these" and for "nothing is broken", where that is too little to stand in the list."""
    names = {"unknown": "none of these", "no_fault": "no fault"}
    said = [
        f"{names[one.cause]}: {share_words(one.tested.share)}"
        for one in hypotheses[1:]
        if one.cause in names and one.tested and one.tested.share < LEAST_SHOWN
    ]
    return "; ".join(said)


def in_brief(proposal: ActionProposal | None) -> str:
    """What a rehearsal says of an action, in one line; "" without one."""
    found = proposal.rehearsal if proposal else None
    if found is None:
        return ""
    return f"refused by the interlock: {found.refused}" if found.refused else found.said


def severity_words(severity: float) -> str:
    """Where in its range a cause was fitted.

    >>> severity_words(0.2), severity_words(0.5), severity_words(0.97)
    ('mild', 'moderate', 'severe')
    """
    return "mild" if severity < 1 / 3 else "moderate" if severity < 2 / 3 else "severe"


def cause_facts(verdict: Verdict, zone: ZoneInfo) -> str:
    """Since when, how badly and how it was judged, in one line."""
    said = []
    if verdict.onset is not None:
        said.append(f"since {time_of_day(verdict.onset, zone)}")
    if verdict.ramp_s is not None:
        said.append(f"growing over {span(verdict.ramp_s)}" if verdict.ramp_s > 0 else "at once")
    if verdict.severity is not None:
        said.append(f"{severity_words(verdict.severity)}, {share_words(verdict.severity)} of its range")
    where = ", ".join(said)
    return f"{where[:1].upper()}{where[1:]}{'. ' if where else ''}{_judged(verdict)}"


def cause_words(text: str) -> str:
    """A cause on an asset, written "cause@asset", by its title.

    >>> cause_words("coolant_pump_failure@cdu-1-pump-a")
    'coolant pump failed at cdu-1-pump-a'
    """
    cause, _, asset = text.partition("@")
    found = load_causes().get(cause)
    title = found.title if found else cause.replace("_", " ")
    return f"{title} at {asset}" if asset else title


def _judged(verdict: Verdict) -> str:
    """What its share rests on. Log evidence is told in words: a factor of so much."""
    if verdict.cause == "unknown":
        return "None of the causes that were tried; its share is what they leave unexplained."
    if verdict.cause == "no_fault":
        return "Nothing is broken: the readings are held against the model as it runs without a fault."
    if not verdict.tried:
        return "The plant model cannot run it: judged by events alone."
    return f"Run on the plant model against {counted(len(verdict.curves), 'signal')}{_factor(verdict)}."


def _factor(verdict: Verdict) -> str:
    if not verdict.curves:
        return ""
    side = "for" if verdict.from_signals > 0 else "against"
    return f"; held against no fault, they speak {side} it {_strength(abs(verdict.from_signals))}"


def _strength(evidence: float) -> str:
    """Log evidence after the usual scale of Bayes factors (Kass and Raftery 1995: 3, 20, 150)."""
    return next((words for most, words in ((1.1, "barely"), (3.0, "somewhat"), (5.0, "strongly")) if evidence < most),
                "very strongly")  # fmt: skip


def state_words(state: StateNote, zone: ZoneInfo) -> str:
    """How well the model stands for the site."""
    return (
        f"The plant model was brought to the site's state of {time_of_day(state.as_of, zone)} from "
        f"{counted(state.signals, 'reading')}; it reproduces {share_words(state.confidence)} of them within their error."
    )


def cost_words(cost: Cost) -> str:
    return COSTS[cost.what]


def difference_words(cost: Cost) -> str:
    """
    >>> difference_words(Cost(what="energy_kwh", without=50.0, acted=58.0, low=6.9, high=9.8))
    '+6.9 to +9.8'
    """
    low, high = (
        f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+.3g}" if abs(value) >= 5e-4 else "0"
        for value in (cost.low, cost.high)
    )
    return low if low == high else f"{low} to {high}"


def rehearsal_facts(rehearsal: Rehearsal, zone: ZoneInfo) -> str:
    """What a rehearsal rests on."""
    goes_on = ""
    if rehearsal.cause:
        goes_on = f"; in all of them this goes on: {cause_words(rehearsal.cause)}"
    return (
        f"{counted(rehearsal.members, 'run')} of {span(rehearsal.horizon_s)} each way on the plant model from "
        f"{day_and_time(rehearsal.as_of, zone)}, constants varied{goes_on}. Trust in the state they start from: "
        f"{share_words(rehearsal.confidence)}."
    )
