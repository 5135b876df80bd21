"""Tables of errors: what was measured in public, beside what the model says of the same rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np

from plant.hardware.gpus import Dtype, gpu
from plant.inference.deployment import Deployment
from plant.inference.engine import replay
from plant.inference.trace import make_trace
from plant.validation.cases import QUANT, TABLES, Case, Table, Unusable, check_columns, find_model, read_cases
from plant.validation.power import power_errors
from plant.validation.predict import predict
from setpoint.errors import ConfigError, UsageError

FITTED: dict[str, str] = {
    "silicon": "half of nvidia_silicon_e2e_dev.csv, by hash of the configuration",
    "mlenergy": "half of mlenergy_v3_llm_dev.csv, by hash of the configuration",
    "splitwise": "half of splitwise_perf_dev.csv, by hash of the configuration",
    "vllm-bench": "no file of this kind",
    "mlperf": "mlperf51_llm_dev.csv in one constant only, the factor of tuned software",
}
"""What of each table's development file the constants were fitted on."""


@dataclass(frozen=True)
class Errors:
    """Errors of one metric over the rows of one accelerator and model; `all` stands for every one."""

    gpu: str
    model: str
    metric: str
    n: int
    mean_pct: float
    """Mean absolute percentage error."""
    median_pct: float
    bias_pct: float
    """Median of predicted over measured, less one: positive where the model is too high."""
    approximate: bool = False
    """The shape of the model was estimated from its name."""


@dataclass(frozen=True)
class ErrorTable:
    """The errors of one file."""

    table: str
    path: str
    rows: tuple[Errors, ...]
    used: int
    skipped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def overall(self, metric: str) -> Errors:
        """The row over all accelerators and models. Raises UsageError where the file does not measure that."""
        for row in self.rows:
            if (row.gpu, row.model, row.metric) == ("all", "all", metric):
                return row
        known = sorted({r.metric for r in self.rows})
        raise UsageError(f"{self.table} has no {metric}", remedy=f"Use one of {', '.join(known)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        return asdict(self)

    def lines(self) -> list[tuple[str, ...]]:
        """Cells to print, a header first."""
        head = ("GPU", "model", "metric", "n", "mean %", "median %", "bias %")
        body = [
            (r.gpu, r.model + (" ~" if r.approximate else ""), r.metric, str(r.n), f"{r.mean_pct:.1f}",
             f"{r.median_pct:.1f}", f"{r.bias_pct:+.1f}")
            for r in self.rows
        ]  # fmt: skip
        return [head, *body]


@dataclass(frozen=True)
class Pair:
    """One measured value and what the model says of it."""

    gpu: str
    model: str
    metric: str
    measured: float
    predicted: float
    approximate: bool = False


def validate(table: str, path: Path | str) -> ErrorTable:
    """The errors of the model on every usable row of a file with that table's columns.

    Raises UsageError for an unknown table, ConfigError for a file that is missing, lacks columns or has no usable row.
    """
    kind = _table(table)
    path = Path(path)
    pairs, used, skipped, notes = _bench(path) if kind == "vllm-bench" else _rows(kind, path)
    for e in power_errors(kind, path):
        pairs.append(Pair(e.gpu, e.model, e.metric, e.measured, e.predicted))
    if not pairs:
        raise ConfigError(
            f"no row of this {kind} table can be used: "
            + "; ".join(f"{k} ({n} rows)" for k, n in skipped.items()),
            where=str(path),
            remedy="Give rows of known accelerators and models, with positive measurements",
        )
    return ErrorTable(
        kind,
        str(path),
        tuple(summarise(pairs)),
        used,
        dict(skipped),
        (f"fitted: {FITTED[kind]}", *notes),
    )


def summarise(pairs: Sequence[Pair]) -> list[Errors]:
    """Errors over all, then by accelerator and model, each by metric."""
    groups: dict[tuple[str, str, str], list[Pair]] = {}
    for p in pairs:
        for key in (("all", "all", p.metric), (p.gpu, p.model, p.metric)):
            groups.setdefault(key, []).append(p)
    ordered = sorted(groups, key=lambda k: (k[0] != "all", k))
    return [_errors(key, groups[key]) for key in ordered]


def _errors(key: tuple[str, str, str], pairs: Sequence[Pair]) -> Errors:
    ratio = np.array([p.predicted / p.measured for p in pairs])
    off = 100 * np.abs(ratio - 1)
    return Errors(
        *key, n=len(pairs), mean_pct=float(off.mean()), median_pct=float(np.median(off)),
        bias_pct=100 * float(np.median(ratio) - 1), approximate=any(p.approximate for p in pairs),
    )  # fmt: skip


def _table(name: str) -> Table:
    if name not in TABLES:
        raise UsageError(f"unknown table {name!r}", remedy=f"Use one of {', '.join(get_args(Table))}")
    return name


def _rows(kind: Table, path: Path) -> tuple[list[Pair], int, Counter[str], tuple[str, ...]]:
    """Pairs of the tables in which a row is a case."""
    found = read_cases(kind, path)
    pairs: list[Pair] = []
    used = 0
    known: dict[tuple[Any, ...], dict[str, float]] = {}
    for case in found.cases:
        try:
            said = known[_key(case)] = known.get(_key(case)) or predict(case)
        except Unusable as reason:
            found.skipped[str(reason)] += 1
            continue
        used += 1
        pairs.extend(
            Pair(case.gpu, case.model, metric, value, said[metric], case.approximate)
            for metric, value in case.measured.items()
        )
    guessed = sorted({c.model for c in found.cases if c.approximate})
    notes = (f"shapes estimated from the name: {', '.join(guessed)}",) if guessed else ()
    return pairs, used, found.skipped, notes


def _key(case: Case) -> tuple[Any, ...]:
    """What a prediction depends on: rows that repeat a case are computed once."""
    d, e = case.deployment, case.decode
    split = (d.tp, d.pp, d.dp, d.weights, d.kv, d.engine, d.max_batch, d.chunk_tokens)
    other = (e.tp, e.pp, e.dp, e.weights, e.kv, case.prefill_workers, case.decode_workers) if e else ()
    return (
        case.model, case.gpu, *split, *other, case.isl, case.osl, case.concurrency, case.spread, case.rounds,
        case.profile, case.scenario, tuple(case.measured),
    )  # fmt: skip


def _bench(path: Path) -> tuple[list[Pair], int, Counter[str], tuple[str, ...]]:
    """Pairs of a vLLM run, request by request: the same requests at the same instants are put through the engine.

    Beside the file lies `NAME.meta.json` with the engine's settings; the accelerator is read from the file's name.
    """
    d, replicas = _bench_deployment(path)
    rows, skipped = _bench_rows(path)
    rows.sort(key=lambda r: r["arrival_s"])
    columns = {name: np.array([r[name] for r in rows]) for name in rows[0]} if rows else {}
    if not rows:
        return [], 0, skipped, ()
    trace = make_trace(
        columns["arrival_s"],
        columns["input_toks"].astype(int),
        columns["output_toks"].astype(int),
        name=path.stem,
    )
    seen = replay(d, trace, replicas)
    first, last, outs = columns["first_token_s"], columns["last_token_s"], columns["output_toks"]
    measured = {
        "ttft_ms": first - columns["arrival_s"], "tpot_ms": (last - first) / np.maximum(outs - 1, 1),
        "e2e_ms": last - columns["arrival_s"],
    }  # fmt: skip
    said = {"ttft_ms": seen.ttft_s, "tpot_ms": seen.tpot_s, "e2e_ms": seen.e2e_s}
    pairs: list[Pair] = []
    for metric, values in measured.items():
        good = np.isfinite(said[metric]) & (values > 0) & (outs > 1)
        pairs.extend(Pair(d.gpu.name, d.model.name, metric, 1e3 * m, 1e3 * p)
                     for m, p in zip(values[good], said[metric][good], strict=True))  # fmt: skip
        pairs.append(
            Pair(
                d.gpu.name,
                d.model.name,
                f"mean {metric}",
                1e3 * values[good].mean(),
                1e3 * said[metric][good].mean(),
            )
        )
    rate = outs.sum() / last.max()
    pairs.append(Pair(d.gpu.name, d.model.name, "output_tok_s", float(rate), seen.tokens_per_s))
    return pairs, len(rows), skipped, ("request by request; `mean` compares the means over all requests",)


def _bench_rows(path: Path) -> tuple[list[dict[str, float]], Counter[str]]:
    """Requests with finite, ordered times."""
    rows: list[dict[str, float]] = []
    skipped: Counter[str] = Counter()
    names = ("arrival_s", "input_toks", "output_toks", "first_token_s", "last_token_s")
    for row in check_columns("vllm-bench", path):
        try:
            values = {name: float(row[name]) for name in names}
        except ValueError:
            skipped["a cell is no number"] += 1
            continue
        if not (0 <= values["arrival_s"] < values["first_token_s"] <= values["last_token_s"] < 1e9):
            skipped["times out of order"] += 1
        elif values["input_toks"] < 1 or values["output_toks"] < 1:
            skipped["no tokens"] += 1
        else:
            rows.append(values)
    return rows, skipped


def _bench_deployment(path: Path) -> tuple[Deployment, int]:
    """The instance that the meta file and the file's name describe, and how many of it."""
    meta_path = path.with_suffix(".meta.json")
    try:
        meta = json.loads(meta_path.read_text(encoding="utf-8"))
        k: Mapping[str, Any] = meta["engine_kwargs"]
        name = str(k.get("model") or meta["model"])
    except (OSError, ValueError, KeyError, TypeError) as why:
        raise ConfigError(
            f"no settings of the engine ({why})", where=str(meta_path),
            remedy='Put a JSON file there with "engine_kwargs": {"model": ..., "tensor_parallel_size": ...}',
        ) from why  # fmt: skip
    try:
        shape = find_model(name)
    except Unusable as why:
        raise ConfigError(str(why), where=str(meta_path), remedy="Name a model of the catalog") from why
    weights = _settled(k.get("quantization"), shape.weights if "fp8" in name.lower() else "bf16")
    dp = int(k.get("data_parallel_size") or 1)
    d = Deployment(
        model=shape, gpu=gpu(_gpu_in(path)), tp=int(k.get("tensor_parallel_size") or 1), pp=int(k.get("pipeline_parallel_size") or 1),
        dp=dp if shape.experts else 1, weights=weights, kv=_settled(k.get("kv_cache_dtype"), "bf16"), engine="vllm",
        max_batch=int(k.get("max_num_seqs") or 256), chunk_tokens=int(k.get("max_num_batched_tokens") or 2048),
        max_len=int(k.get("max_model_len") or 32768), memory_share=float(k.get("gpu_memory_utilization") or 0.9),
    )  # fmt: skip
    return d, 1 if shape.experts else dp


def _settled(text: Any, default: Dtype) -> Dtype:
    """A precision of the engine's settings; `auto`, none and unknown mean the default."""
    low = str(text or "auto").lower()
    return default if low == "auto" else QUANT.get(low, "fp8" if low.startswith("fp8") else default)


def _gpu_in(path: Path) -> str:
    """The accelerator named in `vllm_bench_GPU_MODEL.csv`."""
    parts = path.stem.split("_")
    for size in (3, 2, 1):
        for start in range(len(parts) - size + 1):
            text = " ".join(parts[start : start + size])
            if _known_gpu(text):
                return text
    raise ConfigError(
        f"no accelerator in the name {path.name!r}",
        where=str(path),
        remedy="Name the file vllm_bench_GPU_MODEL.csv",
    )


def _known_gpu(text: str) -> bool:
    try:
        gpu(text)
    except ConfigError:
        return False
    return True
