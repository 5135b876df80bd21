"""The interpreter: what a loop foresees, in plain words: what is coming, when, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from agents.explainer import Writer
from agents.plan_said import Words, worded
from agents.plan_words import (
    MOST_NAMED,
    Teller,
    Told,
    day,
    length,
    listed,
    lower_first,
    many,
    quantity,
    share,
    span_of,
)
from setpoint.contracts.loops import Curve, Forecast, LoopPlan, Task

STILL_PU = 0.03
"""A quantity that moves by less than this share of its size stays where it is."""
SOON_PU = 0.01
"""A part less likely to fail than this within the horizon is only counted."""


def interpret(plan: LoopPlan, writer: Writer | None = None, *, zone: tzinfo | None = None) -> Words:
    """What is coming, when and how sure, by a model where its words hold against the plan's facts, else by code.

    Times are told in `zone`; without it, in that of the plan.
    """
    return worded("forecast", foretold(plan, zone), writer)


def foretold(plan: LoopPlan, zone: tzinfo | None = None) -> Told:
    """The sentences by code, with their facts apart."""
    teller = Teller(plan, zone or plan.made.tzinfo or UTC)
    for forecast in sorted(plan.forecasts, key=_is_still)[:MOST_NAMED]:  # what moves is news
        _course(teller, forecast)
    if (more := len(plan.forecasts) - MOST_NAMED) > 0:
        teller.say(f"The plan holds {teller.fact('count', many(more, 'more forecast'))}.")
    for curve in plan.curves:
        _passes(teller, curve)
    _failures(teller, plan.tasks)
    _doubts(teller, plan)
    if not teller.lines:
        teller.say("Nothing is foreseen: the loop gave no forecast.")
    return teller.told()


# ---- forecasts ---------------------------------------------------------------------------------------------------


def _is_still(forecast: Forecast) -> bool:
    return not _turns(forecast)


def _turns(forecast: Forecast) -> list[int]:
    """The steps at which it is highest and lowest, by time, as far as they are away from what is now."""
    values = forecast.expected
    if not values:
        return []
    size = max(abs(value) for value in values)
    ends = {pick(range(len(values)), key=values.__getitem__) for pick in (max, min)}
    return sorted(step for step in ends if abs(values[step] - values[0]) > STILL_PU * size)


def _course(teller: Teller, forecast: Forecast) -> None:
    """Where the quantity goes, with the interval at its extremes, and what such forecasts have been worth."""
    values = forecast.expected
    if not values:
        return
    turns = _turns(forecast)
    title, lead = teller.fact("metric", forecast.title), not teller.lines
    if not turns:
        until = teller.time(_at(forecast, len(values)))
        middle = teller.amount(sum(values) / len(values), forecast.unit)
        teller.say(
            f"{title} will stay near {middle} until {until}, {_surely(teller, forecast, len(values) - 1)}.",
            lead=lead,
        )
    elif len(turns) == 1:
        end, now = turns[0], teller.amount(values[0], forecast.unit)
        goal = f"{teller.amount(values[end], forecast.unit)} at {teller.time(_at(forecast, end))}"
        verb = "rise" if values[end] > values[0] else "fall"
        teller.say(
            f"{title} will {verb} from {now} now to {goal}, {_surely(teller, forecast, end)}.", lead=lead
        )
    else:
        teller.say(_two_turns(teller, forecast, title, turns), lead=lead)
    if forecast.skill:
        teller.say(f"Measured on the past: {teller.quote(forecast.skill)}")


def _two_turns(teller: Teller, forecast: Forecast, title: str, turns: Sequence[int]) -> str:
    """Up and then down, or the other way round."""
    now = teller.amount(forecast.expected[0], forecast.unit)
    goals = [
        f"{teller.amount(forecast.expected[step], forecast.unit)} ({_held(teller, forecast, step)}) at "
        f"{teller.time(_at(forecast, step))}"
        for step in turns
    ]
    verbs = (
        ("rise", "fall") if forecast.expected[turns[0]] > forecast.expected[turns[1]] else ("fall", "rise")
    )
    sure = teller.fact("quantity", share(forecast.level))
    return f"{title} will {verbs[0]} from {now} now to {goals[0]}, then {verbs[1]} to {goals[1]}, with {sure} certainty."


def _surely(teller: Teller, forecast: Forecast, at: int) -> str:
    """The interval with its level."""
    held = _held(teller, forecast, at)
    return f"within {held} with {teller.fact('quantity', share(forecast.level))} certainty"


def _held(teller: Teller, forecast: Forecast, at: int) -> str:
    return teller.fact("quantity", span_of(forecast.low[at], forecast.high[at], forecast.unit))


def _at(forecast: Forecast, step: int) -> datetime:
    return forecast.start + timedelta(seconds=forecast.step_s * step)


def _passes(teller: Teller, curve: Curve) -> None:
    """Where a limit would be passed without the plan."""
    if curve.limit is None or not curve.without:
        return
    over = [step for step, value in enumerate(curve.without) if _beyond(value, curve)]
    if not over:
        return
    begin, end = (curve.start + timedelta(seconds=curve.step_s * step) for step in (over[0], over[-1] + 1))
    limit = teller.fact("limit", limit_words(curve))
    title = teller.fact("metric", lower_first(curve.title))
    still = any(_beyond(value, curve) for value in curve.planned)
    with_it = "the plan shortens this but does not prevent it" if still else "with it, it stays inside"
    teller.say(
        f"Without the plan {title} passes {limit} from {teller.time(begin)} to {teller.time(end)}; {with_it}."
    )


def _beyond(value: float, curve: Curve) -> bool:
    """On the wrong side of the limit: most are highest values, those that are named so are lowest ones."""
    if curve.limit is None:
        return False
    lowest = any(word in curve.limit_name.lower() for word in ("min", "least", "reserve", "lowest", "floor"))
    return value < curve.limit if lowest else value > curve.limit


def limit_words(curve: Curve) -> str:
    """`the contracted peak of 1,400 kW`."""
    name = lower_first(curve.limit_name) if curve.limit_name else "the limit"
    article = "" if name.startswith("the ") else "the "
    return f"{article}{name} of {quantity(curve.limit or 0.0, curve.unit)}"


# ---- parts that wear ---------------------------------------------------------------------------------------------


def _failures(teller: Teller, tasks: Sequence[Task]) -> None:
    """The parts most likely to fail within the horizon."""
    likely = sorted((one for one in tasks if one.fails_within >= SOON_PU), key=lambda one: -one.fails_within)
    for one in likely[:MOST_NAMED]:
        teller.say(_failure(teller, one), lead=not teller.lines)
    if more := len(tasks) - len(likely[:MOST_NAMED]):
        counted = teller.fact("count", many(more, "other part"))
        teller.say(f"{counted} {'is' if more == 1 else 'are'} in the plan with a lower chance.")


def _failure(teller: Teller, one: Task) -> str:
    part, asset = teller.fact("name", one.part), teller.asset(one.asset)
    chance = teller.fact("quantity", share(one.fails_within))
    said = f"The {part} of {asset} fails within {teller.fact('duration', length(teller.plan.horizon_s))} with a chance of {chance}"
    if one.expected_failure is None:
        return f"{said}; when is beyond what can be said."
    said += f", most likely near {teller.fact('time', day(one.expected_failure, teller.zone))}"
    if one.low is None and one.high is None:
        return f"{said}."
    ends = [day(end, teller.zone) if end else "" for end in (one.low, one.high)]
    if all(ends):
        return f"{said}, between {teller.fact('time', ends[0])} and {teller.fact('time', ends[1])}."
    word, end = ("not before", ends[0]) if ends[0] else ("not after", ends[1])
    return f"{said}, {word} {teller.fact('time', end)}."


# ---- what is not known -------------------------------------------------------------------------------------------


def _doubts(teller: Teller, plan: LoopPlan) -> None:
    """What the loop could not rest on."""
    blocking = [one for one in plan.troubles if one.blocks]
    for one in blocking[:MOST_NAMED]:
        teller.say(" ".join(teller.quote(said) for said in (one.what, one.instead) if said))
    if others := len(plan.troubles) - len(blocking[:MOST_NAMED]):
        assets = listed([*dict.fromkeys(one.asset for one in plan.troubles if one.asset)][:MOST_NAMED])
        about = f" (of {teller.asset(assets)})" if assets else ""
        counted = teller.fact("count", many(others, "smaller trouble"))
        teller.say(f"{counted}{about} {'is' if others == 1 else 'are'} listed with what stands in.")
