"""A run of the peak loop over some days, made by hand: every fate a proposal can have, holes, troubles, a bad day."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import cache

from agents.advisor import proposals
from plant.diagnosis.results import Rehearsal
from plant.site import Site, load_site, site_file_of
from setpoint.app.loops_run import Asked, LoopRun, RaisedTrouble, Skill, Track
from setpoint.contracts import ActionProposal, Decision, Review
from setpoint.contracts.action import Withheld
from setpoint.contracts.loops import Cycle, Foreseen, Observed, Trouble
from setpoint.ledger.records import ActionRecord
from tests.agents.plans import MADE, peak_plan

STEP_S = 900.0
FATES = ("done", "done", "refused", "reject", "withdrawn", "pending", "unrehearsed")
TROUBLE = Trouble(
    kind="stale", asset="feed-a", metric="load_kw", what="feed-a load_kw was read 900 s ago, 120 s allowed",
    instead="The storage holds 0 kW", remedy="Check the meter's path",
)  # fmt: skip


def load_kw(hour: float, day: int) -> float:
    return 900.0 + 300.0 * math.exp(-((hour - 18.0) ** 2) / 9.0) + 25.0 * math.sin(1.7 * day + hour)


def tracks(days: int) -> dict[str, Track]:
    times = [k * STEP_S for k in range(int(days * 96))]
    hours = [(12.0 + t / 3600.0) % 24.0 for t in times]
    without = [load_kw(h, int(t // 86400)) for h, t in zip(hours, times, strict=True)]
    bad = 3 * 86400.0
    with_loop = [
        min(v, 1130.0) * (1.03 if bad <= t < bad + 86400 else 0.995)
        for v, t in zip(without, times, strict=True)
    ]
    with_loop[40:44] = [math.nan] * 4
    hot = [70.0 + 12.0 * (v - 900.0) / 300.0 for v in without]

    def track(name: str, title: str, unit: str, own: list[float], other: list[float]) -> Track:
        return Track(name, title, unit, tuple(times), tuple(own), tuple(other))

    soc = [50.0 + 30.0 * math.sin(2 * math.pi * h / 24.0) for h in hours]
    return {
        "site.grid_kw": track("site.grid_kw", "Power from the grid", "kW", with_loop, without),
        "site.gpu_temp_max_c": track("site.gpu_temp_max_c", "Hottest GPU", "C", [v + 0.4 for v in hot], hot),
        "ess-1.soc_pct": track("ess-1.soc_pct", "Charge of ess-1", "%", soc, []),
    }


@cache
def hall() -> Site:
    return load_site(site_file_of("hall-1024"))


def cycle_at(at: datetime, number: int) -> tuple[Cycle, Asked | None]:
    site = hall()
    storage = site.of_kind("ess")[0].name
    plan = peak_plan(made=at)
    moves = tuple(one.model_copy(update={"at": at + (one.at - MADE), "asset": storage}) for one in plan.moves)
    plan = plan.model_copy(update={"moves": moves, "troubles": (TROUBLE,) if number % 40 == 5 else ()})
    cycle_id = f"LOOP-peak-{at:%Y%m%dT%H%M%SZ}"
    made, withheld = proposals(plan, cycle_id, site)
    if number % 7 == 3:
        step = 80 + number
        withheld = (*withheld, Withheld(subject="Set the coolant flow of cdu-01 to 210 LPM",
                                        why=f"flow_lpm from 120 to {120 + step} is a step of {step}, at most 80 allowed at once"))  # fmt: skip
    load = load_kw((at.hour + at.minute / 60) % 24, number // 24)
    said = Foreseen(loop="peak", at=at - timedelta(hours=1), due=at, name="site.grid_kw", expected=load + 8.0,
                    low=load - 40.0, high=load + 55.0, unit="kW")  # fmt: skip
    observed = Observed(
        foreseen=said, read=None if number % 30 == 2 else load + (70.0 if number % 11 == 0 else 3.0)
    )
    asked = _asked(made[0], at, cycle_id, FATES[number % len(FATES)]) if made else None
    return Cycle(id=cycle_id, loop="peak", at=at, state="recorded", plan=plan, proposals=made, withheld=withheld,
                 observed=(observed,), spent_s={"predict": 0.2, "optimise": 0.1}), asked  # fmt: skip


def _asked(proposal: ActionProposal, at: datetime, cycle_id: str, fate: str) -> Asked:
    if fate != "unrehearsed":
        rehearsal = Rehearsal(
            action=proposal.action.name, asset=proposal.action.asset, args=dict(proposal.action.args), as_of=at,
            horizon_s=900.0, members=16, confidence=0.9, said="The grid draw peaks at 1,130 kW with it and 1,200 kW without.",
        )  # fmt: skip
        proposal = proposal.model_copy(update={"rehearsal": rehearsal})
    kind = {"done": "approve", "refused": "approve", "reject": "reject", "unrehearsed": "approve"}.get(fate)
    decision = Decision.model_validate(
        {"type": kind, "who": "policy", "reason": "too little worth" if kind == "reject" else "", "simulated": True}
    ) if kind else None  # fmt: skip
    state = "decided" if kind else fate
    review = Review.model_validate({
        "id": f"REV-{proposal.id}", "kind": "action", "incident_id": cycle_id, "subject": proposal.effect, "proposal": proposal,
        "state": state, "created": at, "decision": decision,
    })  # fmt: skip
    outcome = None
    if fate in ("done", "refused", "unrehearsed"):
        outcome = ActionRecord(
            key=proposal.id, incident_id=cycle_id, action=proposal.action, review_id=review.id,
            state="refused" if fate == "refused" else "done", approvers=("policy",), dry_run=False, begun=at,
            finished=at + timedelta(seconds=30), message="the storage is at 88 % of 90 %" if fate == "refused" else "",
        )  # fmt: skip
    return Asked(cycle=cycle_id, at=at, review=review, outcome=outcome,
                 why_ended="a newer plan wants 40 kW" if fate == "withdrawn" else "")  # fmt: skip


def sample_run(days: int = 14, **changes: object) -> LoopRun:
    """`days` days from Saturday noon, an hour between two cycles."""
    pairs = [cycle_at(MADE + timedelta(hours=k), k) for k in range(24 * days)]
    cycles = tuple(cycle for cycle, _ in pairs)
    meters = {"grid_kwh": 318_000.0, "it_kwh": 270_000.0, "cooling_kwh": 21_000.0, "bill": 41_200.0, "peak_kw": 1131.0, "billed_kw": 1131.0,
              "carbon_kg": 98_000.0, "hottest_gpu_c": 82.4, "slo_late_share": 0.004, "requests": 3.1e6, "gpu_over_limit_s": 0.0}  # fmt: skip
    without = meters | {"grid_kwh": 321_000.0, "bill": 43_900.0, "peak_kw": 1201.0, "billed_kw": 1201.0, "hottest_gpu_c": 82.0,
                        "slo_late_share": 0.003}  # fmt: skip
    fields: dict[str, object] = {
        "names": ("peak",), "site": "hall-1024", "seed": 7, "start": MADE, "end": MADE + timedelta(days=days),
        "decide": "approve", "cycles": cycles, "meters": meters, "without": without, "series": tracks(days),
        "skill": (
            Skill("peak", "site.grid_kw", "Power from the grid", "kW", 900.0, 330, 21.0, 0.021, 33.0, 0.91, 0.9),
            Skill("peak", "site.grid_kw", "Power from the grid", "kW", 86400.0, 312, 64.0, math.nan, 59.0, 0.71, 0.9),
        ),
        "asked": tuple(asked for _, asked in pairs if asked), "spent_s": {"site": 61.0, "predict": 40.2, "optimise": 9.1},
        "troubles": (RaisedTrouble("peak", TROUBLE, MADE + timedelta(hours=5), MADE + timedelta(hours=6)),
                     RaisedTrouble("peak", TROUBLE, MADE + timedelta(hours=45), None, 4)),
        "wall_s": 190.0, "command": "setpoint loop run peak --hours 336", "versions": {"setpoint": "0.1.0"},
        "zone": "Europe/Berlin", "currency": "EUR", "limits": {"site_power_max_kw": 1180.0, "gpu_temp_max_c": 87.0},
    }  # fmt: skip
    return LoopRun(**{**fields, **changes})  # type: ignore[arg-type]  # each field has its own type
