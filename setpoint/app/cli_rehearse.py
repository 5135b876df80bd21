"""`setpoint rehearse`: an action tried on the plant model before anyone approves it. Nothing real is touched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from setpoint.app.cli_plant import Json, SiteName, print_json, span_s
from setpoint.errors import InputError, UsageError

if TYPE_CHECKING:
    from plant.diagnosis.estimate import Estimate
    from plant.diagnosis.results import Rehearsal
    from plant.site import Site
    from setpoint.contracts import Action
    from setpoint.contracts.action import ArgValue

ArgsGiven = Annotated[
    list[str] | None, typer.Option("--set", help="An argument of the action, as flow_lpm=180. Repeatable.")
]
Faults = Annotated[
    list[str] | None,
    typer.Option("--fault", help="NAME[:ASSET]@T: it struck so long before the action, as 30s or 10m. Repeatable."),
]  # fmt: skip


def rehearse(
    action: Annotated[str, typer.Argument(help="Name in the action catalog, as set_coolant_flow.")],
    asset: Annotated[str, typer.Argument(help="What it is done to; with --fault it can be left out.")] = "",
    site: SiteName = "demo",
    given: ArgsGiven = None,
    fault: Faults = None,
    telemetry: Annotated[
        Path | None,
        typer.Option(help="CSV of recorded readings (time,asset,metric,value); start from their end."),
    ] = None,
    horizon: Annotated[str, typer.Option(help="How far to look, as 15m. Default: as long as it acts.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the ensemble.")] = 0,
    as_json: Json = False,
    report: Annotated[Path | None, typer.Option(help="Write the HTML page with its plots here.")] = None,
) -> None:
    """The site's next minutes with and without an action: chances of breaking limits, costs, what else could be done.

    Examples: `setpoint rehearse start_standby_pump cdu-1-pump-b --fault pump_trip:cdu-1-pump-a@10s`;
    `setpoint rehearse set_coolant_flow cdu-1 --set flow_lpm=90 --site demo --report flow.html`
    """
    from plant.site import load_site, site_file_of
    from setpoint.app.plant_views import may_write

    if report:
        may_write(report)
    loaded = load_site(site_file_of(site))
    start = starting(loaded, fault or [], telemetry)
    span = span_s(horizon, "--horizon") if horizon else None
    found = rehearsed(loaded, start, action, asset, arguments(given or []), span, seed)
    if report:
        from setpoint.app.rehearsal_page import write_page

        write_page(report, found, loaded, start.words)
    if as_json:
        print_json({"from": start.words, **found.model_dump(mode="json")})
        return
    from setpoint.app.rehearsal_page import tell

    tell(found, start.words)
    if report:
        typer.echo(f"\nreport: {report}")


@dataclass(frozen=True)
class Start:
    """Where a rehearsal starts."""

    estimate: Estimate
    words: str
    """Where the state comes from, for a reader."""
    cause: str = ""
    """"cause@asset" of the last fault."""
    asset: str = ""
    remedies: tuple[str, ...] = ()


def starting(site: Site, faults: list[str], telemetry: Path | None) -> Start:
    """The state to start from: readings, or the quiet model; with faults in it that struck some time ago.

    Raises UsageError for a fault that does not fit, InputError for readings that cannot be used.
    """
    from knowledge.causes import load_causes
    from plant.diagnosis.quiet import as_estimate, quiet
    from plant.diagnosis.words import span
    from plant.faults.effects import inject
    from plant.faults.place import parse_fault

    if telemetry is not None:
        if faults:
            raise UsageError("readings and faults are both given", remedy="Give --telemetry or --fault")
        return Start(_read(site, telemetry), f"the state that {telemetry.name} shows at its end")
    plans = sorted((parse_fault(written, site) for written in faults), key=lambda plan: -plan.at_s)
    now = datetime.now(UTC).replace(microsecond=0)
    longest_s = plans[0].at_s if plans else 0.0
    plant = quiet(site, now - timedelta(seconds=longest_s)).plant
    for number, plan in enumerate(plans):
        inject(plant, plan)
        later_s = plans[number + 1].at_s if number + 1 < len(plans) else 0.0
        plant.advance(plan.at_s - later_s)
    if not plans:
        return Start(as_estimate(plant, 0.0), "a quiet state of the site model: nothing of the site was read")
    struck = " and ".join(f"'{p.fault.title}' at {p.asset}, {span(p.at_s)} ago" for p in plans)
    last = plans[-1]
    return Start(
        as_estimate(plant, 0.0), f"a quiet state of the site model with {struck}: nothing of the site was read",
        f"{last.fault.cause}@{last.asset}", last.asset, load_causes()[last.fault.cause].remedies,
    )  # fmt: skip


def _read(site: Site, telemetry: Path) -> Estimate:
    from tools.rehearsal import live_estimate
    from tools.telemetry import read_history

    history = read_history(telemetry)
    ends = [
        series.times[-1] for asset in site.assets for metric in history.metrics(asset.name)
        if (series := history.series(asset.name, metric)) and series.times
    ]  # fmt: skip
    estimate = live_estimate(site, history, max(ends)) if ends else None
    if estimate is None:
        raise InputError(
            f"too few readings of assets of {site.name}", where=str(telemetry), remedy="Give readings of an hour before"
        )  # fmt: skip
    return estimate


def rehearsed(
    site: Site, start: Start, name: str, asset: str, args: dict[str, ArgValue], horizon_s: float | None, seed: int
) -> Rehearsal:  # fmt: skip
    """The rehearsal, against the remedies of the fault at work. Raises UsageError where there is nothing to rehearse,
    InputError and ActionRefused for an action that cannot be taken as written."""
    from tools.rehearsal import nothing_to_rehearse, other_ways, rehearse_action

    action = _action(site, start, name, asset, args)
    if why := nothing_to_rehearse(action):
        raise UsageError(f"nothing to rehearse: {why}", remedy="It can be decided without")
    others = other_ways(site, start.estimate, start.remedies, start.asset) if start.asset else ()
    found = rehearse_action(
        site, start.estimate, action, others=others, cause=start.cause, horizon_s=horizon_s, seed=seed
    )
    if found is None:
        raise UsageError(
            "the plant model diverges from this state", remedy="Try a milder fault, or another state"
        )
    return found


def _action(site: Site, start: Start, name: str, asset: str, args: dict[str, ArgValue]) -> Action:
    from tools.actions import spec_of
    from tools.rehearsal import action_of, other_ways

    if asset:
        return action_of(site, start.estimate, name, asset, args)
    spec_of(name)
    ways = other_ways(site, start.estimate, [name], start.asset) if start.asset else ()
    if not ways:
        raise UsageError(f"which asset? {name} needs one", remedy=f"Write `setpoint rehearse {name} ASSET`")
    return action_of(site, start.estimate, name, ways[0].asset, {**ways[0].args, **args})


def arguments(given: list[str]) -> dict[str, ArgValue]:
    """`flow_lpm=180` as a number, `model=small` as a word. Raises UsageError for anything else.

    >>> arguments(["flow_lpm=180", "model=small"])
    {'flow_lpm': 180.0, 'model': 'small'}
    """
    found: dict[str, ArgValue] = {}
    for item in given:
        name, separator, value = item.partition("=")
        if not separator or not name.strip() or not value.strip():
            raise UsageError(f"{item!r} is no argument", remedy="Write it as flow_lpm=180")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            found[name.strip()] = value.strip()
    return found
