"""Request traces: who arrives when, with how many tokens; read from CSV, drawn from a rate, or made up by a seed."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from setpoint.errors import InputError, UsageError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MAX_TOKENS = 10_000_000
"""Longest prompt or answer accepted; more is a wrong column."""
MAX_REQUESTS = 20_000_000
MOONCAKE_BLOCK = 512
"""Tokens of a block in the Mooncake traces (n_blocks512)."""
GAP_S = 600.0
"""A silence so long is worth a note, where it also is 50 times the mean distance."""
REQUIRED = ("arrival_s", "input_toks", "output_toks")
OPTIONAL = ("priority", "prefix_toks", "prefix_group", "n_blocks512", "prefix_hit_blocks_inf_cache")


@dataclass(frozen=True)
class Trace:
    """One place a request, sorted by arrival. Arrays are aligned; they are not to be written to."""

    arrival_s: FloatArray
    prompt_tokens: IntArray
    output_tokens: IntArray
    priority: IntArray
    """Lower goes first, as in vLLM."""
    prefix_tokens: IntArray
    """Leading tokens of the prompt that an infinite cache would already have."""
    prefix_group: IntArray
    """Which prefix that is; -1: unknown, taken as lying in a store behind the host link."""
    name: str = "trace"
    notes: tuple[str, ...] = field(default=())
    """What a reader of the file should know, such as long gaps."""

    def __len__(self) -> int:
        return len(self.arrival_s)

    @property
    def span_s(self) -> float:
        """From the first arrival to the last."""
        return float(self.arrival_s[-1] - self.arrival_s[0]) if len(self) else 0.0

    @property
    def rate_rps(self) -> float:
        """Mean arrivals a second; 0 for a single instant."""
        return (len(self) - 1) / self.span_s if self.span_s > 0 else 0.0

    @property
    def longest(self) -> int:
        """Longest sequence, prompt and answer."""
        return int((self.prompt_tokens + self.output_tokens).max()) if len(self) else 0

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Trace:
        """The requests at these places, in order."""
        return replace(
            self, arrival_s=self.arrival_s[which], prompt_tokens=self.prompt_tokens[which],
            output_tokens=self.output_tokens[which], priority=self.priority[which],
            prefix_tokens=self.prefix_tokens[which], prefix_group=self.prefix_group[which],
        )  # fmt: skip

    def scaled(self, factor: float) -> Trace:
        """The same requests at `factor` times the rate."""
        if not (math.isfinite(factor) and factor > 0):
            raise UsageError(
                f"rate factor {factor} is not a positive number", remedy="Use 2 for twice the rate"
            )
        start_s = self.arrival_s[:1]
        return replace(self, arrival_s=start_s + (self.arrival_s - start_s) / factor)

    def repeat(self, times: int) -> Trace:
        """The trace so many times, one after the other at the same mean rate; prefixes stay shared."""
        if times < 1 or times * len(self) > MAX_REQUESTS:
            raise UsageError(
                f"{times} times {len(self)} requests", remedy=f"At most {MAX_REQUESTS:,} requests"
            )
        period_s = self.span_s + (1.0 / self.rate_rps if self.rate_rps else 1.0)
        offsets_s = np.repeat(np.arange(times) * period_s, len(self))
        many = self.take(np.tile(np.arange(len(self)), times))
        return replace(many, arrival_s=many.arrival_s + offsets_s, name=f"{self.name} x {times}")


def make_trace(
    arrival_s: FloatArray,
    prompt_tokens: IntArray,
    output_tokens: IntArray,
    *,
    priority: IntArray | None = None,
    prefix_tokens: IntArray | None = None,
    prefix_group: IntArray | None = None,
    name: str = "trace",
) -> Trace:
    """A checked trace from arrays. Raises InputError that names the first wrong place (counted from 0)."""
    count = len(arrival_s)
    whole = [
        np.zeros(count, np.int64) if a is None else np.asarray(a, np.int64) for a in (priority, prefix_tokens)
    ]
    group = np.full(count, -1, np.int64) if prefix_group is None else np.asarray(prefix_group, np.int64)
    trace = Trace(
        np.asarray(arrival_s, np.float64), np.asarray(prompt_tokens, np.int64),
        np.asarray(output_tokens, np.int64), whole[0], whole[1], group, name,
    )  # fmt: skip
    _check(trace, [], name)
    return trace


def read_trace(path: str | Path, *, sort: bool = False) -> Trace:
    """A trace from CSV: arrival_s, input_toks, output_toks; optional priority, prefix_toks, prefix_group.

    Of the Mooncake columns, prefix_hit_blocks_inf_cache gives the prefix in blocks of 512. Raises InputError with
    file, line and remedy. `sort`: put unsorted arrivals in order in place of refusing them.
    """
    path = Path(path)
    columns = _read_columns(path, REQUIRED, OPTIONAL)
    lines = columns.pop("line").astype(np.int64)
    whole = {name: _whole(columns[name], lines, name, path) for name in columns if name != "arrival_s"}
    count = len(lines)
    prefix = whole.get("prefix_toks")
    if prefix is None and "prefix_hit_blocks_inf_cache" in whole:
        prefix = np.minimum(
            np.maximum(whole["prefix_hit_blocks_inf_cache"], 0) * MOONCAKE_BLOCK, whole["input_toks"]
        )
    zeros = np.zeros(count, np.int64)
    trace = Trace(
        columns["arrival_s"], whole["input_toks"], whole["output_toks"], whole.get("priority", zeros),
        zeros if prefix is None else prefix, whole.get("prefix_group", np.full(count, -1, np.int64)), path.stem,
    )  # fmt: skip
    if sort:
        order = np.argsort(trace.arrival_s, kind="stable")
        trace, lines = trace.take(order), lines[order]
    _check(trace, lines, str(path))
    return replace(trace, notes=_gaps(trace, lines))


def _check(trace: Trace, lines: IntArray | list[str], where: str) -> None:
    """Raises InputError at the first request that cannot be."""
    if len(trace) == 0:
        raise InputError("no request", where=where, remedy="Give at least one line below the header")
    if len(trace) > MAX_REQUESTS:
        raise InputError(
            f"{len(trace):,} requests", where=where, remedy=f"At most {MAX_REQUESTS:,}; cut the file"
        )
    t = trace.arrival_s
    _refuse(~np.isfinite(t) | (t < 0), t, "arrival_s", "seconds from the start, 0 or more", lines, where)
    limits = ((trace.prompt_tokens, "input_toks", 1), (trace.output_tokens, "output_toks", 1),
              (trace.prefix_tokens, "prefix_toks", 0))  # fmt: skip
    for tokens, name, least in limits:
        wanted = f"{least} to {MAX_TOKENS:,} tokens"
        _refuse((tokens < least) | (tokens > MAX_TOKENS), tokens, name, wanted, lines, where)
    over = trace.prefix_tokens > trace.prompt_tokens
    _refuse(over, trace.prefix_tokens, "prefix_toks", "at most input_toks", lines, where)
    _refuse(
        np.abs(trace.priority) > 1_000_000, trace.priority, "priority", "-1000000 to 1000000", lines, where
    )
    _refuse(trace.prefix_group < -1, trace.prefix_group, "prefix_group", "0 or more, or -1", lines, where)
    back = np.flatnonzero(np.diff(t) < 0)
    if len(back):
        at = int(back[0]) + 1
        raise InputError(
            f"arrival_s {t[at]:g} comes before {t[at - 1]:g}: the trace is not sorted", where=_at(where, lines, at),
            remedy="Sort the file by arrival_s, or read it with --sort (in Python: sort=True)",
        )  # fmt: skip


def _at(where: str, lines: IntArray | list[str], place: int) -> str:
    return f"{where}, line {int(lines[place])}" if len(lines) else f"{where}, request {place}"


def _refuse(
    bad: NDArray[np.bool_],
    values: FloatArray | IntArray,
    name: str,
    wanted: str,
    lines: IntArray | list[str],
    where: str,
) -> None:
    places = np.flatnonzero(bad)
    if len(places):
        at = int(places[0])
        more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
        raise InputError(
            f"{name} is {values[at]:g}{more}", where=_at(where, lines, at), remedy=f"Wanted: {wanted}"
        )


def _gaps(trace: Trace, lines: IntArray) -> tuple[str, ...]:
    apart_s = np.diff(trace.arrival_s)
    if not len(apart_s):
        return ()
    longest = int(np.argmax(apart_s))
    if apart_s[longest] < max(GAP_S, 50 * float(apart_s.mean())):
        return ()
    return (f"no arrival for {apart_s[longest]:.0f} s before line {int(lines[longest + 1])}",)


def _whole(values: FloatArray, lines: IntArray, name: str, path: Path) -> IntArray:
    _refuse(
        ~np.isfinite(values) | (values != np.round(values)), values, name, "a whole number", lines, str(path)
    )
    _refuse(np.abs(values) > 2**53, values, name, f"at most {MAX_TOKENS:,}", lines, str(path))
    return values.astype(np.int64)


def _read_columns(
    path: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, FloatArray]:
    """The named columns as floats, and `line`, the line each row stands on."""
    rows = _rows(path)
    header = [name.strip().lower() for name in next(rows, (0, []))[1]]
    missing = [name for name in required if name not in header]
    if missing:
        found = ", ".join(header[:12]) or "nothing"
        raise InputError(
            f"column {missing[0]} is missing; found {found}", where=f"{path}, line 1",
            remedy=f"The first line names the columns: {','.join(required)}",
        )  # fmt: skip
    wanted = {name: header.index(name) for name in (*required, *optional) if name in header}
    out: dict[str, list[float]] = {name: [] for name in ("line", *wanted)}
    for line, cells in rows:
        if not cells:
            continue
        if len(cells) != len(header):
            raise InputError(
                f"{len(cells)} cells, the header names {len(header)}", where=f"{path}, line {line}",
                remedy="Give each line one cell for each column",
            )  # fmt: skip
        out["line"].append(line)
        for name, place in wanted.items():
            out[name].append(_number(cells[place], name, path, line))
    return {name: np.array(values, np.float64) for name, values in out.items()}


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            for cells in reader:
                yield reader.line_num, cells
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", where=str(path), remedy="Save it as UTF-8 CSV") from error
    except csv.Error as error:
        raise InputError(f"is not CSV: {error}", where=str(path), remedy="Save it as UTF-8 CSV") from error
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", where=str(path), remedy="Check the path"
        ) from error


def _number(cell: str, name: str, path: Path, line: int) -> float:
    try:
        return float(cell)
    except ValueError as error:
        what = f"{name} is {cell[:40]!r}, not a number"
        raise InputError(what, where=f"{path}, line {line}", remedy="Write it as 12.5") from error


@dataclass(frozen=True)
class Lengths:
    """Log-normal lengths of prompts and answers, cut at `longest`."""

    prompt_median: float = 1020.0
    prompt_sigma: float = 1.05
    output_median: float = 129.0
    output_sigma: float = 1.05
    longest: int = 8192
    """Of each, in tokens. Medians: the Azure 2023 conversation trace (CC BY 4.0); sigmas give near its means."""

    def draw(self, count: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """`count` prompt and answer lengths, 1 to `longest` tokens."""
        pairs = ((self.prompt_median, self.prompt_sigma), (self.output_median, self.output_sigma))
        drawn = [np.exp(rng.normal(math.log(m), s, count)) for m, s in pairs]
        prompt, output = (np.clip(np.round(d), 1, self.longest).astype(np.int64) for d in drawn)
        return prompt, output


CHAT = Lengths()


def read_rates(path: str | Path) -> tuple[FloatArray, FloatArray]:
    """A file of rates: times in seconds, rising, and requests a second from each to the next; arrays of one length.

    Raises InputError for a negative or NaN rate, and for times that do not rise.
    """
    path = Path(path)
    columns = _read_columns(path, ("t_s", "rps"))
    lines, t, rate = columns["line"].astype(np.int64), columns["t_s"], columns["rps"]
    _refuse(~np.isfinite(rate) | (rate < 0), rate, "rps", "a rate of 0 or more", lines, str(path))
    _refuse(~np.isfinite(t), t, "t_s", "seconds", lines, str(path))
    if len(t) < 1 or np.any(np.diff(t) <= 0):
        at = int(np.argmax(np.diff(t) <= 0)) + 1 if len(t) > 1 else 0
        what = "t_s does not grow" if len(t) else "no rate"
        raise InputError(what, where=_at(str(path), lines, at) if len(t) else str(path), remedy="Sort by t_s")
    return t, rate


def trace_from_rate(
    path: str | Path,
    seed: int,
    *,
    lengths: Lengths | Trace = CHAT,
    factor: float = 1.0,
    start_s: float = 0.0,
    hours: float | None = None,
    regular: bool = False,
) -> Trace:
    """Arrivals from a file of rates (t_s, rps), each holding to the next; Poisson, or evenly spaced with `regular`.

    Lengths are drawn from a distribution, or from the pairs of another trace. `start_s` and `hours` choose the part;
    the trace starts at 0. Raises InputError for a negative or NaN rate, UsageError where nothing arrives.
    """
    path = Path(path)
    t, rate = read_rates(path)
    ends = np.append(t[1:], t[-1] + (t[-1] - t[-2] if len(t) > 1 else 600.0))
    stop_s = ends[-1] if hours is None else start_s + hours * 3600.0
    low, high = np.clip(t, start_s, stop_s), np.clip(ends, start_s, stop_s)
    arrival_s = arrivals(low - start_s, high - start_s, rate * factor, seed, regular=regular)
    return _with_lengths(arrival_s, lengths, seed, path.stem)


def arrivals(
    start_s: FloatArray, end_s: FloatArray, rate_rps: FloatArray, seed: int, *, regular: bool = False
) -> FloatArray:
    """Arrival times under a rate that is constant in each span: the inverse of its integral at unit-rate points."""
    area = np.concatenate([[0.0], np.cumsum(rate_rps * (end_s - start_s))])
    if area[-1] > MAX_REQUESTS:
        raise UsageError(
            f"{area[-1]:,.0f} requests", remedy=f"At most {MAX_REQUESTS:,}; take fewer hours or a factor"
        )
    if regular:
        points = np.arange(0.5, area[-1])
    else:
        rng = np.random.default_rng(seed)
        points = np.sort(rng.uniform(0.0, area[-1], rng.poisson(area[-1])))
    grid = np.concatenate([start_s[:1], end_s])
    return np.asarray(np.interp(points, area, grid), np.float64)


def _with_lengths(arrival_s: FloatArray, lengths: Lengths | Trace, seed: int, name: str) -> Trace:
    if not len(arrival_s):
        raise UsageError("no request arrives in that time", remedy="Take a longer time or a higher factor")
    rng = np.random.default_rng([seed, 1])
    if isinstance(lengths, Trace):
        which = rng.integers(0, len(lengths), len(arrival_s))
        prompt, output = lengths.prompt_tokens[which], lengths.output_tokens[which]
    else:
        prompt, output = lengths.draw(len(arrival_s), rng)
    return make_trace(arrival_s, prompt, output, name=name)


def synthetic(
    count: int,
    rate_rps: float,
    seed: int,
    *,
    lengths: Lengths = CHAT,
    burstiness: float = 1.0,
    urgent_share: float = 0.0,
    groups: int = 0,
    prefix_tokens: int = 0,
) -> Trace:
    """`count` requests at a mean rate, with gamma-distributed distances of that squared variation (1: Poisson).

    `urgent_share` of them has priority 0, the rest 1 (all 0 without it). With `groups`, each request begins with one
    of so many prefixes of `prefix_tokens`, before its own prompt.
    """
    if count < 1 or not (rate_rps > 0 and burstiness > 0):
        raise UsageError(
            "count, rate and burstiness must be positive", remedy="Try synthetic(1000, 5.0, seed=1)"
        )
    rng = np.random.default_rng(seed)
    apart_s = rng.gamma(1.0 / burstiness, burstiness / rate_rps, count)
    prompt, output = lengths.draw(count, rng)
    priority = (
        (rng.random(count) >= urgent_share).astype(np.int64) if urgent_share else np.zeros(count, np.int64)
    )
    group = rng.integers(0, groups, count) if groups else np.full(count, -1)
    prefix = np.full(count, prefix_tokens if groups else 0, np.int64)
    return make_trace(
        np.cumsum(apart_s) - apart_s[0], prompt + prefix, output, priority=priority,
        prefix_tokens=prefix, prefix_group=group.astype(np.int64), name=f"synthetic {seed}",
    )  # fmt: skip
