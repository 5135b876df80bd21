"""Description of one site: what stands where, what feeds it, who uses it.

Read from one YAML file. Names may be given as ranges: `gpu-[01-16]` stands for sixteen assets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from setpoint.errors import ConfigError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where it is there: ten times faster, and a start must be quick."""
AssetKind = Literal[
    "gpu_node", "gpu", "host", "switch", "link", "storage", "service", "cdu", "pump", "leak_sensor", "chiller",
    "crah", "sensor", "pdu", "ups", "ess", "ats", "feed", "bmc", "fire_panel", "door", "rack", "row", "hall", "site",
    "unknown",
]  # fmt: skip
Tier = Literal["shared", "vip", "standard"]
_RANGE = re.compile(r"\[(\d+)-(\d+)\]")


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Asset(_Closed):
    """One thing with a name."""

    name: str
    kind: AssetKind = "unknown"
    on: tuple[str, ...] = ()
    """What it stands in or is fed and cooled by: rack, CDU, PDU, switch. Losing one of these touches it."""
    tier: Tier = "standard"
    """"shared": many depend on it. "vip": a VIP tenant depends on it."""
    tenant: str = ""
    redundant_with: tuple[str, ...] = ()
    """Assets that carry on when this one is lost."""
    simulated: bool = False


class Change(_Closed):
    """A hardware or firmware change; patterns first seen after it are suspicious."""

    time: datetime
    assets: str
    """Glob over asset names."""
    what: str


class MaintenanceWindow(_Closed):
    """A span of planned work. Times without a zone are in the site's."""

    start: datetime
    end: datetime
    assets: str
    what: str = ""

    def covers(self, asset: str, time: datetime) -> bool:
        return self.start <= time <= self.end and fnmatchcase(asset, self.assets)


class Site(_Closed):
    """A site as its operators describe it."""

    name: str
    timezone: str = "UTC"
    simulated: bool = False
    """True: actions move the simulated plant and nothing else."""
    assets: tuple[Asset, ...] = ()
    changes: tuple[Change, ...] = ()
    maintenance: tuple[MaintenanceWindow, ...] = ()
    limits: dict[str, float] = Field(default_factory=dict)
    """Site limits that interlocks read, unit in the name: `supply_temp_max_c`, `flow_min_lpm` ..."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"unknown time zone {value!r}; use an IANA name such as Europe/Berlin"
            ) from error
        return value

    @model_validator(mode="after")
    def _zoned(self) -> Site:
        """Times without a zone are in the site's."""
        windows = tuple(
            w.model_copy(update={"start": self._at(w.start), "end": self._at(w.end)})
            for w in self.maintenance
        )
        changes = tuple(c.model_copy(update={"time": self._at(c.time)}) for c in self.changes)
        for window in windows:
            if window.end < window.start:
                raise ValueError(f"the maintenance window of {window.assets!r} ends before it starts")
        object.__setattr__(self, "maintenance", windows)
        object.__setattr__(self, "changes", changes)
        return self

    def _at(self, moment: datetime) -> datetime:
        return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(self.timezone))

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @cached_property
    def by_name(self) -> Mapping[str, Asset]:
        return {asset.name.lower(): asset for asset in self.assets}

    @cached_property
    def _dependants(self) -> Mapping[str, tuple[str, ...]]:
        below: dict[str, list[str]] = {}
        for asset in self.assets:
            for parent in asset.on:
                below.setdefault(parent.lower(), []).append(asset.name)
        return {name: tuple(children) for name, children in below.items()}

    def find(self, name: str) -> Asset | None:
        """The asset of that name, without regard to case and to a domain, port or GPU suffix
        (`gpu-03.dc1:9400` and `gpu-03/gpu5` are found as `gpu-03`)."""
        key = name.lower()
        for candidate in (key, key.split(":")[0], key.split("/")[0], key.split(".")[0]):
            if candidate in self.by_name:
                return self.by_name[candidate]
        return None

    def upstream(self, name: str) -> tuple[str, ...]:
        """All it stands in or depends on, nearest first."""
        seen: dict[str, None] = {}
        queue = list(asset.on) if (asset := self.find(name)) else []
        while queue:
            parent = queue.pop(0)
            if parent not in seen:
                seen[parent] = None
                queue += self.find(parent).on if self.find(parent) else ()  # type: ignore[union-attr]
        return tuple(seen)

    def downstream(self, name: str) -> tuple[str, ...]:
        """All that stands on it, nearest first."""
        seen: dict[str, None] = {}
        queue = list(self._dependants.get(name.lower(), ()))
        while queue:
            child = queue.pop(0)
            if child not in seen:
                seen[child] = None
                queue += self._dependants.get(child.lower(), ())
        return tuple(seen)

    def in_maintenance(self, asset: str, time: datetime) -> MaintenanceWindow | None:
        return next((window for window in self.maintenance if window.covers(asset, time)), None)

    def recent_change(
        self, asset: str, time: datetime, within: timedelta = timedelta(days=7)
    ) -> Change | None:
        """The last change that touched the asset within that span before `time`."""
        touching = [
            c for c in self.changes if c.time <= time <= c.time + within and fnmatchcase(asset, c.assets)
        ]
        return max(touching, key=lambda change: change.time, default=None)


def expand(name: str) -> Iterator[str]:
    """`rack-[1-3]` to rack-1, rack-2, rack-3; leading zeros are kept.

    >>> list(expand("gpu-[08-10]"))
    ['gpu-08', 'gpu-09', 'gpu-10']
    """
    match = _RANGE.search(name)
    if not match:
        yield name
        return
    low, high = match.groups()
    for number in range(int(low), int(high) + 1):
        yield from expand(name[: match.start()] + str(number).zfill(len(low)) + name[match.end() :])


def _expanded(item: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    # YAML 1.1 reads a bare `on:` key as true.
    item = {("on" if key is True else key): value for key, value in item.items()}
    for name in expand(str(item.get("name", ""))):
        yield {**item, "name": name}


def load_site(path: Path) -> Site:
    """Read a site file. Raises ConfigError with file, field and remedy."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except OSError as error:
        raise ConfigError(f"cannot read the site file: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("not text in UTF-8", where=str(path), remedy="Save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise ConfigError(
            f"not valid YAML: {_one_line(error)}", where=str(path), remedy="Mend it there"
        ) from error
    if not isinstance(raw, dict):
        raise ConfigError("a site file is a mapping with at least `name`", where=str(path))
    listed = raw.get("assets") or []
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise ConfigError(
            "assets is a list of mappings", where=str(path), remedy="Write `- {name: gpu-01, kind: gpu_node}`"
        )
    raw["assets"] = [one for item in listed for one in _expanded(item)]
    try:
        return Site.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(
                f"unknown field {field!r}", where=str(path), remedy="Mend its name or drop it"
            ) from error
        what = first["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f"{field}: {what}" if field else what, where=str(path), remedy="Mend this field"
        ) from error


def _one_line(error: yaml.YAMLError) -> str:
    """What and where, without the excerpt."""
    mark = getattr(error, "problem_mark", None)
    at = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{getattr(error, 'problem', None) or 'cannot be parsed'}{at}"
