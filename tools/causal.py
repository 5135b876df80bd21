"""The way from a cause to events, for those who hold events and their ranks (plant/diagnosis/path.py walks it)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from plant.capacity import node_full_kw
from plant.diagnosis.observed import Observed
from plant.diagnosis.path import causal_path
from plant.diagnosis.results import CausalPath, Medium, Verdict
from plant.diagnosis.spread import load_spread, reach
from plant.specs import NodeSpec
from setpoint.contracts import Event, Triage
from setpoint.contracts.site import Site
from tools.diagnosis import sign_of


def path_over(
    site: Site, verdict: Verdict, events: Sequence[Event], triages: Mapping[str, Triage]
) -> CausalPath:
    """Which of these events the cause explains, whatever incident they are in. Raises ValueError without events."""
    start = min(event.time for event in events)
    signs = tuple(sign_of(event, triages.get(event.id), start, site) for event in events)
    return causal_path(site, verdict, Observed(start, np.zeros(1), {}, signs))


def names_an_effect(site: Site, path: CausalPath, cause: str, event: Event) -> bool:
    """Whether a cause that is named for this event only says how the path's cause shows there. At the struck asset
    itself another cause is another opinion."""
    asset = site.find(event.asset)
    medium: Medium = next((link.medium for link in path.links if event.id in link.events), "itself")
    table = load_spread()
    return (
        medium != "itself"
        and cause in table.symptoms
        and asset is not None
        and cause in table.effects(medium, asset.kind)
    )


@dataclass(frozen=True)
class Stake:
    """GPUs that trouble has touched or may touch, and what their nodes draw at full load."""

    gpus: int
    power_kw: float


def stake(site: Site, assets: Collection[str]) -> Stake:
    """Of the GPU nodes among these assets; others count nothing."""
    found = {found.name for name in assets if (found := site.find(name)) and found.kind == "gpu_node"}
    return Stake(
        gpus=sum(site.spec(name, NodeSpec).gpus for name in found),
        power_kw=round(sum(node_full_kw(site, name) for name in found), 1),
    )


def threatened(site: Site, cause: str, root: str) -> set[str]:
    """GPU nodes that the cause may take down. A job's other nodes are not counted: they wait for the struck one."""
    return {
        name
        for name, ways in reach(site, cause, root).items()
        if any(at.asset.kind == "gpu_node" and (at.step is None or at.step.way != "mates") for at in ways)
    }
