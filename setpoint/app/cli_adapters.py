"""`setpoint adapters ...`: is a site's adapter file right, what does it read, what would an action write. Moves nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from setpoint.app.cli_plant import Json, print_json
from setpoint.app.desk_calls import group
from setpoint.errors import BackendError, UsageError

if TYPE_CHECKING:
    from tools.adapters.real_site import RealSite

adapters = group(
    "The adapters of a real site: reach them, read an asset, see what an action would write. Moves nothing."
)
AdapterPath = Annotated[Path, typer.Argument(help="The site's adapter file.", metavar="FILE")]
SitePath = Annotated[
    str, typer.Option("--site", help="A site file, or an included site: demo, lab-16, hall-1024, gb200-row.")
]


@adapters.command("check")
def adapters_check(file: AdapterPath, site: SitePath, as_json: Json = False) -> None:
    """Reach every adapter once and say what it answers. Exit 3 where one cannot be reached.

    Example: `setpoint adapters check hall.adapters.yaml --site hall.yaml`
    """
    with _opened(file, site) as real:
        found = real.check()
        if as_json:
            rows = [{"adapter": one.adapter, "reachable": one.reachable, "said": one.said} for one in found]
            print_json({"site": real.site.name, "write": real.write, "adapters": rows})
        else:
            for one in found:
                typer.echo(f"{'ok  ' if one.reachable else 'FAIL'}  {one.adapter}: {one.said}")
            switch = (
                "on: approved actions move this site"
                if real.write
                else "off: nothing is written to this site"
            )
            typer.echo(f"\nwriting is {switch}")
        away = [one.adapter for one in found if not one.reachable]
    if away:
        raise BackendError(f"{len(away)} of {len(found)} adapters failed the check", where=str(file),
                           remedy="The lines above say why")  # fmt: skip


@adapters.command("read")
def adapters_read(
    file: AdapterPath,
    site: SitePath,
    asset: Annotated[str, typer.Argument(help="An asset of the site; without it all that are mapped.")] = "",
    as_json: Json = False,
) -> None:
    """Read an asset, or all that are mapped, with the age of each reading.

    Example: `setpoint adapters read hall.adapters.yaml cdu-1 --site hall.yaml`
    """
    with _opened(file, site) as real:
        if asset and real.site.find(asset) is None:
            raise UsageError(
                f"no asset {asset!r} on the site", remedy="`setpoint plant show SITE` lists them"
            )
        rows = [_row(real, name) for name in ([asset] if asset else real.assets())]
        if as_json:
            print_json({"site": real.site.name, "readings": rows, "failed": real.failed})
            return
        for row in rows:
            values = ", ".join(f"{metric} {value:g}" for metric, value in sorted(row["values"].items()))
            typer.echo(
                f"{row['asset']}: {values or 'nothing read'}"
                + (f"  ({row['age_s']:.0f} s old)" if values else "")
            )
        for name, why in real.failed.items():
            typer.echo(f"{name} failed: {why}", err=True)


@adapters.command("preview")
def adapters_preview(
    file: AdapterPath,
    site: SitePath,
    action: Annotated[str, typer.Argument(help="Name in the action catalog, as set_coolant_flow.")],
    asset: Annotated[str, typer.Argument(help="What it would be done to.")],
    given: Annotated[
        list[str] | None, typer.Option("--set", help="An argument, as flow_lpm=180. Repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What an action would write where. Kubernetes rehearses it itself (dry run); the others name the write.

    Example: `setpoint adapters preview hall.adapters.yaml set_coolant_flow cdu-1 --set flow_lpm=240 --site hall.yaml`
    """
    from setpoint.app.cli_rehearse import arguments
    from setpoint.contracts import Action
    from tools.actions import describe, validate

    with _opened(file, site) as real:
        wanted = validate(Action(name=action, asset=asset, args=arguments(given or [])), real.site)
        said = real.preview(wanted)
        if as_json:
            print_json({"action": wanted.model_dump(mode="json"), "write": real.write, "would": said})
        else:
            typer.echo(f"{describe(wanted)}\nwould be: {said}")


@contextmanager
def _opened(file: Path, site: str) -> Iterator[RealSite]:
    from plant.site import load_site, site_file_of
    from setpoint.app.opening import utc_now
    from setpoint.settings import load_settings
    from tools.adapters.real_site import open_real_site

    store = load_settings({}).settings.store.dir
    real = open_real_site(load_site(site_file_of(site)), file, store, utc_now)
    try:
        yield real
    finally:
        real.close()


def _row(real: RealSite, asset: str) -> dict[str, Any]:
    reading = real.read(asset)
    if reading is None:
        return {"asset": asset, "values": {}, "age_s": None}
    age_s = max(0.0, time.time() - reading.time.timestamp())
    return {"asset": asset, "values": dict(reading.values), "age_s": age_s}
