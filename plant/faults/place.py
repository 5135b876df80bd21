"""Where faults fall: which assets of a site a fault can strike, which it reaches, and plans written by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Protocol

from plant.faults.catalog import Fault, Target, load_catalog, scaled
from plant.site import Asset, AssetKind, Site
from plant.units import quantity
from setpoint.errors import UsageError

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(h|min|m|s)")
_SPEC = re.compile(r"(?P<name>[^@:]+)(?:[@:](?P<asset>[^@:]+))?@(?P<at>[^@]+)")


@dataclass(frozen=True)
class FaultPlan:
    """One fault on one asset at one time. Seconds count from the start of the run."""

    fault: Fault
    asset: str
    at_s: float
    severity: float = 1.0
    """0 to 1: where in its ranges each effect lies."""
    end_s: float | None = None
    """When it is mended; None: not within the run."""

    @property
    def story(self) -> str:
        return f"{self.fault.id}@{self.asset}"

    @property
    def full_s(self) -> float:
        """When its effect is complete."""
        return self.at_s + self.fault.ramp_s


class Striking(Protocol):
    """What says which assets it can strike: a fault, or a mechanism of diagnosis. Fields as in Fault."""

    @property
    def strikes(self) -> tuple[AssetKind, ...]: ...
    @property
    def names(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def on_duty(self) -> bool: ...


def fitting(fault: Striking, site: Site) -> list[str]:
    """Assets of the site that the fault can strike, by name: of its kinds, and with what it needs beside them."""
    return sorted(asset.name for asset in site.assets if fits(fault, asset, site))


def fits(fault: Striking, asset: Asset, site: Site) -> bool:
    """Whether it can strike this asset."""
    if asset.kind not in fault.strikes or not fnmatchcase(asset.name, fault.names):
        return False
    stands_by = any(other < asset.name for other in asset.redundant_with)
    if fault.on_duty and stands_by:
        return False
    return all(targets(site, asset.name, Target(on=need)) for need in fault.needs)


def targets(site: Site, struck: str, target: Target) -> list[str]:
    """The assets a target names, seen from the struck one: the first alternative that has any."""
    for alternative in target.on.split("|"):
        found = [struck]
        for step in alternative.split(">"):
            word, _, kind = step.strip().partition(" ")
            found = list(dict.fromkeys(name for one in found for name in _related(site, one, word, kind)))
        if found:
            return found[: target.most]
    return []


def _related(site: Site, struck: str, word: str, kind: str) -> Iterator[str]:
    if word == "self":
        yield struck
    elif word == "scheduler":
        yield scheduler(site)
    elif word == "peer":
        yield from site.by_name[struck.lower()].redundant_with
    elif word in ("up", "parent"):
        above = site.upstream(struck) if word == "up" else site.by_name[struck.lower()].on
        around = (site.find(name) for name in above)
        yield from (asset.name for asset in around if asset and asset.kind == kind)
    else:
        below = set(site.downstream(struck)) if word == "down" else None
        for asset in site.assets:
            if asset.kind == kind and (
                struck in asset.on if word == "child" else below is None or asset.name in below
            ):
                yield asset.name


def scheduler(site: Site) -> str:
    """Where the scheduler's log comes from: a service of that name, else a host, else a name after the site."""
    named = (a.name for a in site.assets if a.kind == "service" and a.name.startswith(("sched", "slurm")))
    hosts = (a.name for a in site.assets if a.kind == "host")
    return next(named, next(hosts, f"{site.name}-sched"))


def reach(plan: FaultPlan, site: Site) -> frozenset[str]:
    """Every asset the fault may show on: the struck one, what its lines and effects fall on, and what it touches
    downstream. Two faults whose reaches meet at the same time may mask each other."""
    fault = plan.fault
    found = {plan.asset}
    for item in (*fault.effects, *fault.mends, *fault.signals, *fault.events, *fault.resolves):
        if item.on != "scheduler":
            found.update(targets(site, plan.asset, item))
    kinds = {*fault.touches, "sensor"}
    below = (site.find(name) for name in site.downstream(plan.asset))
    found.update(asset.name for asset in below if asset and asset.kind in kinds and fault.touches)
    return frozenset(found)


def values(plan: FaultPlan) -> dict[str, float]:
    """What each knob of the plan is set to at its severity, by knob."""
    return {effect.knob: scaled(effect.value, plan.severity) for effect in plan.fault.effects}


def parse_fault(spec: str, site: Site, start: datetime | None = None) -> FaultPlan:
    """`NAME@T`, `NAME:ASSET@T` or `NAME@ASSET@T` as a plan at the middle of its severity range, lasting to the end.

    T is seconds (`600`, `600s`), a span (`10m`, `1h30m`) or, with a `start`, a clock time of the site (`02:30`).
    Without an asset the first fitting one by name is struck. Raises UsageError that says what would fit.
    """
    match = _SPEC.fullmatch(spec.strip())
    if not match:
        raise UsageError(
            f"{spec!r} is no fault to inject", remedy="Write NAME:ASSET@T, such as pump_trip@10m"
        )
    fault = _fault(match["name"].strip())
    asset = _struck(fault, (match["asset"] or "").strip(), site)
    low, high = fault.severity
    return FaultPlan(fault, asset, _seconds(match["at"].strip(), spec, site, start), (low + high) / 2)


def _fault(name: str) -> Fault:
    catalog = load_catalog()
    if name in catalog:
        return catalog[name]
    near = get_close_matches(name, catalog, n=4, cutoff=0.4) or list(catalog)[:6]
    raise UsageError(
        f"no fault {name!r} in the catalog",
        remedy=f"Near names are {', '.join(near)}; `setpoint plant faults` lists all",
    )


def _struck(fault: Fault, name: str, site: Site) -> str:
    fit = fitting(fault, site)
    if not fit:
        kinds = " or ".join(fault.strikes)
        raise UsageError(
            f"site {site.name!r} has no {kinds} that {fault.id} can strike", remedy="Choose another"
        )
    if not name:
        return fit[0]
    found = site.find(name)
    if found is not None and found.name in fit:
        return found.name
    near = get_close_matches(name, fit, n=4, cutoff=0.3) or fit[:4]
    why = f"{fault.id} cannot strike it" if found else f"site {site.name!r} has none of that name"
    raise UsageError(f"asset {name!r}: {why}", remedy=f"Fitting are {', '.join(near)}")


def _seconds(text: str, spec: str, site: Site, start: datetime | None) -> float:
    if clock := _CLOCK.fullmatch(text):
        hour, minute = int(clock[1]), int(clock[2])
        if start is None or hour > 23 or minute > 59:
            raise UsageError(
                f"{text!r} in {spec!r} is no time of this run", remedy="Write a span such as 10m"
            )
        local = start.astimezone(site.zone)
        at = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
        return (at + timedelta(days=at < local) - local).total_seconds()
    if len(parts := _PARTS.findall(text)) > 1 and "".join(a + b for a, b in parts) == text:
        return sum(quantity(number + unit, "s") for number, unit in parts)
    try:
        seconds = quantity(text, "s") if not text.replace(".", "", 1).isdigit() else float(text)
    except ValueError as error:
        raise UsageError(f"{spec!r}: {error}", remedy="Write seconds, 10m, 1h30m or HH:MM") from error
    if seconds < 0:
        raise UsageError(f"{spec!r} lies before the run", remedy="Write a time of 0 or more")
    return seconds
