"""Tools about energy: clocks and caps within an SLO, and the storage: its state, its best schedule, how long it lasts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from langchain_core.tools import BaseTool
from pydantic import Field

from plant.specs import EssSpec
from plant.units import Kw, Milliseconds
from tools.inference_tools import LoadArgs, latency_ms, rate_of, requests_of, work_of
from tools.plant_ports import Name, PlantPorts, Served, asset_of, known, number, served
from tools.typed import Answer, Args, ToolError, typed_tool

if TYPE_CHECKING:
    from plant.inference.deployment import Deployment
    from plant.inference.trace import Trace
    from plant.power.ess import Ess
    from plant.sim import Plant

CLOCKS_PU = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
"""Shares of the maximal clock that are tried in each phase."""
CAP_STEPS = 8
"""Power caps that are tried, evenly from TDP down to the lowest."""
LOWEST_CAP_PU = 0.4
"""Of TDP; boards take no lower cap (H100: 200 of 700 W)."""
Limit = Annotated[
    Milliseconds | None,
    Field(gt=0, le=600_000, allow_inf_nan=False, description="P99 limit; null: the pool's"),
]


# ---- dvfs --------------------------------------------------------------------------------------------------------


class DvfsArgs(LoadArgs):
    """A load, an SLO, and what may be turned."""

    ttft_slo_ms: Limit = None
    tpot_slo_ms: Limit = None
    by: Annotated[
        Literal["clock", "power_cap"], Field(description="Lock clocks of each phase, or set one power cap")
    ] = "clock"


class Setting(Answer):
    """One setting of all accelerators of a pool, and what it does under the load."""

    prefill_mhz: float
    decode_mhz: float
    cap_w: float | None
    """Null where clocks are locked."""
    gpu_w: float
    """Mean of one accelerator."""
    pool_kw: float
    """Of its accelerators."""
    joule_per_1000_tokens: float
    ttft_p99_ms: float | None
    tpot_p99_ms: float | None
    keeps_slo: bool


class DvfsAnswer(Answer):
    """The setting with the least energy that keeps the SLO, beside full clock."""

    what: str
    gpu: str
    instances: int
    rate_rps: float
    ttft_slo_ms: float
    tpot_slo_ms: float
    full: Setting
    best: Setting
    """Full clock where nothing lower keeps the SLO."""
    energy_saved_pu: float
    ttft_added_ms: float | None
    tpot_added_ms: float | None
    """What the best costs in latency, P99."""
    tried: int
    note: str


def _dvfs(ports: PlantPorts, args: DvfsArgs) -> DvfsAnswer:
    """Replays one instance's share of the load at each setting; the one with the least energy that keeps the SLO."""
    asked = served(ports.site, args)
    d, rate = asked.deployment, rate_of(asked, args)
    if d.gpu.kind == "lpu":
        raise ToolError(f"the clock of {d.gpu.name} is fixed; ask about a GPU")
    slo = args.ttft_slo_ms or asked.slo_ms[0], args.tpot_slo_ms or asked.slo_ms[1]
    trace = requests_of(d, args, rate / asked.instances)
    found = [_setting(asked, trace, slo, one) for one in _settings(d, args, rate / asked.instances)]
    full = found[0]
    best = min(
        (one for one in found if one.keeps_slo), key=lambda one: one.joule_per_1000_tokens, default=full
    )
    note = f"{len(trace)} made-up requests on one of {asked.instances} instances"
    if not full.keeps_slo:
        note += (
            f"; at full clock TTFT is {full.ttft_p99_ms:.4g} ms and TPOT {full.tpot_p99_ms:.4g} ms at P99, so no clock "
            "keeps this SLO: lower the rate, loosen it, or add instances"
        )
    return DvfsAnswer(
        what=asked.name, gpu=d.gpu.name, instances=asked.instances, rate_rps=known(rate), ttft_slo_ms=slo[0],
        tpot_slo_ms=slo[1], full=full, best=best,
        energy_saved_pu=known(1 - best.joule_per_1000_tokens / full.joule_per_1000_tokens, 3),
        ttft_added_ms=_more(best.ttft_p99_ms, full.ttft_p99_ms), tpot_added_ms=_more(best.tpot_p99_ms, full.tpot_p99_ms),
        tried=len(found), note=note,
    )  # fmt: skip


@dataclass(frozen=True)
class _Clocks:
    prefill_pu: float
    decode_pu: float
    cap_w: float | None = None


def _settings(d: Deployment, args: DvfsArgs, rate_rps: float) -> Iterator[_Clocks]:
    """Full clock first."""
    lowest = d.gpu.clock_min_mhz / d.gpu.clock_max_mhz
    if args.by == "clock":
        shares = [clock for clock in CLOCKS_PU if clock >= lowest]
        yield from (_Clocks(prefill, decode) for prefill in shares for decode in shares)
        return
    from plant.power.gpu import clock_under_cap_pu, power_coefficients

    p, phases = power_coefficients(d.gpu), _uses(d, args, rate_rps)
    for step in range(CAP_STEPS):
        cap_w = round(d.gpu.tdp_w * (1.0 - (1.0 - LOWEST_CAP_PU) * step / (CAP_STEPS - 1)))
        clocks = [max(lowest, float(clock_under_cap_pu(p, 1.0, *use, cap_w, 1.0))) for use in phases]
        yield _Clocks(clocks[0], clocks[1], float(cap_w))


def _uses(d: Deployment, args: DvfsArgs, rate_rps: float) -> list[tuple[float, float]]:
    """Use of peak compute and bandwidth in a full prefill step, and in a decode step at the batch of the load."""
    from plant.inference.cost import step_coefficients, step_time_s, step_use
    from plant.inference.queueing import expect

    c, load = step_coefficients(d), work_of(d, args)
    state = expect(d, load, rate_rps)
    batch = state.batch if state else float(d.max_batch)
    new = float(min(d.chunk_tokens, args.prompt_tokens))
    steps = [(new, new * new / 2, 0.0, 0.0), (0.0, 0.0, batch, batch * load.context_tokens)]
    uses = []
    for step in steps:
        u_compute, u_memory = step_use(c, *step, float(step_time_s(c, *step, 1.0)))
        uses.append((float(u_compute), float(u_memory)))
    return uses


def _setting(asked: Served, trace: Trace, slo: tuple[float, float], at: _Clocks) -> Setting:
    from plant.inference.engine import replay

    d = asked.deployment
    done = replay(d, trace, clock_prefill_pu=at.prefill_pu, clock_decode_pu=at.decode_pu)
    ttft, tpot = latency_ms(done, d.engine)
    watts, tokens = done.energy_j / done.span_s, max(done.decode_tokens + done.completed, 1)
    return Setting(
        prefill_mhz=round(at.prefill_pu * d.gpu.clock_max_mhz), decode_mhz=round(at.decode_pu * d.gpu.clock_max_mhz),
        cap_w=at.cap_w, gpu_w=known(watts / d.gpus), pool_kw=known(watts * asked.instances / 1e3),
        joule_per_1000_tokens=known(1e3 * done.energy_j / tokens), ttft_p99_ms=number(ttft[1]), tpot_p99_ms=number(tpot[1]),
        keeps_slo=ttft[1] <= slo[0] and tpot[1] <= slo[1] and not done.rejected,
    )  # fmt: skip


def _more(new: float | None, old: float | None) -> float | None:
    return None if new is None or old is None else known(new - old, 3)


# ---- the storage -------------------------------------------------------------------------------------------------


class EssArgs(Args):
    """Which storage."""

    asset: Annotated[Name, Field(description="Storage, e.g. ess-1; empty: the site's first")] = ""


class EssStateAnswer(Answer):
    """A storage as it is now. Power is positive when it discharges into the site."""

    asset: str
    soc_pct: float
    soc_min_pct: float
    soc_max_pct: float
    soc_reserve_pct: float | None
    """What the site keeps for ride-through."""
    available: bool
    power_kw: float
    rated_kw: float
    capacity_kwh: float
    """Left of it, after ageing."""
    soh_pu: float
    """By its age and cell temperature in the site file."""
    usable_kwh: float
    """At the AC side at rated power, from now down to the lowest charge."""
    room_kwh: float
    """That it could take in, at the AC side, up to the highest."""
    loss_kw_at_rated: float
    minutes_at_rated: float
    site_kw: float
    """What the site draws from grid and storage together."""
    minutes_at_site_load: float
    """From this storage alone; 0 where its converter cannot carry the site."""
    note: str


@dataclass(frozen=True)
class _Storage:
    """One storage and where its figures come from."""

    name: str
    ess: Ess
    soc_pct: float
    power_kw: float
    available: bool
    site_kw: float
    source: str


def _storage(ports: PlantPorts, name: str) -> _Storage:
    """State from telemetry where there is any, else from the plant."""
    from plant.power.ess import Ess, health_at_age

    asset = asset_of(ports.site, name, "ess", first=True)
    spec = ports.site.spec(asset.name, EssSpec)
    plant, source = ports.plant()
    reading = ports.read(asset.name)
    values = dict(reading.values) if reading else dict(plant.telemetry(asset.name).values)
    available = values.get("available", 1.0) > 0.5
    ess = Ess(spec, health_at_age(spec.age_years, spec.cell_temp_c), pcs_ready=available)
    return _Storage(
        asset.name, ess, values.get("soc_pct", spec.soc_start_pct), values.get("power_kw", 0.0), available,
        site_kw(plant), source,
    )  # fmt: skip


def site_kw(plant: Plant) -> float:
    """What the site draws from grid and storage together."""
    totals = plant.totals()
    return totals["grid_kw"] + totals["ess_kw"]


def _ess_state(ports: PlantPorts, args: EssArgs) -> EssStateAnswer:
    from plant.power.ess import pcs_loss_kw, runtime_s

    one = _storage(ports, args.asset)
    spec, p = one.ess.spec, one.ess.vector
    rated = spec.power_kw
    loss = float(pcs_loss_kw(rated, rated, p[3], p[4], p[5]))
    minutes = float(runtime_s(one.soc_pct, rated, p)) / 60
    room = float(p[0]) * max(0.0, float(p[7]) - one.soc_pct) / 100 / float(p[2]) * rated / (rated - loss)
    return EssStateAnswer(
        asset=one.name, soc_pct=known(one.soc_pct), soc_min_pct=spec.soc_min_pct, soc_max_pct=spec.soc_max_pct,
        soc_reserve_pct=ports.site.limits.get("soc_reserve_pct"), available=one.available, power_kw=known(one.power_kw),
        rated_kw=rated, capacity_kwh=known(float(p[0])), soh_pu=known(one.ess.health.soh_pu),
        usable_kwh=known(minutes / 60 * rated), room_kwh=known(room), loss_kw_at_rated=known(loss, 3),
        minutes_at_rated=known(minutes), site_kw=known(one.site_kw),
        minutes_at_site_load=known(float(runtime_s(one.soc_pct, one.site_kw, p)) / 60), note=one.source,
    )  # fmt: skip


class EssRuntimeArgs(EssArgs):
    """How long it lasts at a load."""

    load_kw: Annotated[
        Kw | None,
        Field(gt=0, le=1e6, allow_inf_nan=False, description="Load on it alone; null: the site's draw"),
    ] = None
    soc_pct: Annotated[
        float | None,
        Field(ge=0, le=100, allow_inf_nan=False, description="Charge at the start; null: as it is now"),
    ] = None
    keep_pct: Annotated[
        float | None, Field(ge=0, le=100, allow_inf_nan=False, description="Charge to keep; null: its lowest")
    ] = None


class EssRuntimeAnswer(Answer):
    """Minutes at a constant load, from this storage alone."""

    asset: str
    load_kw: float
    soc_pct: float
    keep_pct: float
    carries_it: bool
    """Its converter is large enough and ready."""
    minutes: float
    most_kw: float
    """That it carries."""
    minutes_at_most: float
    """At the most it carries, where the load is more: the rest must come from elsewhere or be shed."""
    energy_kwh: float
    """Given until it is down."""
    note: str


def _ess_runtime(ports: PlantPorts, args: EssRuntimeArgs) -> EssRuntimeAnswer:
    from plant.power.ess import runtime_s

    one = _storage(ports, args.asset)
    spec, p = one.ess.spec, one.ess.vector
    soc = one.soc_pct if args.soc_pct is None else args.soc_pct
    load = one.site_kw if args.load_kw is None else args.load_kw
    keep = spec.soc_min_pct if args.keep_pct is None else max(args.keep_pct, spec.soc_min_pct)
    if not load > 0:
        raise ToolError("the site draws nothing now; give load_kw")
    p[6] = max(float(p[6]), keep)
    carries = load <= spec.power_kw and one.available
    minutes = float(runtime_s(soc, load, p)) / 60
    most = float(runtime_s(soc, spec.power_kw, p)) / 60
    note = one.source
    if not one.available:
        note = f"{one.name} is not available: its converter has tripped or is out of service"
    elif not carries:
        note = f"its converter carries {spec.power_kw:g} kW of {load:.4g}: {load - spec.power_kw:.4g} kW must go elsewhere"
    return EssRuntimeAnswer(
        asset=one.name, load_kw=known(load), soc_pct=known(soc), keep_pct=keep, carries_it=carries, minutes=known(minutes),
        most_kw=spec.power_kw if one.available else 0.0, minutes_at_most=known(most),
        energy_kwh=known((minutes * load if carries else most * spec.power_kw) / 60), note=note,
    )  # fmt: skip


class EssDispatchArgs(EssArgs):
    """A load ahead, by the hour."""

    hours: Annotated[int, Field(ge=1, le=72)] = 24
    load_kw: Annotated[
        list[Annotated[Kw, Field(ge=0, le=1e6, allow_inf_nan=False)]],
        Field(
            default_factory=list,
            max_length=72,
            description="Forecast, one an hour; one value: constant; none: the site's draw now",
        ),
    ]
    start_hour: Annotated[
        float | None, Field(ge=0, lt=24, allow_inf_nan=False, description="Hour of the site's day; null: now")
    ] = None


class DispatchHour(Answer):
    """One hour of the plan, means over it. Storage power is positive when it discharges."""

    hour: float
    price_per_kwh: float
    load_kw: float
    ess_kw: float
    grid_kw: float
    soc_pct: float
    """At its end."""


class EssDispatchAnswer(Answer):
    """The cheapest plan for a load that comes as forecast. Never dearer than leaving the storage alone."""

    asset: str
    currency: str
    hours: list[DispatchHour]
    bill: float
    """Energy, and the demand charge in the period's share of a month."""
    bill_without: float
    saving: float
    saving_pu: float
    peak_kw: float
    peak_without_kw: float
    discharged_kwh: float
    soc_start_pct: float
    note: str


STEPS_AN_HOUR = 4


def _ess_dispatch(ports: PlantPorts, args: EssDispatchArgs) -> EssDispatchAnswer:
    """The linear programme of plant.power.tariff in quarters of an hour."""
    import numpy as np

    from plant.power.tariff import dispatch, price_series

    one, tariff = _storage(ports, args.asset), ports.site.tariff
    if not one.available:
        raise ToolError(f"{one.name} is not available: its converter has tripped; there is nothing to plan")
    hourly = _forecast(args, one.site_kw)
    start = ports.local_hour() if args.start_hour is None else args.start_hour
    low, high = one.ess.spec.soc_min_pct, one.ess.spec.soc_max_pct
    soc = min(max(one.soc_pct, low), high)
    load, step_s = np.repeat(np.array(hourly, float), STEPS_AN_HOUR), 3600.0 / STEPS_AN_HOUR
    plan = dispatch(load, tariff, one.ess, step_s, soc_start_pct=soc, start_hour=start)
    prices = price_series(tariff, load.size, step_s, start)
    rows = []
    for hour in range(len(hourly)):
        part = slice(hour * STEPS_AN_HOUR, (hour + 1) * STEPS_AN_HOUR)
        rows.append(
            DispatchHour(
                hour=known((start + hour) % 24),
                price_per_kwh=known(float(prices[part].mean())),
                load_kw=known(hourly[hour]),
                ess_kw=known(float(plan.power_kw[part].mean())),
                grid_kw=known(float(plan.grid_kw[part].mean())),
                soc_pct=known(float(plan.soc_pct[part][-1])),
            )
        )
    said = [one.source, "the load is taken as known in advance"]
    if abs(soc - one.soc_pct) > 1e-9:
        said.append(
            f"its charge of {one.soc_pct:.4g} % is outside {low:g} to {high:g} %; the plan starts at {soc:g} %"
        )
    more_kw = plan.bill.peak_kw - plan.without.peak_kw
    if more_kw > 0.5:
        said.append(
            f"it raises the peak by {more_kw:.4g} kW, counted here in the period's share of a month: worth it where it is "
            "done on most days, since the month's highest quarter of an hour is billed"
        )
    saving = max(0.0, plan.without.total - plan.bill.total)
    return EssDispatchAnswer(
        asset=one.name, currency=tariff.currency, hours=rows, bill=known(plan.bill.total, 6),
        bill_without=known(plan.without.total, 6), saving=known(saving), saving_pu=known(plan.saving_pu),
        peak_kw=known(plan.bill.peak_kw), peak_without_kw=known(plan.without.peak_kw),
        discharged_kwh=known(float(np.maximum(plan.power_kw, 0).sum()) / STEPS_AN_HOUR), soc_start_pct=known(soc),
        note="; ".join(said),
    )  # fmt: skip


def _forecast(args: EssDispatchArgs, now_kw: float) -> list[float]:
    given = args.load_kw or [max(now_kw, 0.0)]
    if len(given) == 1:
        return given * args.hours
    if len(given) != args.hours:
        raise ToolError(f"{len(given)} loads for {args.hours} hours; give one for each hour, or one for all")
    if not all(math.isfinite(kw) for kw in given):
        raise ToolError("a load is not a finite number of kW")
    return given


def energy_tools(ports: PlantPorts) -> list[BaseTool]:
    """Clocks and caps, and the storage, bound to these ports."""
    return [
        typed_tool(
            "dvfs",
            "Clock of each phase, or power cap, with the least energy that keeps an SLO, and its cost in latency.",
            DvfsArgs, lambda args: _dvfs(ports, args),
        ),
        typed_tool(
            "ess_state", "State of the storage: charge, health, power, usable energy, losses.",
            EssArgs, lambda args: _ess_state(ports, args),
        ),
        typed_tool(
            "ess_dispatch",
            "Cheapest schedule of the storage for a load forecast under the site's tariff, and what it saves.",
            EssDispatchArgs, lambda args: _ess_dispatch(ports, args),
        ),
        typed_tool(
            "ess_runtime", "How many minutes the storage carries a load.",
            EssRuntimeArgs, lambda args: _ess_runtime(ports, args),
        ),
    ]  # fmt: skip
