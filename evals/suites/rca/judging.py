"""How right one answer of the suite `rca` is: causes, asset, the path shown, and the evidence cited."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from evals.exam.grouping import NO_STORY
from evals.exam.judging import Seat
from evals.reliability import brier
from evals.suites.rca.nights import DOUBLE, RcaFault, RcaNight
from knowledge.causes import NO_FAULT, UNKNOWN
from plant.faults.place import FaultPlan, scheduler
from setpoint.contracts import Event
from setpoint.contracts.site import Site

Row = dict[str, Any]
NAMES_NOTHING = frozenset({NO_FAULT, UNKNOWN})


def judge(night: RcaNight, fault: RcaFault, said: Mapping[str, Any]) -> Row:
    """Everything measured of one case. An unnoticed fault has no answer, and is counted as that alone."""
    plan = fault.plan
    row: Row = {
        "seed": night.seed, "fault": plan.fault.id, "sort": night.case.sorts[plan.story], "area": plan.fault.area,
        "truth": plan.fault.cause, "tags": list(fault.tags), "due": fault.due, "noticed": fault.seat is not None,
        "problems": [],
    }  # fmt: skip
    if fault.seat is None:
        return row | {"problems": [f"{plan.fault.id} at {plan.asset} raised no incident above P3"]}
    row |= {"mixed": fault.seat.mixed, "seconds": said["seconds"], "tried": said.get("tried")}
    row |= _causes(night, fault, said)
    if plan.fault.cause not in NAMES_NOTHING:
        meant = _meant(night, fault, said)
        row |= _place(meant, said) | _path(night, fault.seat, meant, said) | _evidence(night, meant, said)
        row |= _herring(night, fault, said)
    return row | _model(said, row["accept"]) | {"problems": _problems(row, said)}


# ---- causes ---------------------------------------------------------------------------------------------------------


def _causes(night: RcaNight, fault: RcaFault, said: Mapping[str, Any]) -> Row:
    ranked: list[tuple[str, float]] = [(cause, float(share)) for cause, share in said["ranked"]]
    accept = _accepted(night, fault)
    first, share = ranked[0]
    counted = first if first in accept else fault.plan.fault.cause
    return {
        "accept": sorted(accept), "first": first, "share": share, "top1": first in accept,
        "top3": bool(accept & {cause for cause, _ in ranked[:3]}), "exact": _exact(night, fault, said),
        "brier": brier([dict(ranked)], [counted]),
    }  # fmt: skip


def _accepted(night: RcaNight, fault: RcaFault) -> set[str]:
    """The truth; of two faults at once, either."""
    if DOUBLE not in fault.tags:
        return {fault.plan.fault.cause}
    return {one.plan.fault.cause for one in night.faults if one.story in night.case.doubles}


def _exact(night: RcaNight, fault: RcaFault, said: Mapping[str, Any]) -> bool:
    """Whether every fault with an alarm in the incident is named, and nothing that is not going on."""
    assert fault.seat is not None  # judged only where there is one
    named = {said["ranked"][0][0]} | {cause for cause in [said["also"].split("@")[0]] if cause}
    inside = {night.story_of(event) for event in _alarms(fault.seat)} | {fault.story}
    plans = {one.story: one.plan for one in night.faults}
    here = {plans[story].fault.cause for story in inside if story in plans}
    at_s = (fault.seat.moment - night.case.night.start).total_seconds()
    going_on = {plan.fault.cause for plan in plans.values() if _going_on(plan, at_s)} | here
    return (here - {NO_FAULT} or here) <= named <= going_on


def _going_on(plan: FaultPlan, at_s: float) -> bool:
    return plan.at_s <= at_s and (plan.end_s is None or plan.end_s >= at_s)


def _meant(night: RcaNight, fault: RcaFault, said: Mapping[str, Any]) -> RcaFault:
    """The fault that the answer speaks of: of two at once the one it names, else the case's own."""
    others = [one for one in night.faults if one.story in night.case.doubles] if DOUBLE in fault.tags else []
    first = said["ranked"][0][0]
    return next((one for one in others if one.plan.fault.cause == first), fault)


def _place(meant: RcaFault, said: Mapping[str, Any]) -> Row:
    return {"asset_right": said["asset"].lower() == meant.plan.asset.lower()}


# ---- the path -------------------------------------------------------------------------------------------------------


def _path(night: RcaNight, seat: Seat, meant: RcaFault, said: Mapping[str, Any]) -> Row:
    """Does it begin at the struck asset, go along what is really connected, and reach the story's alarms?"""
    path = said["path"]
    due = {event.id for event in _alarms(seat) if night.story_of(event) == meant.story}
    if path is None:
        return {"path_shown": False, "path_root": False, "path_found": 0.0 if due else None}
    told = [event for event in path["explained"] if night.story_of(event) not in NO_STORY]
    links = path["links"]
    return {
        "path_shown": True,
        "path_root": path["root"].lower() == meant.plan.asset.lower(),
        "path_real": all(is_hop(night.case.real, link, links, path["root"]) for link in links),
        "path_found": len(due & set(path["explained"])) / len(due) if due else None,
        "path_own": _share(told, lambda event: night.story_of(event) == meant.story),
    }


def _alarms(seat: Seat) -> list[Event]:
    """What fires in the incident above P3."""
    ranks = seat.told.triages
    return [
        event for event in seat.told.events if event.status == "firing" and ranks[event.id].priority < "P3"
    ]


def is_hop(site: Site, link: Mapping[str, Any], links: Sequence[Mapping[str, Any]], root: str) -> bool:
    """Whether each asset that a link leads to is really joined to one that it comes from."""
    sources = next((one["assets"] for one in links if one["target"] == link["source"]), [root])
    return all(any(joined(site, source, target) for source in sources) for target in link["assets"])


def joined(site: Site, one: str, other: str) -> bool:
    """Whether trouble has a way between them: one stands on the other, they are each other's reserve, they run one
    pool's or the free nodes' work, or one of them is the scheduler."""
    a, b = site.find(one), site.find(other)
    if a is None or b is None:
        return False
    if a.name in b.on or b.name in a.on or a.name in b.redundant_with or b.name in a.redundant_with:
        return True
    if a.kind == b.kind == "gpu_node":
        return site.pool_of(a.name) is site.pool_of(b.name)
    return scheduler(site) in (a.name, b.name)


# ---- evidence -------------------------------------------------------------------------------------------------------


def _evidence(night: RcaNight, meant: RcaFault, said: Mapping[str, Any]) -> Row:
    """Pieces of event evidence: of those cited, how many are the story's; of the story's, how many are cited."""
    own = [piece for piece in said["pieces"] if _is_of(night, piece, meant.story)]
    return {
        "evidence_own": _share(said["cited"], lambda piece: _is_of(night, piece, meant.story)),
        "evidence_cited": _share(own, lambda piece: piece in said["cited"]),
    }


def _is_of(night: RcaNight, piece: Collection[str], story: str) -> bool:
    """At least half of its events are the story's."""
    return 2 * sum(night.story_of(event) == story for event in piece) >= len(piece)


def _herring(night: RcaNight, fault: RcaFault, said: Mapping[str, Any]) -> Row:
    """Whether the unrelated change is put forward as evidence of the first cause."""
    change = night.case.herrings.get(fault.story)
    if change is None:
        return {}
    return {"herring_cited": any(change.what in text for text in said.get("changes_cited", ()))}


def _share(items: Sequence[Any], holds: Any) -> float | None:
    return sum(map(holds, items)) / len(items) if items else None


# ---- model and words ------------------------------------------------------------------------------------------------


def _model(said: Mapping[str, Any], accept: Collection[str]) -> Row:
    """What a model that decides would have named first, and how many texts were not taken as written."""
    row: Row = {"texts": said.get("texts", 0), "fell_back": said.get("fell_back", 0)}
    if not said.get("model_asked"):
        return row
    named = said["model_first"]
    usable = not any(problem.startswith("causes:") for problem in said["problems"])
    return row | {"model_usable": usable, "model_right": named[0] in accept if named else None}


def _problems(row: Row, said: Mapping[str, Any]) -> list[str]:
    """What a reader of the log looks for."""
    found: list[str] = []
    if not row["top1"]:
        found.append(
            f"said {row['first']} ({row['share']:.0%}), is {' or '.join(row['accept'])} ({row['fault']})"
        )
    elif not row["exact"]:
        found.append(f"also named {said['also'] or 'nothing'}")
    if row["top1"] and row.get("asset_right") is False:
        found.append(f"put it at {said['asset'] or 'no asset'}")
    if row.get("path_real") is False:
        found.append("its path takes a way that is not there")
    return [*found, *said.get("problems", ())]
