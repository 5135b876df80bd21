"""What a site draws and gives off at full load, and what is left when something is lost.

Power goes up from nodes over racks, PDUs, UPSs and transfer switches to the feeds; heat goes from nodes to CDUs and
air handlers and on to chillers. Where an asset has several parents of the next level, they share by capacity; lost
ones carry nothing. A transfer switch draws from the first source it names that is there.
Power and heat are positive upwards, kW.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from plant.specs import CduSpec, ChillerSpec, CrahSpec, FeedSpec, NodeSpec, PduSpec, PumpSpec, UpsSpec

if TYPE_CHECKING:
    from plant.site import Asset, AssetKind, Site

POWER_KINDS: tuple[AssetKind, ...] = ("rack", "pdu", "ups", "ats", "feed")
HEAT_KINDS: tuple[AssetKind, ...] = ("cdu", "crah", "chiller")
_COOLING: tuple[AssetKind, ...] = ("chiller", "pump", "crah", "cdu")
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Load:
    """The site at full load, perhaps with some assets lost."""

    input_kw: dict[str, float] = field(default_factory=dict)
    """What every node, rack and power asset draws, its own losses included; "" is the site's boundary."""
    output_kw: dict[str, float] = field(default_factory=dict)
    """What every rack and power asset gives: the side UPSs and PDUs are rated for."""
    heat_kw: dict[str, float] = field(default_factory=dict)
    """Heat every cooling asset must carry."""
    unfed_kw: float = 0.0
    """Load that no source reaches any more."""
    uncooled_kw: float = 0.0
    """Heat with nowhere to go."""

    @property
    def grid_kw(self) -> float:
        """Draw at the site's boundary: what its uppermost sources take together."""
        return self.input_kw.get("", 0.0)

    def carried_kw(self, asset: Asset) -> float | None:
        """What counts against the asset's rating: heat, a feed's input, else output. None where it carries nothing."""
        if asset.kind in HEAT_KINDS:
            return self.heat_kw.get(asset.name)
        return (self.input_kw if asset.kind == "feed" else self.output_kw).get(asset.name)


@dataclass(frozen=True)
class Loss:
    """What one loss leaves, at full load."""

    kind: str
    lost: str
    unfed_kw: float
    uncooled_kw: float
    worst: str
    """The asset then nearest to its rating or furthest above it; "" where nothing is rated."""
    worst_pu: float
    """Its load over its rating."""

    @property
    def carried(self) -> bool:
        """All is fed and cooled, and nothing is above its rating."""
        return self.unfed_kw <= 1e-9 and self.uncooled_kw <= 1e-9 and self.worst_pu <= 1.0 + 1e-9


def node_full_kw(site: Site, node: str) -> float:
    """All accelerators at their cap (TDP where none is set) and the rest of the node at its most.

    DGX H100: 8 x 0.7 + 4.6 = 10.2 kW, its maker's figure.
    """
    spec = site.spec(node, NodeSpec)
    gpu_w = site.gpu(spec.gpu).tdp_w
    return spec.gpus * min(gpu_w, spec.power_cap_w or gpu_w) / 1000.0 + spec.base_max_kw


class Capacity:
    """Who feeds and cools whom on one site, worked out once; then full load with any set of losses."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.nodes_kw = {a.name: node_full_kw(site, a.name) for a in site.of_kind("gpu_node")}
        self.rated_kw = {a.name: kw for a in site.assets if (kw := _rated_kw(site, a)) is not None}
        carrying = site.of_kind("gpu_node", *POWER_KINDS, *_COOLING)
        self._sources = {a.name: self._sources_of(a) for a in carrying}
        self._order = [a for level in self._levels({a.name: a for a in carrying}) for a in level]
        self._coolers = {name: self._coolers_of(name) for name in self.nodes_kw}
        self._pumps = {a.name: site.parents(a.name, "pump") for a in site.of_kind("cdu")}
        self._chillers = {a.name: site.parents(a.name, "chiller") for a in site.of_kind("cdu", "crah")}

    # ---- structure ----------------------------------------------------------------------------------

    def _sources_of(self, asset: Asset) -> tuple[Asset, ...]:
        """Where an asset draws from: a node in a rack only from the rack."""
        racks = self.site.parents(asset.name, "rack") if asset.kind == "gpu_node" else ()
        return racks or self.site.parents(asset.name, *POWER_KINDS[1:])

    def _levels(self, left: dict[str, Asset]) -> Iterator[list[Asset]]:
        """Every asset after all those that draw from it; what stands in a circle is left out."""
        while left:
            drawn_on = {source.name for name in left for source in self._sources[name]}
            level = [asset for name, asset in left.items() if name not in drawn_on]
            if not level:
                return
            yield level
            for asset in level:
                del left[asset.name]

    def _coolers_of(self, node: str) -> tuple[tuple[Asset, ...], tuple[Asset, ...]]:
        """CDUs and air handlers of a node, its own or its rack's."""
        places = (node, *(rack.name for rack in self.site.parents(node, "rack")))
        parents = self.site.parents
        return (
            tuple(cdu for place in places for cdu in parents(place, "cdu")),
            tuple(crah for place in places for crah in parents(place, "crah")),
        )

    # ---- full load ----------------------------------------------------------------------------------

    @cached_property
    def whole(self) -> Load:
        """Nothing lost."""
        return self.full_load()

    def full_load(self, lost: frozenset[str] = NONE) -> Load:
        """Power and heat of every asset with all accelerators at full power, less what is lost.

        What has no way up to a source any more is lost too: a pump behind a dead switch does not turn.
        """
        live = self._live(lost)
        unfed_kw = sum(kw for name, kw in self.nodes_kw.items() if name not in live and name not in lost)
        nodes = {name: kw for name, kw in self.nodes_kw.items() if name in live}
        gone = lost | {asset.name for asset in self.site.of_kind(*_COOLING) if asset.name not in live}
        heat, uncooled_kw = self._heat(nodes, gone)
        cooling = {
            asset.name: _cooling_power_kw(self.site, asset, heat.get(asset.name, 0.0))
            for asset in self.site.of_kind(*_COOLING)
            if asset.name in live
        }
        drawn, given = self._power(nodes | cooling, live)
        return Load(drawn, given, heat, unfed_kw, uncooled_kw)

    def _heat(self, nodes: dict[str, float], lost: frozenset[str]) -> tuple[dict[str, float], float]:
        heat: dict[str, float] = defaultdict(float)
        uncooled = 0.0
        for name, drawn_kw in nodes.items():
            cdus, crahs = self._coolers[name]
            liquid_kw = drawn_kw * self.site.spec(name, NodeSpec).liquid_share if cdus else 0.0
            uncooled += self._spread(liquid_kw, [c for c in cdus if self._runs(c, lost)], heat)
            if crahs:
                uncooled += self._spread(drawn_kw - liquid_kw, _left(crahs, lost), heat)
        for cooler, chillers in self._chillers.items():
            if chillers and cooler in heat:
                uncooled += self._spread(heat[cooler], _left(chillers, lost), heat)
        return dict(heat), uncooled

    def _runs(self, cdu: Asset, lost: frozenset[str]) -> bool:
        pumps = self._pumps[cdu.name]
        return cdu.name not in lost and (not pumps or bool(_left(pumps, lost)))

    def _power(self, demand: dict[str, float], live: set[str]) -> tuple[dict[str, float], dict[str, float]]:
        """Input and output of every asset on the way up; all of `demand` has a way."""
        given: dict[str, float] = defaultdict(float, demand)
        drawn: dict[str, float] = {}
        boundary = 0.0
        for asset in self._order:
            if asset.name not in given:
                continue
            kw = drawn[asset.name] = _with_losses(self.site, asset, given[asset.name])
            there = [source for source in self._sources[asset.name] if source.name in live]
            boundary += self._spread(kw, there[:1] if asset.kind == "ats" else there, given)
        return {**drawn, "": boundary}, dict(given)

    def _live(self, lost: frozenset[str]) -> set[str]:
        """Assets that are there and have a way up. A UPS bridges minutes only: it goes with its feed."""
        live: set[str] = set()
        for asset in reversed(self._order):
            above = self._sources[asset.name]
            if asset.name not in lost and (not above or any(source.name in live for source in above)):
                live.add(asset.name)
        return live

    def _spread(self, kw: float, over: list[Asset], into: dict[str, float]) -> float:
        """Share `kw` by rating; returns what finds no taker."""
        if not over:
            return kw
        rated = [self.rated_kw.get(asset.name, 1.0) for asset in over]
        for asset, part in zip(over, rated, strict=True):
            into[asset.name] += kw * part / sum(rated)
        return 0.0

    # ---- answers ------------------------------------------------------------------------------------

    def uses(self, load: Load, *kinds: AssetKind) -> Iterator[tuple[Asset, float, float]]:
        """Asset, what it carries and its rating in kW, of those kinds that carry something."""
        for asset in self.site.of_kind(*kinds):
            carried = load.carried_kw(asset)
            if carried is not None and asset.name in self.rated_kw:
                yield asset, carried, self.rated_kw[asset.name]

    def lose(self, name: str) -> Loss:
        """The site at full load without that one asset."""
        asset = self.site.by_name[name.lower()]
        load = self.full_load(frozenset({asset.name}))
        touched = [(kw / rated, a.name) for a, kw, rated in self.uses(load, *POWER_KINDS[1:], *HEAT_KINDS)]
        if asset.kind == "pump":
            touched = list(self._flows_without(asset)) or touched
        worst_pu, worst = max(touched, default=(0.0, ""))
        return Loss(asset.kind, asset.name, load.unfed_kw, load.uncooled_kw, worst, worst_pu)

    def losses(self, *kinds: AssetKind) -> list[Loss]:
        """For each of those kinds the single loss that hurts most."""
        cases = ([self.lose(asset.name) for asset in self.site.of_kind(kind)] for kind in kinds)
        return [max(of_kind, key=_hurt) for of_kind in cases if of_kind]

    def _flows_without(self, pump: Asset) -> Iterator[tuple[float, str]]:
        """Of a CDU that loses one of n pumps (n-1)/n of its largest flow is left; its design flow is wanted."""
        for cdu, pumps in self._pumps.items():
            spec = self.site.spec(cdu, CduSpec)
            if pump in pumps and len(pumps) > 1:
                yield spec.flow_design_lpm / (spec.flow_max_lpm * (len(pumps) - 1) / len(pumps)), cdu


def _hurt(loss: Loss) -> tuple[float, float]:
    return loss.unfed_kw + loss.uncooled_kw, loss.worst_pu


def _left(assets: Iterable[Asset], lost: frozenset[str]) -> list[Asset]:
    return [asset for asset in assets if asset.name not in lost]


def _rated_kw(site: Site, asset: Asset) -> float | None:
    """What the asset may carry; of a rack its design. None for kinds without such a rating."""
    spec = (
        site.spec(asset.name) if asset.kind in (*POWER_KINDS, *HEAT_KINDS) and asset.kind != "ats" else None
    )
    rated: float | None = getattr(spec, "design_kw" if asset.kind == "rack" else "capacity_kw", None)
    return rated


def _cooling_power_kw(site: Site, asset: Asset, heat_kw: float) -> float:
    """Electric input: heat / COP of a chiller, and fans and pumps at their rating."""
    if asset.kind == "chiller":
        spec = site.spec(asset.name, ChillerSpec)
        compressor_kw = heat_kw / spec.cop_design if spec.kind == "chiller" else 0.0
        return compressor_kw + spec.fan_rated_kw * min(1.0, heat_kw / spec.capacity_kw)
    if asset.kind == "crah":
        return site.spec(asset.name, CrahSpec).fan_rated_kw
    return site.spec(asset.name, PumpSpec).rated_kw if asset.kind == "pump" else 0.0


def _with_losses(site: Site, asset: Asset, kw: float) -> float:
    """Input for an output: a UPS loses a share of its rating and of its load, PDUs and transformers of their load."""
    if asset.kind == "ups":
        ups = site.spec(asset.name, UpsSpec)
        return kw * (1 + ups.proportional_loss_pu) + ups.fixed_loss_pu * ups.capacity_kw
    if asset.kind == "pdu":
        return kw * (1 + site.spec(asset.name, PduSpec).loss_pu)
    return kw * (1 + site.spec(asset.name, FeedSpec).loss_pu) if asset.kind == "feed" else kw


def full_load(site: Site, lost: frozenset[str] = NONE) -> Load:
    """Power and heat of every asset at full load, less what is lost."""
    return Capacity(site).full_load(lost)
