"""Public records: nothing of the future in a look, and what is found where it was planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plant.control.maintenance import recurrence
from plant.control.maintenance.recurrence import COVARIATES, Record, bursts, judge, looks
from setpoint.errors import UsageError


def _drawn(repeat: float, days: float = 1200.0, units: int = 240) -> Record:
    """Failures at a steady rate; each is followed within ten days by another of the same unit with chance `repeat`."""
    rng = np.random.default_rng(4)
    failures = {}
    for unit in range(units):
        times = list(rng.uniform(0.0, days, rng.poisson(1.0)))
        for time in list(times):
            while rng.random() < repeat:
                time += rng.uniform(1.0, 40.0)
                times.append(time)
        if times:
            failures[f"u{unit}"] = np.sort(np.array(times))
    place = {unit: f"p{int(unit[1:]) % 10}" for unit in failures}
    return Record("drawn", failures, place, {f"p{n}": units / 10 for n in range(10)}, days, "")


def test_repeat_offenders_are_found_and_chance_is_not() -> None:
    planted, flat = judge(_drawn(0.5), 0.8), judge(_drawn(0.0), 0.8)
    assert planted.concordance.low > 0.55
    assert planted.skill_recent[90.0] > 0.01
    assert flat.concordance.value == pytest.approx(0.5, abs=0.08)


def test_a_look_knows_only_what_was() -> None:
    record = _drawn(0.3)
    cut = {unit: times[times <= 700.0] for unit, times in record.units.items()}
    early = Record("cut", cut, record.place, record.total, 700.0, "")
    whole, part = looks(record, 600.0, 700.0, 700.0), looks(early, 600.0, 700.0, 700.0)
    assert np.allclose(whole.known, part.known)
    assert np.allclose(whole.rate_per_day, part.rate_per_day)
    assert whole.known.shape[1] == len(COVARIATES)


def test_everyone_is_counted_once() -> None:
    record = _drawn(0.2)
    table = looks(record, 600.0, 631.0, 1200.0)
    assert table.weight.sum() == pytest.approx(2 * 240)


def test_bursts_in_a_place() -> None:
    calm = _drawn(0.0)
    assert bursts(calm, 7.0) == pytest.approx(1.0, abs=0.35)
    struck = {unit: np.array([100.0 + 0.1 * n]) for n, unit in enumerate(calm.units)}
    together = {
        unit: times if calm.place[unit] == "p1" else times + 50.0 * int(calm.place[unit][1:])
        for unit, times in struck.items()
    }
    assert bursts(Record("b", together, calm.place, calm.total, 1200.0, ""), 7.0) > 3.0


def test_a_folder_without_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no public data"):
        recurrence.data_dir(tmp_path)


def test_the_public_records_are_read_whole(shared_data: Path) -> None:
    disks, gpus = recurrence.alpine_slots(shared_data), recurrence.titan(shared_data)
    assert sum(map(len, disks.units.values())) == 3766
    assert sum(disks.total.values()) == 308 * 106
    assert sum(map(len, gpus.units.values())) == 6367
    assert sum(gpus.total.values()) == pytest.approx(18_688, rel=0.001)
    assert all((np.diff(times) >= 0).all() for times in gpus.units.values())
