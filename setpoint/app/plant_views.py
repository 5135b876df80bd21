"""What `setpoint plant` prints: tables for a person, plain values for --json."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from setpoint.app.cli_plant import print_json, span_s
from setpoint.app.plant_report import moved, number
from setpoint.app.screen import Ticker, console, head, put, say
from setpoint.errors import UsageError

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
    say(screen, f"{summary.name}  ({summary.timezone}{', simulated' if summary.simulated else ''})", "bold")
    gpus = ", ".join(f"{count:,} {name}" for name, count in summary.gpus.items()) or "no GPUs"
    say(
        screen,
        f"{_count(summary.halls, 'hall')}, {summary.racks_liquid} liquid-cooled and {summary.racks_air} air-cooled racks, "
        f"{_count(summary.nodes, 'node')}, {gpus}",
    )
    contracted = f" of {number(summary.contracted_kw)} kW contracted" if summary.contracted_kw else ""
    say(
        screen,
        f"at full load: IT {number(summary.it_kw)} kW, of it GPUs {number(summary.gpu_kw)}; "
        f"grid {number(summary.grid_kw)} kW{contracted}; PUE {summary.pue_full_load:.3f}",
    )
    _show_gear(screen, summary)
    _show_pools(screen, summary)
    _show_storage(screen, summary)
    for warning in summary.warnings:
        say(screen, f"note: {warning}", "yellow")


def _count(many: int, what: str) -> str:
    return f"{many:,} {what}{'' if many == 1 else 's'}"


def _show_gear(screen: Console, summary: Any) -> None:
    head(screen, "Capacity at full load")
    put(
        screen, ("kind", "worst", "count", "capacity kW", "load kW", "worst at", "headroom kW"),
        [(one.kind, one.worst, str(one.count), number(one.capacity_kw), number(one.load_kw), f"{one.worst_pu:.0%}",
          number(one.headroom_kw)) for one in (*summary.power, *summary.cooling)], left=2,
    )  # fmt: skip
    head(screen, "When one is lost at full load, and its stand-by has been started")
    put(
        screen, ("lost", "carried", "unfed kW", "uncooled kW", "worst then", "at"),
        [(one.lost, Text("yes", style="green") if one.carried else Text("no", style="bold red"), number(one.unfed_kw),
          number(one.uncooled_kw), one.worst, f"{one.worst_pu:.0%}" if one.worst else "")
         for one in summary.redundancy], left=2,
    )  # fmt: skip


def _show_pools(screen: Console, summary: Any) -> None:
    if not summary.pools:
        return
    head(screen, "Serving pools")
    rows = []
    for pool in summary.pools:
        apart = f" ({pool.prefill_instances} prefill)" if pool.prefill_instances else ""
        rows.append((
            pool.name, f"{pool.model}, {pool.split}", f"{pool.gpu}, {pool.nodes}", f"{pool.instances}{apart}",
            number(pool.weights_gb), f"{pool.kv_tokens:,}", number(pool.batch), number(pool.step_ms), number(pool.tokens_per_s),
        ))  # fmt: skip
    columns = (
        "pool", "model", "on", "instances", "weights GB", "KV tokens", "batch", "step ms", "tokens/s"
    )  # fmt: skip
    put(screen, columns, rows, left=3)
    say(
        screen,
        "weights and KV tokens of one instance; batch, step and tokens/s where the pool is saturated with chat requests",
        "dim",
    )
    wanted = (
        f"; {_count(summary.jobs, 'job')} want {_count(summary.job_nodes, 'node')}" if summary.jobs else ""
    )
    say(screen, f"{_count(summary.free_nodes, 'node')} outside pools{wanted}")


def _show_storage(screen: Console, summary: Any) -> None:
    storage, tariff = summary.storage, summary.tariff
    head(screen, "Storage and tariff")
    ess = (
        f"ESS {number(storage.ess_kwh)} kWh, {number(storage.ess_power_kw)} kW: "
        f"{storage.ess_hours_at_power:.2f} h at full power" if storage.ess_kwh else "no ESS"
    )  # fmt: skip
    bridged = storage.ups_minutes_at_full_load
    say(screen, f"{ess}; {f'UPS {bridged:.1f} min at full load' if bridged else 'no UPS'}")
    low, high = summary.price_span
    price = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    say(
        screen,
        f"{price} {tariff.currency}/kWh, {tariff.demand_per_kw_month:g} {tariff.currency}/kW and month, "
        f"{tariff.carbon_g_per_kwh:g} g CO2/kWh",
    )


# ---- runs --------------------------------------------------------------------------------------------------------


def _plan(
    site: str, trace: Path | None, hours: float | None, faults: Sequence[str], step: str | None, rate: float, seed: int,
    sort: bool,
) -> Any:  # fmt: skip
    from plant.arrivals import load_of
    from plant.faults.place import parse_fault
    from plant.simulation import DEFAULT_START, plan_run
    from plant.site import load_site, site_file_of

    loaded = load_site(site_file_of(site))
    step_s = span_s(step, "--step") if step else None
    plans = [parse_fault(written, loaded, DEFAULT_START) for written in faults]
    requests = load_of(loaded, trace, rate=rate, seed=seed, hours=hours, sort=sort)
    return plan_run(loaded, requests, hours=hours, step_s=step_s, faults=plans)


def show_run(
    site: str, trace: Path | None, hours: float | None, faults: Sequence[str], step: str, rate: float, seed: int, sort: bool,
    as_json: bool, report: Path | None,
) -> None:  # fmt: skip
    """`plant simulate`."""
    from plant.simulation import simulate

    if report:
        may_write(report)
    plan = _plan(site, trace, hours, faults, None if step == "auto" else step, rate, seed, sort)
    ticker = Ticker(f"simulating {plan.site.name}")
    try:
        run = simulate(plan, ticker)
    finally:
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
        say(screen, f"\nreport: {report}")


def _told_run(screen: Console, run: Any) -> None:
    from setpoint.app.charts import clock

    say(
        screen,
        f"{run.site}: {clock(run.totals.seconds)} of plant time in windows of {run.step_s:g} s",
        "bold",
    )
    columns = ("pool", "requests", "done", "TTFT p50 ms", "TTFT p99 ms", "TPOT p50 ms", "TPOT p99 ms", "SLOs met", "tokens/s", "KV peak",
               "KV waste", "preempted", "swapped", "recomputed")  # fmt: skip
    rows = []
    for p in run.pools:
        met = f"{p.attained_pu:.1%}" if p.attained_pu == p.attained_pu else "none"
        rows.append((
            p.name, f"{p.arrived:,}", f"{p.completed:,}", number(p.ttft_p50_ms), number(p.ttft_p99_ms), number(p.tpot_p50_ms),
            number(p.tpot_p99_ms), met, number(p.output_tokens_per_s), f"{p.kv_peak_pu:.1%}", f"{p.kv_waste_pu:.1%}",
            f"{p.preemptions:,}", f"{p.swaps:,}", f"{p.recomputes:,}",
        ))  # fmt: skip
    put(screen, columns, rows)
    head(screen, "Over the run")
    put(
        screen, ("", "least", "mean", "greatest", "last", "unit"),
        [(words, *map(number, (low, mean, high, last)), unit) for words, unit, low, mean, high, last in extremes(run)],
    )  # fmt: skip
    t = run.totals
    head(screen, "Energy and cost")
    say(
        screen,
        f"grid {number(t.grid_kwh)} kWh, facility {number(t.facility_kwh)} kWh, IT {number(t.it_kwh)} kWh, PUE {t.pue:.3f}, "
        f"peak {number(t.peak_kw)} kW; energy {number(t.energy_cost)} {t.currency}, "
        f"a month at this peak {number(t.demand_cost_month)} {t.currency}",
    )
    say(
        screen,
        f"{number(t.wh_per_1k_tokens)} Wh and {number(t.carbon_g_per_1k_tokens)} g CO2 per 1,000 output tokens "
        "(nodes that serve, with their share of losses and cooling)",
    )
    for one in run.happened:
        say(screen, f"{clock(one.at_s)}  {one.what} {one.asset}", "yellow")
    for note in run.notes:
        say(screen, f"note: {note}", "dim")


def may_write(report: Path) -> None:
    """Before a long run rather than after it. Raises UsageError where the report could not be written."""
    folder = next(parent for parent in report.absolute().parents if parent.exists())
    if report.is_dir():
        why = "is a folder"
    elif not folder.is_dir():
        why = f"{folder} is no folder"
    elif not os.access(report if report.exists() else folder, os.W_OK):
        why = "no permission to write there"
    else:
        return
    raise UsageError(
        f"cannot write the report: {why}", where=str(report), remedy="Name a file, such as run.html"
    )


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
    changes: str, over: str, site: str, trace: Path | None, faults: Sequence[str], rate: float, seed: int, sort: bool,
    as_json: bool, report: Path | None,
) -> None:  # fmt: skip
    """`plant what-if`."""
    from dataclasses import replace

    from plant.change import read_changes
    from plant.simulation import simulate
    from setpoint.app.plant_report import compared, write_report

    if report:
        may_write(report)
    plain = _plan(site, trace, span_s(over, "--over") / 3600.0, faults, None, rate, seed, sort)
    wanted = read_changes(changes, plain.site)
    ticker = Ticker("simulating")
    try:
        without = simulate(plain, lambda share: ticker(share / 2))
        with_it = simulate(replace(plain, changes=wanted), lambda share: ticker(0.5 + share / 2))
    finally:
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
    say(screen, f"{plain.site.name}, {over}: what if {', '.join(with_it.changes)}", "bold")
    put(
        screen, ("", "without", "with", "change", "unit"),
        [(what, number(old), number(new), moved(old, new), unit) for what, unit, old, new in rows],
    )  # fmt: skip
    for note in with_it.notes:
        say(screen, f"note: {note}", "dim")
    if report:
        say(screen, f"\nreport: {report}")


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
    columns, *body = rows(standing)
    put(
        screen,
        columns,
        [[Text(cell, style="bold") if row[0] == "this site" else cell for cell in row] for row in body],
    )
    say(screen, f"{summary.name} at {MEAN_LOAD:.0%} of its full load, PUE as at full load", "dim")
    say(screen, f"nearest in size: {standing.nearest_by_energy}; nearest in PUE: {standing.nearest_by_pue}")
    for remark in (*standing.remarks, *notes()):
        say(screen, remark, "dim")


MEAN_LOAD = 0.6
"""Mean draw over full load, where nothing is measured: of a site that runs well filled."""


def show_faults(name: str, as_json: bool) -> None:
    """`plant faults`."""
    from plant.faults.catalog import listing, load_catalog

    catalog = load_catalog()
    if name:
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
    put(console(), list(found[0]), [list(one.values()) for one in found], left=len(found[0]))
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

    if out.exists() and not out.is_dir():
        raise UsageError("is a file", where=str(out), remedy="Name a folder with --out")
    night = compose(load_site(site_file_of(site)), seed, hours=hours, faults=faults)
    night.write(out)
    for line in summary(night):
        typer.echo(line)
    typer.echo(f"written to {out}")


def show_bench(
    trace: Path, model: str, gpu: str, tp: int, replicas: int, hbm_util: float, repeat: int, sort: bool, compare: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """`plant bench`. Imports as little as it can: memory is part of what it measures."""
    from dataclasses import asdict

    from plant.inference.bench import PEERS, bench, starved_util
    from plant.inference.trace import read_trace

    requests = read_trace(trace, sort=sort)
    _check_split(model, gpu, tp)
    played = requests.repeat(repeat) if repeat > 1 else requests
    result = bench(played, model, gpu, tp, replicas, hbm_util, runs=3 if repeat == 1 else 1)
    if as_json and not compare:
        print_json(asdict(result))
        return
    if compare:
        _compare(requests, result, as_json)
        return
    screen = console()
    say(
        screen,
        f"{result.model} on {result.gpu}, tp {result.tp}, {result.replicas} replicas, {result.hbm_util:.4g} of memory",
        "bold",
    )
    rows = []
    for name in ("requests", "completed", "rejected", "requests_per_cpu_s", "requests_per_wall_s", "compile_s", "preemptions",
                 "swaps", "recomputes", "prefix_hit_tokens", "steps", "events", "kv_waste", "peak_kv_share", "energy_kwh",
                 "peak_rss_mb"):  # fmt: skip
        value = getattr(result, name)
        rows.append((name, f"{value:,}" if isinstance(value, int) else number(value)))
    put(screen, ("", "figure"), rows)
    head(screen, "Peers on the Azure conversation trace, as measured before")
    for name, rate in PEERS:
        say(
            screen,
            f"{result.requests_per_cpu_s / rate:10,.0f} times {name} ({rate:,.0f} requests a CPU second)",
        )
    if not result.preemptions:
        least = math.ceil(1e4 * starved_util(requests, model, gpu, tp)) / 1e4
        say(screen, f"nothing was preempted; --hbm-util {least:.4g} starves the cache", "dim")


def _check_split(model: str, gpu: str, tp: int) -> None:
    """Raises UsageError where the model cannot be split so."""
    from plant.hardware.gpus import gpu as gpu_named
    from plant.hardware.models import model as model_named
    from plant.inference.parallel import check, options

    shape, device = model_named(model), gpu_named(gpu)
    reasons = [why for why in check(shape, device, tp).reasons if "divide" in why]
    if reasons:
        ways = sorted({one.tp for one in options(shape, device) if one.possible and one.pp == one.dp == 1})
        would = f"Use --tp {' or '.join(map(str, ways))}" if ways else "Choose another GPU"
        raise UsageError(f"{shape.name}, tp {tp}: {'; '.join(reasons)}", remedy=would)


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
    say(
        screen,
        f"{result.model} on {result.gpu}, tp {result.tp}: {found.pool_tokens:,} tokens of cache",
        "bold",
    )
    rows = []
    for row in found.rows:
        values = [number(v) if isinstance(v, (int, float)) else str(v) for v in asdict(row).values()]
        over = found.rows[0].tokens_per_s / row.tokens_per_s if row.tokens_per_s else float("nan")
        rows.append((*values, f"{over:.2f}"))
    put(screen, (*asdict(found.rows[0]), "paged over it"), rows)


def show_sizing(
    model: str, gpu: str, slo: str, rate: float, prompt: int, output: int, trace: Path | None, sort: bool,
    weights: str, max_gpus: int, as_json: bool,
) -> None:  # fmt: skip
    """`plant size`."""
    from plant.inference.sizing import parse_slo, size
    from plant.inference.trace import read_trace

    wanted = parse_slo(slo)
    requests = read_trace(trace, sort=sort) if trace else None
    kinds: Any = _dtypes(weights)
    found = size(
        model, gpu, rate, wanted.ttft_s, wanted.tpot_s, prompt_tokens=prompt, output_tokens=output, trace=requests,
        weights=kinds, max_gpus=max_gpus,
    )  # fmt: skip
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    screen = console()
    best = found.best
    say(
        screen,
        f"{_count(best.instances, 'instance')} of {found.model} on {best.gpus} {best.gpu}: {_split_of(best)}, "
        f"{best.weights} weights", "bold",
    )  # fmt: skip
    say(
        screen,
        f"{found.rate_rps:g} requests a second of {found.prompt_tokens:,.0f} + {found.output_tokens:,.0f} tokens, SLO {found.slo}",
    )
    chosen = [choice for choice in (best, found.runner_up) if choice]
    put(
        screen, ("", "best", "runner-up")[: 1 + len(chosen)],
        [(f"{words}{', ' + unit if unit else ''}", *map(value, chosen)) for words, unit, value in _CHOICE],
    )  # fmt: skip
    say(screen, f"limited by: {found.limited_by}")
    say(screen, f"lower clocks save {found.clock_saving:.1%} of energy")
    say(screen, f"prefill and decode {found.pools}: {found.pools_why}")
    say(screen, f"decode on {found.decode_on.upper()}: {found.decode_why}")
    for note in found.notes:
        say(screen, f"note: {note}", "dim")
    say(screen, f"{found.replays} replays; best verified on {found.replayed_requests:,} requests", "dim")


def _dtypes(written: str) -> tuple[str, ...] | None:
    """The dtypes of `--weights bf16,fp8`; None where it is empty. Raises UsageError for an unknown one."""
    from plant.hardware.gpus import DTYPE_BYTES

    kinds = tuple(part.strip() for part in written.split(",") if part.strip())
    for kind in kinds:
        if kind not in DTYPE_BYTES:
            raise UsageError(f"--weights: {kind!r} is no dtype", remedy=f"Use {', '.join(DTYPE_BYTES)}")
    return kinds or None


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


# ---- measurements ------------------------------------------------------------------------------------------------


def show_validation(table: str, file: Path, as_json: bool) -> None:
    """`plant validate`."""
    from plant.validation.tables import validate

    found = validate(table, file)
    if as_json:
        print_json(found.to_dict())
        return
    screen = console()
    say(screen, f"{found.table}: {found.used:,} rows of {found.path}", "bold")
    columns, *rows = found.lines()
    put(screen, columns, rows, left=3)
    for reason, count in found.skipped.items():
        say(screen, f"skipped {_count(count, 'row')}: {reason}", "yellow")
    for note in found.notes:
        say(screen, f"note: {note}", "dim")
