"""The requests of a run: from a trace, from a file of rates, or made up to fit what the site can serve."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from plant.inference.cost import step_coefficients, step_time_s
from plant.inference.memory import plan_memory
from plant.inference.trace import MAX_REQUESTS, Trace, read_trace, synthetic, trace_from_rate
from plant.show import ANSWER_TOKENS, PROMPT_TOKENS, saturated
from plant.site import Site
from plant.specs import PoolSpec
from setpoint.errors import InputError, UsageError

DEFAULT_HOURS = 0.25
MOST_HOURS = 366 * 24.0
LATE_S = 60.0
"""A trace that begins later than this is moved to the start of the run: its clock began elsewhere."""
SYNTHETIC_USE = 0.4
"""Share of what the pools can serve that a synthetic load asks for."""


def load_of(
    site: Site,
    path: Path | None,
    *,
    rate: float = 1.0,
    seed: int = 7,
    hours: float | None = None,
    sort: bool = False,
) -> Trace:
    """The requests of a run: a trace file, a file of rates (columns t_s,rps), or none: then a synthetic load.

    A trace shorter than `hours` is repeated; one that begins late is moved to the start. `rate` is a factor on the
    arrivals, `sort` puts unsorted ones in order. Raises InputError, UsageError.
    """
    if not (np.isfinite(rate) and rate > 0):
        raise UsageError(f"a rate factor of {rate:g}", remedy="Use 2 for twice the arrivals")
    if hours is not None:
        check_hours(hours)
    if path is None:
        return _synthetic(site, rate, seed, DEFAULT_HOURS if hours is None else hours)
    if _is_rates(path):
        return trace_from_rate(path, seed, factor=rate, hours=hours)
    trace = _from_start(read_trace(path, sort=sort)).scaled(rate)
    if hours is not None and trace.span_s > 0 and hours * 3600.0 > trace.span_s * 1.01:
        trace = trace.repeat(int(np.ceil(hours * 3600.0 / trace.span_s)))
    return trace


def _synthetic(site: Site, rate: float, seed: int, hours: float) -> Trace:
    """A load that asks for SYNTHETIC_USE of what the site's pools can serve, times `rate`."""
    if not site.pools:
        raise no_pools(site)
    wanted_rps = rate * SYNTHETIC_USE * _capacity_rps(site)
    count = wanted_rps * hours * 3600.0
    if count > MAX_REQUESTS:
        raise UsageError(
            f"{count:,.0f} synthetic requests",
            remedy=f"At most {MAX_REQUESTS:,}: take fewer hours or a lower --rate",
        )
    return synthetic(max(int(count), 2), wanted_rps, seed, urgent_share=0.1)


def _from_start(trace: Trace) -> Trace:
    """The trace with its first arrival at the start, where that is far off, such as in time since 1970."""
    first_s = float(trace.arrival_s[0])
    if first_s <= LATE_S:
        return trace
    said = f"the trace begins at {first_s:,.0f} s: the run begins there"
    return replace(trace, arrival_s=trace.arrival_s - first_s, notes=(*trace.notes, said))


def check_hours(hours: float) -> None:
    """Raises UsageError for a time that no run can have."""
    if not 0 < hours <= MOST_HOURS:
        raise UsageError(
            f"{hours:g} hours of plant time",
            remedy=f"Give a time above zero, at most {MOST_HOURS:,.0f} hours",
        )


def no_pools(site: Site) -> UsageError:
    """What is said of a site that serves nothing."""
    return UsageError(
        f"site {site.name} serves no model", remedy="Describe a pool under `pools:` in its file"
    )


def _is_rates(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return {"t_s", "rps"} <= {name.strip() for name in file.readline().split(",")}
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", where=str(path), remedy="Give a CSV file that is there"
        ) from error


def _capacity_rps(site: Site) -> float:
    """Requests a second at which the first pool is saturated, were all requests of the usual chat lengths."""
    whole = sum(pool.share for pool in site.pools)
    return min(_pool_rps(site, pool) * whole / pool.share for pool in site.pools)


def _pool_rps(site: Site, pool: PoolSpec) -> float:
    deployment, count = site.deployment(pool), len(site.instances(pool))
    batch, step_s = saturated(deployment, plan_memory(deployment))
    if not pool.prefill_instances:
        return count * batch / step_s / ANSWER_TOKENS
    prompt_s = step_time_s(step_coefficients(deployment), PROMPT_TOKENS, PROMPT_TOKENS**2 / 2, 0.0, 0.0, 1.0)
    return min(
        pool.prefill_instances / prompt_s, (count - pool.prefill_instances) * batch / step_s / ANSWER_TOKENS
    )
