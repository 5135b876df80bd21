"""Case folders out of real incidents: what arrived, the site, readings around it, and what people said is right.

Part of the desk's closed list of functions: the files' contents come back as JSON, and the command line writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from evals.folders.folder import VERSION, CaseFile, Expected, Wanted
from plant.site_file import included, site_file
from setpoint.contracts import Diagnosis, Event, Feedback, Incident, Review
from setpoint.contracts.autonomy import AUTONOMY_WHO
from setpoint.contracts.site import Site, load_site
from setpoint.errors import UsageError
from tools.telemetry import History, Series

if TYPE_CHECKING:
    from setpoint.app.desk import Desk

BEFORE, AFTER = timedelta(minutes=45), timedelta(minutes=10)
"""Readings of so long before an incident's first event say what was usual; an analysis looks no further behind its last."""
MOST_READINGS = 100_000
"""Of a case; where there are more, every second, third ... of each series is kept."""
AS_SAID = "as Setpoint said, nobody corrected it"
SAYS_NOTHING = ("unknown", "")
_AGREES = ("approve", "edit")


def cases_list(desk: Desk) -> JsonValue:
    """Incidents that people corrected, oldest correction first: each is worth a case."""
    corrected = [
        item.subject
        for item in desk.ledger.list_feedback()
        if item.field in ("priority", "cause", "grouping")
    ]
    known = desk.ledger.find_incidents(list(dict.fromkeys(corrected)))
    return [name for name in dict.fromkeys(corrected) if name in known]


def cases_show(desk: Desk, id: str, title: str = "", tags: list[str] | None = None) -> JsonValue:
    """All of one incident's case folder: case.yaml as data, its events, site and readings."""
    from setpoint.app.adapters import announced  # loads the compiled plant, which other calls do without

    incident = desk.ledger.get_incident(id)
    events = sorted(desk.ledger.events_of(id), key=lambda event: event.received)
    if not events:
        raise UsageError(
            f"{id} has no events any more", remedy="store.event_days says how long they are kept"
        )
    around = announced(desk.ledger, events)
    told = sorted(
        {event.id: event for event in (*around, *events)}.values(), key=lambda event: event.received
    )
    readings = list(_readings(desk.history(), desk.site, events))
    said, rules = Said(desk, incident), _rules(desk)
    case = CaseFile(
        version=VERSION, title=title or incident.title, tags=(*(tags or ()), said.tag), site=_site_name(desk.site),
        events="events.kept.jsonl", telemetry="telemetry.csv" if readings else "", source=said.source,
        rules=tuple(rules), expect=(said.expected,),
    )  # fmt: skip
    return {
        "case": case.model_dump(mode="json", exclude_defaults=True),
        "events": [event.model_dump(mode="json", exclude_defaults=True) for event in told],
        "site": None if case.site != "site.yaml" else _site(desk.site),
        "rules": dict(rules),
        "readings": [list(reading) for reading in readings],
    }


class Said:
    """What people said of one incident, and where they said nothing, what Setpoint did."""

    def __init__(self, desk: Desk, incident: Incident) -> None:
        self._incident = incident
        self._diagnosis: Diagnosis | None = desk.ledger.get_diagnosis(incident.id)
        self._corrections = desk.ledger.list_feedback(subject=incident.id)
        self._decided = [
            review for review in desk.ledger.list_reviews(incident_id=incident.id) if _by_person(review)
        ]
        self._asked = {review.id: _asked_args(desk, review) for review in self._decided}

    @property
    def expected(self) -> Expected:
        """What a good answer to this incident is."""
        if self._was_nothing:
            return Expected(no_incident=True)
        cause = self._cause
        right = self._actions(_AGREES)
        wrong = [one for one in self._actions(("reject",)) if not any(_same_place(one, yes) for yes in right)]
        return Expected.model_validate(
            {
                "incident_on": self._incident.assets, "priority": self._incident.priority, "cause": cause,
                "forbidden_causes": [name for name in self._rejected_causes if name != cause],
                "required_actions": [[one] for one in right], "forbidden_actions": wrong,
            }
        )  # fmt: skip

    @property
    def tag(self) -> str:
        return "corrected" if self._judgements else "regression"

    @property
    def source(self) -> str:
        """Who says that it should be so."""
        return f"{self._incident.id}: {'; '.join(self._judgements) or AS_SAID}"

    @property
    def _judgements(self) -> list[str]:
        corrected = [f"{one.field} corrected by {one.who}: {one.why}" for one in self._corrections]
        words = {"approve": "approved", "edit": "edited", "reject": "rejected"}
        for review in self._decided:
            if review.decision and review.decision.type in words:
                why = f": {review.decision.reason}" if review.decision.reason else ""
                corrected.append(
                    f"{review.subject.rstrip('?')} {words[review.decision.type]} by {review.decision.who}{why}"
                )
        return corrected

    @property
    def _was_nothing(self) -> bool:
        """A person took the input for no real trouble, and nobody said anything else of it."""
        doubted = [review for review in self._decided if review.kind == "doubtful_input"]
        refused = [review for review in doubted if review.decision and review.decision.type == "reject"]
        return bool(refused) and not self._corrections

    @property
    def _cause(self) -> str:
        said = [str(one.decided) for one in self._corrections if one.field == "cause"]
        top = self._diagnosis.top.cause if self._diagnosis else ""
        cause = said[-1] if said else top
        return "" if cause in SAYS_NOTHING and not said else cause

    @property
    def _rejected_causes(self) -> list[str]:
        """What Setpoint had said before a person said otherwise."""
        corrections = [one for one in self._corrections if one.field == "cause"]
        people = {str(one.decided) for one in corrections}
        before = [str(one.proposed) for one in corrections]
        return [name for name in dict.fromkeys(before) if name not in (*SAYS_NOTHING, *people)]

    def _actions(self, types: Sequence[str]) -> list[Wanted]:
        """Actions that were decided so; with the arguments that a person changed."""
        found = []
        for review in self._decided:
            if review.proposal is None or review.decision is None or review.decision.type not in types:
                continue
            action, asked = review.proposal.action, self._asked[review.id]
            changed = {key: value for key, value in action.args.items() if asked.get(key, value) != value}
            found.append(Wanted(name=action.name, asset=action.asset, args=changed))
        return found


def _by_person(review: Review) -> bool:
    """Decided for good, by nobody's stand-in."""
    decision = review.decision
    return (
        review.state == "decided"
        and decision is not None
        and not decision.simulated
        and decision.who != AUTONOMY_WHO
    )


def _asked_args(desk: Desk, review: Review) -> dict[str, Any]:
    """The arguments as they were proposed first, before anybody edited them."""
    said: list[Feedback] = desk.ledger.list_feedback(subject=review.id, limit=1)
    first = said[0].proposed if said else None
    args = first.get("args") if isinstance(first, dict) else None
    return args if isinstance(args, dict) else {}


def _same_place(one: Wanted, other: Wanted) -> bool:
    return (one.name, one.asset) == (other.name, other.asset)


# ---- rules, site, readings ---------------------------------------------------------------------------------------------


def _rules(desk: Desk) -> dict[str, str]:
    """Content of the site's own rules as they count now, by the name of a file."""
    latest = {version.name: version.content for version in desk.ledger.list_rules(state="accepted")}
    return {f"rules-{number}.yaml": content for number, content in enumerate(latest.values(), 1)}


def _site_name(site: Site) -> str:
    """An included site by its name where it is still the same, else a file beside the case."""
    if site.name in included() and load_site(site_file(site.name)) == site:
        return site.name
    return "site.yaml" if site.assets else ""


def _site(site: Site) -> JsonValue:
    described: JsonValue = site.model_dump(mode="json", exclude_defaults=True)
    return described


def _readings(history: History, site: Site, events: Sequence[Event]) -> Iterator[tuple[str, str, str, float]]:
    """(time, asset, metric, value) around the events, thinned where there are too many."""
    start = min(event.time for event in events) - BEFORE
    end = max(event.time for event in events) + AFTER
    kept = [one for one in _all_series(history, site, start, end) if one.times]
    every = 1 + sum(len(one.times) for one in kept) // MOST_READINGS
    for one in kept:
        for time, value in list(zip(one.times, one.values, strict=True))[::every]:
            yield time.isoformat().replace("+00:00", "Z"), one.asset, one.metric, value


def _all_series(history: History, site: Site, start: datetime, end: datetime) -> Iterator[Series]:
    for asset in site.assets:
        for metric in history.metrics(asset.name):
            found = history.series(asset.name, metric)
            if found is not None:
                inside = [(t, v) for t, v in zip(found.times, found.values, strict=True) if start <= t <= end]
                yield Series(asset.name, metric, tuple(t for t, _ in inside), tuple(v for _, v in inside))
