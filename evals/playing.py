"""Recorded nights played through intake, correlation, ranking and dispatch in memory, with the truth of each event.

What comes out is what the ledger would hold: incidents with their events and triages, and the notices that were due.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import plant
from agents.alerter import Alerter
from agents.announced import announcements, announces
from agents.correlator import Correlator
from agents.dispatcher import plan
from agents.evidence import Case
from agents.filter import TextRanker
from agents.symbolic_engine import SymbolicEngine
from knowledge.rulebook import RuleBook
from plant.nights import Line, night
from setpoint.contracts import Event, Incident, Notice, Triage
from setpoint.contracts.site import Site, load_site
from setpoint.intake import read, sense
from setpoint.settings import TriageSettings

DEMO_SITE = Path(plant.__file__).parent / "sites" / "demo.yaml"
BATCH = 40
"""Events ranked together: a night is no storm, its batches are small."""


@dataclass(frozen=True)
class Played:
    """One night as Setpoint saw it."""

    cases: tuple[Case, ...]
    """Every incident with all its events, in the order opened."""
    notices: tuple[Notice, ...]
    truth: dict[str, Line]
    """The raw line of each event, by event id."""
    events: tuple[Event, ...]
    triages: dict[str, Triage]
    """By event id."""

    def story(self, case: Case) -> str:
        """The story that most of the incident's important events belong to."""
        best = min(self.triages[event.id].priority for event in case.events)
        told = [self.truth[e.id].story for e in case.events if self.triages[e.id].priority == best]
        return Counter(told).most_common(1)[0][0]

    def cause(self, case: Case) -> str:
        """The true cause of that story."""
        story = self.story(case)
        return next(line.cause for line in self.truth.values() if line.story == story)


def play(seed: int = 7, *, lines: Sequence[Line] | None = None, site: Site | None = None) -> Played:
    """Play the night of this seed, or the lines given, on the demo site."""
    site = site or load_site(DEMO_SITE)
    events, truth = _read(night(seed) if lines is None else lines, site)
    settings = TriageSettings()
    correlator = Correlator(site, settings)
    engine = SymbolicEngine(RuleBook.load(), site, TextRanker.load())
    alerter = Alerter(site)
    incidents: dict[str, Incident] = {}
    triages: dict[str, Triage] = {}
    members: dict[str, list[Event]] = {}
    notices: list[Notice] = []
    for start in range(0, len(events), BATCH):
        batch = correlator.observe(events[start : start + BATCH])
        ranked = [(one, engine.rank(one.event, one.context)) for one in batch]
        decided = plan(ranked, incidents, batch[-1].event.received, alerter)
        incidents |= {incident.id: incident for incident in decided.incidents}
        notices += decided.notices
        for one, triage in ranked:
            triages[one.event.id] = triage
            members.setdefault(one.incident_id, []).append(one.event)
    announcing = [event for event in events if announces(event.message)]
    cases = tuple(
        _case(incident, members[incident.id], triages, incidents, site, announcing)
        for incident in sorted(incidents.values(), key=lambda one: (one.opened, one.id))
    )
    return Played(cases, tuple(notices), truth, tuple(events), triages)


def _read(lines: Sequence[Line], site: Site) -> tuple[list[Event], dict[str, Line]]:
    """Line by line, so that each event keeps its truth. Damaged lines give none."""
    events, truth = list[Event](), dict[str, Line]()
    settings = TriageSettings()
    for line in lines:
        received = line.time + timedelta(milliseconds=4)
        for item in read(line.text.encode() + b"\n", origin="night", zone=site.zone, received=received):
            if isinstance(item, Event) and item.id not in truth:
                events.append(sense(item, site, settings))
                truth[item.id] = line
    return events, truth


def _case(
    incident: Incident,
    events: Sequence[Event],
    triages: dict[str, Triage],
    incidents: dict[str, Incident],
    site: Site,
    announcing: Sequence[Event],
) -> Case:
    ordered = tuple(sorted(events, key=lambda event: (event.time, event.id)))
    related = tuple(incidents[key] for key in incident.related if key in incidents)
    return Case(
        incident, ordered, {event.id: triages[event.id] for event in ordered}, site, related=related,
        context=announcements(ordered, announcing),
    )  # fmt: skip
