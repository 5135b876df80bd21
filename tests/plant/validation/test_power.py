"""Errors of the power model on public measurements, in sample and left out; the law of caps; bad tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plant.hardware.gpus import gpu
from plant.power.gpu import calibration, power_vector
from plant.validation import power
from plant.validation.power import (
    LimitCase,
    by_arch,
    compute_bound,
    errors_pu,
    fit_shares,
    leave_one_model_out,
    limit_cases,
    limit_times,
    power_cases,
    power_errors,
)
from setpoint.errors import ConfigError


@pytest.fixture(scope="module")
def rows(shared_data) -> dict[str, list[power.PowerCase]]:
    """At the measured rate, by architecture."""
    folder = shared_data / "plant"
    cases = power_cases("mlenergy", folder / "mlenergy_v3_llm_dev.csv", predicted=False)
    cases += power_cases("splitwise", folder / "splitwise_perf_dev.csv", predicted=False)
    return by_arch(cases)


@pytest.mark.parametrize(("arch", "mean_pct"), [("hopper", 8.0), ("blackwell", 9.0), ("ampere", 6.0)])
def test_power_at_the_measured_rate_is_within(rows, arch, mean_pct) -> None:
    errors = errors_pu(rows[arch], calibration()["arch"][arch])
    assert 100.0 * np.abs(errors).mean() < mean_pct


@pytest.mark.parametrize(("arch", "mean_pct"), [("hopper", 8.0), ("blackwell", 10.0)])
def test_power_of_a_model_that_was_not_fitted_is_within(rows, arch, mean_pct) -> None:
    errors = leave_one_model_out(rows[arch], arch, rows[arch])
    assert 100.0 * np.abs(errors).mean() < mean_pct


@pytest.mark.parametrize("arch", ["hopper", "blackwell", "ampere"])
def test_the_committed_constants_are_those_of_the_fit(rows, arch) -> None:
    fitted, committed = fit_shares(rows[arch], arch), calibration()["arch"][arch]
    assert {name: committed[name] for name in fitted} == pytest.approx(fitted, rel=0.02, abs=2e-3)


def test_predicted_power_of_an_h100_needs_no_measured_rate(shared_data) -> None:
    found = [
        e
        for e in power_errors("mlenergy", shared_data / "plant" / "mlenergy_v3_llm_dev.csv")
        if e.gpu == "H100-SXM"
    ]
    predicted = [abs(e.error_pu) for e in found if e.metric == "power"]
    assert len(predicted) == len(found) / 2 > 50
    assert 100.0 * np.mean(predicted) < 10.0


def test_average_power_counts_all_accelerators(shared_data) -> None:
    """A row of 8 H100 at 3,596 W is one of 450 W each."""
    found = power_cases("mlenergy", shared_data / "plant" / "mlenergy_v3_llm_dev.csv", predicted=False)
    assert max(case.measured_w for case in found) < 1000.0
    assert any(case.measured_w == pytest.approx(449.56, abs=0.01) for case in found)


def test_time_under_power_limits_follows_zeus(shared_data) -> None:
    """Fitted on a V100; a P100 sees its constants for the first time."""
    constants = calibration()["arch"]["volta"]
    for card, file, share, mean in (("V100-PCIe", "v100", 0.85, 0.05), ("P100-PCIe", "p100", 0.6, 0.02)):
        cases = compute_bound(limit_cases(shared_data / "plant" / f"zeus_powerlimit_train_{file}.csv"), share)
        p = power_vector(gpu(card), constants)
        errors = [abs(b / a - 1.0) for case in cases for _, a, b in limit_times(case, p)]
        assert len(errors) > 50
        assert np.mean(errors) < mean


def test_energy_under_power_limits_is_u_shaped() -> None:
    """ResNet-50 at batch 128 on a V100: least near 150 of 250 W, 0.77 of full (Zeus: 0.77 at 150 W, 0.85 at 100 W)."""
    case = LimitCase("resnet", tuple((float(w), 1.0, 222.0) for w in (100, 125, 150, 175, 200, 225, 250)))
    times = limit_times(case, power_vector(gpu("V100-PCIe"), calibration()["arch"]["volta"]))
    energy = {limit: min(limit, 222.0) / 222.0 * stretch for limit, _, stretch in times}
    assert min(energy, key=lambda w: energy[w]) in (125.0, 150.0)
    assert energy[150.0] == pytest.approx(0.77, abs=0.04)
    assert energy[100.0] == pytest.approx(0.85, abs=0.08)


def test_tables_without_power_give_nothing(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("task,model_id\nchat,llama\n", encoding="utf-8")
    assert power_errors("mlenergy", file) == []
    assert power_errors("silicon", file) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the table"):
        power_errors("mlenergy", tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="not a power-limit table"):
        limit_cases(tmp_path / "none.csv")


def test_rows_that_cannot_be_used_are_passed_over(shared_data, tmp_path: Path) -> None:
    lines = (shared_data / "plant" / "mlenergy_v3_llm_dev.csv").read_text(encoding="utf-8").splitlines()
    good = lines[1]
    watts = good.split(",")[19]
    file = tmp_path / "table.csv"
    rows = [lines[0], good, good.replace(watts, "nan"), good.replace(watts, ""), good.replace(watts, "-5")]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert len(power_cases("mlenergy", file, predicted=False)) == 1


def test_writing_the_constants_keeps_the_command(tmp_path: Path) -> None:
    file = tmp_path / "calibration.yaml"
    power.write_calibration(calibration(), file)
    text = file.read_text(encoding="utf-8")
    assert "python -m plant.validation.power --fit" in text
    assert "hopper" in text
