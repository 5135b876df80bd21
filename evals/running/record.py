"""The record of a run: what was asked, of whom, on which code, and what came out. Everything that is said of a run later
(show, compare, gate, tables of the documentation) is read from here.

A record holds no path of the machine it was made on, so that it can be committed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evals.figures import Figure
from evals.registry import Split
from setpoint.errors import ConfigError, UsageError

RUNS = Path("var/evals")
"""Where runs lie."""
RECORD = "record.json"
LATEST = "latest"
FORMAT = 1
_DEPTH = 4
"""What lies this deep in the file (a figure, a case) shares one line; what lies above has lines of its own."""


@dataclass(frozen=True)
class Outcome:
    """What became of one case, all its epochs together."""

    problems: tuple[str, ...] = ()
    """What the judge found wrong; a case without any is fine."""
    error: str = ""
    """Why it could not be judged."""
    seconds: float = 0.0
    """Mean wall time of the product's answer."""

    @property
    def fine(self) -> bool:
        return not self.problems and not self.error


@dataclass(frozen=True)
class Cost:
    """What the answers took, added up over cases and epochs."""

    answers: int = 0
    calls: int = 0
    """Of models."""
    failed_calls: int = 0
    tokens: int = 0
    model_seconds: float = 0.0
    wall_seconds: float = 0.0


@dataclass(frozen=True)
class Ran:
    """What one suite gave for one contender."""

    suite: str
    contender: str = ""
    figures: tuple[Figure, ...] = ()
    skipped: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    """Cases that could not be judged, and what kept the suite itself from running."""
    failed_gate: str = ""
    """Why the suite itself does not accept the figures."""
    cases: Mapping[str, Outcome] = field(default_factory=dict)
    cost: Cost = Cost()
    seconds: float = 0.0
    log: str = ""
    """Inspect's log, below the run's folder."""
    model_missing: str = ""
    """Which model was not there: then nothing here counts."""
    interrupted: bool = False

    @property
    def key(self) -> str:
        return f"{self.suite} by {self.contender}"


@dataclass(frozen=True)
class Asked:
    """What was to be run. The same again gives the same cases."""

    suites: tuple[str, ...]
    models: tuple[str, ...] = ("bundled",)
    """As `--model` named them, without the folders of files and servers."""
    against: tuple[str, ...] = ()
    limit: int | None = None
    seed: int = 1
    split: Split = "dev"
    epochs: int = 1
    data: str = "usual"
    """usual, given or none: which folder of public data was looked into."""
    cases: int = 0
    """Folders of case folders that were given."""


@dataclass(frozen=True)
class Made:
    """On what, when and how."""

    setpoint: str = ""
    command: str = ""
    date: str = ""
    """UTC."""
    commit: str = ""
    dirty: bool = False
    """The tree differed from the commit."""
    code: str = ""
    """Digest of everything the product is made of, models apart."""
    python: str = ""
    cores: int = 0


@dataclass(frozen=True)
class Record:
    """One run."""

    name: str
    made: Made
    asked: Asked
    contenders: Mapping[str, Mapping[str, Any]]
    ran: tuple[Ran, ...]
    not_run: tuple[str, ...] = ()
    """Which contender did not run in which suite, and why."""
    seconds: float = 0.0
    interrupted: bool = False
    format: int = FORMAT

    @property
    def suites(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.suite for one in self.ran))

    def of(self, suite: str) -> tuple[Ran, ...]:
        """The columns of one suite."""
        return tuple(one for one in self.ran if one.suite == suite)

    @property
    def errors(self) -> tuple[str, ...]:
        return tuple(f"{one.key}: {error}" for one in self.ran for error in one.errors)

    @property
    def model_missing(self) -> str:
        return next((one.model_missing for one in self.ran if one.model_missing), "")


@cache
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def as_json(record: Record) -> dict[str, Any]:
    """As a plain object. What has its default value is left out."""
    found: dict[str, Any] = _adapter().dump_python(record, mode="json", exclude_defaults=True)
    return {"format": record.format} | found


def write(record: Record, path: Path) -> Path:
    """As JSON with one line a figure and a case, so that a change shows in a diff."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_lines(as_json(record)) + "\n", encoding="utf-8")
    return path


def _lines(value: Any, depth: int = 0) -> str:
    if depth >= _DEPTH or not value or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    pad, items = " " * (depth + 1), list[str]()
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {_lines(one, depth + 1)}" for key, one in value.items()]
    else:
        items = [_lines(one, depth + 1) for one in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n" + ",\n".join(pad + item for item in items) + f"\n{' ' * depth}{closing}"


def read(path: Path) -> Record:
    """Raises ConfigError where it is no record of a run."""
    try:
        return _adapter().validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        remedy = "Name a run's record.json, its folder or its name"
        raise ConfigError(
            f"no record of an eval run: {place}: {first['msg']}", where=str(path), remedy=remedy
        ) from error


def find(run: str, runs: Path = RUNS) -> Path:
    """The record file that `run` names: a file, a run's folder, a run's name below `runs`, or `latest`."""
    if run == LATEST:
        if newest := max(_records(runs), key=lambda path: path.stat().st_mtime, default=None):
            return newest
        raise UsageError(
            "no eval run yet", where=str(runs), remedy="Make one: setpoint eval run all --limit 20"
        )
    for place in (Path(run), runs / run):
        if place.is_file():
            return place
        if (place / RECORD).is_file():
            return place / RECORD
    known = ", ".join(sorted(path.parent.name for path in _records(runs))[-5:]) or "none"
    raise UsageError(
        f"no eval run {run!r}", remedy=f"Name a record file, a run's folder or a run of {runs}: {known}"
    )


def _records(runs: Path) -> Iterator[Path]:
    return runs.glob(f"*/{RECORD}")
