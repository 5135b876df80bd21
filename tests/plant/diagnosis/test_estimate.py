from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from plant.diagnosis.estimate import doubted, estimate, present
from plant.diagnosis.observed import Observed
from plant.diagnosis.results import SensorProblem, Verdict
from setpoint.errors import InputError
from tests.plant.diagnosis.conftest import ONSET_S


def with_values(observed, key, values):
    return replace(observed, series={**observed.series, key: values})


def test_a_quiet_site_is_reproduced_within_its_noise(site, window):
    observed = window()
    state = estimate(site, observed, 5400.0)
    rows = observed.index(5400.0) + 1
    far = [
        key
        for key in state.keys
        if np.nanmedian(np.abs(observed.series[key][rows:] - state.healthy[key][rows:]))
        > 5 * state.noise[key]
    ]
    assert state.note.confidence > 0.9
    assert len(far) < 0.02 * len(state.keys)


def test_a_site_with_other_constants_is_met_by_bias(site, window):
    observed = window()
    scale = {"gpu_temp_c": 1.15, "return_temp_c": 1.1, "power_kw": 0.9}
    other = replace(
        observed, series={key: values * scale.get(key[1], 1.0) for key, values in observed.series.items()}
    )
    state = estimate(site, other, 5400.0)
    key = ("cdu-1", "return_temp_c")
    assert abs(state.bias[key]) > 2.0
    assert (
        abs(float(np.nanmean(other.series[key][-20:])) - float(state.healthy[key][-1])) < 6 * state.noise[key]
    )


def test_the_model_settles_on_what_was_read(site, window):
    observed = window()
    load = ("gpu-20", "load_pu")
    state = estimate(site, with_values(observed, load, np.full_like(observed.series[load], 0.4)), 5400.0)
    assert state.plant.number("gpu-20", "load_pu") == pytest.approx(0.4, abs=0.02)


def test_a_silent_a_stuck_and_a_contradicting_sensor_are_told_and_lower_confidence(site, window):
    observed = window()
    plain = estimate(site, observed, 5400.0).note
    rows = len(observed.times_s)
    silent = observed.series["cdu-1", "flow_lpm"].copy()
    silent[rows - 30 :] = np.nan
    stuck = observed.series["cdu-2", "return_temp_c"].copy()
    stuck[rows - 40 :] = stuck[rows - 40]
    off = observed.series["temp-r-03", "temp_c"].copy()
    off[rows - 30 :] += 9.0
    bad = with_values(observed, ("cdu-1", "flow_lpm"), silent)
    bad = with_values(bad, ("cdu-2", "return_temp_c"), stuck)
    bad = with_values(bad, ("temp-r-03", "temp_c"), off)
    note = estimate(site, bad, 5400.0).note
    found = {(p.kind, p.asset) for p in note.problems} - {(p.kind, p.asset) for p in plain.problems}
    assert {("silent", "cdu-1"), ("stuck", "cdu-2"), ("contradicts", "temp-r-03")} <= found
    assert note.confidence < plain.confidence
    assert all("nan" not in p.text for p in note.problems)


def test_telemetry_of_another_site_is_a_mismatch(site, window):
    observed = window()
    other = replace(
        observed, series={key: values * (3.0 if key[1].endswith(("_kw", "_lpm", "_w")) else 1.0) + 40.0 * key[1].endswith("_c")
                          for key, values in observed.series.items()}
    )  # fmt: skip
    note = estimate(site, other, 5400.0).note
    assert any(p.kind == "mismatch" for p in note.problems)
    assert note.confidence < 0.6


def test_assets_that_the_site_file_lacks_are_named(site, window):
    observed = window()
    stranger = with_values(observed, ("gpu-99", "gpu_temp_c"), observed.series["gpu-01", "gpu_temp_c"])
    assert any("gpu-99" in p.text for p in estimate(site, stranger, 5400.0).note.problems)


def test_it_goes_on_without_most_readings(site, window):
    observed = window()
    few = replace(observed, series={key: v for key, v in observed.series.items() if key[0] == "cdu-1"})
    state = estimate(site, few, 5400.0)
    assert 0 < len(state.keys) < 12
    none = estimate(site, Observed(observed.start, observed.times_s, {}), 5400.0)
    assert none.note.confidence == 0.0


def test_a_present_state_holds_the_fault(site, window):
    observed = window("pump_trip", "cdu-1-pump-a", after_s=90.0)
    verdict = Verdict(
        cause="coolant_pump_failure", asset="cdu-1-pump-a", mechanism="pump_stopped", share=0.9, low=0.8, high=1.0,
        onset=observed.start + timedelta(seconds=ONSET_S), severity=1.0, ramp_s=0.0,
    )  # fmt: skip
    now = present(site, observed, verdict)
    read = float(observed.series["cdu-1", "flow_lpm"][-1])
    model = now.plant.number("cdu-1", "flow_lpm")
    assert read < 40.0
    assert model < 40.0
    later = now.plant.copy()
    later.advance(600.0)
    assert sum(later.number(f"gpu-{n:02d}", "gpus_ok") for n in range(1, 13)) < 12 * 8


def test_a_mechanism_that_the_catalog_lacks_is_said(site, window):
    observed = window()
    verdict = Verdict(
        cause="coolant_pump_failure", asset="cdu-1-pump-a", mechanism="pump_of_another_version", share=0.9, low=0.8, high=1.0,
        onset=observed.start + timedelta(seconds=ONSET_S), severity=1.0, ramp_s=0.0,
    )  # fmt: skip
    with pytest.raises(InputError, match="no mechanism 'pump_of_another_version'"):
        present(site, observed, verdict)


def test_doubts_from_elsewhere_lower_confidence(site, window):
    state = estimate(site, window(), 5400.0)
    doubt = SensorProblem(
        kind="clock", asset="gpu-01", text="the clock of gpu-01 is 8 min behind the others'"
    )
    assert doubted(state, [doubt]).note.confidence < state.note.confidence
    assert doubted(state, []) is state
