"""`setpoint eval add`: a case folder out of a real incident and its corrections, or a check of one that somebody wrote."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from setpoint.app.desk_calls import Desk, Json, Store, desk_of
from setpoint.app.formatting import counted
from setpoint.errors import SetpointError, UsageError

CASES = Path("var/cases")


def eval_add(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Case folders you wrote, to be checked.", metavar="[FOLDER]..."),
    ] = None,
    from_incident: Annotated[str, typer.Option(help="Make a folder of this incident, as INC-XFJF7VHE.")] = "",
    corrected: Annotated[
        bool,
        typer.Option(
            "--corrected", help="Of every incident that people corrected and that has no folder yet."
        ),
    ] = False,
    to: Annotated[Path, typer.Option("--to", help="Where the folders go.")] = CASES,
    title: Annotated[str, typer.Option(help="In place of the incident's own, with --from-incident.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="Tag of the case. Repeatable.")] = None,
    site: Annotated[
        Path | None,
        typer.Option(
            "--site", help="The site's YAML file, where no `setpoint serve` runs and none is configured."
        ),
    ] = None,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Make a case of a real incident and what people said of it, or check a folder you wrote.

    Examples: `setpoint eval add --from-incident INC-XFJF7VHE --tag cooling`; `setpoint eval add --corrected`;
    `setpoint eval add my-cases/pump-trips`
    """
    if sum((bool(folders), bool(from_incident), corrected)) != 1:
        raise UsageError(
            "eval add takes one of: FOLDER, --from-incident, --corrected", remedy="`setpoint eval add -h`"
        )
    if folders:
        _tell([check(folder) for folder in folders], as_json)
        return
    desk = desk_of(store, site)
    if from_incident:
        made = [
            write(
                to / _folder(from_incident), desk("cases_show", id=from_incident, title=title, tags=tag or [])
            )
        ]
    else:
        made = list(_of_corrected(desk, to, tag or []))
    _tell([check(folder) for folder in made], as_json, f"No corrected incident without a case in {to}")


def _of_corrected(desk: Desk, to: Path, tags: list[str]) -> Iterator[Path]:
    """A folder of each corrected incident that has none; one of which no events are left does not stop the others."""
    for name in desk("cases_list"):
        if (to / _folder(name)).exists():
            continue
        try:
            material = desk("cases_show", id=name, tags=tags)
        except SetpointError as error:
            typer.echo(f"setpoint: {error}", err=True)
            continue
        yield write(to / _folder(name), material)


def write(folder: Path, material: Mapping[str, Any]) -> Path:
    """The folder of what the desk gave. Raises UsageError where there is one already."""
    if folder.exists():
        raise UsageError(f"{folder} is there already", remedy="Remove it, or name another place with --to")
    folder.mkdir(parents=True, mode=0o700)
    case = material["case"]
    lines = [json.dumps(event, ensure_ascii=False) for event in material["events"]]
    (folder / case["events"]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    if material["readings"]:
        with (folder / case["telemetry"]).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("time", "asset", "metric", "value"), *material["readings"]])
    if material["site"]:
        _write_yaml(folder / case["site"], material["site"])
    for name, content in material["rules"].items():
        (folder / name).write_text(content, encoding="utf-8")
    _write_yaml(folder / "case.yaml", case)
    if not case.get("site"):
        typer.echo(
            f"setpoint: {folder} has no site, so its assets are judged by their names; --site names one",
            err=True,
        )
    return folder


def _write_yaml(path: Path, data: Any) -> None:
    import yaml

    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110), encoding="utf-8")


def _folder(incident_id: str) -> str:
    """An id is a plain name; nothing else may become a path."""
    return re.sub(r"[^a-z0-9-]+", "-", incident_id.lower()).strip("-") or "case"


def check(folder: Path) -> dict[str, Any]:
    """What is in a case folder. Raises ConfigError or InputError that says what is wrong with it."""
    from evals.folders.folder import read_folder
    from setpoint.app.case_events import read_events

    found = read_folder(folder)
    events, unreadable = read_events(found.events, found.site, found.case.now)
    return {
        "folder": str(folder),
        "title": found.case.title,
        "tags": list(found.case.tags),
        "split": found.case.split,
        "source": found.case.source,
        "events": len(events),
        "unreadable": [f"{one.origin}: {one.reason}" for one in unreadable],
        "expect": [one.model_dump(mode="json", exclude_defaults=True) for one in found.case.expect],
    }


def _tell(found: list[dict[str, Any]], as_json: bool, nothing: str = "") -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for one in found:
        typer.echo(
            f"{one['folder']}: {one['title']}, {counted(one['events'], 'event')}, split {one['split']}"
        )
        for line in (f"  {one['source']}" if one["source"] else "", *map(_in_words, one["expect"])):
            if line:
                typer.echo(line)
        for problem in one["unreadable"]:
            typer.echo(f"  cannot be read: {problem}", err=True)
    if found:
        roots = sorted({str(Path(one["folder"]).parent) for one in found})
        typer.echo(f"Run it: setpoint eval run cases {' '.join(f'--cases {root}' for root in roots)}")
    elif nothing:
        typer.echo(nothing)


def _in_words(expected: Mapping[str, Any]) -> str:
    """One line a key, as case.yaml has it."""
    return "\n".join(f"  expects {key}: {_short(value)}" for key, value in expected.items())


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        args = [f"{key}={one}" for key, one in value.get("args", {}).items()]
        return " ".join(
            [str(value["name"]), *filter(None, [f"on {value['asset']}" if value.get("asset") else "", *args])]
        )
    return ", ".join(map(_short, value)) if isinstance(value, list) else str(value)
