"""Every fault, set on a site it fits, moves what it says it moves and is seen by the rules that should see it.

Faults whose reaches do not meet share a run; the same seed without faults is what they are compared with, so that any
difference of a reading is the fault's doing (sensor noise is drawn alike).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from plant.faults.catalog import Fault, load_catalog
from plant.faults.night import Night, compose
from plant.faults.place import FaultPlan, fitting, reach, targets
from plant.site import Site, load_site

SITES = Path(__file__).parents[3] / "plant" / "sites"
ORDER = ("demo", "gb200-row", "lab-16")
HOURS, ONSET_S, LONGEST_RAMP_S = 0.7, 360.0, 600.0


@cache
def site(name: str) -> Site:
    return load_site(SITES / f"{name}.yaml")


def quickened(fault: Fault) -> Fault:
    """The same fault with its slow growth and its forerunners cut short, and never mended."""
    signals = tuple(
        s.model_copy(
            update={
                "from_s": max(s.from_s, -240.0),
                "full_s": None if s.full_s is None else min(s.full_s, 300.0),
            }
        )
        for s in fault.signals
    )
    ramp = min(fault.ramp_s, LONGEST_RAMP_S)
    return fault.model_copy(update={"ramp_s": ramp, "lasts_s": None, "signals": signals})


@cache
def packs() -> tuple[tuple[str, tuple[FaultPlan, ...]], ...]:
    """Runs that hold all faults between them: each fault on the first site it fits, apart from the others there."""
    runs: list[tuple[str, list[FaultPlan], set[str]]] = []
    for fault in load_catalog().values():
        name = next(one for one in ORDER if fitting(fault, site(one)))
        for struck, (at, plans, taken) in (
            (s, r) for r in runs for s in fitting(fault, site(name)) if r[0] == name
        ):
            plan = FaultPlan(quickened(fault), struck, ONSET_S)
            if taken.isdisjoint(found := reach(plan, site(at))):
                plans.append(plan)
                taken |= found
                break
        else:
            plan = FaultPlan(quickened(fault), fitting(fault, site(name))[0], ONSET_S)
            runs.append((name, [plan], set(reach(plan, site(name)))))
    return tuple((name, tuple(plans)) for name, plans, _ in runs)


@cache
def night_of(fault_id: str) -> tuple[Night, FaultPlan]:
    for number, (_, plans) in enumerate(packs()):
        for plan in plans:
            if plan.fault.id == fault_id:
                return _night(number), plan
    raise KeyError(fault_id)


@cache
def _night(number: int) -> Night:
    name, plans = packs()[number]
    return compose(site(name), 5, HOURS, plans, noise=0, sample_s=60.0)


@cache
def quiet(name: str) -> Night:
    return compose(site(name), 5, HOURS, 0, noise=0, sample_s=60.0)


def moved(night: Night, assets: frozenset[str]) -> set[tuple[str, str]]:
    """Sensors of these assets that read anything else than on the quiet night."""
    before = quiet(night.site.name).telemetry.series
    return {
        key for key, values in night.telemetry.series.items()
        if key[0] in assets and not np.array_equal(values, before[key], equal_nan=True)
    }  # fmt: skip


ALL = pytest.mark.parametrize("fault", list(load_catalog()))


@ALL
def test_signals_move_their_sensors(fault: str) -> None:
    night, plan = night_of(fault)
    seen = moved(night, reach(plan, night.site))
    for signal in plan.fault.signals:
        shown = {(asset, signal.metric) for asset in targets(night.site, plan.asset, signal)}
        read = shown & set(night.telemetry.series)
        if signal.metric != "*" and read:
            assert read & seen, signal.metric


@ALL
def test_something_moves(fault: str) -> None:
    night, plan = night_of(fault)
    assert moved(night, reach(plan, night.site))


@ALL
def test_the_rules_that_should_see_it_do(fault: str) -> None:
    night, plan = night_of(fault)
    texts = [line.text for line in night.events if line.story == plan.story]
    assert set(plan.fault.detect) <= set(night.rules_of(plan)), (plan.story, texts)


def test_the_quiet_nights_are_quiet() -> None:
    for name in ORDER:
        assert [line.text for line in quiet(name).events] == []
