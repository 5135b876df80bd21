"""The coverage exam is fair: the acting site is another one, and what is counted is what was predicted."""

from __future__ import annotations

import numpy as np
import pytest

from evals.rehearsal_coverage import START, Sensors, acting, play, report, run
from plant.diagnosis.results import Compared
from plant.sim import Plant
from plant.site import load_site, site_file_of

DEMO = load_site(site_file_of("demo"))


def test_the_acting_site_differs_in_its_constants_and_so_in_what_it_reads() -> None:
    one, two = (acting(DEMO, np.random.default_rng(seed), START) for seed in (1, 2))
    model = Plant.start(DEMO, START)
    apart = [
        np.std(np.log(plant.store.tables.gpu_node["c_plate"] / model.store.tables.gpu_node["c_plate"]))
        for plant in (one, two)
    ]
    assert all(0.08 < value < 0.25 for value in apart)
    assert one.number("gpu-01", "gpu_temp_c") != pytest.approx(model.number("gpu-01", "gpu_temp_c"), abs=0.05)
    assert one.number("gpu-01", "gpu_temp_c") != two.number("gpu-01", "gpu_temp_c")


def test_sensors_are_off_by_a_constant_and_scatter() -> None:
    plant = Plant.start(DEMO, START)
    sensors = Sensors(plant, np.random.default_rng(3))
    true = np.tile(plant.store.values[sensors.probes], (400, 1))
    column = sensors.keys.index(("gpu-01", "gpu_temp_c"))
    read = sensors.read(true)[:, column] - true[:, column]
    assert abs(read.mean()) < 1.2
    assert 0.1 < read.std() < 0.3
    setpoint = sensors.keys.index(("cdu-1", "flow_setpoint_lpm"))
    assert np.array_equal(sensors.read(true)[:, setpoint], true[:, setpoint])


def test_a_case_is_the_same_for_the_same_seed() -> None:
    one, two = play(DEMO, 1), play(DEMO, 1)
    assert one is not None
    assert one == two


def test_a_few_cases_give_every_figure() -> None:
    found, cases = run(DEMO, 3, seed=1)
    assert (found.cases, len(cases)) == (3, 3)
    assert found.quantities.count == sum(case.compared.quantities for case in cases)
    assert found.quantities.low <= found.quantities.inside / found.quantities.count <= found.quantities.high
    assert 0.0 <= found.brier <= 1.0


def test_what_lay_outside_counts_against_it() -> None:
    _, cases = run(DEMO, 1, seed=1)
    wrong = Compared(
        action="a", asset="cdu-1", quantities=2, inside=1, came_true=False,
        rows=(("cdu-1.flow_lpm", 1.0, 2.0, 3.0, 9.0), ("cdu-1.return_temp_c", 1.0, 2.0, 3.0, 2.0)),
    )  # fmt: skip
    case = type(cases[0])(
        "f", "cdu-1", "a", "cdu-1", "", wrong, (("flow_lpm", 2.0),), (("gpu_temp_max_c", 1.0, False),)
    )
    found = report([case], 0)
    assert (found.quantities.inside, found.quantities.count, found.came_true) == (1, 2, 0)
    assert found.brier == 1.0
