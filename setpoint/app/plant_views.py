"""What `setpoint plant` prints: tables for a person, plain values for --json."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from setpoint.app.cli_plant import print_json, span_s
from setpoint.app.plant_report import number


def console() -> Console:
    """Wide where nobody looks: a pipe has no edge to cut at."""
    screen = Console()
    return screen if screen.is_terminal else Console(width=200)


def table(*columns: str, left: int = 1) -> Table:
    """A plain table; all columns but the first `left` are numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for place, name in enumerate(columns):
        made.add_column(name, justify="left" if place < left else "right", overflow="fold")
    return made


def _head(screen: Console, text: str) -> None:
    screen.print(Text(f"\n{text}", style="bold"))


# ---- a site ------------------------------------------------------------------------------------------------------


def show_site(site: str, as_tree: bool, as_json: bool) -> None:
    """`plant show`."""
    from plant.show import describe, tree
    from plant.site import load_site, site_file_of

    loaded = load_site(site_file_of(site))
    summary = describe(loaded)
    if as_json:
        print_json(summary.model_dump(mode="json") | ({"tree": tree(loaded)} if as_tree else {}))
        return
    screen = console()
    if as_tree:
        for line in tree(loaded):
            screen.print(line, highlight=False)
        return
    gpus = ", ".join(f"{count:,} {name}" for name, count in summary.gpus.items())
    screen.print(
        Text(
            f"{summary.name}  ({summary.timezone}{', simulated' if summary.simulated else ''})", style="bold"
        )
    )
    screen.print(
        f"{summary.halls} halls, {summary.racks_liquid} liquid-cooled and {summary.racks_air} air-cooled racks, "
        f"{summary.nodes} nodes, {gpus}", highlight=False,
    )  # fmt: skip
    contracted = f" of {number(summary.contracted_kw)} kW contracted" if summary.contracted_kw else ""
    screen.print(
        f"at full load: IT {number(summary.it_kw)} kW, of it GPUs {number(summary.gpu_kw)}; "
        f"grid {number(summary.grid_kw)} kW{contracted}; PUE {summary.pue_full_load:.3f}", highlight=False,
    )  # fmt: skip
    _show_gear(screen, summary)
    _show_pools(screen, summary)
    _show_storage(screen, summary)
    for warning in summary.warnings:
        screen.print(Text(f"note: {warning}", style="yellow"))


def _show_gear(screen: Console, summary: Any) -> None:
    _head(screen, "Capacity at full load")
    gear = table("kind", "worst", "count", "capacity kW", "load kW", "worst at", "headroom kW", left=2)
    for one in (*summary.power, *summary.cooling):
        gear.add_row(one.kind, one.worst, str(one.count), number(one.capacity_kw), number(one.load_kw),
                     f"{one.worst_pu:.0%}", number(one.headroom_kw))  # fmt: skip
    screen.print(gear)
    _head(screen, "When one is lost at full load")
    lost = table("lost", "carried", "unfed kW", "uncooled kW", "worst then", "at", left=2)
    for one in summary.redundancy:
        lost.add_row(one.lost, Text("yes", style="green") if one.carried else Text("no", style="bold red"),
                     number(one.unfed_kw), number(one.uncooled_kw), one.worst, f"{one.worst_pu:.0%}")  # fmt: skip
    screen.print(lost)


def _show_pools(screen: Console, summary: Any) -> None:
    if not summary.pools:
        return
    _head(screen, "Serving pools")
    pools = table(
        "pool", "model", "on", "instances", "weights GB", "KV tokens", "batch", "step ms", "tokens/s", left=3
    )
    for pool in summary.pools:
        apart = f" ({pool.prefill_instances} prefill)" if pool.prefill_instances else ""
        pools.add_row(
            pool.name, f"{pool.model}, {pool.split}", f"{pool.gpu}, {pool.nodes}", f"{pool.instances}{apart}",
            number(pool.weights_gb), f"{pool.kv_tokens:,}", number(pool.batch), number(pool.step_ms), number(pool.tokens_per_s),
        )  # fmt: skip
    screen.print(pools)
    screen.print(
        Text(
            "KV tokens of one instance; batch, step and tokens/s where the pool is saturated with chat requests",
            style="dim",
        )
    )
    screen.print(
        f"{summary.free_nodes} nodes outside pools; {summary.jobs} jobs want {summary.job_nodes} nodes",
        highlight=False,
    )


def _show_storage(screen: Console, summary: Any) -> None:
    storage, tariff = summary.storage, summary.tariff
    _head(screen, "Storage and tariff")
    screen.print(
        f"ESS {number(storage.ess_kwh)} kWh, {number(storage.ess_power_kw)} kW: {storage.ess_hours_at_power:.2f} h at full power; "
        f"UPS {storage.ups_minutes_at_full_load:.1f} min at full load", highlight=False,
    )  # fmt: skip
    low, high = summary.price_span
    screen.print(
        f"{low:g} to {high:g} {tariff.currency}/kWh, {tariff.demand_per_kw_month:g} {tariff.currency}/kW and month, "
        f"{tariff.carbon_g_per_kwh:g} g CO2/kWh", highlight=False,
    )  # fmt: skip


# ---- runs --------------------------------------------------------------------------------------------------------


class Ticker:
    """The share of a run that is done, on stderr where that is a terminal."""

    def __init__(self, what: str) -> None:
        self._what, self._drawn = what, -1

    def __call__(self, share: float) -> None:
        percent = int(100 * share)
        if sys.stderr.isatty() and percent != self._drawn:
            self._drawn = percent
            print(f"\r\x1b[K{self._what} {percent} %", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._drawn >= 0:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _plan(
    site: str,
    trace: Path | None,
    hours: float | None,
    faults: Sequence[str],
    step: str | None,
    rate: float,
    seed: int,
) -> Any:
    from plant.faults.place import parse_fault
    from plant.simulation import load_of, plan_run
    from plant.site import load_site, site_file_of

    loaded = load_site(site_file_of(site))
    requests = load_of(loaded, trace, rate=rate, seed=seed, hours=hours)
    plans = [parse_fault(written, loaded) for written in faults]
    return plan_run(
        loaded, requests, hours=hours, step_s=span_s(step, "--step") if step else None, faults=plans
    )


def show_run(
    site: str, trace: Path | None, hours: float | None, faults: Sequence[str], step: str, rate: float, seed: int,
    as_json: bool, report: Path | None,
) -> None:  # fmt: skip
    """`plant simulate`."""
    from plant.simulation import simulate

    plan = _plan(site, trace, hours, faults, None if step == "auto" else step, rate, seed)
    ticker = Ticker(f"simulating {plan.site.name}")
    run = simulate(plan, ticker)
    ticker.close()
    if report:
        from setpoint.app.plant_report import write_report

        write_report(report, run, plan.site.limits)
    if as_json:
        print_json(run.to_dict())
        return
    screen = console()
    _told_run(screen, run)
    if report:
        screen.print(f"\nreport: {report}", highlight=False)


def _told_run(screen: Console, run: Any) -> None:
    from setpoint.app.charts import clock

    screen.print(
        Text(
            f"{run.site}: {clock(run.totals.seconds)} of plant time in windows of {run.step_s:g} s",
            style="bold",
        )
    )
    pools = table("pool", "requests", "done", "TTFT p50", "p99 ms", "TPOT p50", "p99 ms", "SLOs met", "tokens/s", "KV peak",
                  "KV waste", "preempted", "swapped", "recomputed")  # fmt: skip
    for p in run.pools:
        met = f"{p.attained_pu:.1%}" if p.attained_pu == p.attained_pu else "none"
        pools.add_row(
            p.name, f"{p.arrived:,}", f"{p.completed:,}", number(p.ttft_p50_ms), number(p.ttft_p99_ms), number(p.tpot_p50_ms),
            number(p.tpot_p99_ms), met, number(p.output_tokens_per_s), f"{p.kv_peak_pu:.1%}", f"{p.kv_waste_pu:.1%}",
            str(p.preemptions), str(p.swaps), str(p.recomputes),
        )  # fmt: skip
    screen.print(pools)
    _head(screen, "Over the run")
    spans = table("", "least", "mean", "greatest", "last", "unit")
    for words, unit, low, mean, high, last in extremes(run):
        spans.add_row(words, number(low), number(mean), number(high), number(last), unit)
    screen.print(spans)
    t = run.totals
    _head(screen, "Energy and cost")
    screen.print(
        f"grid {number(t.grid_kwh)} kWh, IT {number(t.it_kwh)} kWh, PUE {t.pue:.3f}, peak {number(t.peak_kw)} kW; "
        f"{number(t.wh_per_1k_tokens)} Wh and {number(t.carbon_g_per_1k_tokens)} g CO2 per 1,000 output tokens; "
        f"energy {number(t.energy_cost)} {t.currency}, a month at this peak {number(t.demand_cost_month)} {t.currency}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    for one in run.happened:
        screen.print(Text(f"{clock(one.at_s)}  {one.what} {one.asset}", style="yellow"))
    for note in run.notes:
        screen.print(Text(f"note: {note}", style="dim"), soft_wrap=True)


_SHOWN = (
    ("queue", "requests waiting", ""), ("kv_use_pct", "KV cache in use", "%"), ("gpu_power_w", "GPU power, pool mean", "W"),
    ("gpu_peak_w", "GPU power, peak", "W"), ("clock_mhz", "SM clock, slowest", "MHz"), ("gpu_temp_c", "hottest GPU of a rack", "C"),
    ("rack_kw", "rack power", "kW"), ("inlet_temp_c", "rack inlet air", "C"), ("supply_temp_c", "coolant supply", "C"),
    ("return_temp_c", "coolant return", "C"), ("flow_lpm", "CDU flow", "L/min"), ("soc_pct", "state of charge", "%"),
    ("ess_kw", "storage power", "kW"), ("grid_kw", "grid draw", "kW"), ("cooling_kw", "cooling power", "kW"), ("pue", "PUE", ""),
)  # fmt: skip


def extremes(run: Any) -> list[tuple[str, str, float, float, float, float]]:
    """(what, unit, least, mean, greatest, last mean) over all assets of each metric that the run has."""
    import numpy as np

    rows = []
    for metric, words, unit in _SHOWN:
        found = list(run.metric(metric).values())
        if found:
            every = np.vstack(found)
            rows.append((words, unit, float(np.nanmin(every)), float(np.nanmean(every)), float(np.nanmax(every)),
                         float(np.nanmean(every[:, -1]))))  # fmt: skip
    return rows


def show_what_if(
    changes: str, over: str, site: str, trace: Path | None, faults: Sequence[str], rate: float, seed: int, as_json: bool,
    report: Path | None,
) -> None:  # fmt: skip
    """`plant what-if`."""
    from dataclasses import replace

    from plant.change import read_changes
    from plant.simulation import simulate
    from setpoint.app.plant_report import compared, write_report

    plain = _plan(site, trace, span_s(over, "--over") / 3600.0, faults, None, rate, seed)
    wanted = read_changes(changes, plain.site)
    ticker = Ticker("simulating")
    without = simulate(plain, lambda share: ticker(share / 2))
    with_it = simulate(replace(plain, changes=wanted), lambda share: ticker(0.5 + share / 2))
    ticker.close()
    rows = compared(with_it, without)
    if report:
        write_report(report, with_it, plain.site.limits, without)
    if as_json:
        print_json({
            "changes": list(with_it.changes),
            "compared": [{"what": w, "unit": u, "without": _plain(a), "with": _plain(b)} for w, u, a, b in rows],
            "without": without.to_dict(120), "with": with_it.to_dict(120),
        })  # fmt: skip
        return
    screen = console()
    screen.print(
        Text(f"{plain.site.name}, {over}: what if {', '.join(with_it.changes)}", style="bold"), soft_wrap=True
    )
    side = table("", "without", "with", "change", "unit")
    for what, unit, old, new in rows:
        moved = f"{100 * (new - old) / old:+.1f} %" if old and old == old and new == new else ""
        side.add_row(what, number(old), number(new), moved, unit)
    screen.print(side)
    for note in with_it.notes:
        screen.print(Text(f"note: {note}", style="dim"), soft_wrap=True)
    if report:
        screen.print(f"\nreport: {report}", highlight=False)


def _plain(value: float) -> float | None:
    return value if value == value else None


# ---- the rest ----------------------------------------------------------------------------------------------------


def show_trends(site: str, as_json: bool) -> None:
    """`plant trends`: the site at 60 % of its full load, since nobody measures a site file."""
    from dataclasses import asdict

    from plant.show import describe
    from plant.site import load_site, site_file_of
    from plant.trends import growth, notes, place, rows

    summary = describe(load_site(site_file_of(site)))
    standing = place(mean_kw=MEAN_LOAD * summary.grid_kw, pue=summary.pue_full_load)
    if as_json:
        grown = [asdict(one) for one in growth()]
        print_json(
            {
                "site": summary.name,
                "mean_load_pu": MEAN_LOAD,
                "standing": asdict(standing),
                "growth": grown,
                "notes": list(notes()),
            }
        )
        return
    screen = console()
    head, *body = rows(standing)
    eras = table(*head)
    for row in body:
        eras.add_row(*row, style="bold" if row[0] == "this site" else "")
    screen.print(eras)
    screen.print(
        Text(f"{summary.name} at {MEAN_LOAD:.0%} of its full load, PUE as at full load", style="dim")
    )
    screen.print(
        f"nearest in size: {standing.nearest_by_energy}; nearest in PUE: {standing.nearest_by_pue}",
        highlight=False,
    )
    for remark in (*standing.remarks, *notes()):
        screen.print(Text(remark, style="dim"), soft_wrap=True)


MEAN_LOAD = 0.6
"""Mean draw over full load, where nothing is measured: of a site that runs well filled."""


def show_faults(name: str, as_json: bool) -> None:
    """`plant faults`."""
    from plant.faults.catalog import listing, load_catalog

    catalog = load_catalog()
    if name:
        from setpoint.errors import UsageError

        if name not in catalog:
            from difflib import get_close_matches

            near = get_close_matches(name, catalog, 3, 0.4) or list(catalog)[:3]
            raise UsageError(f"no fault {name!r}", remedy=f"Use for example {', '.join(near)}")
        _show_fault(catalog[name], as_json)
        return
    found = listing()
    if as_json:
        print_json(found)
        return
    faults = table(*found[0], left=len(found[0]))
    for one in found:
        faults.add_row(*one.values())
    console().print(faults)
    typer.echo(f"{len(found)} faults; `setpoint plant faults ID` shows one whole")


def _show_fault(fault: Any, as_json: bool) -> None:
    import yaml

    body = fault.model_dump(mode="json", exclude_defaults=True)
    if as_json:
        print_json(body)
    else:
        typer.echo(yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=110).rstrip())


def write_night(site: str, seed: int, hours: float, faults: int, out: Path) -> None:
    """`plant night`."""
    from plant.faults.night import compose, summary
    from plant.site import load_site, site_file_of

    night = compose(load_site(site_file_of(site)), seed, hours=hours, faults=faults)
    night.write(out)
    for line in summary(night):
        typer.echo(line)
    typer.echo(f"written to {out}")


def show_bench(
    trace: Path,
    model: str,
    gpu: str,
    tp: int,
    replicas: int,
    hbm_util: float,
    repeat: int,
    compare: bool,
    as_json: bool,
) -> None:
    """`plant bench`. Imports as little as it can: memory is part of what it measures."""
    from dataclasses import asdict

    from plant.inference.bench import PEERS, bench, starved_util
    from plant.inference.trace import read_trace

    requests = read_trace(trace)
    played = requests.repeat(repeat) if repeat > 1 else requests
    result = bench(played, model, gpu, tp, replicas, hbm_util, runs=3 if repeat == 1 else 1)
    if as_json and not compare:
        print_json(asdict(result))
        return
    if compare:
        _compare(requests, result, as_json)
        return
    screen = console()
    screen.print(
        f"{result.model} on {result.gpu}, tp {result.tp}, {result.replicas} replicas, {result.hbm_util:.4g} of memory",
        style="bold", highlight=False,
    )  # fmt: skip
    figures = table("", "figure")
    for name in ("requests", "completed", "rejected", "requests_per_cpu_s", "requests_per_wall_s", "compile_s", "preemptions",
                 "swaps", "recomputes", "prefix_hit_tokens", "steps", "events", "kv_waste", "peak_kv_share", "energy_kwh",
                 "peak_rss_mb"):  # fmt: skip
        value = getattr(result, name)
        figures.add_row(name, f"{value:,}" if isinstance(value, int) else number(value))
    screen.print(figures)
    _head(screen, "Peers on the same trace, as measured before (shared/notes/plant.md, section 3)")
    for name, rate in PEERS:
        screen.print(
            f"{result.requests_per_cpu_s / rate:10,.0f} times {name} ({rate:,.0f} requests a CPU second)",
            highlight=False,
        )
    if not result.preemptions:
        least = math.ceil(1e4 * starved_util(requests, model, gpu, tp)) / 1e4
        screen.print(
            f"nothing was preempted; --hbm-util {least:.4g} starves the cache", style="dim", highlight=False
        )


def _compare(requests: Any, result: Any, as_json: bool) -> None:
    """Throughput of paging against the ways to reserve, at equal memory."""
    from dataclasses import asdict

    from plant.inference.alternatives import compare
    from plant.inference.bench import deployment_for

    found = compare(deployment_for(requests, result.model, result.gpu, result.tp, result.hbm_util), requests)
    if as_json:
        print_json(asdict(found))
        return
    screen = console()
    screen.print(
        f"{result.model} on {result.gpu}, tp {result.tp}: {found.pool_tokens:,} tokens of cache",
        style="bold",
        highlight=False,
    )
    shown = table(*asdict(found.rows[0]), "paged over it")
    for row in found.rows:
        values = [number(v) if isinstance(v, (int, float)) else str(v) for v in asdict(row).values()]
        shown.add_row(*values, f"{found.rows[0].tokens_per_s / row.tokens_per_s:.2f}")
    screen.print(shown)


def show_sizing(
    model: str, gpu: str, slo: str, rate: float, prompt: int, output: int, trace: Path | None, weights: str, max_gpus: int,
    as_json: bool,
) -> None:  # fmt: skip
    """`plant size`."""
    from plant.inference.sizing import parse_slo, size
    from plant.inference.trace import read_trace

    wanted = parse_slo(slo)
    requests = read_trace(trace) if trace else None
    kinds: Any = tuple(weights.split(",")) if "," in weights else weights or None
    found = size(
        model, gpu, rate, wanted.ttft_s, wanted.tpot_s, prompt_tokens=prompt, output_tokens=output, trace=requests,
        weights=kinds, max_gpus=max_gpus,
    )  # fmt: skip
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    screen = console()
    best = found.best
    screen.print(
        f"{best.instances} instances of {found.model} on {best.gpus} {best.gpu}: {_split_of(best)}, {best.weights} weights",
        style="bold", highlight=False,
    )  # fmt: skip
    screen.print(
        f"{found.rate_rps:g} requests a second of {found.prompt_tokens:,.0f} + {found.output_tokens:,.0f} tokens, SLO {found.slo}",
        highlight=False,
    )
    rows = table("", "best", *(["runner-up"] if found.runner_up else []))
    for words, unit, value in _CHOICE:
        cells = [value(choice) for choice in (best, found.runner_up) if choice]
        rows.add_row(f"{words}{', ' + unit if unit else ''}", *cells)
    screen.print(rows)
    screen.print(f"limited by: {found.limited_by}", highlight=False, soft_wrap=True)
    screen.print(f"lower clocks save {found.clock_saving:.1%} of energy", highlight=False)
    screen.print(f"prefill and decode {found.pools}: {found.pools_why}", highlight=False, soft_wrap=True)
    screen.print(f"decode on {found.decode_on.upper()}: {found.decode_why}", highlight=False, soft_wrap=True)
    for note in found.notes:
        screen.print(Text(f"note: {note}", style="dim"), soft_wrap=True)
    screen.print(
        Text(f"{found.replays} replays; best verified on {found.replayed_requests:,} requests", style="dim"),
        highlight=False,
    )


def _split_of(choice: Any) -> str:
    ways = [
        f"{name} {getattr(choice, name)}" for name in ("tp", "pp", "dp", "ep") if getattr(choice, name) > 1
    ]
    return " x ".join(ways) or "tp 1"


_CHOICE: tuple[tuple[str, str, Any], ...] = (
    ("split", "", _split_of),
    ("instances", "", lambda c: str(c.instances)),
    ("GPUs", "", lambda c: str(c.gpus)),
    ("batch limit", "sequences", lambda c: f"{c.max_batch:,}"),
    ("token budget of a step", "", lambda c: f"{c.chunk_tokens:,}"),
    ("clock in prefill / decode", "MHz", lambda c: f"{c.clock_prefill_mhz:,.0f} / {c.clock_decode_mhz:,.0f}"),
    ("TTFT p50 / p99", "ms", lambda c: f"{number(c.ttft.p50_ms)} / {number(c.ttft.p99_ms)}"),
    ("TPOT p50 / p99", "ms", lambda c: f"{number(c.tpot.p50_ms)} / {number(c.tpot.p99_ms)}"),
    ("requests within the SLO", "", lambda c: f"{c.attainment:.1%}"),
    ("output tokens a second", "", lambda c: number(c.tokens_per_s)),
    ("mean batch", "", lambda c: number(c.mean_batch)),
    ("KV cache at its fullest", "", lambda c: f"{c.kv_peak:.1%}"),
    ("utilisation", "", lambda c: f"{c.utilisation:.0%}"),
    ("power of GPUs / nodes", "kW", lambda c: f"{number(c.gpu_kw)} / {number(c.power_kw)}"),
    ("energy per 1,000 output tokens", "J", lambda c: number(c.joule_per_1000_tokens)),
)
