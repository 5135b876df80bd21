"""The advisor: what to do about a plan, what it is worth, what it risks and what else was weighed; and its proposals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta, tzinfo

from agents.explainer import Writer
from agents.plan_said import Words, worded
from agents.plan_words import (
    MOST_NAMED,
    Teller,
    Told,
    action_of,
    due,
    later,
    length,
    listed,
    lower_first,
    many,
    move_words,
    moves_words,
    quantity,
    share,
    span_of,
)
from setpoint.contracts import Action, ActionProposal
from setpoint.contracts.action import Withheld
from setpoint.contracts.loops import LoopPlan, Move, Risk, Saving, Task
from setpoint.contracts.site import Site
from setpoint.errors import ActionRefused, InputError
from tools.actions import describe, spec_of, validate

HARDLY = 0.01
"""A smaller chance is told as such, not by its figure."""
NOTHING_PU = 0.0005
"""A saving of a smaller share is none."""
MOST_FORECASTS = 3
_RATED = ("peak", "PUE", "temperature")
"""What is higher or lower, where other things are spent or saved."""


def advise(plan: LoopPlan, writer: Writer | None = None, *, zone: tzinfo | None = None) -> Words:
    """What to do, what it is worth, what it risks and what else was weighed. `zone`: as for the interpreter."""
    return worded("advice", advised(plan, zone), writer)


def advised(plan: LoopPlan, zone: tzinfo | None = None) -> Told:
    """The sentences by code, with their facts apart."""
    teller = Teller(plan, zone or plan.made.tzinfo or UTC)
    if reason := why_nothing(plan):
        held = "Leave it to the local controller." if plan.local else "Change nothing."
        teller.say(f"{held} {teller.quote(reason)}")
        _remedies(teller, plan)
        return teller.told()
    _now(teller, due(plan))
    _worth(teller, plan.savings)
    _later(teller, later(plan))
    _work(teller, plan.tasks)
    _risks(teller, plan.risks)
    return teller.told()


def why_nothing(plan: LoopPlan) -> str:
    """Why the plan may move nothing; "" where it may."""
    blocking = next((one for one in plan.troubles if one.blocks), None)
    if blocking:
        return blocking.what
    return "The loop hands over to the local controller." if plan.local else ""


# ---- what is said ------------------------------------------------------------------------------------------------


def _now(teller: Teller, moves: Sequence[Move]) -> None:
    if not moves:
        teller.say("Change nothing now: the setpoints are where the plan wants them.")
        return
    words = [lower_first(one) for one in moves_words(moves)]
    shown = (
        words if len(words) <= MOST_NAMED + 1 else [*words[:MOST_NAMED], f"{len(words) - MOST_NAMED} more"]
    )
    teller.say(f"Now {teller.fact('name', listed(shown))}.", lead=True)


def _worth(teller: Teller, savings: Sequence[Saving]) -> None:
    """What it saves, each quantity in a sentence, the first baseline with its interval."""
    by_quantity: dict[str, list[Saving]] = {}
    for one in savings:
        by_quantity.setdefault(one.what, []).append(one)
    for alike in by_quantity.values():
        teller.say(f"{_saved(teller, alike[0], whole=True)}.", lead=True)
        for other in alike[1:]:
            teller.say(f"{_saved(teller, other, whole=False)}.")


def _saved(teller: Teller, one: Saving, *, whole: bool) -> str:
    against, what = teller.fact("name", one.baseline_name), lower_first(one.what)
    if abs(one.saved) <= NOTHING_PU * abs(one.baseline):
        return f"On {what} it is worth nothing against {against}"
    amount = teller.amount(abs(one.saved), one.unit)
    part = f" ({teller.fact('quantity', share(abs(one.saved_pu)))})" if one.baseline else ""
    of = {"bill": ""}.get(one.what, f" of {what}")
    if one.what.split()[-1] in _RATED:
        said = f"It {'lowers' if one.saved > 0 else 'raises'} the {what} by {amount}{part} against {against}"
    elif one.saved > 0:
        said = f"It saves {amount}{of or ' of the bill'}{part} against {against}"
    else:
        said = f"It costs {amount}{of}{part} more than with {against}"
    return f"{said}{_uncertain(teller, one)}" if whole else said


def _uncertain(teller: Teller, one: Saving) -> str:
    """The interval of the saving; where it holds zero, the sign is open, and that is said."""
    if one.low is None or one.high is None:
        return ""
    low, high = (one.low, one.high) if one.saved >= 0 else (-one.high, -one.low)
    held = teller.fact("quantity", span_of(low, high, one.unit))
    open_sign = low < 0.0 < high
    return f", {held} as far as the forecast goes" + (": it may come out either way" if open_sign else "")


def _later(teller: Teller, moves: Sequence[Move]) -> None:
    if not moves:
        return
    first = moves[0]
    counted = teller.fact("count", many(len(moves), "more move"))
    what = teller.fact("name", lower_first(move_words(first)))
    follow = "follows" if len(moves) == 1 else "follow"
    lead = "" if len(moves) == 1 else "the first "
    teller.say(f"Later {counted} {follow}, {lead}at {teller.time(first.at)}: {what}.")


def _work(teller: Teller, tasks: Sequence[Task]) -> None:
    """The work that has a window, the earliest first."""
    planned = sorted(
        (one for one in tasks if one.window_start), key=lambda one: one.window_start or teller.plan.made
    )
    for one in planned[:MOST_NAMED]:
        begin = one.window_start or teller.plan.made
        end = one.window_end or begin + timedelta(hours=one.hours)
        span = teller.fact("duration", length((end - begin).total_seconds()))
        work = teller.fact("name", f"{lower_first(one.work)}")
        teller.say(
            f"Have {teller.fact('name', one.crew)} {work} on {teller.asset(one.asset)} from {teller.time(begin)}, in a window of {span}.",
            lead=True,
        )
    if more := len(planned) - len(planned[:MOST_NAMED]):
        teller.say(
            f"{teller.fact('count', many(more, 'more piece'))} of work {'has' if more == 1 else 'have'} a window."
        )


def _risks(teller: Teller, risks: Sequence[Risk]) -> None:
    """What may go wrong, the likeliest first; what hardly can is named together."""
    quiet = [one for one in risks if one.chance is not None and max(one.chance, one.without or 0.0) < HARDLY]
    for one in sorted((one for one in risks if one not in quiet), key=lambda one: -(one.chance or 0.0))[
        :MOST_NAMED
    ]:
        what = teller.fact("name", lower_first(one.what.rstrip(".")))
        if one.chance is None:
            teller.say(f"Risk: {what}.")
            continue
        chance = teller.fact("quantity", share(one.chance))
        without = "" if one.without is None else f", {teller.fact('quantity', share(one.without))} without it"
        teller.say(f"Risk: {what}; chance {chance} with the plan{without}.")
    if quiet:
        named = listed([lower_first(one.what.rstrip(".")) for one in quiet[:MOST_NAMED]])
        each = " each" if len(quiet) > 1 else ""
        teller.say(
            f"Weighed, with a chance {teller.fact('quantity', f'under {share(HARDLY)}')}{each}: {teller.fact('name', named)}."
        )


def _remedies(teller: Teller, plan: LoopPlan) -> None:
    for remedy in dict.fromkeys(one.remedy for one in plan.troubles if one.blocks and one.remedy):
        teller.say(teller.quote(remedy))


# ---- proposals ---------------------------------------------------------------------------------------------------


def proposals(
    plan: LoopPlan, cycle_id: str, site: Site
) -> tuple[tuple[ActionProposal, ...], tuple[Withheld, ...]]:
    """The plan's due moves as complete proposals for review, and those that are wanted and not put, each with why.

    A proposal's id follows from cycle and action, so that proposing it again makes no second one. One asset gets one
    proposal of a kind: of several the last stands.
    """
    wanted = due(plan)
    if reason := why_nothing(plan):
        return (), tuple(Withheld(subject=move_words(move), why=reason) for move in wanted)
    made: dict[tuple[str, str], ActionProposal] = {}
    withheld: list[Withheld] = []
    for move in wanted:
        try:
            action = validate(action_of(move), site)
        except (InputError, ActionRefused) as error:
            withheld.append(Withheld(subject=move_words(move), why=str(error)))
            continue
        key = (action.name, action.asset)
        if earlier := made.pop(key, None):
            withheld.append(
                Withheld(
                    subject=describe(earlier.action),
                    why=f"A later move of this plan replaces it: {describe(action)}",
                )
            )
        made[key] = _proposal(plan, move, action, cycle_id)
    return tuple(made.values()), tuple(withheld)


def _proposal(plan: LoopPlan, move: Move, action: Action, cycle_id: str) -> ActionProposal:
    spec = spec_of(action.name)
    worth = f"Worth: {move.saves}" if move.saves else ""
    why = " ".join(part.rstrip(".") + "." for part in (move.why, worth) if part)
    return ActionProposal(
        id=f"ACT-{action.digest(cycle_id)[:10]}", incident_id=cycle_id, action=action, risk=spec.risk,
        effect=f"{describe(action)}. {spec.effect}", why=why or plan.headline, rollback=spec.rollback,
        evidence=evidence_of(plan),
    )  # fmt: skip


def evidence_of(plan: LoopPlan) -> tuple[str, ...]:
    """What a proposal of the plan rests on, a sentence each: its forecasts, and what it is worth."""
    said = []
    for one in plan.forecasts[:MOST_FORECASTS]:
        top = max(range(len(one.expected)), key=one.expected.__getitem__) if one.expected else None
        if top is not None:
            said.append(
                f"{one.title}: at most {quantity(one.expected[top], one.unit)} within "
                f"{length(one.step_s * len(one.expected))}, {share(one.level)} interval "
                f"{span_of(one.low[top], one.high[top], one.unit)} ({one.method})"
            )
    for saving in plan.savings[:1]:
        said.append(
            f"{saving.what}: {quantity(saving.planned, saving.unit)} planned, "
            f"{quantity(saving.baseline, saving.unit)} with {saving.baseline_name}"
        )
    return tuple(said)
