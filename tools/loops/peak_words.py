"""The peak loop's plan as values: curves, moves, savings, risks and facts, each number from one place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from plant.control.peak.battery import Storage
from plant.control.peak.follow import BASE_PU, KEEP_PU, OTHER_PU, Order
from plant.control.peak.levers import Cut, Pause
from plant.control.peak.planner import Decision, Situation
from plant.jobs.schedule import ScheduledJob
from plant.specs import Tariff
from setpoint.contracts.loops import (
    Curve,
    Forecast,
    LoopPlan,
    Move,
    Risk,
    Saving,
    SolverNote,
    Watch,
)
from tools.actions import CATALOG
from tools.loops.peak_site import Unit, cut_args, held_by
from tools.loops.ports import LoopPorts

FloatArray = NDArray[np.float64]
GRID = "site.grid_kw"
NO_BATTERY = "no battery, jobs as scheduled"
LEAST_PU = 0.02
"""Of a battery's rating: less is not worth a move."""
LEAST_MIN = 60.0
"""An order is given for so long at least."""
MOST_BLOCKS = 8
"""Later moves that a plan tells."""


@dataclass(frozen=True)
class Outlook:
    """All that a plan is told from."""

    at: datetime
    now: Situation
    decision: Decision
    storage: Storage
    units: tuple[Unit, ...]
    tariff: Tariff
    without_kw: FloatArray
    """(S, K): loads without storage and without pauses."""
    grid_kw: FloatArray
    """(S, K): with the plan."""
    stored_kwh: FloatArray
    due_kw: dict[str, float]
    """Of each battery that holds one power, for the next step; positive discharges."""
    due_orders: dict[str, Order]
    """Of each battery that holds a draw by itself, where what it holds does not do."""
    order_h: float
    """So long the plan asks for such an order."""
    pauses: tuple[Pause, ...]
    cuts: tuple[Cut, ...]
    resumes: tuple[ScheduledJob, ...]
    unknown_days: float = 0.0
    """Of this month, before the first reading."""

    @property
    def target_kw(self) -> float:
        return self.decision.order.target_kw

    @property
    def planned_kw(self) -> FloatArray:
        """(K,) of storage; positive discharges."""
        power: FloatArray = self.decision.plan.power_kw[0]
        return power

    @property
    def step_s(self) -> float:
        return self.now.step_s

    def cost(self, grid_kw: FloatArray, stored_end_kwh: float | FloatArray) -> FloatArray:
        """(S,): energy, the demand charge above the month's peak so far, and what is missing in store at the end."""
        now, hours = self.now, self.step_s / 3600.0
        energy = grid_kw @ now.prices[: grid_kw.shape[1]] * hours
        demand = np.maximum(grid_kw.max(axis=1) - now.grid_peak_kw, 0.0) * now.demand_per_kw
        missing = now.stored_kwh - np.asarray(stored_end_kwh)
        settled: FloatArray = energy + demand + missing * float(now.prices.mean())
        return settled


def plan_of(
    ports: LoopPorts, watch: Watch, forecasts: tuple[Forecast, ...], look: Outlook, horizon_s: float
) -> LoopPlan:
    """The plan that travels."""
    savings, solved = tuple(_savings(look)), look.decision.plan
    facts = _facts(ports, look, savings)
    return LoopPlan(
        loop="peak", site=ports.site.name, made=look.at, horizon_s=horizon_s,
        headline=_headline(look, facts), forecasts=forecasts, curves=_curves(look),
        moves=tuple(sorted(_moves(ports, look, facts), key=lambda move: move.at)),
        savings=savings, risks=tuple(_risks(look)), troubles=watch.troubles, facts=facts, notes=_notes(look),
        solver=SolverNote(method="LP by HiGHS over the expected load, target and reserve from load paths",
                          status=solved.status, seconds=solved.seconds, variables=solved.variables, gap=solved.gap),
    )  # fmt: skip


# ---- what it is worth -------------------------------------------------------------------------------------------


def _savings(look: Outlook) -> Iterator[Saving]:
    paid = look.now.grid_peak_kw
    before, after = (np.maximum(kw.max(axis=1), paid) for kw in (look.without_kw, look.grid_kw))
    yield _saving("peak", "kW", before, after)
    cost_before = look.cost(look.without_kw, look.now.stored_kwh)
    cost_after = look.cost(look.grid_kw, look.stored_kwh[:, -1]) + _wear(look)
    cost_after = cost_after + sum(pause.cost for pause in look.pauses)
    yield _saving("bill", look.tariff.currency, cost_before, cost_after)


def _saving(what: str, unit: str, before: FloatArray, after: FloatArray) -> Saving:
    low, high = np.quantile(before - after, (0.05, 0.95))
    return Saving(
        what=what, unit=unit, planned=float(after.mean()), baseline=float(before.mean()), baseline_name=NO_BATTERY,
        low=float(low), high=float(high),
    )  # fmt: skip


def _wear(look: Outlook) -> FloatArray:
    """(S,): of what is discharged; positive where stored energy sinks."""
    before = np.concatenate(
        [np.full((len(look.stored_kwh), 1), look.now.stored_kwh), look.stored_kwh[:, :-1]], axis=1
    )
    given = np.maximum(before - look.stored_kwh, 0.0).sum(axis=1) * look.storage.eta_discharge
    worn: FloatArray = given * look.storage.wear.per_kwh
    return worn


def _risks(look: Outlook) -> Iterator[Risk]:
    before, after = look.without_kw.max(axis=1), look.grid_kw.max(axis=1)
    so_far = look.now.grid_peak_kw
    if so_far > 0.0:
        yield Risk(
            what="the month's peak rises", chance=float((after > so_far + 1.0).mean()),
            without=float((before > so_far + 1.0).mean()), limit=_kw(so_far),
        )  # fmt: skip
    if np.isfinite(look.now.most_import_kw):
        limit = look.now.most_import_kw
        yield Risk(
            what="the contracted power is passed", chance=float((after > limit).mean()),
            without=float((before > limit).mean()), limit=_kw(limit),
        )  # fmt: skip
    if look.units:
        target = look.target_kw
        yield Risk(
            what="storage does not hold the target", chance=float((after > target + 1.0).mean()),
            without=float((before > target + 1.0).mean()), limit=_kw(target),
        )  # fmt: skip


# ---- curves and moves -------------------------------------------------------------------------------------------


def _curves(look: Outlook) -> tuple[Curve, ...]:
    expected = look.without_kw.mean(axis=0)
    grid = Curve(
        name=GRID, title="Draw from the grid", unit="kW", start=look.at, step_s=look.step_s,
        planned=_tuple(look.grid_kw.mean(axis=0)), without=_tuple(expected), limit=look.target_kw,
        limit_name="target",
    )  # fmt: skip
    if not look.units:
        return (grid,)
    soc = 100.0 * look.stored_kwh.mean(axis=0) / look.storage.capacity_kwh
    low = 100.0 * look.storage.low_kwh / look.storage.capacity_kwh
    return grid, Curve(
        name="storage.soc_pct", title="State of charge", unit="%", start=look.at, step_s=look.step_s,
        planned=_tuple(soc), without=_tuple(np.full(soc.size, 100.0 * look.now.stored_kwh / look.storage.capacity_kwh)),
        limit=low, limit_name="reserve",
    )  # fmt: skip


def _moves(ports: LoopPorts, look: Outlook, facts: dict[str, str]) -> Iterator[Move]:
    for unit in look.units:
        kw = look.due_kw.get(unit.name, 0.0)
        if unit.name in look.due_orders:
            yield _hold_move(look, unit, look.at, look.due_orders[unit.name], look.order_h, facts)
        elif abs(kw) >= max(LEAST_PU * unit.storage.power_kw, 1.0):
            yield _power_move(look, unit, look.at, kw, look.step_s / 3600.0, facts)
    yield from _later_blocks(look, facts)
    for pause in look.pauses:
        at = look.at + timedelta(seconds=pause.start_step * look.step_s)
        why = (
            f"{pause.job.name} waits for {pause.steps * look.step_s / 3600.0:g} h: the target sinks by "
            f"{_kw(pause.lower_kw)}, worth {_money(look, pause.gain)} after {_money(look, pause.cost)} of work done again."
        )
        yield Move(at=at, action="pause_job", asset=pause.job.node, why=why, saves=_money(look, pause.gain))
    for job in look.resumes:
        why = f"{job.name} fits under the target of {facts['target']} again."
        yield Move(at=look.at, action="resume_job", asset=job.nodes[0], why=why)
    for cut in look.cuts:
        why = (
            f"Storage and jobs do not hold the contracted {facts['contracted']}; this takes {_kw(cut.kw)} off "
            f"{cut.service} at {cut.per_kwh:g} EUR for each kWh."
        )
        yield Move(at=look.at, action=cut.action, asset=cut.service, args=cut_args(ports, cut), why=why)


def _hold_move(
    look: Outlook, unit: Unit, at: datetime, order: Order, hours: float, facts: dict[str, str]
) -> Move:
    """A draw that one battery holds by itself."""
    store, most_min = unit.storage, CATALOG["hold_draw"].args[-1].maximum or 0.0
    keep_pct = float(store.soc_pct(min(max(order.keep_kwh, store.low_kwh), store.high_kwh)))
    base_kw = min(max(order.base_kw, -store.power_kw), store.power_kw)
    args: dict[str, float | int | str | bool] = {
        "target_kw": round(order.target_kw, 1), "base_kw": round(base_kw, 1),
        "charge_cap_kw": round(min(order.charge_cap_kw, order.target_kw), 1), "keep_pct": round(keep_pct, 1),
        "duration_min": round(min(max(60.0 * hours, LEAST_MIN) + look.step_s / 60.0, most_min), 1),
    }  # fmt: skip
    so_far = facts["month's peak so far"]
    why = f"The month's peak so far is {so_far}, {facts['expected peak']} are expected {facts['expected peak time']}; "
    if base_kw >= LEAST_PU * store.power_kw:
        why += f"a kWh costs {_price(look, at)} now, {facts['cheapest price']} in the cheapest hour."
    elif base_kw <= -LEAST_PU * store.power_kw:
        why += f"a kWh costs {_price(look, at)} now, {facts['dearest price']} in the dearest hour."
    else:
        why += f"storage keeps {keep_pct:.0f} % for what is above the target."
    return Move(at=at, action="hold_draw", asset=unit.name, args=args, why=why)


def _power_move(
    look: Outlook, unit: Unit, at: datetime, kw: float, hours: float, facts: dict[str, str]
) -> Move:
    """One power of one battery, for so long."""
    power = round(abs(kw), 1)
    args: dict[str, float | int | str | bool] = {"power_kw": power, "duration_min": round(60.0 * hours, 1)}
    if kw < 0.0:
        why = f"Charging draws at most {facts['charge cap']} in all, so it makes no peak; {facts['kept']} are kept for ride-through and bursts."
        return Move(at=at, action="charge_ess", asset=unit.name, args=args, why=why)
    why = (
        f"The draw is held at {facts['target']}; a kWh costs {_price(look, at)} in that hour, "
        f"{facts['cheapest price']} in the cheapest."
    )
    return Move(at=at, action="discharge_ess", asset=unit.name, args=args, why=why)


def _price(look: Outlook, at: datetime) -> str:
    price = look.now.prices[round((at - look.at).total_seconds() / look.step_s)]
    return f"{price:.4g} {look.tariff.currency}"


def _later_blocks(look: Outlook, facts: dict[str, str]) -> Iterator[Move]:
    """Planned charging and discharging after the next step: runs of one sign, at their mean power, shared by rating."""
    power = look.planned_kw
    least = max(LEAST_PU * look.storage.power_kw, 1.0)
    sign = np.where(np.abs(power) < least, 0, np.sign(power)).astype(int)
    begin, told = 1, 0
    while begin < power.size and told < MOST_BLOCKS:
        end = begin
        while end < power.size and sign[end] == sign[begin] and end - begin < 32:
            end += 1
        if sign[begin]:
            told += 1
            at = look.at + timedelta(seconds=begin * look.step_s)
            hours, mean_kw = (end - begin) * look.step_s / 3600.0, float(power[begin:end].mean())
            order = replace(look.decision.order, base_kw=mean_kw)
            for unit in look.units:
                kw = mean_kw * unit.storage.power_kw / look.storage.power_kw
                if unit.follows:
                    yield _hold_move(look, unit, at, held_by(unit, look.storage, order), hours, facts)
                elif abs(kw) >= 1.0:
                    yield _power_move(look, unit, at, kw, hours, facts)
        begin = end


# ---- words ------------------------------------------------------------------------------------------------------


def _facts(ports: LoopPorts, look: Outlook, savings: tuple[Saving, ...]) -> dict[str, str]:
    now, order = look.now, look.decision.order
    peak, bill = savings
    highest = int(look.without_kw.mean(axis=0).argmax())
    local = (look.at + timedelta(seconds=highest * look.step_s)).astimezone(ports.site.zone)
    facts = {
        "draw now": _kw(float(now.expected_kw[0])),
        "expected peak": _kw(float(look.without_kw.max(axis=1).mean())), "expected peak time": f"{local:%a %H:%M}",
        "month's peak with the plan": _kw(peak.planned), "month's peak without": _kw(peak.baseline),
        "peak shaved": _kw(peak.saved),
        "target": _kw(order.target_kw), "charge cap": _kw(order.charge_cap_kw),
        "month's peak so far": _kw(now.grid_peak_kw),
        "demand charge": f"{now.demand_per_kw:g} {look.tariff.currency}/kW",
        "cheapest price": f"{now.prices.min():.4g} {look.tariff.currency}",
        "dearest price": f"{now.prices.max():.4g} {look.tariff.currency}",
        "bill saved": _money(look, bill.saved), "kept": f"{order.keep_kwh:,.0f} kWh",
        "horizon": f"{look.without_kw.shape[1] * look.step_s / 3600.0:g} h",
        "contracted": _kw(now.most_import_kw) if np.isfinite(now.most_import_kw) else "no contracted power",
    }  # fmt: skip
    if look.units:
        facts |= {
            "state of charge": _pct(look, now.stored_kwh), "reserve": _pct(look, look.storage.low_kwh),
            "state of health": f"{100.0 * min(unit.soh_pu for unit in look.units):.0f} %",
            "wear": f"{look.storage.wear.per_kwh:.3g} {look.tariff.currency}/kWh",
            "storage power": _kw(look.storage.power_kw),
        }  # fmt: skip
    if look.pauses:
        facts |= {"paused jobs": ", ".join(pause.job.name for pause in look.pauses)}
    return facts


def _headline(look: Outlook, facts: dict[str, str]) -> str:
    if not look.units and not look.pauses:
        return f"Nothing to shave with: a peak of {facts['expected peak']} is expected {facts['expected peak time']}."
    saved = facts["bill saved"]
    worth = f"costs {saved[1:]} more" if saved.startswith("-") else f"saves {saved}"
    return (
        f"Holds the draw at {facts['target']}: a peak of {facts['expected peak']} is expected "
        f"{facts['expected peak time']}; against no battery it {worth} within {facts['horizon']}."
    )


def _notes(look: Outlook) -> tuple[str, ...]:
    notes = [
        "The demand charge is paid for the calendar month's highest quarter of an hour; what lies below the peak so far "
        "is free.",
    ]
    if any(not unit.follows for unit in look.units):
        notes.append("Between two plans a battery that cannot hold a draw by itself holds one power, set for a load that "
                     "four of five paths stay below.")  # fmt: skip
    if any(unit.follows for unit in look.units):
        notes.append(f"An order stands until the plan differs: by {OTHER_PU:.0%} of the draw, {BASE_PU:.0%} of a "
                     f"battery's rating or {KEEP_PU:.0%} of its usable energy.".replace("%", " %"))  # fmt: skip
    if look.unknown_days > 0.0:
        notes.append(f"The first {look.unknown_days:.1f} days of this month are not among the readings; a higher peak then "
                     "would make the target higher.")  # fmt: skip
    if look.units:
        notes.append(f"Wear: {look.storage.wear.basis}.")
    if look.pauses:
        notes.append("A paused job is taken to run longer by the time it waited.")
    return tuple(notes)


def _kw(value: float) -> str:
    return f"{value:,.0f} kW"


def _pct(look: Outlook, kwh: float) -> str:
    return f"{100.0 * kwh / look.storage.capacity_kwh:.0f} %"


def _money(look: Outlook, amount: float) -> str:
    return f"{amount:,.0f} {look.tariff.currency}"


def _tuple(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
