"""Heat: closed forms against tables, makers' points and second solvers."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from plant.thermal import air, chiller, fluids, loop, plate, pue

COOLING = Path(__file__).parents[4] / "shared" / "data" / "plant" / "cooling_params.json"


@pytest.mark.parametrize("module", [air, chiller, fluids, loop, plate, pue])
def test_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("temp_c", "kg_per_m3", "kj_per_kg_k"),
    [(10, 999.70, 4.192), (25, 997.05, 4.180), (40, 992.22, 4.179), (60, 983.20, 4.185), (80, 971.79, 4.197)],
)
def test_water_as_in_the_steam_tables(temp_c: float, kg_per_m3: float, kj_per_kg_k: float) -> None:
    assert 1000 * fluids.water_kg_per_l(temp_c) == pytest.approx(kg_per_m3, rel=0.0015)
    assert fluids.water_kj_per_kg_k(temp_c) == pytest.approx(kj_per_kg_k, rel=0.001)


def test_rise_as_suppliers_print_it() -> None:
    assert fluids.rise_k_per_kw_lpm("water", 30.0) == pytest.approx(14.4, rel=0.005)
    assert fluids.rise_k_per_kw_lpm("pg25", 35.0) == pytest.approx(15.1, rel=0.001)


def test_a_plate_falls_with_flow_as_in_the_gb300_simulation() -> None:
    """Rise over pressure drop of a published CFD study, 1,400 W. Turbulent pressure drop goes with q^1.8, so the
    points give q; two of them fix R0 and k, the other three are predicted within a kelvin."""
    if not COOLING.exists():
        pytest.skip("shared/data/plant/cooling_params.json is not here")
    points = np.array(json.loads(COOLING.read_text())["liquid"]["gb300_cfd"]["K_rise_vs_dp_kPa"])
    flow = (points[:, 0] / points[-1, 0]) ** (1 / 1.8)
    factor = np.array([plate.film_factor(float(q)) for q in flow])
    film = (points[0, 1] - points[-1, 1]) / (factor[0] - factor[-1])
    r0 = points[-1, 1] - film
    predicted = r0 + film * factor
    assert predicted[1:4] == pytest.approx(points[1:4, 1], abs=1.0)
    assert 0.015 < r0 / 1400 < 0.03


@settings(max_examples=40, deadline=None)
@given(
    r1=st.floats(0.005, 0.1), c1=st.floats(5, 80), r2=st.floats(0.003, 1.0), c2=st.floats(200, 3000),
    seconds=st.floats(0.05, 60),
)  # fmt: skip
def test_the_propagator_is_the_matrix_exponential(
    r1: float, c1: float, r2: float, c2: float, seconds: float
) -> None:
    a = np.array([[-1 / (r1 * c1), 1 / (r1 * c1)], [1 / (r1 * c2), -1 / (r1 * c2) - 1 / (r2 * c2)]])
    found = np.array(plate.propagator(r1, c1, r2, c2, seconds)).reshape(2, 2)
    assert found == pytest.approx(expm(a * seconds), abs=1e-9)
    assert plate.slowest_tau_s(r1, c1, r2, c2) == pytest.approx(-1 / np.linalg.eigvals(a).max(), rel=1e-6)


def test_a_step_of_power_against_an_ode_solver() -> None:
    r1, c1, r2, c2, watts, coolant_c = 0.02, 25.0, 0.01, 1000.0, 700.0, 32.0

    def slope(t: float, y: list[float]) -> list[float]:
        between, out = (y[0] - y[1]) / r1, (y[1] - coolant_c) / r2
        return [(watts - between) / c1, (between - out) / c2]

    end = solve_ivp(slope, (0, 7.0), [35.0, 34.0], rtol=1e-9, atol=1e-9).y[:, -1]
    dd, dp, pd, pp = plate.propagator(r1, c1, r2, c2, 7.0)
    steady = np.array([coolant_c + watts * (r1 + r2), coolant_c + watts * r2])
    gap = np.array([35.0, 34.0]) - steady
    assert steady + np.array([[dd, dp], [pd, pp]]) @ gap == pytest.approx(end, abs=1e-5)


def test_counterflow_against_a_marched_exchanger() -> None:
    """1,000 cells from end to end: hot side in at 60 C with 8 kW/K, cold side in at 20 C with 10 kW/K, UA 24 kW/K."""
    hot, cold, ua, cells = 8.0, 10.0, 24.0, 1000
    low, high = 20.0, 60.0
    for _ in range(60):
        out, t_hot, t_cold = (low + high) / 2, 60.0, (low + high) / 2
        for _ in range(cells):
            heat = ua / cells * (t_hot - t_cold)
            t_hot, t_cold = t_hot - heat / hot, t_cold - heat / cold
        low, high = (out, high) if t_cold < 20.0 else (low, out)
    share = cold * (out - 20.0) / (hot * 40.0)
    assert loop.effectiveness(ua / hot, hot / cold) == pytest.approx(share, abs=0.002)


@given(ntu=st.floats(0.1, 6), ratio=st.floats(0, 1))
def test_ntu_and_effectiveness_are_inverse(ntu: float, ratio: float) -> None:
    assert loop.ntu_for(loop.effectiveness(ntu, ratio), ratio) == pytest.approx(ntu, rel=1e-6)


@given(head=st.floats(0.2, 1), conductance=st.floats(0.1, 1), pumps=st.integers(1, 4))
def test_the_duty_point_lies_on_both_curves(head: float, conductance: float, pumps: int) -> None:
    """At full speed the pump gives what the pipe asks; at the speed of half that flow likewise."""
    most = loop.most_flow_pu(head, conductance, float(pumps))
    assert loop.speed_pu(most, head, conductance, float(pumps)) == pytest.approx(1.0, abs=1e-9)
    assert loop.speed_pu(0.5 * most, head, conductance, float(pumps)) < 1.0


def test_wear_and_filters_cost_flow_and_a_second_pump_adds_little() -> None:
    assert loop.most_flow_pu(0.7, 1.0, 1.0) < 1.0
    assert loop.most_flow_pu(1.0, 0.6, 1.0) < 0.7
    assert 1.0 < loop.most_flow_pu(1.0, 1.0, 2.0) < 1.2


def test_free_cooling_by_wet_bulb() -> None:
    assert chiller.economiser_hours([0.0] * 10 + [35.0] * 14, 20.0, 30.0) == 10.0
    shares = [chiller.free_share(20.0, 30.0, t) for t in np.linspace(0, 30, 31)]
    assert shares == sorted(shares, reverse=True)
