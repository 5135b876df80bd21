"""Plans made by hand for the tests of those who read plans: one of each loop, with the shapes real ones have."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from setpoint.contracts.loops import (
    Curve,
    Forecast,
    LoopPlan,
    Move,
    Risk,
    Saving,
    SolverNote,
    Task,
    Trouble,
    Watch,
)

MADE = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def grid_forecast(steps: int = 96, step_s: float = 900.0) -> Forecast:
    """A day of grid draw that is highest at 18:00."""
    expected = tuple(
        900.0 + 400.0 * math.exp(-(((k * step_s / 3600.0) - 6.0) ** 2) / 8.0) for k in range(steps)
    )
    width = [40.0 + 1.5 * k for k in range(steps)]
    return Forecast(
        name="site.grid_kw", title="Grid draw", unit="kW", start=MADE, step_s=step_s, expected=expected,
        low=tuple(v - w for v, w in zip(expected, width, strict=True)),
        high=tuple(v + w for v, w in zip(expected, width, strict=True)),
        method="gradient boosting over 14 days, conformal interval",
        skill="4.1 % off over the last day, persistence 7.9 %, the day before 12.0 %",
    )  # fmt: skip


def peak_plan(**changes: object) -> LoopPlan:
    """Storage that shaves the evening's peak."""
    grid = grid_forecast()
    planned = tuple(min(value, 1210.0) for value in grid.expected)
    plan = LoopPlan(
        loop="peak", site="hall-1024", made=MADE, horizon_s=86400.0,
        headline="Discharge 90 kW from 16:30 to 19:30: the peak becomes 1,210 in the place of 1,300 kW.",
        forecasts=(grid,),
        curves=(
            Curve(name="site.grid_kw", title="Grid draw", unit="kW", start=MADE, step_s=900.0, planned=planned,
                  without=grid.expected, limit=1250.0, limit_name="contracted peak"),
        ),
        moves=(
            Move(at=MADE, action="charge_ess", asset="ess-1", args={"power_kw": 60.0, "duration_min": 60.0},
                 why="The price is 0.08 EUR/kWh now and 0.31 EUR/kWh at 18:00.", saves="4 EUR"),
            Move(at=MADE + timedelta(hours=4, minutes=30), action="discharge_ess", asset="ess-1",
                 args={"power_kw": 90.0, "duration_min": 60.0}, why="The grid draw would pass 1,210 kW."),
            Move(at=MADE + timedelta(hours=5, minutes=30), action="discharge_ess", asset="ess-1",
                 args={"power_kw": 90.0, "duration_min": 60.0}, why="The grid draw would pass 1,210 kW."),
        ),
        savings=(
            Saving(what="bill", unit="EUR", planned=2010.0, baseline=2122.0, baseline_name="no battery", low=61.0, high=140.0),
            Saving(what="bill", unit="EUR", planned=2010.0, baseline=1998.0, baseline_name="perfect foresight"),
            Saving(what="peak", unit="kW", planned=1210.0, baseline=1300.0, baseline_name="no battery", low=40.0, high=101.0),
        ),
        risks=(Risk(what="The peak passes the contracted 1,250 kW", chance=0.04, without=0.71, limit="site_power_max_kw"),),
        facts={"peak": "1,300 kW", "peak_time": "18:00", "power": "90 kW"},
        notes=("Battery wear is priced at 0.04 EUR per kWh moved.",),
        solver=SolverNote(method="LP by HiGHS", status="optimal", seconds=0.08, variables=672),
    )  # fmt: skip
    return plan.model_copy(update=changes)


def cooling_plan(cdus: int = 3, **changes: object) -> LoopPlan:
    """Flow down at many CDUs, one of them with a doubtful sensor."""
    names = [f"cdu-{k + 1}" for k in range(cdus)]
    steps = 20
    forecasts = tuple(
        Forecast(
            name=f"{name}.return_temp_c", title=f"{name} return", unit="C", start=MADE, step_s=60.0,
            expected=tuple(41.0 - 0.1 * k * (n + 1) for k in range(steps)),
            low=tuple(40.4 - 0.1 * k * (n + 1) for k in range(steps)),
            high=tuple(41.6 - 0.1 * k * (n + 1) for k in range(steps)), method="heat balance with a learned residual",
        )
        for n, name in enumerate(names)
    )  # fmt: skip
    plan = LoopPlan(
        loop="cooling", site="hall-1024", made=MADE, horizon_s=1200.0,
        headline=f"Turn {cdus} CDUs down by 12 % of their flow: 3.1 kW of pump power less.",
        forecasts=forecasts,
        curves=(Curve(name="cooling_kw", title="Cooling power", unit="kW", start=MADE, step_s=60.0,
                      planned=(31.0,) * steps, without=(34.1,) * steps),),
        moves=tuple(Move(at=MADE, action="set_coolant_flow", asset=name, args={"flow_lpm": 140.0},
                         why="The hottest GPU stays 9 C under its limit.") for name in names),
        savings=(Saving(what="cooling energy", unit="kWh", planned=10.3, baseline=11.4,
                        baseline_name="a reactive PI at the same limit", low=-0.2, high=1.9),),
        risks=(Risk(what="A GPU passes 87 C", chance=0.0, without=0.0, limit="gpu_temp_max_c"),),
        troubles=(Trouble(kind="stale", asset="cdu-2", metric="return_temp_c", what="cdu-2 return_temp_c is 340 s old",
                          instead="the heat balance stands in for it", blocks=False),),
    )  # fmt: skip
    return plan.model_copy(update=changes)


def maintenance_plan(**changes: object) -> LoopPlan:
    """Two parts near their end, one of them with a window."""
    pump = Task(
        asset="cdu-1-pump-a", part="pump bearing", work="Replace the pump bearing", hours=3.0,
        expected_failure=MADE + timedelta(days=19), low=MADE + timedelta(days=8), high=MADE + timedelta(days=41),
        fails_within=0.31, window_start=MADE + timedelta(days=3, hours=14), window_end=MADE + timedelta(days=3, hours=17),
        because="vibration 4.8 mm/s, 0.9 mm/s a month ago",
    )  # fmt: skip
    fan = Task(
        asset="crah-1", part="air filter", work="Change the air filter", fails_within=0.06, crew="facilities",
        expected_failure=MADE + timedelta(days=70), low=MADE + timedelta(days=30),
    )  # fmt: skip
    disk = Task(asset="storage-1", part="disk 7", work="Replace disk 7", fails_within=0.002, crew="storage")
    plan = LoopPlan(
        loop="maintenance", site="hall-1024", made=MADE, horizon_s=30 * 86400.0,
        headline="One pump bearing should be replaced on Wednesday at 02:00; two parts can wait.",
        moves=(Move(at=MADE, action="open_ticket", asset="cdu-1-pump-a",
                    args={"queue": "facilities"}, why="Its bearing fails within 30 days with a chance of 31 %."),),
        savings=(Saving(what="downtime", unit="h", planned=1.2, baseline=9.4, baseline_name="running to failure"),),
        tasks=(pump, fan, disk),
    )  # fmt: skip
    return plan.model_copy(update=changes)


def energy_plan(**changes: object) -> LoopPlan:
    """Fewer nodes at night, with many moves of one kind."""
    hours = 24
    rate = tuple(40.0 + 25.0 * math.sin(2 * math.pi * (k - 3) / 24.0) for k in range(hours))
    forecast = Forecast(
        name="chat.arrival_rps", title="Requests to chat", unit="req/s", start=MADE, step_s=3600.0, expected=rate,
        low=tuple(0.9 * v for v in rate), high=tuple(1.1 * v for v in rate), method="seasonal with boosting",
    )  # fmt: skip
    plan = LoopPlan(
        loop="energy", site="hall-1024", made=MADE, horizon_s=86400.0,
        headline="Serve chat with 9 to 16 nodes instead of 24: 1.9 MWh less.",
        forecasts=(forecast,),
        moves=tuple(Move(at=MADE + timedelta(hours=3 * k), action="lock_gpu_clock", asset=f"gpu-{k + 1:02d}",
                         args={"clock_mhz": 1410.0}, why="The deadline leaves 31 % of slack.") for k in range(6)),
        savings=(Saving(what="energy", unit="kWh", planned=4100.0, baseline=6000.0,
                        baseline_name="a static cluster at full clock", low=1700.0, high=2050.0),),
    )  # fmt: skip
    return plan.model_copy(update=changes)


PLANS = (peak_plan, cooling_plan, maintenance_plan, energy_plan)


def watch(*troubles: Trouble) -> Watch:
    return Watch(loop="peak", at=MADE, troubles=troubles)
