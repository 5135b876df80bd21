"""A service level objective, and whether a replay keeps it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from plant.closed import Closed
from plant.inference.cost import engine_cost
from plant.inference.deployment import Deployment
from plant.inference.engine import Replay
from plant.units import Seconds, quantity
from setpoint.errors import ConfigError

WARM_SHARE = 0.1
"""First requests left out: they meet an empty instance."""


class Slo(Closed):
    """What every request but a few must keep."""

    ttft_s: Seconds = Field(gt=0)
    """Time to first token, from arrival, HTTP and tokenising included."""
    tpot_s: Seconds = Field(gt=0)
    """Mean time per token after the first, of each request."""
    percentile: float = Field(99.0, ge=50, lt=100)
    """Share of requests, of each of the two, in percent."""

    def __str__(self) -> str:
        return f"TTFT {show_ms(self.ttft_s)} and TPOT {show_ms(self.tpot_s)} at P{self.percentile:g}"


@dataclass(frozen=True)
class Seen:
    """What a replay shows against an SLO; seconds."""

    ttft_p50_s: float
    ttft_p99_s: float
    ttft_s: float
    """At the percentile of the SLO."""
    tpot_p50_s: float
    tpot_p99_s: float
    tpot_s: float
    """At the percentile of the SLO."""
    attainment: float
    """Share of requests that keep both."""
    unserved: int
    kept: bool

    def broken(self, slo: Slo) -> str:
        """Which part is broken, in words; empty where both are kept."""
        parts = []
        if self.unserved:
            parts.append(f"{self.unserved} requests are longer than the cache holds")
        if self.ttft_s > slo.ttft_s:
            parts.append(f"TTFT would be {show_ms(self.ttft_s)}")
        if self.tpot_s > slo.tpot_s:
            parts.append(f"TPOT would be {show_ms(self.tpot_s)}")
        return " and ".join(parts)


def parse_slo(text: str, percentile: float = 99.0) -> Slo:
    """An SLO from text, as the command line takes it. Raises ConfigError with the part that is wrong and a remedy.

    >>> parse_slo("ttft=500ms,tpot=50ms")
    Slo(ttft_s=0.5, tpot_s=0.05, percentile=99.0)
    >>> parse_slo("ttft=500MHz,tpot=50ms")
    Traceback (most recent call last):
    ...
    setpoint.errors.ConfigError: --slo: ttft: '500MHz' is a frequency; a time is wanted, such as 1s. Write it as \
ttft=500ms,tpot=50ms
    """
    remedy = "Write it as ttft=500ms,tpot=50ms"
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name.lower() not in ("ttft", "tpot") or not equals:
            raise ConfigError(f"{part.strip()!r} is not ttft=TIME or tpot=TIME", where="--slo", remedy=remedy)
        found[name.lower()] = _time_s(name.lower(), value, remedy)
    missing = [name for name in ("ttft", "tpot") if name not in found]
    if missing:
        raise ConfigError(f"{' and '.join(missing)} is missing in {text!r}", where="--slo", remedy=remedy)
    return make_slo(found["ttft"], found["tpot"], percentile)


def make_slo(ttft_s: float, tpot_s: float, percentile: float = 99.0) -> Slo:
    """A checked SLO. Raises ConfigError for zero, negative or NaN times and percentiles outside 50 to 100."""
    for name, value in (("ttft", ttft_s), ("tpot", tpot_s)):
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(
                f"{name} is {value:g} s", where="SLO", remedy="Give a time above 0, such as 500ms"
            )
    if not 50 <= percentile < 100:
        raise ConfigError(f"percentile {percentile:g}", where="SLO", remedy="Use 50 to 99.9")
    return Slo(ttft_s=ttft_s, tpot_s=tpot_s, percentile=percentile)


def _time_s(name: str, value: str, remedy: str) -> float:
    """A time with its unit; a bare number is refused, for 500 may be meant as seconds or milliseconds."""
    if value and value[-1] in "0123456789.":
        raise ConfigError(f"{name}: {value!r} has no unit", where="--slo", remedy=remedy)
    try:
        return quantity(value, "s")
    except ValueError as error:
        raise ConfigError(f"{name}: {error}", where="--slo", remedy=remedy) from error


def judge(replay: Replay, slo: Slo, d: Deployment) -> Seen:
    """Percentiles of a replay after its first tenth. A request never served breaks the SLO."""
    start = int(WARM_SHARE * len(replay.ttft_s))
    ttft = replay.ttft_s[start:] + engine_cost(d.engine).first_s
    tpot = replay.tpot_s[start:]
    served = np.isfinite(ttft)
    unserved = int((~served).sum())
    gaps = tpot[np.isfinite(tpot)]
    ttft_p = _percentiles(ttft[served], slo.percentile)
    tpot_p = _percentiles(gaps, slo.percentile) if len(gaps) or not served.any() else (0.0, 0.0, 0.0)
    keeps = served & (np.where(served, ttft, np.inf) <= slo.ttft_s) & (np.nan_to_num(tpot) <= slo.tpot_s)
    kept = unserved == 0 and ttft_p[2] <= slo.ttft_s and tpot_p[2] <= slo.tpot_s
    attainment = float(keeps.mean()) if len(keeps) else 0.0
    return Seen(*ttft_p, *tpot_p, attainment, unserved, bool(kept))


def _percentiles(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], share: float
) -> tuple[float, float, float]:
    if not len(values):
        return math.inf, math.inf, math.inf
    p50, p99, own = np.percentile(values, [50, 99, share])
    return float(p50), float(p99), float(own)


def show_ms(seconds: float) -> str:
    """As `7.9 ms`, `480 ms`, `42 us` or `12 s`.

    >>> show_ms(0.0079), show_ms(0.48), show_ms(12.0), show_ms(42e-6)
    ('7.9 ms', '480 ms', '12 s', '42 us')
    """
    if not math.isfinite(seconds):
        return "no end"
    if seconds >= 9.995:
        return f"{seconds:.0f} s"
    if seconds < 1e-4:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.02 else f"{seconds * 1e3:.0f} ms"
