"""Flood mode: when alarms come faster than a person can read them, causes instead of alarms, first by consequence.

ISA-18.2 (alarm management) calls more than ten new alarms in ten minutes for one operator a flood; it lasts until the
rate has fallen below half of that. Nothing is left out: what no cause explains stands after the causes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from agents.alert_facts import lasted, metric_name
from agents.grouping import LIVE
from agents.troubleshooter import LIKELY
from knowledge.causes import NO_FAULT, UNKNOWN
from setpoint.contracts import Diagnosis, Frozen, Incident, Priority, Review
from setpoint.contracts.action import ActionProposal
from setpoint.contracts.site import Site
from tools.causal import stake, threatened

WINDOW = timedelta(minutes=10)
FAR_S = float("inf")


class CauseRow(Frozen):
    """One trouble: an incident with all that its cause explains."""

    incident: str
    """Id of the incident that stands for it."""
    known: bool
    """A cause is likely; else `cause` is the incident's title."""
    cause: str
    share: float | None
    """Of belief in the cause; None where none is known."""
    asset: str
    """Where the cause sits; "" where that is not known."""
    priority: Priority
    """The most urgent of all its incidents."""
    members: tuple[str, ...]
    """Ids of the incidents it explains, itself left out."""
    alarms: int
    """Events in all of them."""
    gpus: int
    """In nodes that have spoken."""
    at_stake_gpus: int
    """In nodes that the cause may take down, those included that have spoken."""
    power_kw: float
    """Of the nodes at stake, at full load."""
    limit: str
    """The limit that is reached first if nothing is done, as the rehearsal has it; "" where none is known."""
    to_limit_s: float | None
    opened: datetime
    age_s: float
    waits: tuple[str, ...]
    """Ids of the reviews that wait for a decision."""


class Flood(Frozen):
    """What the shift is up against now."""

    active: bool
    since: datetime | None
    """When the rate passed the limit; None where it has not."""
    now: datetime
    rate_per_10min: int
    """New alarms in the ten minutes before now."""
    limit_per_10min: int
    rows: tuple[CauseRow, ...]
    """Known causes first, the gravest first; then what has no cause yet, P0 first."""


def causes_first(
    incidents: Sequence[Incident],
    diagnoses: Mapping[str, Diagnosis],
    grouped: Mapping[str, str],
    now: datetime,
    *,
    site: Site,
    limit_per_10min: int = 10,
    reviews: Sequence[Review] = (),
) -> Flood:
    """All incidents that are open or acknowledged and not routine, under their causes.

    `grouped` maps an incident to the one whose cause explains it; `reviews` are those that wait. An incident under one
    that is over stands for itself again.
    """
    told = [incident for incident in incidents if incident.priority != "P3"]
    active, since, rate = flood_state([one.opened for one in told], now, limit_per_10min)
    live = {one.id: one for one in told if one.state in LIVE}
    under: dict[str, list[Incident]] = {name: [] for name in live if grouped.get(name) not in live}
    for name, incident in live.items():
        if name not in under:
            under[_top(name, grouped, live)].append(incident)
    rows = [
        _row(live[name], members, diagnoses.get(name), now, site, reviews) for name, members in under.items()
    ]
    return Flood(
        active=active, since=since, now=now, rate_per_10min=rate, limit_per_10min=limit_per_10min,
        rows=tuple(sorted(rows, key=_gravest)),
    )  # fmt: skip


def flood_state(
    opened: Sequence[datetime], now: datetime, limit_per_10min: int
) -> tuple[bool, datetime | None, int]:
    """Whether a flood is on, since when, and how many alarms came in the ten minutes up to now.

    >>> start = datetime(2026, 1, 1)
    >>> times = [start + timedelta(seconds=20 * n) for n in range(12)]
    >>> flood_state(times, start + timedelta(minutes=5), 10)[0], flood_state(times, start + timedelta(hours=1), 10)[0]
    (True, False)
    """
    steps = sorted([(time, 1) for time in opened] + [(time + WINDOW, -1) for time in opened])
    count, since = 0, None
    for time, step in steps:
        if time > now:
            break
        count += step
        if count > limit_per_10min and since is None:
            since = time
        elif since is not None and 2 * count < limit_per_10min:
            since = None
    return since is not None, since, count


def _top(name: str, grouped: Mapping[str, str], live: Mapping[str, Incident]) -> str:
    """The live incident that stands for it, at the end of the chain."""
    seen = {name}
    while (above := grouped.get(name, "")) in live and above not in seen:
        name = above
        seen.add(name)
    return name


def _row(
    root: Incident,
    members: Sequence[Incident],
    diagnosis: Diagnosis | None,
    now: datetime,
    site: Site,
    reviews: Sequence[Review],
) -> CauseRow:
    everyone = [root, *members]
    top = diagnosis.top if diagnosis else None
    known = top is not None and top.score >= LIKELY and top.cause not in (NO_FAULT, UNKNOWN)
    asset = _struck(diagnosis) if known else ""
    touched = {name for one in everyone for name in one.assets}
    beneath = touched | (threatened(site, top.cause, asset) if top is not None and asset else set())
    at_stake = stake(site, beneath)
    ids = {one.id for one in everyone}
    limit, to_limit_s = _first_limit(diagnosis.proposals if diagnosis else (), now)
    return CauseRow(
        incident=root.id,
        known=known,
        cause=top.title if top is not None and known else root.title,
        share=top.score if top is not None and known else None,
        asset=asset,
        priority=min(one.priority for one in everyone),
        members=tuple(one.id for one in sorted(members, key=lambda one: (one.priority, one.opened, one.id))),
        alarms=sum(one.event_count for one in everyone),
        gpus=stake(site, touched).gpus,
        at_stake_gpus=at_stake.gpus,
        power_kw=at_stake.power_kw,
        limit=limit,
        to_limit_s=to_limit_s,
        opened=min(one.opened for one in everyone),
        age_s=max(0.0, (now - min(one.opened for one in everyone)).total_seconds()),
        waits=tuple(review.id for review in reviews if review.incident_id in ids),
    )


def _struck(diagnosis: Diagnosis | None) -> str:
    if diagnosis is None:
        return ""
    if diagnosis.top.tested is not None:
        return diagnosis.top.tested.asset
    return diagnosis.path.root if diagnosis.path else ""


def _first_limit(proposals: Sequence[ActionProposal], now: datetime) -> tuple[str, float | None]:
    """What passes its limit first where nothing is done, by the median of the rehearsals, and in how long."""
    found = sorted(crossing for proposal in proposals for crossing in _crossings(proposal, now))
    return (found[0][1], found[0][0]) if found else ("", None)


def _crossings(proposal: ActionProposal, now: datetime) -> Iterator[tuple[float, str]]:
    rehearsal = proposal.rehearsal
    for band in rehearsal.bands if rehearsal else ():
        if rehearsal is None or band.limit is None or not band.limit_is:
            continue
        sign = 1.0 if band.limit_is == "above" else -1.0
        for time_s, (_, median, _) in zip(band.times_s, band.without, strict=True):
            if sign * (median - band.limit) > 0:
                since_s = (rehearsal.as_of + timedelta(seconds=time_s) - now).total_seconds()
                yield max(0.0, since_s), f"{metric_name(band.metric)} of {band.asset}"
                break


def _gravest(row: CauseRow) -> tuple[object, ...]:
    to_limit_s = FAR_S if row.to_limit_s is None else row.to_limit_s
    return (
        not row.known, row.priority, to_limit_s, -row.gpus, -row.at_stake_gpus, -row.power_kw, row.opened, row.incident,
    )  # fmt: skip


def flood_line(flood: Flood) -> str:
    """One line for the head of a list: what is on, and how far causes explain it."""
    causes = [row for row in flood.rows if row.known]
    explained = sum(1 + len(row.members) for row in causes)
    open_rows = len(flood.rows) - len(causes)
    began = f" for {lasted((flood.now - flood.since).total_seconds())}" if flood.since else ""
    head = (
        f"Alarm flood{began}: {flood.rate_per_10min} new incidents in 10 min (limit {flood.limit_per_10min}). "
        if flood.active
        else ""
    )
    found = f"{len(causes)} cause{'' if len(causes) == 1 else 's'} explain{'s' if len(causes) == 1 else ''} "
    rest = f"{open_rows} {'has' if open_rows == 1 else 'have'} no cause yet"
    return f"{head}{found}{explained} incident{'' if explained == 1 else 's'}; {rest}."
