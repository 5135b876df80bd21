"""Description of one site: what stands where, what feeds it, who uses it, and how it is rated.

Read from one YAML file (plant/site_file.py). Names may be given as ranges: `gpu-[01-16]` stands for sixteen assets
(plant/ranges.py). What an asset is rated for stands in its `spec` (plant/specs.py); all of it has defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, overload
from zoneinfo import ZoneInfo

from pydantic import (
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)

from plant import site_check, site_file
from plant.closed import Closed
from plant.hardware import gpus, models
from plant.hardware.gpus import Gpu
from plant.hardware.models import Model
from plant.inference.deployment import Deployment, Role
from plant.ranges import expand
from plant.specs import SPECS, JobSpec, NodeSpec, PoolSpec, Tariff, Weather
from setpoint.errors import ConfigError

__all__ = [
    "Asset", "AssetKind", "Change", "Instance", "MaintenanceWindow", "Site", "Tier", "expand", "included_sites",
    "load_site", "site_file_of",
]  # fmt: skip

AssetKind = Literal[
    "gpu_node", "gpu", "host", "switch", "link", "storage", "service", "cdu", "pump", "leak_sensor", "chiller",
    "crah", "sensor", "pdu", "ups", "ess", "ats", "feed", "bmc", "fire_panel", "door", "rack", "row", "hall", "site",
    "unknown",
]  # fmt: skip
Tier = Literal["shared", "vip", "standard"]
Finite = Annotated[float, Field(allow_inf_nan=False)]
S = TypeVar("S", bound=Closed)

_LIMITS: dict[str, dict[str, str]] = {
    "cdu": {"flow_max_lpm": "flow_max_lpm"},
    "ess": {
        "capacity_kwh": "ess_capacity_kwh", "power_kw": "ess_power_max_kw",
        "soc_min_pct": "soc_min_pct", "soc_max_pct": "soc_max_pct",
    },
    "feed": {"capacity_kw": "feed_power_max_kw"},
}  # fmt: skip
"""Kind of asset: field of its spec -> site limit that it takes where the spec does not say."""


class Asset(Closed):
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
    spec: SerializeAsAny[Closed] | None = None
    """Its ratings, of the type `SPECS` names for its kind; `Site.spec` gives them with defaults and limits filled."""

    @field_validator("spec", mode="before")
    @classmethod
    def _of_its_kind(cls, value: object, info: ValidationInfo) -> object:
        if value is None:
            return None
        kind = info.data.get("kind")
        if kind is None:
            return None  # the kind itself is wrong; that is reported
        if kind not in SPECS:
            raise ValueError(f"an asset of kind {kind} has no spec; kinds with one are {', '.join(SPECS)}")
        return SPECS[kind].model_validate(value)


class Change(Closed):
    """A hardware or firmware change; patterns first seen after it are suspicious."""

    time: datetime
    assets: str
    """Glob over asset names."""
    what: str


class MaintenanceWindow(Closed):
    """A span of planned work. Times without a zone are in the site's."""

    start: datetime
    end: datetime
    assets: str
    what: str = ""

    def covers(self, asset: str, time: datetime) -> bool:
        return self.start <= time <= self.end and fnmatchcase(asset, self.assets)


class Site(Closed):
    """A site as its operators describe it."""

    name: str
    timezone: str = "UTC"
    simulated: bool = False
    """True: actions move the simulated plant and nothing else."""
    assets: tuple[Asset, ...] = ()
    changes: tuple[Change, ...] = ()
    maintenance: tuple[MaintenanceWindow, ...] = ()
    limits: dict[str, Finite] = Field(default_factory=dict)
    """Site limits that interlocks read, unit in the name: `supply_temp_max_c`, `flow_min_lpm` ..."""
    pools: tuple[PoolSpec, ...] = ()
    jobs: tuple[JobSpec, ...] = ()
    tariff: Tariff = Tariff()
    weather: Weather = Weather()
    hardware: tuple[Gpu, ...] = ()
    """The site's own accelerators; looked up before the catalog. `like: NAME` takes the rest from that one."""
    models: tuple[Model, ...] = ()
    """The site's own models, likewise."""

    @field_validator("hardware", mode="before")
    @classmethod
    def _own_hardware(cls, value: object) -> object:
        return _after_the_like(value, gpus.gpu)

    @field_validator("models", mode="before")
    @classmethod
    def _own_models(cls, value: object) -> object:
        return _after_the_like(value, models.model)

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

    @model_validator(mode="after")
    def _service_of_each_pool(self) -> Site:
        """A pool without a service asset gets one that stands on its nodes."""
        known = {asset.name.lower() for asset in self.assets}
        added = tuple(
            Asset(name=pool.name, kind="service", on=pool.nodes)
            for pool in self.pools
            if pool.name.lower() not in known
        )
        if added:
            object.__setattr__(self, "assets", self.assets + added)
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

    def standing_on(self, name: str) -> tuple[str, ...]:
        """Assets that name it in their own `on`."""
        return self._dependants.get(name.lower(), ())

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

    # ---- ratings ------------------------------------------------------------------------------------

    @overload
    def spec(self, name: str) -> Any: ...
    @overload
    def spec(self, name: str, kind: type[S]) -> S: ...
    def spec(self, name: str, kind: type[S] | None = None) -> Any:
        """Ratings of the asset: what its spec says, else the site's limits, else the defaults of its kind.

        With `kind` (such as NodeSpec) the answer is checked and typed. Raises ConfigError for an unknown asset, for
        one whose kind has no ratings, and for one of another kind.
        """
        asset = self.find(name)
        if asset is None:
            raise ConfigError(f"no asset {name!r} on the site", remedy=site_check.near(name, self.by_name))
        filled = self._filled(asset)
        if kind is not None and not isinstance(filled, kind):
            raise ConfigError(f"{asset.name} is a {asset.kind}; it has no {kind.__name__}")
        return filled

    def _filled(self, asset: Asset) -> Closed:
        if asset.name not in self._specs:
            if asset.kind not in SPECS:
                raise ConfigError(
                    f"{asset.name} is a {asset.kind}, which has no ratings",
                    remedy=f"Ask for one of {', '.join(SPECS)}",
                )
            said = asset.spec.model_dump(exclude_unset=True) if asset.spec else {}
            limits = {
                field: self.limits[limit]
                for field, limit in _LIMITS.get(asset.kind, {}).items()
                if limit in self.limits
            }
            self._specs[asset.name] = SPECS[asset.kind].model_validate({**limits, **said})
        return self._specs[asset.name]

    @cached_property
    def _specs(self) -> dict[str, Closed]:
        return {}

    def of_kind(self, *kinds: AssetKind) -> tuple[Asset, ...]:
        """Assets of these kinds in the order of the file."""
        return tuple(asset for asset in self.assets if asset.kind in kinds)

    def above(self, name: str, *kinds: AssetKind) -> tuple[Asset, ...]:
        """Assets of these kinds that it depends on, nearest first."""
        found = (self.find(parent) for parent in self.upstream(name))
        return tuple(asset for asset in found if asset and asset.kind in kinds)

    def below(self, name: str, *kinds: AssetKind) -> tuple[Asset, ...]:
        """Assets of these kinds that depend on it, nearest first."""
        found = (self.find(child) for child in self.downstream(name))
        return tuple(asset for asset in found if asset and asset.kind in kinds)

    def parents(self, name: str, *kinds: AssetKind) -> tuple[Asset, ...]:
        """Assets of these kinds that it names in its own `on`."""
        asset = self.find(name)
        found = (self.find(parent) for parent in (asset.on if asset else ()))
        return tuple(parent for parent in found if parent and parent.kind in kinds)

    # ---- accelerators, models, pools ----------------------------------------------------------------

    def gpu(self, name: str) -> Gpu:
        """The accelerator of that name or alias: the site's own, else the catalog's. Raises ConfigError."""
        return next((own for own in self.hardware if _named(name, own)), None) or gpus.gpu(name)

    def model(self, name: str) -> Model:
        """The model of that name or alias: the site's own, else the catalog's. Raises ConfigError."""
        return next((own for own in self.models if _named(name, own)), None) or models.model(name)

    def node_gpu(self, node: str) -> Gpu:
        """The accelerator that stands in that node."""
        return self.gpu(self.spec(node, NodeSpec).gpu)

    def pool(self, name: str) -> PoolSpec:
        """The pool of that name. Raises ConfigError that lists the site's pools."""
        for pool in self.pools:
            if pool.name.lower() == name.lower():
                return pool
        known = ", ".join(pool.name for pool in self.pools)
        raise ConfigError(f"no pool {name!r} on the site", remedy=f"Its pools: {known or 'none'}")

    def deployment(self, pool: PoolSpec | str, role: Role = "both") -> Deployment:
        """One instance of that pool, on the accelerator of its first node."""
        spec = self.pool(pool) if isinstance(pool, str) else pool
        shared = {
            name: getattr(spec, name) for name in Deployment.model_fields if name in PoolSpec.model_fields
        }
        own = {"model": self.model(spec.model), "gpu": self.node_gpu(spec.nodes[0]), "role": role}
        return Deployment(**{**shared, **own})

    def instances(self, pool: PoolSpec | str) -> tuple[Instance, ...]:
        """The instances of a pool: they fill its nodes in order, several to a node or over several nodes.

        Of a disaggregated pool the first `prefill_instances` prefill and the rest decode.
        """
        spec = self.pool(pool) if isinstance(pool, str) else pool
        each = spec.tp * spec.pp * spec.dp
        slots = [node for node in spec.nodes for _ in range(self.spec(node, NodeSpec).gpus)]
        return tuple(
            Instance(spec.name, number, _role(spec, number), _counted(slots[first : first + each]))
            for number, first in enumerate(range(0, len(slots) - each + 1, each))
        )

    def pool_of(self, node: str) -> PoolSpec | None:
        """The pool that holds the node."""
        return self._pool_by_node.get(node.lower())

    @cached_property
    def _pool_by_node(self) -> dict[str, PoolSpec]:
        return {node.lower(): pool for pool in self.pools for node in pool.nodes}

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What works but an engineer would want to know: ratings exceeded at full load, missing pumps and the like."""
        return tuple(site_check.warnings(self))


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a pool and the accelerators it occupies."""

    pool: str
    number: int
    role: Role
    gpus: tuple[tuple[str, int], ...]
    """Node name and how many of its accelerators."""

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(node for node, _ in self.gpus)


def _role(pool: PoolSpec, number: int) -> Role:
    if not pool.prefill_instances:
        return "both"
    return "prefill" if number < pool.prefill_instances else "decode"


def _counted(slots: list[str]) -> tuple[tuple[str, int], ...]:
    counts: dict[str, int] = {}
    for node in slots:
        counts[node] = counts.get(node, 0) + 1
    return tuple(counts.items())


def _key(name: str) -> str:
    return "".join(c for c in name.lower().split("/")[-1] if c not in " -_.")


def _named(name: str, own: Gpu | Model) -> bool:
    return _key(name) in {_key(known) for known in (own.name, *own.aliases)}


def _after_the_like(value: object, find: Any) -> object:
    """Own hardware or models with `like:` completed from the catalog; the rest as it is."""
    if not isinstance(value, (list, tuple)):
        return value
    return [_completed(item, find) if isinstance(item, dict) and "like" in item else item for item in value]


def _completed(item: dict[str, Any], find: Any) -> dict[str, Any]:
    try:
        like = find(str(item["like"]))
    except ConfigError as error:
        raise ValueError(f"{item.get('name', '')}.like: {error.what}. {error.remedy}") from error
    own = {key: part for key, part in item.items() if key != "like"}
    base = like.model_dump(exclude={"name", "aliases"})
    return {**base, "source": f"the site file, after {like.name}", **own}


def load_site(path: Path) -> Site:
    """Read a site file. Raises ConfigError with file, line, field, value and remedy of every fault, ten at most."""
    return site_file.read(path, Site, site_check.faults)


def site_file_of(name: str | Path) -> Path:
    """The path of an included example (`lab-16`), or the path given. Raises ConfigError that lists the examples."""
    return site_file.site_file(name)


def included_sites() -> tuple[str, ...]:
    """Names of the example sites that ship with Setpoint."""
    return site_file.included()
