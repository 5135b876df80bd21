"""Reading measurement tables, and how near the model comes to them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from plant.validation.cases import COLUMNS, Case, Unusable, find_gpu, read_cases, silicon_case
from plant.validation.predict import predict
from plant.validation.tables import ErrorTable, Pair, summarise, validate
from setpoint.errors import ConfigError, UsageError

DATA = Path(__file__).parents[4] / "shared" / "data" / "plant"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="public data absent: ../shared/data/plant")
AGG = {
    "id": "a", "backend": "vllm", "model_path": "meta-llama/Llama-3.1-70B-Instruct", "system": "l40s", "mode": "agg",
    "isl": "1024", "osl": "256", "gemm_quant_mode": "fp8", "silicon_concurrency": "16.0", "batch_size": "16.0",
    "tp_size": "4.0", "silicon_ttft_ms": "500", "silicon_tpot_ms": "40",
}  # fmt: skip
APART = {
    **AGG, "mode": "disagg", "system": "gb200_sxm", "model_path": "deepseek-ai/DeepSeek-R1", "tp_size": "",
    "prefill_tp_size": "8", "prefill_attention_dp_size": "1", "prefill_moe_ep_size": "8", "prefill_num_workers": "2",
    "decode_tp_size": "8", "decode_attention_dp_size": "8", "decode_moe_ep_size": "64", "decode_num_workers": "1",
    "silicon_concurrency": "64",
}  # fmt: skip


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        names = list(dict.fromkeys(k for row in rows for k in row))
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


@needs_data
@pytest.mark.parametrize(
    ("table", "file", "bounds"),
    [
        ("silicon", "nvidia_silicon_e2e_dev.csv", {"tpot_ms": 8.0, "ttft_ms": 26.5}),
        ("splitwise", "splitwise_perf_dev.csv", {"prompt_ms": 13.0, "token_ms": 5.0}),
        ("mlenergy", "mlenergy_v3_llm_dev.csv", {"itl_ms": 17.0, "output_tok_s": 25.5}),
        ("mlperf", "mlperf51_llm_dev.csv", {"output_tok_s": 10.5}),
        (
            "vllm-bench",
            "vllm_bench_RTXPRO6000_Llama-31-8B.csv",
            {"tpot_ms": 3.5, "ttft_ms": 15.0, "e2e_ms": 4.0},
        ),
    ],
)
def test_public_tables_stay_within_their_errors(table: str, file: str, bounds: dict[str, float]) -> None:
    """Bounds stand a little above what was measured when the constants were fitted."""
    found = validate(table, DATA / file)
    for metric, bound in bounds.items():
        assert found.overall(metric).mean_pct < bound, metric


@needs_data
def test_the_medians_lie_well_below_the_aims() -> None:
    found = validate("silicon", DATA / "nvidia_silicon_e2e_dev.csv")
    assert found.overall("tpot_ms").median_pct < 7
    assert found.overall("ttft_ms").median_pct < 25
    assert found.skipped == {"no measured concurrency": 7}


def test_a_machine_nobody_fitted_is_predicted_from_its_data_sheet(tmp_path: Path) -> None:
    found = validate("silicon", write(tmp_path / "t.csv", [AGG]))
    assert {(r.gpu, r.model) for r in found.rows} == {("all", "all"), ("L40S", "llama-3.1-70b")}
    assert found.used == 1


def test_prompts_and_answers_apart_use_both_kinds_of_worker() -> None:
    case = silicon_case(1, APART)
    assert case.decode is not None
    assert (case.deployment.gpus, case.decode.gpus, case.decode.dp, case.prefill_workers) == (8, 8, 8, 2)
    few, many = (predict(silicon_case(1, APART | {"silicon_concurrency": n})) for n in ("16", "512"))
    assert few["ttft_ms"] < many["ttft_ms"]
    assert few["tpot_ms"] < many["tpot_ms"]
    more_workers = predict(
        silicon_case(1, APART | {"silicon_concurrency": "512", "prefill_num_workers": "4"})
    )
    assert more_workers["ttft_ms"] < many["ttft_ms"]


def test_accelerators_that_the_table_counts_twice_are_counted_once() -> None:
    twice = AGG | {
        "model_path": "MiniMaxAI/MiniMax-M2.5",
        "system": "b200_sxm",
        "attention_dp_size": "4",
        "moe_ep_size": "16",
    }
    assert silicon_case(1, twice).deployment.gpus == 4


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [{k: v for k, v in AGG.items() if k not in ("isl", "tp_size")}])
    with pytest.raises(
        ConfigError, match=r"isl, tp_size missing.*Give a CSV file with the columns id, backend"
    ):
        validate("silicon", path)


def test_a_missing_file_and_an_unknown_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read"):
        validate("silicon", tmp_path / "none.csv")
    with pytest.raises(UsageError, match=r"'silicone'.*Use one of silicon, mlenergy"):
        validate("silicone", tmp_path / "none.csv")


def test_rows_that_cannot_be_used_are_counted_by_reason(tmp_path: Path) -> None:
    bad = [
        AGG | {"system": "tpu_v5"}, AGG | {"model_path": "nobody/Nothing"}, AGG | {"silicon_tpot_ms": "-3"},
        AGG | {"silicon_ttft_ms": "nan"}, AGG | {"isl": "many"}, AGG | {"silicon_concurrency": ""},
        AGG | {"tp_size": "1", "model_path": "meta-llama/Llama-3.1-405B"}, AGG | {"mode": "idle"},
    ]  # fmt: skip
    found = validate("silicon", write(tmp_path / "t.csv", [AGG, *bad]))
    assert found.used == 1
    assert sum(found.skipped.values()) == len(bad)
    assert found.skipped["unknown GPU 'tpu_v5'"] == 1
    assert found.skipped["silicon_tpot_ms is not above 0"] == 1


def test_a_file_without_a_usable_row_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown GPU 'tpu_v5' \(2 rows\)"):
        validate("silicon", write(tmp_path / "t.csv", [AGG | {"system": "tpu_v5"}] * 2))


def test_a_guessed_model_is_marked(tmp_path: Path) -> None:
    found = validate(
        "silicon", write(tmp_path / "t.csv", [AGG | {"model_path": "acme/Foo-14B", "tp_size": "1"}])
    )
    assert all(r.approximate for r in found.rows)
    assert any("estimated" in note for note in found.notes)


def test_a_bench_without_settings_or_accelerator_is_refused(tmp_path: Path) -> None:
    row = dict.fromkeys(COLUMNS["vllm-bench"], "1") | {
        "arrival_s": "0",
        "first_token_s": "0.1",
        "last_token_s": "1",
    }
    with pytest.raises(ConfigError, match="settings of the engine"):
        validate("vllm-bench", write(tmp_path / "vllm_bench_H100_x.csv", [row]))
    (tmp_path / "bench.meta.json").write_text(
        json.dumps({"engine_kwargs": {"model": "meta-llama/Llama-3.1-8B"}})
    )
    with pytest.raises(ConfigError, match=r"Name the file vllm_bench_GPU_MODEL\.csv"):
        validate("vllm-bench", write(tmp_path / "bench.csv", [row]))


def test_a_bench_replays_its_own_requests(tmp_path: Path) -> None:
    meta = {
        "engine_kwargs": {
            "model": "meta-llama/Llama-3.1-8B",
            "max_num_seqs": 8,
            "max_num_batched_tokens": 2048,
        }
    }
    (tmp_path / "vllm_bench_H100_x.meta.json").write_text(json.dumps(meta))
    rows = [
        {"request_id": str(i), "arrival_s": str(i), "input_toks": "512", "output_toks": "64", "scheduled_s": str(i),
         "first_token_s": str(i + 0.05), "last_token_s": str(i + 0.6)}
        for i in range(5)
    ]  # fmt: skip
    found = validate(
        "vllm-bench", write(tmp_path / "vllm_bench_H100_x.csv", [*rows, rows[0] | {"first_token_s": "-1"}])
    )
    assert found.used == 5
    assert found.skipped == {"times out of order": 1}
    assert found.overall("tpot_ms").n == 5


def test_errors_are_of_absolute_percentages() -> None:
    pairs = [Pair("G", "m", "x", 10.0, 12.0), Pair("G", "m", "x", 10.0, 9.0), Pair("H", "m", "x", 10.0, 10.0)]
    rows = {(r.gpu, r.metric): r for r in summarise(pairs)}
    assert rows["all", "x"].mean_pct == pytest.approx(10.0)
    assert rows["G", "x"].median_pct == pytest.approx(15.0)
    assert rows["G", "x"].bias_pct == pytest.approx(5.0)


def test_a_table_prints_and_serialises() -> None:
    table = ErrorTable("silicon", "f.csv", tuple(summarise([Pair("G", "m", "x", 10.0, 12.0)])), 1)
    assert table.lines()[0][0] == "GPU"
    assert table.lines()[1][4] == "20.0"
    assert json.loads(json.dumps(table.to_dict()))["rows"][0]["mean_pct"] == pytest.approx(20.0)
    with pytest.raises(UsageError, match="Use one of x"):
        table.overall("y")


def test_gpu_names_of_submissions_are_found() -> None:
    assert find_gpu("NVIDIA H200-SXM-141GB").name == "H200-SXM"
    assert find_gpu("Virtualized NVIDIA H200-SXM-141GB").name == "H200-SXM"
    with pytest.raises(Unusable):
        find_gpu("NVIDIA X9")


@needs_data
def test_cases_of_one_group_share_model_machine_and_software() -> None:
    cases: list[Case] = read_cases("silicon", DATA / "nvidia_silicon_e2e_dev.csv").cases
    for case in cases:
        assert case.group == f"{case.model}/{case.gpu}/{case.deployment.engine}"
