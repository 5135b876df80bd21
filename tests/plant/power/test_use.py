"""Issued work: closed forms, padding, and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.hardware.gpus import gpu
from plant.hardware.models import model
from plant.inference.deployment import Deployment
from plant.power.use import COEFFICIENTS, issued_use, use_coefficients


def deployment(name: str, card: str = "H100", **more) -> Deployment:
    return Deployment(model=model(name), gpu=gpu(card), **more)


def test_decoding_one_token_moves_all_weights_and_its_cache() -> None:
    """Llama-3.1-70B on 8 H100: 141 GB less the input embedding, 327,680 bytes of cache a token."""
    w = use_coefficients(deployment("llama-3.1-70b", tp=8))
    _, u_m = issued_use(w, 0.0, 0.0, 1.0, 1000.0, 0.02)
    wanted = (70.55e9 - 128256 * 8192) * 2 + 1000 * 327_680
    assert u_m == pytest.approx(wanted / (8 * 3.35e12 * 0.02), rel=1e-3)
    assert len(w) == len(COEFFICIENTS)


def test_a_long_prompt_issues_what_it_needs() -> None:
    w = use_coefficients(deployment("llama-3.1-70b", tp=8))
    u_c, _ = issued_use(w, 4096.0, 4096.0**2 / 2, 0.0, 0.0, 0.2)
    needed = 2 * (70.55e9 - 128256 * 8192) * 4096 + 4 * 80 * 64 * 128 * 4096**2 / 2
    assert u_c == pytest.approx(needed / (8 * 989e12 * 0.2), rel=1e-3)


def test_thin_experts_are_padded_to_their_tile() -> None:
    """Qwen3-30B-A3B: 8 tokens reach about 51 of 128 experts with 1.25 rows each, in tiles of 16."""
    w = use_coefficients(deployment("qwen3-30b-a3b"))
    few, _ = issued_use(w, 0.0, 0.0, 8.0, 0.0, 0.01)
    rows = 8 * 8 / (128 * (1 - (1 - 8 / 128) ** 8))
    dense = w[0] * 16
    assert few * 0.01 * w[15] == pytest.approx(dense + w[1] * 8 * 16 / rows, rel=1e-6)


def test_a_window_bounds_the_cache_that_is_read() -> None:
    w = use_coefficients(deployment("gpt-oss-20b"))
    grown = [issued_use(w, 0.0, 0.0, 1.0, float(n), 0.1)[1] for n in (1000, 2000)]
    full = model("gpt-oss-20b")
    half = (full.layers - full.window_layers) * full.kv_width * 2 * 1000
    assert (grown[1] - grown[0]) * 0.1 * 3.35e12 == pytest.approx(half, rel=1e-6)


@settings(deadline=None)
@given(
    prefill=st.floats(0.0, 8192.0), batch=st.floats(0.0, 2048.0), context=st.floats(0.0, 4096.0),
    seconds=st.floats(1e-6, 10.0), name=st.sampled_from(["llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v3"]),
)  # fmt: skip
def test_uses_are_shares_and_fall_with_time(prefill, batch, context, seconds, name) -> None:
    w = use_coefficients(deployment(name, tp=8))
    first = issued_use(w, prefill, prefill**2 / 2, batch, batch * context, seconds)
    later = issued_use(w, prefill, prefill**2 / 2, batch, batch * context, 2 * seconds)
    assert all(0.0 <= late <= early <= 1.0 for early, late in zip(first, later, strict=True))


def test_no_tokens_use_nothing() -> None:
    assert issued_use(use_coefficients(deployment("llama-3.1-8b")), 0.0, 0.0, 0.0, 0.0, 0.1) == (0.0, 0.0)
