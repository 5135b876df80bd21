"""Rows of public measurement tables, read as cases of the model: a deployment, a load, and what was measured."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from plant.hardware.gpus import Dtype, Gpu, gpu
from plant.hardware.models import Model, guess_model, model
from plant.inference.deployment import Deployment, Engine
from setpoint.errors import ConfigError

Table = Literal["silicon", "mlenergy", "splitwise", "vllm-bench", "mlperf"]
TABLES: tuple[Table, ...] = ("silicon", "mlenergy", "splitwise", "vllm-bench", "mlperf")
COLUMNS: dict[Table, tuple[str, ...]] = {
    "silicon": (
        "id", "backend", "model_path", "system", "mode", "isl", "osl", "gemm_quant_mode", "silicon_concurrency",
        "batch_size", "tp_size", "silicon_ttft_ms", "silicon_tpot_ms",
    ),
    "mlenergy": (
        "task", "model_id", "weight_precision", "gpu_model", "num_gpus", "tensor_parallel", "max_num_seqs",
        "avg_output_len", "output_throughput_tokens_per_sec", "median_itl_ms",
    ),
    "splitwise": (
        "model", "hardware", "tensor_parallel", "prompt_size", "batch_size", "token_size", "prompt_time",
        "token_time", "e2e_time",
    ),
    "vllm-bench": (
        "request_id", "arrival_s", "input_toks", "output_toks", "scheduled_s", "first_token_s", "last_token_s",
    ),
    "mlperf": (
        "Accelerator", "a#", "Nodes", "Model", "Scenario", "weight_data_types", "Software", "Performance_Result",
        "Performance_Units",
    ),
}  # fmt: skip
"""Columns each table must have."""


@dataclass(frozen=True)
class Case:
    """One row of a table, ready to be modelled."""

    row: str
    """Its id, or line number."""
    gpu: str
    model: str
    deployment: Deployment
    isl: float
    osl: float
    concurrency: int
    measured: dict[str, float]
    """By metric: ttft_ms, tpot_ms, itl_ms, prompt_ms, token_ms, output_tok_s, e2e_ms."""
    decode: Deployment | None = None
    """Where prompts and answers are computed apart."""
    prefill_workers: int = 1
    decode_workers: int = 1
    profile: str | None = None
    """Software, where it is another than the deployment's engine of today."""
    spread: float = 0.0
    """Lengths lie evenly between (1 - spread) and 1 times the longest."""
    mean_lengths: bool = True
    """Whether isl and osl are means; else the longest."""
    cached_pu: float = 0.0
    """Share of each prompt that the prefix cache holds."""
    rounds: int = 10
    scenario: str = ""
    limits: tuple[float, ...] = ()
    """99th-percentile limits of the scenario: ttft ms, tpot ms."""
    group: str = ""
    """Cases of one group share model, machine and software: they are left out together in cross-validation."""
    approximate: bool = False
    """The model's shape was estimated."""


@dataclass
class Cases:
    """Usable rows, and why the others were left out."""

    cases: list[Case] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


class Unusable(Exception):
    """A row that the table reader leaves out; the text says why and is counted."""


def read_cases(table: Table, path: Path) -> Cases:
    """Every usable row of the file. Raises ConfigError where the file or its columns are wrong."""
    found = Cases()
    reader = READERS[table]
    for line, row in _rows(table, path):
        try:
            found.cases.append(reader(line, row))
        except Unusable as reason:
            found.skipped[str(reason)] += 1
    return found


def open_table(path: Path) -> csv.DictReader[str]:
    """A CSV file by its header. Raises ConfigError where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as why:
        raise ConfigError(
            f"cannot read the table: {getattr(why, 'strerror', None) or why}",
            where=str(path),
            remedy="Give a CSV file in UTF-8",
        ) from why
    return csv.DictReader(text.splitlines())


def _rows(table: Table, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows with their line numbers, after a check of the header."""
    reader = open_table(path)
    missing = [name for name in COLUMNS[table] if name not in (reader.fieldnames or ())]
    if missing:
        raise ConfigError(
            f"not a {table} table: column {', '.join(missing)} missing",
            where=str(path),
            remedy=f"Give a CSV file with the columns {', '.join(COLUMNS[table])}",
        )
    for row in reader:
        yield reader.line_num, {k: (v or "").strip() for k, v in row.items() if k is not None}


def check_columns(table: Table, path: Path) -> list[dict[str, str]]:
    """Every row of the file as text. Raises ConfigError where the file or its columns are wrong."""
    return [row for _, row in _rows(table, path)]


def number(row: Mapping[str, str], name: str, default: float | None = None) -> float:
    """A finite value of that column. Raises Unusable where it is empty (without default) or no number."""
    text = row.get(name, "")
    if text == "" and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        raise Unusable(f"{name} is {'empty' if text == '' else 'not a number'}") from None
    if not abs(value) < 1e15:
        raise Unusable(f"{name} is not finite")
    return value


def positive(row: Mapping[str, str], name: str, default: float | None = None) -> float:
    """A value above 0 of that column."""
    value = number(row, name, default)
    if value <= 0:
        raise Unusable(f"{name} is not above 0")
    return value


def _count(row: Mapping[str, str], name: str) -> int:
    """A whole number of at least 1; empty and 0 mean 1 (the silicon table leaves unused dimensions so)."""
    return max(1, round(number(row, name, 1.0)))


def find_gpu(name: str) -> Gpu:
    """The accelerator of the catalog, also with maker and memory size around its name. Raises Unusable."""
    bare = name.replace("NVIDIA", "").replace("Virtualized", "").strip()
    for text in (bare, bare.split("(")[0].strip()):
        try:
            return gpu(text)
        except ConfigError:
            continue
    raise Unusable(f"unknown GPU {name!r}")


def find_model(name: str, total_b: float | None = None, active_b: float | None = None) -> Model:
    """The model of the catalog or, marked approximate, one guessed from its name and counts. Raises Unusable."""
    try:
        return model(name)
    except ConfigError:
        pass
    try:
        return guess_model(name, total_b, active_b)
    except ConfigError as why:
        raise Unusable(f"unknown model {name!r}") from why


QUANT: dict[str, Dtype] = {
    "bfloat16": "bf16", "float16": "bf16", "bf16": "bf16", "fp16": "bf16", "": "bf16", "fp8": "fp8",
    "fp8_block": "fp8", "fp8_static": "fp8", "fp8_ootb": "fp8", "nvfp4": "fp4", "fp4": "fp4", "mxfp4": "fp4",
    "w4a16_mxfp4": "fp4", "w4a8_mxfp4_mxfp8": "fp4", "int8": "int8", "int8_wo": "int8", "sq": "int8",
    "int4_wo": "fp4", "w4afp8": "fp4", "w4a16": "fp4", "fp32": "fp32", "float32": "fp32",
}  # fmt: skip
"""Names of precisions in the tables. 4-bit integers count as fp4, of the same width."""


def _dtype(text: str, fallback: Dtype) -> Dtype:
    key = text.lower()
    return fallback if key == "" else QUANT.get(key, fallback)


def _engine(text: str) -> Engine:
    """The modelled engine nearest to the named one."""
    low = text.lower()
    if "sglang" in low:
        return "sglang"
    return "trtllm" if "tensorrt" in low or "trt" in low else "vllm"


def cache_dtype(found: Gpu, weights: Dtype, engine: Engine) -> Dtype:
    """The cache's type that the public recipes choose: bytes on Blackwell and in quantised TensorRT-LLM, else bf16.

    Read off where the silicon rows run out of cache: MiniMax-M2.5 on 2 B200 holds about 100 requests of 7,834
    tokens (one byte a value), on 4 H100 about 30 (two bytes).
    """
    narrow = weights in ("fp8", "fp4")
    if narrow and (found.arch.startswith("blackwell") or engine == "trtllm"):
        return "fp8"
    return "bf16"


CHUNK: dict[str, int] = {"vllm": 4096, "sglang": 16384, "trtllm": 4096}
"""Token budget of one step in the published recipes and the engines' defaults for these accelerators."""


def silicon_case(line: int, row: Mapping[str, str]) -> Case:
    """A closed loop at fixed concurrency on real machines, measured by NVIDIA's and InferenceX's clients."""
    if row["mode"] == "disagg":
        return _silicon_apart(row)
    if row["mode"] not in ("agg", ""):
        raise Unusable(f"mode {row['mode']!r}")
    clients = number(row, "silicon_concurrency", 0.0)
    if clients < 1:
        raise Unusable("no measured concurrency")
    d = _silicon_deployment(row, "", round(clients))
    return _silicon(row, d, round(clients))


def _silicon_apart(row: Mapping[str, str]) -> Case:
    """A row of separate prompt and answer workers."""
    clients = number(row, "silicon_concurrency", 0.0)
    workers = _count(row, "decode_num_workers")
    if clients < 1:
        clients = positive(row, "decode_batch_size") * workers * _count(row, "decode_attention_dp_size")
    prefill = _silicon_deployment(row, "prefill_", round(clients)).model_copy(update={"role": "prefill"})
    decode = _silicon_deployment(row, "decode_", round(clients)).model_copy(update={"role": "decode"})
    return _silicon(row, prefill, round(clients), decode, _count(row, "prefill_num_workers"), workers)


def _silicon_deployment(row: Mapping[str, str], phase: str, clients: int) -> Deployment:
    """The instance of a row, or of one of its phases.

    Where attention data parallel equals tensor parallel the table counts the same accelerators twice (its rows with
    tp 4, attention dp 4, expert ways 16 take as long as tp 4, expert ways 4 on one H100 node).
    """
    found, shape = find_gpu(row["system"]), find_model(row["model_path"])
    weights = _dtype(row.get("gemm_quant_mode", "") or row.get("precision", ""), shape.weights)
    if shape.experts and row.get("moe_quant_mode"):
        weights = _dtype(row["moe_quant_mode"], weights)
    engine = _engine(row["backend"])
    tp, dp = _count(row, f"{phase}tp_size"), _count(row, f"{phase}attention_dp_size")
    if dp > 1 and (tp == dp or _count(row, f"{phase}moe_ep_size") == tp * dp * dp):
        tp = 1
    return Deployment(
        model=shape, gpu=found, tp=tp, dp=dp, pp=_count(row, f"{phase}pp_size"), ep=_count(row, f"{phase}moe_ep_size"),
        weights=weights, kv=_stored_cache(row) or cache_dtype(found, weights, engine), engine=engine,
        max_batch=max(256, clients),
        chunk_tokens=_budget(row, engine, clients),
    )  # fmt: skip


def _stored_cache(row: Mapping[str, str]) -> Dtype | None:
    """NVIDIA's own FP8 checkpoints ask for a byte-wide cache in their quantisation settings."""
    name = row["model_path"].lower()
    return "fp8" if name.startswith("nvidia/") and "fp8" in name else None


def _budget(row: Mapping[str, str], engine: Engine, clients: int) -> int:
    """Token budget of a step: the engine's, room for all running sequences, and two whole prompts where uncut."""
    whole = 2 * positive(row, "isl") if engine == "trtllm" else 0.0
    return max(CHUNK[engine], clients + 512, round(whole))


REPEATED_PROMPTS = 0.8
"""Share of the prompts that vLLM's prefix cache held in NVIDIA's runs with round lengths (1000, 2000, ...): their
answers come as fast as if so much of each prompt cost nothing, whatever its length; set by eye on the 21 rows of Llama-3.1-8B on H200."""


def _silicon(
    row: Mapping[str, str], d: Deployment, clients: int, decode: Deployment | None = None, prefills: int = 1,
    decodes: int = 1,
) -> Case:  # fmt: skip
    """The measurement beside its deployment."""
    isl, osl = positive(row, "isl"), positive(row, "osl")
    public = isl in (1024, 8192) and osl in (1024, 8192) and d.model.experts > 0
    even = isl % 1000 == 0
    return Case(
        row=row["id"], gpu=d.gpu.name, model=d.model.name, deployment=d, isl=isl, osl=osl, concurrency=clients,
        measured={"ttft_ms": positive(row, "silicon_ttft_ms"), "tpot_ms": positive(row, "silicon_tpot_ms")},
        decode=decode, prefill_workers=prefills, decode_workers=decodes, spread=0.2 if public else 0.1 if even else 0.0, mean_lengths=not public,
        cached_pu=REPEATED_PROMPTS if even and d.engine == "vllm" else 0.0, rounds=10 if public else 8,
        scenario=row["mode"] or "agg", group="/".join((d.model.name, d.gpu.name, d.engine)),
        approximate=d.model.approximate,
    )  # fmt: skip


PROMPT_TOKENS = {"lm-arena-chat": 280.0, "gpqa": 300.0, "sourcegraph-fim": 2000.0}
"""Mean prompt by task, which the table does not hold [m: from the public data sets]."""


FP8_EXPERTS = "vllm-2025"
"""Overheads of ML.ENERGY's rows of experts in fp8, measured on vLLM of 2025: Qwen3-235B-A22B takes 10 to 20 ms a token
longer than with the kernels of the silicon table (vLLM 0.16 to 0.19, MiniMax-M2.5), on H100 and B200, 2 to 8 ways and 8 to
256 sequences alike; experts in bf16 and in mxfp4 do not. Taken to be untuned block-scaled kernels."""


def mlenergy_case(line: int, row: Mapping[str, str]) -> Case:
    """A saturated server: `max_num_seqs` sequences run all the time.

    Rows with `tensor_parallel` 1 and experts over all accelerators ran attention tensor parallel: read as data
    parallel, their times would not grow with batch as they do.
    """
    total, active = number(row, "total_params_billions", 0.0), number(row, "activated_params_billions", 0.0)
    shape, found = find_model(row["model_id"], total or None, active or None), find_gpu(row["gpu_model"])
    weights = _dtype(row["weight_precision"], shape.weights)
    gpus, dp = _count(row, "num_gpus"), _count(row, "data_parallel")
    tp = max(1, gpus // dp)
    batch, clients = (
        round(positive(row, "avg_batch_size", positive(row, "max_num_seqs"))),
        round(positive(row, "max_num_seqs")),
    )
    d = Deployment(
        model=shape, gpu=found, tp=tp, dp=dp, ep=_count(row, "expert_parallel"), weights=weights, kv="bf16", engine="vllm", max_batch=max(clients, 1),
        chunk_tokens=8192 if found.memory_bytes > 7e10 else 2048,
    )  # fmt: skip
    osl = positive(row, "avg_output_len")
    measured = {
        "itl_ms": positive(row, "median_itl_ms"),
        "output_tok_s": positive(row, "output_throughput_tokens_per_sec"),
    }
    return Case(
        row=f"line {line}", gpu=found.name, model=shape.name, deployment=d, isl=PROMPT_TOKENS.get(row["task"], 300.0),
        osl=osl, concurrency=max(batch, 1), measured=measured, spread=0.9, rounds=4, scenario=row["task"],
        profile=FP8_EXPERTS if shape.experts and weights == "fp8" else None,
        group="/".join((shape.name, found.name, "mlenergy")), approximate=shape.approximate,
    )  # fmt: skip


def splitwise_case(line: int, row: Mapping[str, str]) -> Case:
    """One static batch on the software of 2023: prompts of all sequences, then one token each a step."""
    shape, found = find_model(row["model"]), find_gpu(row["hardware"])
    d = Deployment(
        model=shape, gpu=found, tp=_count(row, "tensor_parallel"), engine="vllm", max_batch=512, max_len=32768,
        chunk_tokens=2048,
    )  # fmt: skip
    batch = round(positive(row, "batch_size"))
    prompt, tokens = positive(row, "prompt_size"), positive(row, "token_size")
    return Case(
        row=f"line {line}", gpu=found.name, model=shape.name, deployment=d, isl=prompt, osl=tokens, concurrency=batch,
        measured={"prompt_ms": positive(row, "prompt_time"), "token_ms": positive(row, "token_time")},
        profile="eager", rounds=1, group="/".join((shape.name, found.name, "splitwise")), approximate=shape.approximate,
    )  # fmt: skip


@dataclass(frozen=True)
class Task:
    """An MLPerf Inference task: mean lengths in tokens and limits of its scenarios (ttft ms, tpot ms)."""

    isl: float
    osl: float
    limits: dict[str, tuple[float, float]]


MLPERF: dict[str, Task] = {
    "llama2-70b": Task(294, 294, {"Server": (2000, 200), "Interactive": (450, 40)}),
    "llama3.1-8b": Task(778, 73, {"Server": (2000, 100), "Interactive": (500, 30)}),
    "llama3.1-405b": Task(9400, 680, {"Server": (6000, 175), "Interactive": (4500, 80)}),
    "mixtral-8x7b": Task(360, 145, {"Server": (2000, 200)}),
    "deepseek-r1": Task(800, 3880, {"Server": (2000, 80)}),
}
"""OpenOrca, CNN-DailyMail, long-context mix, three mixed sets, and reasoning sets. Limits: MLPerf Inference rules 5.1
(99th percentiles). Mean lengths are remembered figures [m]; the tables hold none."""


def mlperf_case(line: int, row: Mapping[str, str]) -> Case:
    """Output tokens a second of a whole system, the submitter having chosen split and batch."""
    name = row["Model"].lower()
    known = [key for key in MLPERF if name.startswith(key)]
    if not known:
        raise Unusable(f"no lengths known of MLPerf task {row['Model']!r}")
    scenario = row["Scenario"]
    if scenario not in ("Offline", "Server", "Interactive") or (
        scenario != "Offline" and scenario not in MLPERF[known[0]].limits
    ):
        raise Unusable(f"scenario {scenario!r} of {known[0]}")
    found, shape, task = find_gpu(row["Accelerator"]), find_model(known[0]), MLPERF[known[0]]
    native: Dtype = "fp8" if "fp8" in found.flops else "bf16"
    weights = _dtype("" if row["weight_data_types"] == "UNSET" else row["weight_data_types"], native)
    engine = _engine(row["Software"])
    total = _count(row, "a#") * _count(row, "Nodes")
    d = Deployment(
        model=shape, gpu=found, weights=weights, kv=cache_dtype(found, weights, engine), engine=engine, max_batch=2048,
        max_len=int(task.isl + 2 * task.osl), chunk_tokens=8192,
    )  # fmt: skip
    return Case(
        row=f"line {line}", gpu=found.name, model=shape.name, deployment=d, isl=task.isl, osl=task.osl,
        profile="tuned", concurrency=total, measured={"output_tok_s": positive(row, "Performance_Result")}, spread=0.5, rounds=3,
        scenario=scenario, limits=task.limits.get(scenario, ()), group="/".join((shape.name, found.name, "mlperf")), approximate=shape.approximate,
    )  # fmt: skip


READERS: dict[str, Callable[[int, Mapping[str, str]], Case]] = {
    "silicon": silicon_case,
    "mlenergy": mlenergy_case,
    "splitwise": splitwise_case,
    "mlperf": mlperf_case,
}
