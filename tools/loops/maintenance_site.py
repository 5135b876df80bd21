"""The parts of a site that wear: which there are, how old, what carries on for them, what hangs on them, what is read."""

from __future__ import annotations

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
    partners: tuple[str, ...]
    """Assets that carry on for it, or for which it does."""
    not_with: tuple[str, ...]
    """Groups of assets of which at most one is worked on in a day."""

    @property
    def redundant(self) -> bool:
        return len(self.partners) > 0

    @property
    def key(self) -> str:
        return f"{self.asset}/{self.kind.name}"

    def bared_by(self, assets: str) -> bool:
        """Whether work on the assets of that glob leaves it without one of its partners."""
        return any(fnmatchcase(partner, assets) for partner in self.partners)


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
    partners = _partners(site, asset)
    groups = {"+".join(sorted((asset.name, partner))) for partner in partners}
    return Part(
        asset.name, kind, _count(site, asset), age, said, _gpus_below(site, asset), partners, tuple(sorted(groups))
    )  # fmt: skip


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


def _partners(site: Site, asset: Asset) -> tuple[str, ...]:
    """Assets named as redundant with it, the other pumps of its CDU, and chillers or handlers that cool the same."""
    named = {
        *asset.redundant_with,
        *(other.name for other in site.assets if asset.name in other.redundant_with),
    }
    if asset.kind in ("pump", "chiller", "crah"):
        below = set(site.standing_on(asset.name))
        named |= {
            other.name for other in site.of_kind(asset.kind)
            if other.name != asset.name and below & set(site.standing_on(other.name))
        }  # fmt: skip
    return tuple(sorted(name for name in named if site.find(name)))
