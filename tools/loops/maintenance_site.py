"""The parts of a site that wear: which there are, how old, what carries on for them, what hangs on them, what is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from plant.control.maintenance.parts import DAYS_A_YEAR, PARTS, PartKind
from plant.specs import EssSpec, NodeSpec
from setpoint.contracts.site import Asset, Site
from setpoint.errors import ConfigError

DAY_S = 86400.0


@dataclass(frozen=True)
class Part:
    """One kind of part on one asset."""

    asset: str
    kind: PartKind
    count: int
    """So many alike; the first of them to fail counts."""
    age_days: float | None
    """None: nobody wrote down when it was renewed."""
    age_from: str
    gpus: int
    """GPUs that stand still when the asset fails and nothing carries on for it."""
    redundant: bool
    not_with: tuple[str, ...]
    """Groups of assets of which at most one is worked on in a day."""

    @property
    def key(self) -> str:
        return f"{self.asset}/{self.kind.name}"

    def work_exposes(self, window_asset_globs: Iterable[str]) -> bool:
        """Whether planned work on one of those would leave nothing that carries on for this asset's group."""
        return any(fnmatchcase(name, glob) for glob in window_asset_globs for name in self.not_with)


def parts_of(site: Site, now: datetime) -> list[Part]:
    """Every part of the site that this loop knows, in the order of the site file."""
    return [
        _part(site, asset, kind, now)
        for asset in site.assets
        for kind in PARTS.values()
        if asset.kind in kind.assets
    ]


def _part(site: Site, asset: Asset, kind: PartKind, now: datetime) -> Part:
    age, said = age_of(site, asset, kind, now)
    groups = _groups(site, asset)
    return Part(
        asset.name, kind, _count(site, asset), age, said, _gpus_below(site, asset), len(groups) > 0, groups
    )


def age_of(site: Site, asset: Asset, kind: PartKind, now: datetime) -> tuple[float | None, str]:
    """Days since the last change of the site file that renewed the part, and in words where that is from."""
    renewed = [
        change
        for change in site.changes
        if change.time <= now
        and fnmatchcase(asset.name, change.assets)
        and any(word in change.what.lower() for word in kind.words)
        and any(verb in change.what.lower() for verb in _RENEWED)
    ]
    if renewed:
        last = max(renewed, key=lambda change: change.time)
        days = (now - last.time).total_seconds() / DAY_S
        return days, f"renewed {days:.0f} days ago ({last.what})"
    if asset.kind == "ess" and isinstance(asset.spec, EssSpec) and "age_years" in asset.spec.model_fields_set:
        return asset.spec.age_years * DAYS_A_YEAR, f"{asset.spec.age_years:g} years old by the site file"
    return None, "age unknown"


_RENEWED = ("changed", "replaced", "renewed", "new ", "installed", "exchanged", "cleaned", "overhaul")


def _count(site: Site, asset: Asset) -> int:
    if asset.kind == "gpu_node":
        return site.spec(asset.name, NodeSpec).gpus
    return 2 if asset.kind == "link" else 1


def _gpus_below(site: Site, asset: Asset) -> int:
    names = [asset.name] if asset.kind == "gpu_node" else [n.name for n in site.below(asset.name, "gpu_node")]
    total = 0
    for name in names:
        try:
            total += site.spec(name, NodeSpec).gpus
        except ConfigError:
            continue
    return total


def _groups(site: Site, asset: Asset) -> tuple[str, ...]:
    """Pairs that carry on for each other, pumps of one CDU, chillers and handlers that cool the same."""
    partners = {
        *asset.redundant_with,
        *(other.name for other in site.assets if asset.name in other.redundant_with),
    }
    pairs = ["+".join(sorted((asset.name, partner))) for partner in partners if site.find(partner)]
    pumped = (
        [f"pumps of {cdu.name}" for cdu in site.below(asset.name, "cdu")[:1]] if asset.kind == "pump" else []
    )
    shared = _shared(site, asset)
    return tuple(sorted({*pairs, *pumped, *shared}))


def _shared(site: Site, asset: Asset) -> list[str]:
    """Units of one kind that feed the same asset stand in for each other where there are two or more."""
    if asset.kind not in ("chiller", "crah"):
        return []
    below = site.standing_on(asset.name)
    alike = [
        other.name for other in site.of_kind(asset.kind) if other.name != asset.name and set(below) & set(site.standing_on(other.name))
    ]  # fmt: skip
    return [f"{asset.kind} group of {min([asset.name, *alike])}"] if alike else []
