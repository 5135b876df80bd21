"""The catalog of models: counts recomputed from shapes, names as publishers write them, and estimates."""

from __future__ import annotations

import csv
import os
import statistics
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.hardware.models import (
    Model,
    counts_of,
    estimate,
    guess_model,
    model,
    models,
    nearest,
    quantisation_of,
)
from setpoint.errors import ConfigError

SHARED = Path(os.environ.get("SETPOINT_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "plant"


@pytest.mark.parametrize("known", models(), ids=lambda known: known.name)
def test_the_published_count_follows_from_the_shape(known: Model) -> None:
    total, routed = known.shape_params
    assert total == pytest.approx(known.params, rel=0.015)
    assert known.expert_params == pytest.approx(routed, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "active_b"),
    [  # as their publishers print them
        ("mixtral-8x7b", 12.9), ("mixtral-8x22b", 39.1), ("qwen3-30b-a3b", 3.3), ("qwen3-235b-a22b", 22.0),
        ("qwen3-coder-480b-a35b", 35.0), ("deepseek-v3", 37.0), ("deepseek-v2", 21.0), ("deepseek-v2-lite", 2.4),
        ("kimi-k2", 32.0), ("glm-4.5", 32.0), ("glm-4.5-air", 12.0), ("glm-5", 40.0), ("minimax-m2", 10.0),
        ("gpt-oss-20b", 3.6), ("gpt-oss-120b", 5.1), ("llama-4-scout", 17.0), ("llama-4-maverick", 17.0),
        ("dbrx", 36.0), ("phi-3.5-moe", 6.6), ("qwen3-next-80b-a3b", 3.0), ("nemotron-3-nano-30b-a3b", 3.5),
        ("qwen3.5-397b-a17b", 17.0), ("qwen3.5-35b-a3b", 3.0), ("nemotron-3-super-120b-a12b", 12.0), ("hunyuan-a13b", 13.0), ("ernie-4.5-300b-a47b", 47.0), ("qwen2-57b-a14b", 14.0),
    ],
)  # fmt: skip
def test_active_weights_agree_with_what_publishers_print(name: str, active_b: float) -> None:
    """Some leave the embeddings out, so between the active count without and with them."""
    found = model(name)
    low = (found.params_active - found.embedding_params - found.head_params) / 1e9
    assert 0.92 * low <= active_b <= 1.07 * found.params_active / 1e9


@pytest.mark.parametrize(
    ("name", "kv_bytes"),
    [
        ("llama-2-70b", 327_680),  # 2 x 80 x 8 x 128 x 2
        ("llama-3.1-8b", 131_072),  # 2 x 32 x 8 x 128 x 2
        ("llama-2-7b", 524_288),  # 2 x 32 x 32 x 128 x 2
        ("deepseek-v3", 70_272),  # 61 x 576 x 2: DeepSeek prints 70 KB
        ("qwen3-next-80b-a3b", 24_576),  # 12 layers of 2 x 2 x 256 x 2
    ],
)
def test_cache_of_a_token(name: str, kv_bytes: int) -> None:
    assert model(name).kv_bytes_per_token("bf16") == kv_bytes
    assert model(name).kv_bytes_per_token("fp8") == kv_bytes / 2


def test_a_window_bounds_the_cache() -> None:
    gemma = model("gemma-3-27b")
    short, long = gemma.kv_bytes(1024), gemma.kv_bytes(131_072)
    assert short == 1024 * gemma.kv_bytes_per_token()
    assert long / (131_072 * gemma.kv_bytes_per_token()) == pytest.approx((10 + 52 / 128) / 62)


@settings(deadline=None, max_examples=60)
@given(tokens=st.floats(1, 1e6), more=st.floats(1, 1e6))
def test_cache_grows_with_length_and_never_faster_than_without_windows(tokens: float, more: float) -> None:
    for known in (model("gpt-oss-120b"), model("gemma-2-9b"), model("llama-3.1-8b")):
        assert known.kv_bytes(tokens) <= known.kv_bytes(tokens + more) * (1 + 1e-12)
        assert known.kv_bytes(tokens) <= tokens * known.kv_bytes_per_token() * (1 + 1e-12)


def test_sparse_attention_reads_a_part_of_what_it_keeps() -> None:
    glm = model("glm-5")
    assert glm.kv_read_bytes(100_000) == glm.kv_bytes(2048) < glm.kv_bytes(100_000)


def test_recurrent_mixers_keep_a_state_of_fixed_size() -> None:
    nemotron = model("nemotron-3-nano-30b-a3b")
    assert nemotron.state_bytes() == 23 * 64 * 64 * 128 * 4
    assert model("llama-3.1-8b").state_bytes() == 0.0


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("gpt-oss-120b", 69),
        ("gpt-oss-20b", 14),
        ("deepseek-v3", 671),
        ("llama-3.1-70b", 141),
        ("llama-3.1-405b", 812),
    ],
)
def test_stored_size(name: str, gigabytes: float) -> None:
    """gpt-oss files are 65 and 14 GB on their hub: MXFP4 takes 4.25 bits where DTYPE_BYTES has NVFP4's 4.5."""
    assert model(name).weight_bytes() / 1e9 == pytest.approx(gigabytes, rel=0.03)


@pytest.mark.parametrize(
    ("written", "name", "weights"),
    [
        ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "qwen3-235b-a22b", "fp8"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b", "bf16"),
        ("Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8", "qwen3-coder-480b-a35b", "fp8"),
        ("google/gemma-3-12b-it", "gemma-3-12b", "bf16"),
        ("openai/gpt-oss-20b", "gpt-oss-20b", "fp4"),
        ("MiniMaxAI/MiniMax-M2.5", "minimax-m2", "fp8"),
        ("nvidia/Llama-3.1-8B-Instruct-FP8", "llama-3.1-8b", "fp8"),
        ("meta-llama/Meta-Llama-3.1-70B-Instruct", "llama-3.1-70b", "bf16"),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "llama-3.1-70b", "fp8"),
        ("meta-llama/Llama-2-70b-chat-hf", "llama-2-70b", "bf16"),
        ("llama2-70b-99.9", "llama-2-70b", "bf16"),
        ("llama3.1-405b", "llama-3.1-405b", "bf16"),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek-v3", "fp8"),
        ("nvidia/DeepSeek-R1-FP4", "deepseek-v3", "fp4"),
        ("mistralai/Mistral-Small-24B-Instruct-2501", "mistral-small-24b", "bf16"),
        ("mistralai/Mistral-Small-Instruct-2409", "mistral-small-22b", "bf16"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral-8x7b", "bf16"),
        ("nvidia/Llama-3_3-Nemotron-Super-49B-v1_5", "nemotron-super-49b", "bf16"),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "nemotron-3-nano-30b-a3b", "bf16"),
        ("zai-org/GLM-4.5-Air-FP8", "glm-4.5-air", "fp8"),
        ("Qwen3-32B-AWQ", "qwen3-32b", "fp4"),
        ("gptj-99", "gpt-j-6b", "bf16"),
        ("Llama-31-8B", "llama-3.1-8b", "bf16"),
        ("facebook/opt-1.3b", "opt-1.3b", "bf16"),
        ("facebook/opt-13b", "opt-13b", "bf16"),
    ],
)
def test_names_as_publishers_write_them(written: str, name: str, weights: str) -> None:
    found = model(written)
    assert (found.name, found.weights) == (name, weights)


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data/plant is not here")
@pytest.mark.parametrize(
    ("file", "column"),
    [("mlenergy_v3_llm_dev.csv", "model_id"), ("nvidia_silicon_e2e_dev.csv", "model_path"),
     ("splitwise_perf_dev.csv", "model"), ("mlperf51_llm_dev.csv", "Model")],
)  # fmt: skip
def test_every_model_of_the_public_files_is_known(file: str, column: str) -> None:
    with (SHARED / file).open(encoding="utf-8") as lines:
        written = {row[column] for row in csv.DictReader(lines)}
    assert written
    for name in written:
        assert not model(name).approximate


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    assert nearest("lama-3.1-70b")[0] == "llama-3.1-70b"
    with pytest.raises(ConfigError, match=r"Did you mean qwen3-32b"):
        model("qwen3-33b")
    with pytest.raises(ConfigError, match=r"Known are llama-7b"):
        model("zzzz")


@pytest.mark.parametrize(
    ("name", "counts"),
    [("Qwen9-33B-A4B", (33.0, 4.0)), ("foo/Bar-7B-it", (7.0, None)), ("x-1.5b", (1.5, None)), ("Llama-4-x-17B-128E", (17.0, None)),
     ("no-count", (None, None)), ("Mixtral-8x7B", (46.48, 12.88))],
)  # fmt: skip
def test_counts_in_names(name: str, counts: tuple[float | None, float | None]) -> None:
    assert counts_of(name) == counts


@settings(deadline=None, max_examples=60)
@given(total=st.floats(0.3, 1500.0), share=st.floats(0.02, 1.0))
def test_an_estimate_meets_its_counts(total: float, share: float) -> None:
    guessed = guess_model("unheard-of", total, total * share)
    assert guessed.approximate
    assert guessed.params == pytest.approx(total * 1e9)
    assert guessed.params_active == pytest.approx(total * share * 1e9)
    assert 0 <= guessed.expert_params <= 1.25 * guessed.params
    assert guessed.heads % guessed.kv_heads == 0
    assert guessed.layers >= 1
    if not guessed.experts:
        assert guessed.shape_params[0] == pytest.approx(guessed.params, rel=0.05)


def test_an_estimate_is_near_models_it_has_not_seen() -> None:
    """Each catalog model with grouped queries estimated from the others by its counts alone."""
    plain = [
        m
        for m in models()
        if not (m.approximate or m.mixer_layers or m.latent_kv_dim) and m.heads > m.kv_heads
    ]
    guesses = [
        (m, estimate("?", m.params, m.params_active, tuple(o for o in models() if o is not m))) for m in plain
    ]
    assert statistics.median(abs(g.hidden / m.hidden - 1) for m, g in guesses) < 0.2
    assert statistics.median(abs(g.layers / m.layers - 1) for m, g in guesses) < 0.2
    assert (
        statistics.median(abs(g.kv_bytes_per_token() / m.kv_bytes_per_token() - 1) for m, g in guesses) < 0.5
    )


def test_a_known_name_is_not_estimated() -> None:
    assert guess_model("Qwen/Qwen3-14B-FP8") == model("Qwen3-14B-FP8")


@pytest.mark.parametrize(("total", "active"), [(7.0, 8.0), (0.0, None), (-3.0, None), (float("nan"), None)])
def test_impossible_counts_are_refused(total: float, active: float | None) -> None:
    with pytest.raises(ConfigError, match="impossible"):
        guess_model("unheard-of", total, active)


def test_a_name_without_counts_is_refused() -> None:
    with pytest.raises(ConfigError, match="tells no parameter count"):
        guess_model("unheard-of")


def test_quantisation() -> None:
    assert quantisation_of("a/Foo-NVFP4") == "fp4"
    assert quantisation_of("Foo-W8A8") == "int8"
    assert quantisation_of("Foo-7B") is None


def test_no_two_models_share_a_spelling() -> None:
    seen: dict[str, str] = {}
    for known in models():
        for written in (known.name, *known.aliases):
            key = "".join(c for c in written.lower() if c not in " -_")
            assert seen.setdefault(key, known.name) == known.name
