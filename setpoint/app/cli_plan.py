"""`setpoint plan`: what one control loop would do with a simulated site's next hours, and why. Nothing is moved."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from setpoint.app.cli_plant import Json, SiteName, print_json, span_s
from setpoint.errors import UsageError

NOTHING_PLANNED = 3
FIRST_YEAR, LAST_YEAR = 2000, 2100
LONGEST_S, SHORTEST_S = 90 * 86400.0, 60.0


class LoopChoice(StrEnum):
    """The loops by name, as --help lists them."""

    energy = "energy"
    peak = "peak"
    cooling = "cooling"
    maintenance = "maintenance"


def plan(
    loop: Annotated[LoopChoice, typer.Argument(help="Which loop.")],
    site: SiteName = "hall-1024",
    horizon: Annotated[str, typer.Option(help="How far to plan, as 24h. Default: the loop's own.")] = "",
    start: Annotated[
        str, typer.Option(help="When, as 2026-03-14T12:00 in the site's zone. Default: this hour.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the site's days.")] = 7,
    as_json: Json = False,
    report: Annotated[Path | None, typer.Option(help="Write the HTML page with its plots here.")] = None,
) -> None:
    """What a control loop foresees and would do, what that saves, what it risks and why. Nothing is moved.

    The site is simulated: two weeks of its days are history, then the loop reads it and plans. Exits with 3 where nothing
    could be planned.

    Examples: `setpoint plan peak --site hall-1024 --horizon 24h`;
    `setpoint plan cooling --site demo --start 2026-03-14T12:00 --report plan.html`; `setpoint plan maintenance --json`
    """
    from setpoint.app.plan_views import Wanted, as_values, made_plan, tell
    from setpoint.app.plant_views import may_write

    if report:
        may_write(report)
    wanted = Wanted(loop.value, site, _horizon_s(horizon), _moment(start), seed)
    made = made_plan(wanted)
    if report:
        from setpoint.app.plan_page import write_page

        write_page(report, made)
    if as_json:
        print_json(as_values(made))
    else:
        tell(made)
        if report:
            typer.echo(f"\nreport: {report}")
    if made.nothing:
        raise typer.Exit(NOTHING_PLANNED)


def _horizon_s(written: str) -> float | None:
    """Raises UsageError where it is no span of time, or none that a plan is made for."""
    if not written:
        return None
    seconds = span_s(written, "--horizon")
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise UsageError(
            f"--horizon: {written} asked, 1 min to 90 days allowed", remedy="Write it as 20m, 24h or 30d"
        )
    return seconds


def _moment(written: str) -> datetime | None:
    """Without a zone it is left so: the site's is taken. Raises UsageError."""
    if not written:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise UsageError(f"--start: {error}", remedy="Write it as 2026-03-14T12:00") from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise UsageError(
            f"--start: the year {moment.year} asked, {FIRST_YEAR} to {LAST_YEAR} allowed",
            remedy="Write it as 2026-03-14T12:00",
        )
    return moment


def this_hour() -> datetime:
    """The present hour's beginning."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
