"""Power of an accelerator: bounds, monotony, caps, and figures that others measured."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.hardware.gpus import gpu, gpus
from plant.power import gpu as power
from plant.power.gpu import clock_under_cap_pu, gpu_power_w, power_coefficients, stretch_at_clock

H100, A100 = power_coefficients(gpu("H100-SXM")), power_coefficients(gpu("A100-SXM-80"))
SHARE = st.floats(0.0, 1.0)
CLOCK = st.floats(0.1, 1.0)


def test_examples_in_the_docstrings_hold(examples) -> None:
    failed, attempted = examples.failures(power)
    assert failed == 0
    assert attempted >= 1


@pytest.mark.parametrize("card", gpus(), ids=lambda card: card.name)
def test_every_card_rests_at_idle_and_never_passes_its_tdp(card) -> None:
    p = power_coefficients(card)
    assert gpu_power_w(p, 0.0, 1.0, 1.0, 1.0) == card.idle_w
    assert 0.95 * card.tdp_w < gpu_power_w(p, 1.0, 1.0, 1.0, 1.0) <= card.tdp_w
    assert len(p) == len(power.COEFFICIENTS)


@settings(deadline=None)
@given(busy=SHARE, u_c=SHARE, u_m=SHARE, clock=CLOCK, more=st.floats(0.0, 0.5))
def test_power_rises_with_clock_use_and_busy_time(busy, u_c, u_m, clock, more) -> None:
    base = gpu_power_w(H100, busy, u_c, u_m, clock)
    assert 75.0 <= base <= 700.0
    slack = base - 1e-9
    assert gpu_power_w(H100, busy, u_c, u_m, min(1.0, clock + more)) >= slack
    assert gpu_power_w(H100, busy, u_c + more, u_m, clock) >= slack
    assert gpu_power_w(H100, busy, u_c, u_m + more, clock) >= slack
    assert gpu_power_w(H100, min(1.0, busy + more), u_c, u_m, clock) >= slack


@settings(deadline=None)
@given(u_c=SHARE, u_m=SHARE, cap=st.floats(80.0, 900.0), lock=CLOCK, busy=SHARE)
def test_a_cap_is_kept_by_the_clock_that_is_chosen(u_c, u_m, cap, lock, busy) -> None:
    clock = clock_under_cap_pu(H100, busy, u_c, u_m, cap, lock)
    assert 0.1 <= clock <= lock + 1e-12 or lock < 0.1
    stretch = stretch_at_clock(H100, u_c, u_m, clock)
    drawn = gpu_power_w(H100, busy, u_c / stretch, u_m / stretch, clock)
    assert drawn <= cap + 1e-6 or clock == pytest.approx(0.1, abs=1e-6)


@settings(deadline=None)
@given(u_c=SHARE, u_m=SHARE, cap=st.floats(80.0, 700.0), more=st.floats(0.0, 200.0))
def test_a_higher_cap_never_lowers_the_clock(u_c, u_m, cap, more) -> None:
    low = clock_under_cap_pu(H100, 1.0, u_c, u_m, cap, 1.0)
    assert clock_under_cap_pu(H100, 1.0, u_c, u_m, cap + more, 1.0) >= low - 1e-6


@settings(deadline=None)
@given(u_c=SHARE, u_m=SHARE, clock=CLOCK)
def test_work_stretches_by_no_more_than_the_clock_falls(u_c, u_m, clock) -> None:
    assert 1.0 - 1e-12 <= stretch_at_clock(H100, u_c, u_m, clock) <= 1.0 / clock + 1e-9


def test_prefill_slows_with_the_clock_and_decode_hardly() -> None:
    assert stretch_at_clock(H100, 0.65, 0.1, 0.5) == pytest.approx(2.0, rel=0.01)
    assert stretch_at_clock(H100, 0.03, 0.7, 0.5) < 1.01


def test_prefill_draws_near_tdp_and_small_decode_about_half() -> None:
    """H100 with Llama-3.1-8B in ML.ENERGY: 486 W at batch 8, 691 W at 256 with its prompts."""
    assert gpu_power_w(H100, 1.0, 0.6, 0.3, 1.0) > 0.97 * 700.0
    assert 0.4 * 700.0 < gpu_power_w(H100, 1.0, 0.03, 0.6, 1.0) < 0.7 * 700.0


def test_a_locked_clock_saves_decode_energy_as_measured_on_an_h200() -> None:
    """arXiv 2605.11999 measured up to 32% at hardly any loss of speed."""
    p = power_coefficients(gpu("H200-SXM"))
    locked = gpu_power_w(p, 1.0, 0.05, 0.5, 0.6) * stretch_at_clock(p, 0.05, 0.5, 0.6)
    assert 0.25 < 1.0 - locked / gpu_power_w(p, 1.0, 0.05, 0.5, 1.0) < 0.40


def test_energy_of_compute_bound_work_has_its_least_near_the_a100s_knee() -> None:
    """arXiv 2501.08219: from 1410 MHz down energy falls to about 1005 MHz, then rises."""

    def energy(mhz: float) -> float:
        clock, use = mhz / 1410.0, 0.3
        p = A100.copy()
        p[10] = use
        stretch = stretch_at_clock(p, use, 0.1, clock)
        return gpu_power_w(p, 1.0, use / stretch, 0.1 / stretch, clock) * stretch

    least = min(range(500, 1411, 5), key=energy)
    assert 900 <= least <= 1110
    assert energy(1410) > energy(least) < energy(600)


def test_the_faster_memory_of_an_h200_costs_what_its_bytes_cost_on_an_h100() -> None:
    h200 = power_coefficients(gpu("H200-SXM"))
    assert h200[4] / H100[4] == pytest.approx(4.8 / 3.35, rel=0.01)
    assert h200[6] == pytest.approx(H100[6])
