"""What `setpoint run --output` prints: json, jsonl, junit, github or text."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from statistics import median
from typing import Any
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.table import Table
from rich.text import Text

from setpoint.app.dossier import Dossier, IncidentFile, read_dossier
from setpoint.app.formatting import counted, one_line, period, span, time_of_day
from setpoint.app.machine_text import workflow_command, xml_text
from setpoint.app.runfacts import RunFacts
from setpoint.contracts import PRIORITIES
from setpoint.contracts.site import Site
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from setpoint.ledger.records import HeldItem

WIDTH = 118
MAX_ROWS = 60
"""Of the text table, and of the unreadable items below it; the other formats hold all."""
FAILING = ("P0", "P1")
_LEVEL = {"P0": "error", "P1": "warning", "P2": "notice"}
"""Workflow command of each priority; P3 says nothing."""


def render(format: str, ledger: Ledger, site: Site, run: RunFacts) -> str:
    """Everything in the ledger in one of FORMATS, ending with a line break. Raises UsageError for another format."""
    if format not in FORMATS:
        raise UsageError(f"no output format {format!r}", remedy=f"One of: {', '.join(FORMATS)}")
    return FORMATS[format](read_dossier(ledger, site), run)


# ---- json, jsonl ----------------------------------------------------------------------------------------------


def as_json(dossier: Dossier, run: RunFacts) -> str:
    """One document: summary, incidents, reviews, quarantined."""
    document = {
        "summary": summary(dossier, run),
        "incidents": [incident(file) for file in dossier.files],
        "reviews": [review.model_dump(mode="json") for review in dossier.reviews],
        "quarantined": [quarantined(item) for item in dossier.quarantine],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def as_jsonl(dossier: Dossier, run: RunFacts) -> str:
    """One line an incident, then one summary line; `type` tells them apart."""
    lines: list[dict[str, Any]] = [{"type": "incident", **incident(file)} for file in dossier.files]
    lines.append({"type": "summary", **summary(dossier, run)})
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def summary(dossier: Dossier, run: RunFacts) -> dict[str, Any]:
    """Counts, latencies and how it was run."""
    stats = dossier.stats
    return {
        "setpoint": run.version,
        "site": dossier.site.name,
        "simulated_site": dossier.site.simulated,
        "first_event": _iso(dossier.first_event),
        "last_event": _iso(dossier.last_event),
        "wall_s": round(run.wall_s, 3),
        "inputs": list(run.inputs),
        "decide": run.decide,
        "models": dict(run.models),
        "versions": dict(run.versions),
        "events": stats.events,
        "events_waiting": stats.events_waiting,
        "events_by_priority": {p: stats.events_by_priority.get(p, 0) for p in PRIORITIES},
        "incidents_by_priority": {p: stats.incidents_by_priority.get(p, 0) for p in PRIORITIES},
        "pages": dossier.pages,
        "notices": len(dossier.notices),
        "diagnoses": stats.diagnoses,
        "reviews_by_state": stats.reviews_by_state,
        "actions_by_state": stats.actions_by_state,
        "quarantined": len(dossier.held),
        "first_notice_latency": {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in stats.first_notice.model_dump(mode="json").items()
        },
        "audit": dossier.chain.model_dump(mode="json"),
    }


def incident(file: IncidentFile) -> dict[str, Any]:
    """One incident with all that was said, asked and done about it."""
    cause = file.corrected("cause")
    return {
        **file.incident.model_dump(mode="json"),
        "triage": file.triage.model_dump(mode="json") if file.triage else None,
        "notices": [
            version.notice.model_dump(mode="json")
            | {"latency_s": version.latency_s, "sinks": {d.sink: d.state for d in version.deliveries}}
            for version in file.notices
        ],
        "diagnosis": file.diagnosis.model_dump(mode="json") if file.diagnosis else None,
        "corrected_cause": cause.decided if cause else None,
        "reviews": [review.id for review in file.reviews],
        "actions": [record.model_dump(mode="json") for record in file.actions],
    }


def quarantined(held: HeldItem) -> dict[str, Any]:
    """One unreadable item, without its bytes: `setpoint quarantine show` has them."""
    return held.item.model_dump(mode="json", exclude={"raw"}) | {
        "bytes": len(held.item.raw),
        "state": held.state,
    }


def _iso(time: datetime | None) -> str | None:
    return time.isoformat().replace("+00:00", "Z") if time else None


# ---- junit ----------------------------------------------------------------------------------------------------


def as_junit(dossier: Dossier, run: RunFacts) -> str:
    """One suite: a test case an incident, P0 and P1 failing with the notice; an error for each unreadable item."""
    failing = [file for file in dossier.files if file.incident.priority in FAILING]
    counts = {"tests": str(len(dossier.files) + len(dossier.held)), "failures": str(len(failing)),
              "errors": str(len(dossier.held)), "time": f"{run.wall_s:.3f}"}  # fmt: skip
    root = ET.Element("testsuites", {"name": "setpoint", **counts})
    stamp = run.started.strftime("%Y-%m-%dT%H:%M:%S")
    suite = ET.SubElement(
        root, "testsuite", {"name": xml_text(f"setpoint {dossier.site.name}"), "timestamp": stamp, **counts}
    )
    _properties(suite, dossier, run)
    for file in dossier.files:
        _incident_case(suite, file)
    for held in dossier.held:
        case = ET.SubElement(
            suite, "testcase", {"classname": "quarantine", "name": xml_text(held.item.origin), "time": "0"}
        )
        error = ET.SubElement(
            case, "error", {"type": "unreadable", "message": xml_text(one_line(held.item.reason))}
        )
        error.text = xml_text(held.item.remedy)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _properties(suite: ET.Element, dossier: Dossier, run: RunFacts) -> None:
    facts = {"setpoint": run.version, "site": dossier.site.name, "events": str(dossier.stats.events),
             "pages": str(dossier.pages), "decide": run.decide,
             **{f"model.{role}": name for role, name in run.models.items()}}  # fmt: skip
    holder = ET.SubElement(suite, "properties")
    for name, value in facts.items():
        ET.SubElement(holder, "property", {"name": xml_text(name), "value": xml_text(value)})


def _incident_case(suite: ET.Element, file: IncidentFile) -> None:
    found = file.incident
    attributes = {
        "classname": f"incident.{found.priority}",
        "name": xml_text(f"{found.id} {one_line(found.title)}"),
        "time": "0",
    }
    case = ET.SubElement(suite, "testcase", attributes)
    if found.priority in FAILING:
        failure = ET.SubElement(
            case, "failure", {"type": found.priority, "message": xml_text(one_line(found.title))}
        )
        failure.text = xml_text(_said(file))
    elif file.diagnosis:
        ET.SubElement(case, "system-out").text = xml_text(_said(file))


def _said(file: IncidentFile) -> str:
    """The last notice, else why it has its rank; then the conclusion and what waits."""
    parts = [file.notices[-1].notice.text] if file.notices else [file.triage.reason if file.triage else ""]
    if file.diagnosis:
        top = file.diagnosis.top
        parts.append(f"Most likely cause: {top.title} ({top.score:.0%}). {file.diagnosis.summary}")
    waiting = [review.subject for review in file.reviews if review.state == "pending"]
    if waiting:
        parts.append(f"Waits for a decision: {'; '.join(waiting)}")
    return "\n".join(part for part in parts if part)


# ---- github ---------------------------------------------------------------------------------------------------


def as_github(dossier: Dossier, run: RunFacts) -> str:
    """Workflow commands, most urgent first, since a runner shows only the first few of each level."""
    lines = [
        workflow_command(_LEVEL[file.incident.priority], f"{file.incident.priority} {file.incident.id}: {file.incident.title}", _said(file))
        for file in dossier.files
        if file.incident.priority in _LEVEL
    ]  # fmt: skip
    lines += [
        workflow_command(
            "warning", f"Not readable: {held.item.origin}", f"{held.item.reason}. {held.item.remedy}"
        )
        for held in dossier.held
    ]
    lines.append(workflow_command("notice", "Setpoint", " ".join(headline(dossier, run))))
    return "\n".join(lines) + "\n"


# ---- text -----------------------------------------------------------------------------------------------------


def as_text(dossier: Dossier, run: RunFacts) -> str:
    """A table of the incidents and a few lines of counts, plain, for the end of a live run."""
    screen = io.StringIO()
    console = Console(file=screen, width=WIDTH, color_system=None, highlight=False, emoji=False, markup=False)
    notable = [file for file in dossier.files if not file.is_routine]
    if notable:
        console.print(_table(notable[:MAX_ROWS], dossier))
    if len(notable) > MAX_ROWS:
        console.print(f"and {counted(len(notable) - MAX_ROWS, 'less urgent incident')}")
    for line in headline(dossier, run):
        console.print(line)
    for held in dossier.held[:MAX_ROWS]:
        console.print(
            f"not readable: {one_line(held.item.origin)}: {one_line(held.item.reason)}. {one_line(held.item.remedy)}"
        )
    return "\n".join(line.rstrip() for line in screen.getvalue().splitlines()) + "\n"


def _table(files: Iterable[IncidentFile], dossier: Dossier) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("", "incident", "what", "most likely cause", "events", "began", "decisions"):
        table.add_column(column, overflow="fold", no_wrap=column in ("", "incident", "events", "began"))
    for file in files:
        found, diagnosis = file.incident, file.diagnosis
        cause = f"{diagnosis.top.title} {diagnosis.top.score:.0%}" if diagnosis else "not analysed"
        if root := dossier.explained.get(found.id):
            cause = f"explained by {root}"
        cells = (
            found.priority, found.id, one_line(found.title, 90), cause, str(found.event_count),
            time_of_day(found.opened, dossier.site.zone), _decisions(file),
        )  # fmt: skip
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _decisions(file: IncidentFile) -> str:
    return ", ".join(f"{many} {word}" if many > 1 else word for word, many in file.verdicts)


def headline(dossier: Dossier, run: RunFacts) -> list[str]:
    """The run in a few sentences."""
    stats, late = dossier.stats, dossier.stats.first_notice
    when = (
        f", {period(dossier.first_event, dossier.last_event, dossier.site.zone)}"
        if dossier.first_event and dossier.last_event
        else ""
    )
    ranks = ", ".join(f"{p} {stats.events_by_priority.get(p, 0)}" for p in PRIORITIES)
    recorded = stats.incidents_by_priority.get("P3", 0)
    for_people = sum(stats.incidents_by_priority.values()) - recorded
    lines = [
        f"Site {dossier.site.name}{when}: {counted(stats.events, 'event')} ({ranks}) made "
        f"{counted(for_people, 'incident')} and {counted(dossier.pages, 'page')}; "
        f"{recorded} more were recorded only (P3).",
    ]
    if late.count:
        lines.append(
            f"First notice, event read to sink accepted: median {span(late.p50_s)}, p99 {span(late.p99_s)}, of {late.count}."
        )
    reviews, actions = stats.reviews_by_state, stats.actions_by_state
    done = ", ".join(f"{many} {state.replace('_', ' ')}" for state, many in actions.items()) or "none"
    lines.append(
        f"{counted(stats.diagnoses, 'analysis')}{_how_long(dossier)}; reviews: {reviews.get('decided', 0)} decided, "
        f"{reviews.get('pending', 0)} pending; actions: {done}; {counted(len(dossier.held), 'unreadable item')}."
    )
    chain = (
        "verified"
        if dossier.chain.ok
        else f"BROKEN at row {dossier.chain.broken_at}: {dossier.chain.problem}"
    )
    lines.append(
        f"Audit chain {chain} ({dossier.chain.rows} rows). Models: {_models(run)}. Ran {span(run.wall_s)}."
    )
    return lines


def _how_long(dossier: Dossier) -> str:
    """Median length of an analysis, in brackets."""
    seconds = [diagnosis.seconds for file in dossier.files for diagnosis in file.diagnoses]
    return f" (median {span(median(seconds))})" if seconds else ""


def _models(run: RunFacts) -> str:
    """`light and heavy setpoint-small, mode facts`."""
    roles: dict[str, list[str]] = {}
    for role, name in run.models.items():
        roles.setdefault(one_line(name), []).append(role)
    return "; ".join(f"{' and '.join(which)} {name}" for name, which in roles.items()) or "none"


FORMATS: dict[str, Callable[[Dossier, RunFacts], str]] = {
    "text": as_text,
    "json": as_json,
    "jsonl": as_jsonl,
    "junit": as_junit,
    "github": as_github,
}
"""Every format `render` knows."""
