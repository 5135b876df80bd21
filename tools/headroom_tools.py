"""A tool that tells how far power and cooling gear is from its rating, piece by piece."""

from __future__ import annotations

from typing import Annotated

from langchain_core.tools import BaseTool
from pydantic import Field

from setpoint.contracts.site import AssetKind
from tools.plant_ports import Name, PlantPorts, asset_of, known, listed
from tools.readings import value
from tools.typed import Answer, Args, ToolError, typed_tool

LOAD_METRIC: dict[AssetKind, str] = {
    "feed": "load_kw", "ups": "load_kw", "pdu": "load_kw", "rack": "power_kw", "cdu": "heat_kw", "crah": "heat_kw",
    "chiller": "heat_kw",
}  # fmt: skip
"""What counts against the rating of each kind of gear."""
MOST_SHOWN = 24


class HeadroomArgs(Args):
    """One piece of gear, all of one kind, or all there is."""

    asset: Annotated[Name, Field(description="Such as pdu-01a, feed-a or cdu-1; empty: by kind")] = ""
    kind: Annotated[Name, Field(description="feed, ups, pdu, rack, cdu, crah or chiller; empty: all")] = ""


class Headroom(Answer):
    """One piece of gear."""

    asset: str
    kind: str
    load_kw: float
    rated_kw: float
    headroom_kw: float
    use_pct: float


class HeadroomAnswer(Answer):
    """The tightest first."""

    gear: list[Headroom]
    left_out: int
    """More gear, with more headroom than what is shown."""
    not_read: list[str]
    """Gear that is rated and of which no load is read."""
    site_kw: float | None
    """What the feeds draw together."""
    contracted_kw: float | None
    note: str


def _headroom(ports: PlantPorts, args: HeadroomArgs) -> HeadroomAnswer:
    from plant.capacity import Capacity

    rated = Capacity(ports.site).rated_kw
    found: list[Headroom] = []
    unread: list[str] = []
    for name in _named(ports, args):
        asset = ports.site.find(name)
        if asset is None or name not in rated:
            continue
        load = value(ports.read(name), LOAD_METRIC[asset.kind], -1.0)
        if load < 0.0:
            unread.append(name)
            continue
        found.append(Headroom(
            asset=name, kind=asset.kind, load_kw=known(load), rated_kw=known(rated[name]),
            headroom_kw=known(rated[name] - load), use_pct=known(100 * load / rated[name], 3),
        ))  # fmt: skip
    found.sort(key=lambda one: -one.use_pct)
    site_kw, contracted = _drawn_kw(ports), ports.site.limits.get("site_power_max_kw")
    return HeadroomAnswer(
        gear=found[:MOST_SHOWN], left_out=max(0, len(found) - MOST_SHOWN), not_read=unread[:MOST_SHOWN],
        site_kw=site_kw, contracted_kw=contracted,
        note="loads as they are read now against what the gear is rated for in the site file",
    )  # fmt: skip


def _named(ports: PlantPorts, args: HeadroomArgs) -> list[str]:
    if args.asset:
        return [asset_of(ports.site, args.asset, *LOAD_METRIC).name]
    if args.kind and args.kind not in LOAD_METRIC:
        raise ToolError(f"no gear of kind {args.kind!r} is rated; use {listed(LOAD_METRIC)}")
    kinds = tuple(kind for kind in LOAD_METRIC if args.kind in ("", kind))
    return [asset.name for asset in ports.site.of_kind(*kinds)]


def _drawn_kw(ports: PlantPorts) -> float | None:
    loads = [value(ports.read(feed.name), "load_kw", -1.0) for feed in ports.site.of_kind("feed")]
    read = [load for load in loads if load >= 0.0]
    return known(sum(read)) if read else None


def headroom_tools(ports: PlantPorts) -> list[BaseTool]:
    """Bound to these ports."""
    return [
        typed_tool(
            "headroom", "Load, rating and headroom of each feed, UPS, PDU, rack, CDU, air handler and chiller, tightest first.",
            HeadroomArgs, lambda args: _headroom(ports, args),
        ),
    ]  # fmt: skip
