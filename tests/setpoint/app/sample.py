"""A ledger as a played night leaves it: the lines of plant.nights, ranked and grouped by the night's own truth,
analysed by the real evidence and cause code, with reviews decided and actions done. Nothing random, no model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import plant
from agents.evidence import Case, gather
from agents.guide import called_for, choose_section, write_guide
from agents.troubleshooter import rank_causes
from knowledge.causes import load_causes
from knowledge.runbooks import load_corpus
from plant.nights import START, Line, night
from setpoint.app.runfacts import RunFacts
from setpoint.contracts import (
    PRIORITIES,
    Action,
    ActionProposal,
    Context,
    Decision,
    Diagnosis,
    Event,
    Incident,
    Judgement,
    Notice,
    Outcome,
    Priority,
    Quarantined,
    ReasoningStep,
    Review,
    Triage,
)
from setpoint.contracts.dispatch import Dispatch, Ranked
from setpoint.contracts.site import Site, load_site
from setpoint.errors import ActionRefused
from setpoint.intake import read
from setpoint.ledger import Ledger
from tests.setpoint.app.diagnosis_fixture import with_trial
from tools.proposals import proposal

BEGAN = datetime(2026, 4, 2, 10, 0, tzinfo=UTC)
"""Wall clock of the replay, weeks after the night."""
SPEED = 240.0
MODEL = "setpoint-small"
RANKS: dict[str, Priority] = {priority: priority for priority in PRIORITIES}

TITLES = {
    "pump_under_surge": "cdu-1: coolant pump tripped, flow below minimum",
    "gpu_off_bus": "gpu-19: GPU fell off the bus",
    "leak": "leak-r-05: coolant leak at rack r-05",
    "smoke": "fire-panel-2: smoke alarm in hall 2",
    "feed_lost": "feed-b: utility feed lost, UPS on battery",
    "intrusion": "bmc-17: management login from outside the management network",
    "vip_kv_pressure": "pool-vip: KV cache pressure, TTFT above SLO",
    "after_firmware": "gpu-21 to gpu-24: a message never seen before the firmware roll-out",
    "sensor_lost": "temp-r-03: no reading",
    "flapping_link": "ib-link-l3-s1: link flaps",
    "batch_stall": "store-1: storage writes slow",
    "in_maintenance": "gpu-31: in maintenance",
}
REASONS = {
    "high": (
        "loss is happening now",
        "a shared service or the facility is hit",
        "it spans cooling, power and serving",
    ),
    "low": ("no further loss is imminent", "one standard asset", ""),
}
LEVELS = {
    "P0": ("high", "high", "high"),
    "P1": ("low", "high", "low"),
    "P2": ("high", "low", "low"),
    "P3": ("low",) * 3,
}


@dataclass(frozen=True)
class Told:
    """One event with the truth about it."""

    event: Event
    story: str
    priority: Priority


@dataclass
class Sample:
    ledger: Ledger
    site: Site
    run: RunFacts


def wall(time: datetime, after_s: float = 0.0) -> datetime:
    """When the replay came to that moment of the night."""
    return BEGAN + (time - START) / SPEED + timedelta(seconds=after_s)


def build(folder: Path, *, extra: Iterable[Line] = ()) -> Sample:
    """The ledger of one night. `extra` lines are played along, in the story and with the rank they name."""
    site = load_site(Path(plant.__file__).parent / "sites" / "demo.yaml")
    ledger = Ledger.open(folder / "ledger.db")
    told, bad = _read(sorted([*night(), *extra], key=lambda line: line.time), site)
    ledger.accept([one.event for one in told], bad, "night")
    _triage(ledger, told)
    for story in TITLES:
        _work(ledger, site, story, [one for one in told if one.story == story])
    root, under = incident_id("pump_under_surge"), incident_id("vip_kv_pressure")
    ledger.group_explained(
        root, [under], cause="coolant_pump_failure", why="its nodes stand on cdu-1", now=BEGAN
    )
    _upkeep(ledger)
    return Sample(ledger, site, facts())


def facts() -> RunFacts:
    return RunFacts(
        version="0.1.0",
        started=BEGAN,
        finished=BEGAN + timedelta(seconds=131),
        inputs=("night, seed 7",),
        decide="simulated shift",
        models={"light": "setpoint-small.gguf, mode facts", "heavy": "setpoint-small.gguf, mode facts"},
        versions={"rules": "3f1c09aa12bd", "prompts": "9be1b0c2d3f4", "corpus": "71d80e5a4c21"},
        settings={"act.dry_run": "false", "alerts.flood_per_10min": "10"},
    )


def incident_id(story: str) -> str:
    return f"INC-{hashlib.sha256(story.encode()).hexdigest()[:6]}"


def _read(lines: Iterable[Line], site: Site) -> tuple[list[Told], list[Quarantined]]:
    told, bad = [], []
    for line in lines:
        received = wall(line.time, 0.004)
        for item in read(
            line.text.encode() + b"\n", origin=f"night {line.time:%H:%M}", zone=site.zone, received=received
        ):
            if isinstance(item, Event):
                # Read one by one, a future time is judged against the replay's clock; the night is in its past.
                told.append(Told(item, line.story, RANKS.get(line.priority, "P3")))
            else:
                bad.append(item)
    return told, bad


def _story_of(one: Told) -> str:
    return one.story if one.story in TITLES else f"routine {one.event.source}"


def _triage(ledger: Ledger, told: list[Told]) -> None:
    stories: dict[str, list[Told]] = {}
    for one in told:
        stories.setdefault(_story_of(one), []).append(one)
    for story, members in stories.items():
        whole = _incident(story, members)
        first = next(place for place, one in enumerate(members) if one.priority == whole.priority)
        for batch in (
            members[:first],
            members[first:],
        ):  # forerunners, then from the event that sets the rank on
            if batch:
                _commit(ledger, whole, batch, notify=batch[0] is members[first])
    _deliver(ledger)


def _commit(ledger: Ledger, incident: Incident, members: list[Told], *, notify: bool) -> None:
    notices = (
        (_notice(incident, "first", "template"),) if notify and incident.priority in ("P0", "P1") else ()
    )
    now = wall(members[0].event.time, 0.012)
    dispatch = Dispatch(
        batch_id=hashlib.sha256(members[0].event.id.encode()).hexdigest(), time=now,
        ranked=tuple(_ranked(one, incident, place) for place, one in enumerate(members)), incidents=(incident,),
        new_incidents=(incident.id,), notices=notices,
    )  # fmt: skip
    ledger.commit_triage(dispatch, now=now)


def _incident(story: str, members: list[Told]) -> Incident:
    times = [one.event.time for one in members]
    priority = min((one.priority for one in members), key=PRIORITIES.index)
    assets = tuple(dict.fromkeys(one.event.asset for one in members))
    return Incident(
        id=incident_id(story), group_key=f"story:{story}", title=TITLES.get(story, f"{story.removeprefix('routine ')}: routine messages"),
        priority=priority, state="open", opened=min(times), updated=max(times), assets=assets, event_count=len(members),
        path={"P0": "fast", "P3": "record"}.get(priority, "slow"),
        grouped_by=f"events on {assets[0]} and on what it carries, within 10 min of each other" if len(assets) > 1
        else f"the same asset, {assets[0]}", revision=1 if len(members) > 3 else 0,
    )  # fmt: skip


def _ranked(one: Told, incident: Incident, place: int) -> Ranked:
    urgency, impact, complexity = (
        Judgement(level=level, reason=REASONS[level][which])
        for which, level in enumerate(LEVELS[one.priority])
    )
    triage = Triage(
        event_id=one.event.id, priority=one.priority, urgency=urgency, impact=impact, complexity=complexity,
        confidence=0.97 if one.priority != "P2" else 0.61, decided_by=(f"{one.story.replace('_', '-')}.{place % 3}@2", "site-tier"),
        condition=incident.title.partition(": ")[2], undecided=one.story == "after_firmware",
    )  # fmt: skip
    return Ranked(
        event=one.event, context=Context(), triage=triage, incident_id=incident.id, group_key=incident.group_key,
        grouped_by=incident.grouped_by,
    )  # fmt: skip


def _notice(incident: Incident, stage: str, writer: str) -> Notice:
    text = f"{incident.title}. {incident.event_count} events on {incident.assets[0]}. Nobody has it yet."
    if writer != "template":
        text = f"{incident.assets[0]} needs you now: {incident.title.partition(': ')[2]}."
    return Notice(
        incident_id=incident.id, dedup_key=f"setpoint/{incident.id}", version=0, stage=stage, priority=incident.priority,
        title=incident.title, text=text, written_by=writer,
    )  # fmt: skip


def _deliver(ledger: Ledger) -> None:
    for place, delivery in enumerate(ledger.list_deliveries(states=("queued",))):
        late = 0.021 + 0.006 * (place % 5)
        ledger.mark_sent(delivery.key, now=(delivery.received or delivery.queued) + timedelta(seconds=late))


# ---- analyses, reviews, actions ---------------------------------------------------------------------------------


def _work(ledger: Ledger, site: Site, story: str, members: list[Told]) -> None:
    incident = ledger.get_incident(incident_id(story))
    if incident.priority == "P3":
        return
    began = wall(next(one for one in members if one.priority == incident.priority).event.time)
    if incident.priority == "P0":
        ledger.queue_notice(
            _notice(incident, "plain", MODEL), received=began, now=began + timedelta(seconds=0.9)
        )
        for delivery in ledger.list_deliveries(incident_id=incident.id, states=("queued",)):
            ledger.mark_sent(delivery.key, now=began + timedelta(seconds=1.1))
    diagnosis = _diagnose(ledger, site, incident)
    at = began + timedelta(seconds=4.2)
    reviews = [_review(incident, p, at) for p in diagnosis.proposals]
    ledger.record_diagnosis(diagnosis, reviews=reviews, now=at)
    for place, review in enumerate(reviews):
        _decide(ledger, review, place, at + timedelta(seconds=2.5 + place))


def _diagnose(ledger: Ledger, site: Site, incident: Incident) -> Diagnosis:
    causes, sections = load_causes(), load_corpus()
    triages = {triage.event_id: triage for triage in ledger.triage_of(incident.id)}
    case = Case(incident, tuple(ledger.events_of(incident.id)), triages, site)
    evidence, of_event = gather(case)
    ranked = rank_causes(case, causes, of_event, evidence)
    section = choose_section(ranked[0], causes, sections, ())
    guide = write_guide(section)
    proposals = [
        p
        for name in called_for(guide, causes[ranked[0].cause])
        if (p := _propose(name, incident, site, ranked[0].supports))
    ]
    odd, tried = incident.id == incident_id("leak"), incident.id == incident_id("pump_under_surge")
    steps = tuple(
        ReasoningStep(text=piece.text, evidence=(piece.id,), written_by="template" if odd else MODEL)
        for piece in evidence[:3]
    )
    found = Diagnosis(
        incident_id=incident.id, revision=incident.revision, mode="facts", evidence=tuple(evidence), passages=(),
        hypotheses=tuple(ranked), steps=steps, summary=f"{incident.title.partition(': ')[2].capitalize()}: most likely {ranked[0].title.lower()}.",
        guide=guide, proposals=tuple(proposals[:3]), written_by="template" if odd else MODEL,
        fallbacks=("step 1: the text used a number word",) if odd else (), tokens=0 if odd else 211, seconds=3.4,
    )  # fmt: skip
    return with_trial(found, incident.opened, (incident_id("vip_kv_pressure"),)) if tried else found


def _propose(name: str, incident: Incident, site: Site, supports: tuple[str, ...]) -> ActionProposal | None:
    try:
        return proposal(
            name,
            incident.assets[0],
            site,
            incident_id=incident.id,
            why="the runbook calls for it",
            evidence=supports[:2],
        )
    except ActionRefused:
        return None


def _review(incident: Incident, item: ActionProposal, at: datetime) -> Review:
    return Review(
        id=f"REV-{item.id[4:10]}", kind="action", incident_id=incident.id, subject=f"{item.effect.partition('.')[0]}?",
        proposal=item, digest=item.action.digest(incident.id), created=at, expires=at + timedelta(hours=1),
    )  # fmt: skip


def _decide(ledger: Ledger, review: Review, place: int, at: datetime) -> None:
    """The first is approved (edited where it has a number), the second rejected, the third left waiting."""
    assert review.proposal is not None
    action = review.proposal.action
    if place == 2:
        return
    if place == 1:
        decision = Decision(
            type="reject", who="mira", reason="not while the load is this low", simulated=True
        )
        ledger.decide(review.id, review.digest, decision, now=at)
        return
    number = next((key for key, value in action.args.items() if isinstance(value, float)), None)
    if number is None:
        decision = Decision(type="approve", who="mira", reason="agreed", simulated=True)
    else:
        action = Action(
            name=action.name,
            asset=action.asset,
            args=action.args | {number: float(action.args[number]) * 0.9},
        )
        decision = Decision(
            type="edit", who="jon", reason="a little less is enough", edited=action, simulated=True
        )
    for who in ("mira", "jon"):
        now = ledger.get_review(review.id)
        if now.state == "pending":
            said = (
                decision
                if now.digest == review.digest
                else Decision(type="approve", who="lee", reason="agreed", simulated=True)
            )
            ledger.decide(review.id, now.digest, said.model_copy(update={"who": who}), now=at)
    _act(ledger, review, action, at + timedelta(seconds=0.4))


def _act(ledger: Ledger, review: Review, action: Action, at: datetime) -> None:
    key = f"{review.incident_id}:{review.id}"
    ledger.begin_action(
        key,
        action,
        incident_id=review.incident_id,
        review_id=review.id,
        approvers=("mira",),
        dry_run=False,
        now=at,
    )
    outcome = Outcome(
        action_id=key, state="done", message="Done; the readings moved as expected.", dry_run=False,
        before={"flow_lpm": 41.0, "return_temp_c": 57.3}, after={"flow_lpm": 171.0, "return_temp_c": 44.8},
    )  # fmt: skip
    ledger.finish_action(key, outcome, now=at + timedelta(seconds=1.6))


def _upkeep(ledger: Ledger) -> None:
    """What people did besides: a silence, a correction, an acknowledgement, a look at a doubtful input."""
    at = BEGAN + timedelta(seconds=120)
    ledger.add_silence(
        until=at + timedelta(hours=2), who="jon", why="cabling work until noon", asset="ib-link-*", now=at
    )
    ledger.acknowledge(incident_id("pump_under_surge"), "mira", "on my way to hall 1", now=at)
    ledger.correct(
        incident_id("batch_stall"), "priority", "P1", "jon", "checkpoints of three tenants wait on it", now=at
    )
    ledger.correct(
        incident_id("after_firmware"),
        "cause",
        "firmware_regression",
        "lee",
        "the vendor confirmed it",
        now=at,
    )
    doubt = Review(
        id="REV-doubt1", kind="doubtful_input", incident_id=incident_id("sensor_lost"), subject="Is temp-r-03 really silent?",
        created=at,
    )  # fmt: skip
    ledger.open_review(doubt, now=at)


def hostile_line(minute: float = 161.0) -> Line:
    """A log line that tries to become part of the page."""
    text = (
        '<3>1 2026-03-14T23:41:00.000Z gpu-02 kernel - - - <script>alert(1)</script>"><img src=x onerror=alert(2)> '
        "{{ 7*7 }} ]]> ::error::owned \u202egnp.exe"
    )
    return Line(START + timedelta(minutes=minute), text, "pump_under_surge", "P1", "coolant_pump_failure")
