"""`setpoint plant ...`: the model of hardware and inference, without events, models or a ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from setpoint.errors import UsageError

plant = typer.Typer(
    help="The plant model: look at a site, run it, size it, hold it against measurements.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
SiteName = Annotated[
    str, typer.Option("--site", help="A site file, or an included site: demo, lab-16, hall-1024, gb200-row.")
]
TraceFile = Annotated[
    Path | None,
    typer.Option(
        "--trace", help="Requests as CSV: arrival_s,input_toks,output_toks. Default: a synthetic load."
    ),
]
Sort = Annotated[
    bool, typer.Option("--sort", help="Put unsorted arrivals in order in place of refusing them.")
]
FaultSpec = Annotated[
    list[str] | None,
    typer.Option("--fault", help="NAME[:ASSET]@T, T as 600s, 10m or 2h after the start. Repeatable."),
]
Report = Annotated[Path | None, typer.Option("--report", help="Write the HTML report with its plots here.")]


@plant.command()
def show(
    site: Annotated[str, typer.Argument(help="A site file or an included site.")] = "",
    named: Annotated[str, typer.Option("--site", help="The same, as the other commands take it.")] = "",
    tree: Annotated[bool, typer.Option("--tree", help="The topology as a tree.")] = False,
    as_json: Json = False,
) -> None:
    """What stands on a site: racks, GPUs, cooling, power, storage, pools; capacity, headroom and redundancy.

    Example: `setpoint plant show hall-1024 --tree`
    """
    from setpoint.app.plant_views import show_site

    if site and named and site != named:
        raise UsageError(f"two sites: {site} and {named}", remedy="Name one")
    show_site(site or named or "demo", tree, as_json)


@plant.command()
def simulate(
    site: SiteName = "demo",
    trace: TraceFile = None,
    hours: Annotated[float | None, typer.Option(help="Stop after so many hours of plant time.")] = None,
    fault: FaultSpec = None,
    step: Annotated[str, typer.Option(help="Window in which engines and plant exchange, as 1s.")] = "auto",
    rate: Annotated[float, typer.Option(help="Factor on the trace's rate of arrivals.")] = 1.0,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the synthetic load, where no trace is given.")
    ] = 7,
    sort: Sort = False,
    as_json: Json = False,
    report: Report = None,
) -> None:
    """Run a site under a real request trace: latency, cache, power, clocks, temperatures, storage, grid, carbon.

    Examples: `setpoint plant simulate --site hall-1024 --trace conv.csv --report run.html`;
    `setpoint plant simulate --site demo --hours 0.5 --fault pump_trip:cdu-1-pump-a@10m`
    """
    from setpoint.app.plant_views import show_run

    show_run(site, trace, hours, fault or [], step, rate, seed, sort, as_json, report)


@plant.command("what-if")
def what_if(
    changes: Annotated[str, typer.Argument(help='As "batch=64 clock=1200MHz cdu-1.supply_temp=30C".')],
    over: Annotated[str, typer.Option("--over", help="Plant time to compare over, as 10m.")] = "10m",
    site: SiteName = "demo",
    trace: TraceFile = None,
    fault: FaultSpec = None,
    rate: Annotated[float, typer.Option(help="Factor on the trace's rate of arrivals.")] = 1.0,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the synthetic load, where no trace is given.")
    ] = 7,
    sort: Sort = False,
    as_json: Json = False,
    report: Report = None,
) -> None:
    """The same minutes with and without a change, side by side. Nothing real is touched.

    Example: `setpoint plant what-if "batch=64 clock=1200MHz supply_temp=30C" --over 10m --site hall-1024`
    """
    from setpoint.app.plant_views import show_what_if

    show_what_if(changes, over, site, trace, fault or [], rate, seed, sort, as_json, report)


@plant.command()
def size(
    model: Annotated[str, typer.Option("--model", help="As llama-3.1-70b.")],
    gpu: Annotated[str, typer.Option("--gpu", help="As H200.")],
    slo: Annotated[str, typer.Option("--slo", help="As ttft=500ms,tpot=50ms.")],
    rate: Annotated[float, typer.Option("--rate", max=100_000.0, help="Requests a second.")],
    prompt: Annotated[int, typer.Option(help="Mean prompt, tokens.")] = 1024,
    output: Annotated[int, typer.Option(help="Mean answer, tokens.")] = 256,
    trace: TraceFile = None,
    sort: Sort = False,
    weights: Annotated[str, typer.Option(help="bf16, fp8 or fp4; default as published.")] = "",
    max_gpus: Annotated[int, typer.Option("--max-gpus", help="No more than so many.")] = 1024,
    as_json: Json = False,
) -> None:
    """How many instances, split how, at which batch and clock, meet an SLO; together or apart, GPU or LPU.

    Example: `setpoint plant size --model llama-3.1-70b --gpu H200 --slo ttft=500ms,tpot=50ms --rate 20`
    """
    from setpoint.app.plant_views import show_sizing

    show_sizing(model, gpu, slo, rate, prompt, output, trace, sort, weights, max_gpus, as_json)


@plant.command()
def validate(
    file: Annotated[Path, typer.Argument(help="CSV with the columns of that table.")],
    table: Annotated[
        str, typer.Option("--table", help="silicon, mlenergy, splitwise, vllm-bench or mlperf.")
    ],
    as_json: Json = False,
) -> None:
    """Hold the model against measurements: mean and median absolute error by GPU and model.

    Example: `setpoint plant validate --table silicon nvidia_silicon_e2e_dev.csv`
    """
    from setpoint.app.plant_views import show_validation

    show_validation(table, file, as_json)


@plant.command()
def bench(
    trace: Annotated[Path, typer.Option("--trace", help="Requests as CSV.")],
    model: Annotated[str, typer.Option("--model")] = "llama-2-70b",
    gpu: Annotated[str, typer.Option("--gpu")] = "H100",
    tp: Annotated[int, typer.Option("--tp", min=1, help="Tensor parallel ways of one replica.")] = 8,
    replicas: Annotated[int, typer.Option("--replicas", min=1)] = 2,
    hbm_util: Annotated[
        float, typer.Option("--hbm-util", help="Share of GPU memory; little of it starves the cache.")
    ] = 0.9,
    repeat: Annotated[int, typer.Option(min=1, help="Play the trace so many times in a row.")] = 1,
    sort: Sort = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Throughput against reserving memory, at equal memory.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Speed of the serving model: requests replayed a CPU second, with every feature on.

    Example: `setpoint plant bench --trace conv.csv --model llama-2-70b --gpu H100 --tp 8 --replicas 2`
    """
    from setpoint.app.plant_views import show_bench

    show_bench(trace, model, gpu, tp, replicas, hbm_util, repeat, sort, compare, as_json)


@plant.command()
def trends(site: SiteName = "demo", as_json: Json = False) -> None:
    """The eras of data centers as a frame, and where the site stands among them.

    Example: `setpoint plant trends --site hall-1024`
    """
    from setpoint.app.plant_views import show_trends

    show_trends(site, as_json)


@plant.command()
def faults(
    name: Annotated[str, typer.Argument(help="Show this one whole.")] = "", as_json: Json = False
) -> None:
    """The faults the plant can suffer: what they strike, how they begin, what equipment would log.

    Example: `setpoint plant faults rack_leak`
    """
    from setpoint.app.plant_views import show_faults

    show_faults(name, as_json)


@plant.command()
def night(
    out: Annotated[Path, typer.Option("--out", help="Folder for events.log, telemetry.csv and truth.json.")],
    site: SiteName = "demo",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same night.")] = 7,
    hours: Annotated[float, typer.Option(min=0.1, max=168.0, help="Length, at most a week.")] = 8.0,
    faults: Annotated[int, typer.Option(min=0, max=500, help="How many faults strike.")] = 12,
) -> None:
    """Compose a night on any site from one seed: telemetry, events as equipment writes them, and the truth.

    Example: `setpoint plant night --site hall-1024 --seed 3 --out var/night`
    """
    from setpoint.app.plant_views import write_night

    write_night(site, seed, hours, faults, out)


def print_json(value: Any) -> None:
    """Strict JSON: a number that is not finite is an error of ours, not of the reader's parser."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def span_s(written: str, what: str) -> float:
    """A span of time above zero. Raises UsageError with an example."""
    from plant.units import quantity

    try:
        seconds = quantity(written, "s")
    except ValueError as error:
        raise UsageError(f"{what}: {error}", remedy="Write it as 10m, 90s or 2h") from error
    if seconds <= 0:
        raise UsageError(f"{what}: {written!r} is not above zero", remedy="Write it as 10m, 90s or 2h")
    return seconds
