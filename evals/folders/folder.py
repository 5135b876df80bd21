"""A case folder: what a site said in one incident or one quiet hour, and what should have been said and done.

    case.yaml       what is expected, and where the case comes from (the contract below)
    events.*        the events, in any format that intake reads
    site.yaml       the site, unless it is an included one
    telemetry.csv   readings around it (time,asset,metric,value), where there are any
    rules.yaml      the site's own rules, where it has some

Nothing of case.yaml but the names of its files reaches the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from knowledge.causes import load_causes
from plant.site_file import site_file
from setpoint.contracts.action import ArgValue
from setpoint.contracts.site import Site, load_site
from setpoint.contracts.triage import Priority
from setpoint.errors import ConfigError, InputError, SetpointError, UsageError
from tools.actions import CATALOG
from tools.telemetry import read_history

VERSION: Literal[1] = 1
CASE_FILE = "case.yaml"
CASEBOOK = Path(__file__).parents[1] / "casebook"
"""The folders that come with the project."""
AS_KEPT = ".kept.jsonl"
"""Ending of a file of events as Setpoint keeps them, one a line: what is made of an incident is written so. Put through
intake again, an event would lose the format it came in, by which rules tell an alert from a log line."""
MOST_BYTES = 20_000_000
"""A larger file is no case that somebody wrote or that came of one incident."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_list(given: Any) -> Any:
    """One thing stands for a list of it."""
    return given if isinstance(given, (list, tuple)) else [given]


def _as_wanted(given: Any) -> Any:
    """A bare name stands for an action with any asset and arguments."""
    return {"name": given} if isinstance(given, str) else given


class Wanted(_Closed):
    """An action by its catalog name; an asset or an argument that is not given may be any."""

    name: str
    asset: str = ""
    args: dict[str, ArgValue] = Field(default_factory=dict)

    def fits(self, name: str, asset: str, args: dict[str, Any]) -> bool:
        """Whether a proposed action is this one."""
        same_args = all(_same(args.get(key), value) for key, value in self.args.items())
        return name == self.name and self.asset.lower() in ("", asset.lower()) and same_args

    def __str__(self) -> str:
        args = ", ".join(f"{key}={_shown(value)}" for key, value in self.args.items())
        return self.name + (f" on {self.asset}" if self.asset else "") + (f" ({args})" if args else "")


def _shown(value: ArgValue) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _same(one: Any, other: Any) -> bool:
    numbers = [value for value in (one, other) if isinstance(value, (int, float))]
    return abs(numbers[0] - numbers[1]) < 1e-6 if len(numbers) == 2 else bool(one == other)


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
Action = Annotated[Wanted, BeforeValidator(_as_wanted)]
AnyOf = Annotated[tuple[Action, ...], BeforeValidator(_as_list)]


class Expected(_Closed):
    """What is right about one incident, or that there is none. What is not given is not judged."""

    no_incident: bool = False
    """Nothing is wrong: nobody is told, nothing above P3, nothing proposed."""
    incident_on: Names = ()
    """Assets by which the incident is found among several; default: `asset`."""
    asset: Names = ()
    """Where the cause lies; any of them is right."""
    priority: Priority | None = None
    accepted_priorities: Annotated[tuple[Priority, ...], BeforeValidator(_as_list)] = ()
    cause: str = ""
    """Root cause by its catalog id."""
    accepted_causes: Names = ()
    forbidden_causes: Names = ()
    """Neither first, nor with a share above what `evals.folders.judging` allows."""
    required_actions: Annotated[tuple[AnyOf, ...], BeforeValidator(_as_list)] = ()
    """Each is proposed; of a list in the list, one of its members."""
    forbidden_actions: Annotated[tuple[Action, ...], BeforeValidator(_as_list)] = ()
    most_pages: int | None = Field(default=None, ge=0)
    """How often people may be called in all."""

    @property
    def priorities(self) -> tuple[str, ...]:
        return (self.priority, *self.accepted_priorities) if self.priority else ()

    @property
    def causes(self) -> tuple[str, ...]:
        return (self.cause, *self.accepted_causes) if self.cause else ()

    @model_validator(mode="after")
    def _checked(self) -> Expected:
        for name in (*self.causes, *self.accepted_causes, *self.forbidden_causes):
            if name not in load_causes():
                raise ValueError(
                    f"no root cause {name!r} in the catalog; `setpoint knowledge causes` lists them"
                )
        actions = [one for some in self.required_actions for one in some] + list(self.forbidden_actions)
        for action in actions:
            if action.name not in CATALOG:
                raise ValueError(f"no action {action.name!r} in the catalog; there are {', '.join(CATALOG)}")
        if both := {*self.causes} & {*self.forbidden_causes}:
            raise ValueError(f"{min(both)} is both right and forbidden; take it out of one of them")
        if self.no_incident and self.model_fields_set - {"no_incident"}:
            raise ValueError("no_incident stands alone; take out the rest, or say what the incident is")
        if not self.model_fields_set - {"incident_on"}:
            raise ValueError("nothing is expected; give a priority, a cause, actions, or no_incident: true")
        return self


class CaseFile(_Closed):
    """case.yaml."""

    version: Literal[1]
    title: str = Field(min_length=1)
    tags: Names = ()
    site: str = ""
    """An included site by name, or a file in the folder; "": no asset is known."""
    events: str
    telemetry: str = ""
    rules: Names = ()
    """Files in the folder with the site's own rules."""
    now: datetime | None = None
    """When the events had all arrived: dates without a year and times in the future are judged by it. Default: when
    the case is played."""
    split: Literal["dev", "held-out"] = "dev"
    source: str = ""
    """Where the case comes from, and who says that it should be so."""
    expect: Annotated[tuple[Expected, ...], BeforeValidator(_as_list)] = Field(min_length=1)

    @model_validator(mode="after")
    def _checked(self) -> CaseFile:
        if len(self.expect) > 1 and any(one.no_incident for one in self.expect):
            raise ValueError("no_incident cannot stand beside an incident; take out one of them")
        if self.now is not None and self.now.tzinfo is None:
            raise ValueError(f"now: {self.now.isoformat()} has no zone; write it as {self.now.isoformat()}Z")
        return self


@dataclass(frozen=True)
class Folder:
    """One case folder whose files are all there."""

    path: Path
    case: CaseFile

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def events(self) -> Path:
        return self.path / self.case.events

    @property
    def telemetry(self) -> Path | None:
        return self.path / self.case.telemetry if self.case.telemetry else None

    @property
    def rules(self) -> list[Path]:
        return [self.path / name for name in self.case.rules]

    @property
    def site(self) -> Path | None:
        """The site file; None where no asset is known."""
        return _site_path(self.path, self.case.site)


@dataclass(frozen=True)
class Wrong:
    """A folder that is no case, and why. It is reported, never left out."""

    path: Path
    why: str

    @property
    def name(self) -> str:
        return self.path.name


def find_folders(roots: Sequence[Path]) -> list[Path]:
    """Case folders of these: a root that is one itself, else the folders in it. Raises UsageError for a root that is
    not there."""
    found: list[Path] = []
    for root in roots:
        if not root.is_dir():
            raise UsageError(f"no folder of cases {str(root)!r}", remedy="Give a folder with case folders")
        inside = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
        found += [root] if (root / CASE_FILE).exists() else inside
    return found


def read_all(paths: Sequence[Path]) -> list[Folder | Wrong]:
    """Every folder, the wrong ones with what is wrong."""
    return [_read_or_wrong(path) for path in paths]


def _read_or_wrong(path: Path) -> Folder | Wrong:
    try:
        return read_folder(path)
    except SetpointError as error:
        return Wrong(path, str(error))


def read_folder(path: Path) -> Folder:
    """One folder with its files checked, except that its events say something. Raises ConfigError with file, key, value
    and remedy."""
    case = _read_case(path / CASE_FILE)
    files = [("events", case.events), *(("rules", name) for name in case.rules)]
    for key, name in [*files, *([("telemetry", case.telemetry)] if case.telemetry else [])]:
        _check_file(path, key, name)
    _check_site(path, case.site)
    if case.telemetry:
        try:
            read_history(path / case.telemetry)
        except InputError as error:
            raise ConfigError(f"telemetry: {error.what}", where=error.where, remedy=error.remedy) from error
    return Folder(path, case)


def _read_case(path: Path) -> CaseFile:
    remedy = "`setpoint eval add` writes such a file; docs/evals.md has an example"
    if not path.is_file():
        raise ConfigError("there is no such file", where=str(path), remedy=remedy)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"not valid YAML: {' '.join(str(error).split())}", where=str(path)) from error
    if not isinstance(raw, dict):
        raise ConfigError("it holds no keys", where=str(path), remedy=remedy)
    try:
        return CaseFile.model_validate(raw)
    except ValidationError as error:
        what, remedy = _in_words(error.errors()[0])
        raise ConfigError(what, where=str(path), remedy=remedy) from error


def _in_words(detail: ErrorDetails) -> tuple[str, str]:
    """What is wrong with which key and value, and what to do."""
    key = ".".join(str(part) for part in detail["loc"]) or CASE_FILE
    value = str(detail["input"])
    shown = f" is {value[:60]!r}" if detail["type"] != "missing" and not value.startswith("{") else ""
    if detail["type"] == "extra_forbidden":
        near = Expected.model_fields if key.startswith("expect") else CaseFile.model_fields
        return f"unknown key {key!r}", f"the keys there are {', '.join(near)}"
    if detail["type"] == "value_error":
        what, _, remedy = detail["msg"].removeprefix("Value error, ").partition("; ")
        return (what if what.startswith(key) else f"{key}: {what}"), remedy
    if detail["type"] == "missing":
        return f"{key} is missing", f"add {key}: to the file"
    return f"{key}{shown}: {detail['msg']}", "docs/evals.md says what each key may be"


def _check_file(folder: Path, key: str, name: str) -> None:
    """A file that lies in the folder and can be read."""
    path = folder / name
    where, said = str(folder / CASE_FILE), f"{key}: {name!r}"
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            f"{said} lies outside the folder", where=where, remedy="A case is whole: copy it into the folder"
        )
    if not path.is_file():
        raise ConfigError(f"{said}: no such file", where=where, remedy=f"Put it into {folder}")
    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(
            f"{said} has {path.stat().st_size} bytes", where=where, remedy="Keep what belongs to the case"
        )


def _check_site(folder: Path, name: str) -> Site | None:
    if not name:
        return None
    if (folder / name).exists():
        _check_file(folder, "site", name)
    try:
        path = _site_path(folder, name)
        return load_site(path) if path else None
    except ConfigError as error:
        raise ConfigError(
            f"site: {error.what}", where=error.where or str(folder / CASE_FILE), remedy=error.remedy
        ) from error


def _site_path(folder: Path, name: str) -> Path | None:
    if not name:
        return None
    return folder / name if (folder / name).is_file() else site_file(name)
