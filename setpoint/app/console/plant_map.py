"""The plant at a glance: every rack, cooling unit, piece of power gear and pool as a cell, coloured by how much of its
limit it uses. What a limit is stands in the site file; how a temperature becomes a share stands in `SPANS_K`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from setpoint.contracts import PRIORITIES, Incident, Priority
from setpoint.contracts.site import Asset, AssetKind, Site
from setpoint.errors import ConfigError

SPANS_K: Mapping[str, float] = {"inlet_temp_c": 10.0, "gpu_temp_c": 40.0, "supply_temp_c": 15.0}
"""The last so many kelvin below a temperature's limit are its scale: 30 K below a limit of 87 C uses a quarter of 40 K."""
STEPS = (0.5, 0.75, 0.9, 1.0)
"""Shares at which the colour changes."""
LEVELS = ("less than half of its limit", "half to three quarters", "three quarters to 90 %", "90 % and more", "at or over its limit, or out", "nothing is read")  # fmt: skip
UNREAD = 9
BADGE_CHARS = 3
"""Room that the badge of a cell takes from its name."""
Values = Mapping[str, float]


@dataclass(frozen=True)
class Use:
    """How much of one limit is used."""

    share: float
    brief: str
    words: str


@dataclass(frozen=True)
class Cell:
    """One asset on the map."""

    name: str
    level: int
    """0 to 4, or UNREAD."""
    brief: str
    """What stands in the cell."""
    words: str
    """What is said of it: value, limit, state."""
    worst: Priority | None = None
    """Of its open incidents."""
    inside: tuple[Cell, ...] = ()
    """Nodes of a rack."""


@dataclass(frozen=True)
class Group:
    """Cells that belong together."""

    name: str
    cells: tuple[Cell, ...]
    small: bool = False

    @property
    def roomy(self) -> bool:
        """Whether a name, or one with the badge of an incident beside it, needs more room than most."""
        room = 9 if self.small else 11
        return any(len(cell.name) + (BADGE_CHARS if cell.worst else 0) > room for cell in self.cells)


def level_of(share: float) -> int:
    """The colour of a share.

    >>> [level_of(share) for share in (0.2, 0.6, 0.8, 0.95, 1.0)]
    [0, 1, 2, 3, 4]
    """
    return sum(share >= step for step in STEPS)


def draw_map(site: Site, values: Mapping[str, Values], incidents: Sequence[Incident]) -> list[Group]:
    """All groups that the site has."""
    made = _Map(site, values, _worst(site, incidents))
    return [group for group in (*made.halls(), *made.gear()) if group.cells]


def _worst(site: Site, incidents: Sequence[Incident]) -> dict[str, Priority]:
    """The gravest open incident on each asset that has a cell; what has none counts for what it stands in. Routine (P3)
    is left out."""
    found: dict[str, Priority] = {}
    for incident in (one for one in incidents if one.priority != PRIORITIES[-1]):
        for name in incident.assets:
            asset = _shown(site, name)
            if asset is not None:
                found[asset] = min(found.get(asset, PRIORITIES[-1]), incident.priority)
    return found


def _shown(site: Site, name: str) -> str | None:
    asset = site.find(name)
    if asset is None:
        return None
    if asset.kind in SHOWN:
        return asset.name
    # A pump is a part of what stands on it; all else belongs to what it stands on.
    near = site.downstream(asset.name) if asset.kind == "pump" else site.upstream(asset.name)
    return next((one.name for name in near if (one := site.find(name)) and one.kind in SHOWN), None)


# ---- what uses what ---------------------------------------------------------------------------------------------


@dataclass
class _Look:
    """One asset being looked at: what it uses, what is wrong with it, what else is worth a word."""

    values: Values
    uses: list[Use] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Makes it the worst colour."""
    tight: list[str] = field(default_factory=list)
    """Makes it the colour below."""
    said: list[str] = field(default_factory=list)

    def of(self, metric: str, limit: float | None, what: str, unit: str) -> None:
        value = self.values.get(metric)
        if value is None:
            return
        if limit is None or limit <= 0:
            self.said.append(f"{what} {value:.4g} {unit}")
            return
        span = SPANS_K.get(metric)
        share = max(0.0, 1 - (limit - value) / span) if span else value / limit
        if span:
            self.uses.append(
                Use(
                    share,
                    f"{what} {value:.1f} {unit}",
                    f"{what} {value:.4g} {unit}, limit {limit:.4g} {unit}",
                )
            )
        else:
            self.uses.append(
                Use(share, f"{what} {share:.0%}", f"{what} {value:.4g} of {limit:.4g} {unit} ({share:.0%})")
            )

    def when(self, metric: str, bad: Callable[[float], bool], words: str, *, grave: bool = True) -> None:
        value = self.values.get(metric)
        if value is not None and bad(value):
            (self.wrong if grave else self.tight).append(words)

    @property
    def level(self) -> int:
        if not self.values:
            return UNREAD
        found = max((level_of(use.share) for use in self.uses), default=0)
        return 4 if self.wrong else max(found, 3) if self.tight else found

    @property
    def brief(self) -> str:
        if not self.values:
            return "not read"
        if self.wrong or self.tight:
            return (self.wrong + self.tight)[0]
        worst = max(self.uses, key=lambda use: use.share, default=None)
        return worst.brief if worst else self.said[0] if self.said else "runs"

    @property
    def words(self) -> str:
        told = [*self.wrong, *self.tight, *(use.words for use in self.uses), *self.said]
        return "; ".join(told) if told else ("nothing is read" if not self.values else "runs")


def _is_off(value: float) -> bool:
    return value < 0.5


def _is_on(value: float) -> bool:
    return value >= 0.5


def _rack(look: _Look, spec: Any, limits: Mapping[str, float]) -> None:
    look.of("power_kw", getattr(spec, "design_kw", None), "power", "kW")
    look.of("inlet_temp_c", limits.get("rack_inlet_max_c"), "inlet", "C")
    look.when("fed", _is_off, "no power")
    look.when("leak", _is_on, "leak")
    look.when("valve_open", _is_off, "valve shut", grave=False)


def _node(look: _Look, spec: Any, limits: Mapping[str, float]) -> None:
    look.of("gpu_temp_c", limits.get("gpu_temp_max_c"), "GPU", "C")
    look.of("power_kw", None, "power", "kW")  # at full load it is near its limit by design: no news
    look.when("up", _is_off, "down")
    gpus = getattr(spec, "gpus", 0)
    look.when(
        "gpus_ok", lambda ok: ok < gpus, f"{look.values.get('gpus_ok', 0):.0f} of {gpus} GPUs", grave=False
    )
    look.when("throttled", _is_on, "throttled", grave=False)


def _cdu(look: _Look, spec: Any, limits: Mapping[str, float]) -> None:
    look.of("heat_kw", getattr(spec, "capacity_kw", None), "heat", "kW")
    look.of("flow_lpm", getattr(spec, "flow_max_lpm", None), "flow", "LPM")
    look.of("supply_temp_c", limits.get("supply_temp_max_c"), "supply", "C")
    look.when("leak", _is_on, "leak")
    look.when("pumps_running", _is_off, "no pump runs")


def _chiller(look: _Look, spec: Any, limits: Mapping[str, float]) -> None:
    look.of("heat_kw", look.values.get("able_kw") or getattr(spec, "capacity_kw", None), "heat", "kW")
    if look.values.get("running", 1.0) < 0.5:
        look.said.append("stands by")


def _crah(look: _Look, spec: Any, limits: Mapping[str, float]) -> None:
    look.of("heat_kw", getattr(spec, "capacity_kw", None), "heat", "kW")
    look.when("running", _is_off, "stopped")


def _feed(look: _Look, spec: Any, limits: Mapping[str, float]) -> None:
    look.of("load_kw", getattr(spec, "capacity_kw", None), "load", "kW")
    look.when("available", _is_off, "lost")


def _ups(look: _Look, spec: Any, limits: Mapping[str, float]) -> None:
    look.of("load_kw", getattr(spec, "capacity_kw", None), "load", "kW")
    look.when("on_battery", _is_on, "on battery")
    look.when(
        "battery_pct",
        lambda left: left < 95,
        f"battery {look.values.get('battery_pct', 0):.0f} %",
        grave=False,
    )


def _pdu(look: _Look, spec: Any, limits: Mapping[str, float]) -> None:
    look.of("load_kw", getattr(spec, "capacity_kw", None), "load", "kW")
    look.when("breaker_closed", _is_off, "breaker open")
    look.when("fed", _is_off, "no power")


def _ats(look: _Look, spec: Any, limits: Mapping[str, float]) -> None:
    look.when("on_source", _is_off, "no source")


def _ess(look: _Look, spec: Any, limits: Mapping[str, float]) -> None:
    """What is left counts, not what is used."""
    soc, reserve = look.values.get("soc_pct"), limits.get("soc_reserve_pct")
    look.when("available", _is_off, "out")
    look.when("soc_pct", lambda now: now <= getattr(spec, "soc_min_pct", 0.0), "empty")
    if soc is not None:
        low = reserve is not None and soc < reserve
        (look.tight if low else look.said).append(
            f"{soc:.0f}% stored" + (f", below its reserve of {reserve:.0f}%" if low else "")
        )
    look.of("power_kw", None, "discharges", "kW")


def _service(look: _Look, spec: Any, limits: Mapping[str, float]) -> None:
    look.of("ttft_ms", getattr(spec, "ttft_slo_ms", None) or limits.get("ttft_slo_ms"), "TTFT", "ms")
    look.of("kv_use_pct", limits.get("kv_use_max_pct"), "KV", "%")
    look.when("up", _is_off, "down")


def _up(look: _Look, spec: Any, limits: Mapping[str, float]) -> None:
    look.when("up", _is_off, "down")
    look.when("up_pu", lambda share: share < 0.999, "degraded", grave=False)
    look.when("bandwidth_pu", lambda share: share < 0.999, "slowed", grave=False)


LOOKS: Mapping[str, Callable[[_Look, Any, Mapping[str, float]], None]] = {
    "rack": _rack, "gpu_node": _node, "cdu": _cdu, "chiller": _chiller, "crah": _crah, "feed": _feed, "ups": _ups,
    "pdu": _pdu, "ats": _ats, "ess": _ess, "service": _service, "switch": _up, "storage": _up,
}  # fmt: skip
SHOWN = frozenset(LOOKS)
_GEAR: tuple[tuple[str, tuple[AssetKind, ...], bool], ...] = (
    ("Cooling", ("cdu", "chiller", "crah"), False), ("Power", ("feed", "ups", "ats", "ess"), False),
    ("PDUs", ("pdu",), True), ("Pools", ("service",), False), ("Network and storage", ("switch", "storage"), True),
)  # fmt: skip


class _Map:
    def __init__(self, site: Site, values: Mapping[str, Values], worst: Mapping[str, Priority]) -> None:
        self._site, self._values, self._worst = site, values, worst

    def halls(self) -> Iterator[Group]:
        """Racks by hall, each with its nodes."""
        racks = self._site.of_kind("rack")
        placed: dict[str, list[Cell]] = {hall.name: [] for hall in self._site.of_kind("hall")}
        for rack in racks:
            hall = next((one.name for one in self._site.above(rack.name, "hall")), "Racks")
            placed.setdefault(hall, []).append(self._rack(rack))
        for hall, cells in placed.items():
            yield Group(self._hall_name(hall), tuple(cells))
        inside = {child for rack in racks for child in self._site.standing_on(rack.name)}
        alone = [node for node in self._site.of_kind("gpu_node") if node.name not in inside]
        yield Group("Nodes", tuple(self._cell(node) for node in alone), small=True)

    def gear(self) -> Iterator[Group]:
        for name, kinds, small in _GEAR:
            yield Group(
                name, tuple(self._cell(one) for kind in kinds for one in self._site.of_kind(kind)), small
            )

    def _hall_name(self, hall: str) -> str:
        temp = self._values.get(hall, {}).get("temp_c")
        return hall if temp is None else f"{hall}, {temp:.1f} C"

    def _rack(self, rack: Asset) -> Cell:
        names = self._site.standing_on(rack.name)
        nodes = tuple(
            self._cell(one) for name in names if (one := self._site.find(name)) and one.kind == "gpu_node"
        )
        cell = self._cell(rack)
        bad = [node for node in nodes if 3 <= node.level < UNREAD]
        told = f"; {', '.join(f'{node.name} {node.brief}' for node in bad[:4])}" if bad else ""
        inner = [node.worst for node in nodes if node.worst]
        worst = min([*inner, *([cell.worst] if cell.worst else [])], default=None)
        return Cell(cell.name, cell.level, cell.brief, cell.words + told, worst, nodes)

    def _cell(self, asset: Asset) -> Cell:
        look = _Look(self._values.get(asset.name, {}))
        if look.values:
            LOOKS[asset.kind](look, self._spec(asset), self._site.limits)
        for pump in self._site.parents(asset.name, "pump") if asset.kind == "cdu" else ():
            if self._values.get(pump.name, {}).get("failed", 0.0) >= 0.5:
                look.tight.append(f"{pump.name} failed")
        return Cell(asset.name, look.level, look.brief, look.words, self._worst.get(asset.name))

    def _spec(self, asset: Asset) -> Any:
        if asset.kind == "service":
            return next((pool for pool in self._site.pools if pool.name.lower() == asset.name.lower()), None)
        try:
            return self._site.spec(asset.name)
        except ConfigError:  # a kind without ratings
            return None
