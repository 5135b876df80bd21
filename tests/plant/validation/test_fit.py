"""The fit: what it holds, how it splits, and that the committed constants are those it made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plant.inference.cost import calibration
from plant.validation.cases import FP8_EXPERTS, silicon_case
from plant.validation.fit import (
    HUBER,
    PRIORS,
    constants,
    huber,
    is_fitted,
    load,
    log_errors,
    summary,
    thin,
    write,
)

DATA = Path(__file__).parents[4] / "shared" / "data" / "plant"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="public data absent: ../shared/data/plant")


def test_no_distance_from_the_priors_gives_the_priors() -> None:
    k = constants(np.zeros(len(PRIORS)))
    assert k.mfu["bf16"] == PRIORS["mfu.bf16"].value
    assert k.arch["blackwell-ultra"] == k.arch["blackwell"]
    assert k.arch["blackwell-rtx"].host == k.arch["blackwell"].host


def test_committed_constants_lie_within_three_sigma_of_their_priors() -> None:
    tree = calibration().model_dump()
    for path, prior in PRIORS.items():
        value: Any = tree
        for name in path.split("."):
            value = value[name]
        assert abs(np.log(value / prior.value)) < 3 * prior.sigma, path


def test_constants_survive_writing(tmp_path: Path) -> None:
    write(constants(np.zeros(len(PRIORS))), tmp_path / "c.yaml")
    text = (tmp_path / "c.yaml").read_text(encoding="utf-8")
    assert "python -m plant.validation.fit" in text
    assert "attention_mfu: 0.35" in text


def test_huber_is_the_error_near_nought_and_its_root_far_out() -> None:
    e = np.array([0.05, -0.1, 1.0, 4.0])
    loss = huber(e) ** 2
    assert loss[:2] == pytest.approx(e[:2] ** 2)
    assert loss[2:] == pytest.approx(2 * HUBER * e[2:] - HUBER**2)


@needs_data
def test_repeats_of_a_measurement_never_stand_on_both_sides() -> None:
    sides: dict[tuple[object, ...], set[bool]] = {}
    for c in load(DATA):
        d = c.deployment
        key = (c.group, d.weights, d.tp, d.dp, d.ep, c.isl, c.osl, c.concurrency, c.scenario)
        sides.setdefault(key, set()).add(is_fitted(c))
    assert all(len(s) == 1 for s in sides.values())
    share = np.mean([True in s for s in sides.values()])
    assert 0.4 < share < 0.6


@needs_data
def test_rows_nobody_fitted_meet_the_aims() -> None:
    """Time per output token within 10%, time to first token within 30%, on the half that was held out."""
    held = [c for c in load(DATA) if not is_fitted(c) and "tpot_ms" in c.measured]
    found = {metric: mean for _, metric, _, mean, _ in summary(log_errors(held, calibration()))[:2]}
    assert found["tpot_ms"] < 10
    assert found["ttft_ms"] < 30


@needs_data
def test_experts_in_fp8_of_mlenergy_ran_on_older_software() -> None:
    found = {(bool(c.deployment.model.experts), c.deployment.weights, c.profile)
             for c in load(DATA) if c.group.endswith("/mlenergy")}  # fmt: skip
    assert found == {
        (False, "bf16", None),
        (True, "bf16", None),
        (True, "fp4", None),
        (True, "fp8", FP8_EXPERTS),
    }
    old, new = calibration().engine[FP8_EXPERTS], calibration().engine["vllm"]
    assert old.moe_layer_s > new.moe_layer_s
    assert old.model_copy(update={"moe_layer_s": new.moe_layer_s}) == new


@needs_data
def test_thinning_keeps_every_group() -> None:
    cases = load(DATA)
    groups = {c.group for c in cases}
    kept = thin(cases)
    assert {c.group for c in kept} == groups
    assert max(sum(c.group == g for c in kept) for g in groups) <= 30


def test_a_row_that_cannot_run_is_left_out_of_the_errors() -> None:
    row = {
        "id": "a", "backend": "vllm", "model_path": "llama-3.1-8b", "system": "h100_sxm", "mode": "agg", "isl": "512",
        "osl": "16", "gemm_quant_mode": "", "silicon_concurrency": "2", "tp_size": "1", "silicon_ttft_ms": "50",
        "silicon_tpot_ms": "7",
    }  # fmt: skip
    good = silicon_case(1, row)
    huge = replace(good, isl=1e7)
    assert [m for _, m, _ in log_errors([good, huge], calibration())] == ["ttft_ms", "tpot_ms"]
