"""Rows of the record pages, made of the ledger and of what measuring runs left."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import evals
from setpoint.app.formatting import day_and_time, one_line, visible
from setpoint.contracts.feedback import Feedback
from setpoint.errors import SetpointError
from setpoint.ledger.feedback import taught
from setpoint.ledger.records import AuditRow, ChainReport
from tools.actions import describe

if TYPE_CHECKING:
    from evals.running.record import Record
    from setpoint.app.wiring import Runtime

RECORDS = Path(evals.__file__).parent / "records"
"""Results that came with the product."""
LONGEST_JSON = 1500
"""Characters of an audit row's data that are shown."""
LONGEST_RAW = 8000
_FORMS = {
    "preference": "a preferred answer",
    "supervised": "an example to follow",
    "labelled": "a yes or a no",
}
_CASES = ("priority", "cause", "grouping")
"""Corrections that make an incident worth a case of the evals."""


def in_words(error: SetpointError) -> str:
    """What was wrong and what to do."""
    what, remedy = getattr(error, "what", str(error)), getattr(error, "remedy", "")
    return ". ".join(part.strip().rstrip(".") for part in (what, remedy) if part) + "."


# ---- feedback -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """One judgement of a person, and what it taught."""

    when: str
    who: str
    subject: str
    href: str
    what: str
    """Proposed and decided, in words."""
    why: str
    became: tuple[str, ...]
    simulated: bool


def lessons(runtime: Runtime, subject: str, skip: int, size: int) -> dict[str, Any]:
    """A page of them, the newest first."""
    found = runtime.ledger.list_feedback(subject=subject, simulated=True)[::-1]
    told = [_lesson(runtime, item) for item in found[skip : skip + size]]
    people = sum(not item.simulated for item in found)
    return {"lessons": told, "total": len(found), "people": people}


def learned(runtime: Runtime) -> dict[str, Any]:
    """What people leave unchanged, as a picture and in figures, and how far the lessons are."""
    from setpoint.app.acceptance_plot import acceptance_plot
    from setpoint.app.learn_desk import learning_show
    from setpoint.app.learn_views import interval_of, share_of, signed_words, waiting_words

    told: Any = learning_show(runtime.desk)
    kinds = [row | {"said": share_of(row), "interval": interval_of(row)} for row in told["kinds"]]
    return {**told, "kinds": kinds, "plot": acceptance_plot(kinds), "signed": signed_words(told["set"]),
            "waits": waiting_words(told["waiting"])}  # fmt: skip


def _lesson(runtime: Runtime, item: Feedback) -> Lesson:
    when = day_and_time(item.time, runtime.site.zone)
    return Lesson(
        when, item.who, item.subject, link_of(item.subject), _said(item), item.why, tuple(_became(item)), item.simulated
    )  # fmt: skip


def _said(item: Feedback) -> str:
    """`cap_gpu_power ... approved`, `priority: P2, now P1`."""
    decided = item.decided
    if isinstance(decided, dict) and "type" in decided:
        words = {
            "approve": "approved",
            "edit": "changed and approved",
            "reject": "rejected",
            "respond": "answered",
        }
        said = words.get(str(decided["type"]), str(decided["type"]))
        now = f", as {_action(decided['action'])}" if decided["type"] == "edit" else ""
        return f"{_action(item.proposed)}: {said}{now}"
    if isinstance(decided, dict) and "part" in decided and isinstance(item.proposed, dict):
        now = f'now "{_plain(decided["text"])}"' if decided["text"] else "found bad"
        return f'{str(decided["part"]).replace("-", " ")}: "{_plain(item.proposed["text"])}", {now}'
    return f"{item.field.replace('_', ' ')}: {_plain(item.proposed)}, now {_plain(decided)}"


def _action(value: Any) -> str:
    from setpoint.contracts import Action  # pydantic of a whole contract for a few rows

    try:
        return describe(Action.model_validate(value))
    except (ValueError, KeyError, SetpointError):
        return _plain(value.get("subject", value) if isinstance(value, dict) else value)


def _plain(value: Any) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 300)


def _became(item: Feedback) -> Iterator[str]:
    if item.simulated:
        yield "nothing: it was simulated"
        return
    if item.field in _CASES:
        yield f"a case for evals: setpoint eval add {item.subject}"
        yield "it stands: triage no longer changes it"
    if item.field == "action":
        yield "counts in the record of its kind of action"
    forms = [_FORMS[form] for form in taught(item) if form in _FORMS]
    if forms:
        yield f"training data: {', '.join(forms)}"


def link_of(subject: str) -> str:
    """Where a subject of the ledger is shown; "" where nowhere."""
    if subject.startswith(("INC-", "LOOP-")):
        return f"/incidents/{subject}"
    return f"/approvals#{subject}" if subject.startswith("REV-") else ""


# ---- autonomy -------------------------------------------------------------------------------------------------------


def by_record(kinds: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Kinds with a level or a record of their own first; the others apart."""
    told = [row for row in kinds if row["tally"] or row["level"] != "assist" or row["falls"]]
    return {"told": told, "silent": [row for row in kinds if row not in told]}


# ---- evals ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """One figure of one contender."""

    value: str
    low: str
    high: str
    at: float
    start: float
    width: float
    """Of its interval, as shares of 0 to 1 across the picture."""


@dataclass(frozen=True)
class Line:
    """One headline across contenders; None where one did not run there."""

    suite: str
    figure: str
    n: int
    better: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Run:
    """One recorded run."""

    name: str
    about: str
    contenders: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """Figures of another measuring run."""

    name: str
    rows: tuple[tuple[str, str, str, str, int, str], ...]
    """(set, figure, value, interval, n, note)."""


def measured() -> tuple[list[Run], list[Table]]:
    """The latest run of this machine, if any, and what came with the product."""
    from evals.running.record import LATEST, find
    from setpoint.errors import UsageError

    places = [RECORDS / "suites.json", RECORDS / "suites-long.json"]
    with contextlib.suppress(UsageError):  # nobody ran one here
        places.insert(0, find(LATEST))
    runs = [run for place in places if place.is_file() and (run := _run(place, place.stat().st_mtime_ns))]
    others = [RECORDS / f"{name}.json" for name in ("diagnosis", "autonomy", "service_rca")]
    return runs, [_table(place, place.stat().st_mtime_ns) for place in others if place.is_file()]


@lru_cache(maxsize=8)
def _run(path: Path, _changed: int) -> Run | None:
    from evals.running.overview import headlines
    from evals.running.record import read

    record = read(path)
    lines = [
        Line(one.suite, one.named.key, one.named.n, one.named.better, tuple(map(_cell, one.figures)))
        for one in headlines(record)
    ]
    return Run(record.name, _made(record), tuple(record.contenders), tuple(lines))


def _made(record: Record) -> str:
    made, asked = record.made, record.asked
    limit = "all cases" if asked.limit is None else f"at most {asked.limit} cases a suite"
    return f"{made.date} UTC, {asked.split} split, {limit}, Setpoint {made.setpoint}, commit {made.commit or 'unknown'}"


def _cell(figure: Any) -> Cell | None:
    if figure is None:
        return None
    whole = max(1.0, figure.high)
    return Cell(
        _number(figure.value), _number(figure.low), _number(figure.high), figure.value / whole, max(0.0, figure.low) / whole,
        (figure.high - max(0.0, figure.low)) / whole,
    )  # fmt: skip


@lru_cache(maxsize=8)
def _table(path: Path, _changed: int) -> Table:
    found = json.loads(path.read_text(encoding="utf-8"))
    figures = found if isinstance(found, list) else found.get("figures") or found["ways"][0]["figures"]
    return Table(
        path.stem.replace("_", " "),
        tuple(
            (one["set"], one["name"], _number(one["value"]), f"{_number(one['low'])} to {_number(one['high'])}", one["n"], one.get("note", ""))
            for one in figures
        ),
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"


# ---- audit ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verified:
    """What verifying the chain found, and when."""

    report: ChainReport
    when: str


def verified(runtime: Runtime) -> Verified:
    """Walk the whole chain now."""
    return Verified(runtime.ledger.verify_chain(), day_and_time(datetime.now(UTC), runtime.site.zone))


def audited(runtime: Runtime, subject: str, before: int, size: int) -> dict[str, Any]:
    """A page of rows below a number, the newest first."""
    last = runtime.ledger.last_audit()
    top = min(before, last + 1) if before else last + 1
    if subject:
        found = [row for row in runtime.ledger.list_audit(subject=subject, limit=100_000) if row.number < top]
        rows, older = found[-size:], len(found) > size
    else:
        rows = runtime.ledger.list_audit(after=max(0, top - 1 - size), limit=size)
        rows, older = [row for row in rows if row.number < top], top - 1 > size
    zone = runtime.site.zone
    shown = [
        {"row": row, "when": day_and_time(row.time, zone), "href": link_of(row.subject), "data": _json(row)}
        for row in rows[::-1]
    ]
    return {
        "rows": shown,
        "last": last,
        "older": rows[0].number if rows and older else 0,
        "newest": top > last,
    }


def _json(row: AuditRow) -> str:
    text = json.dumps(row.data, ensure_ascii=False, indent=1)
    return text if len(text) <= LONGEST_JSON else f"{text[:LONGEST_JSON]} ... ({len(text):,} characters)"


# ---- quarantine -----------------------------------------------------------------------------------------------------


def quarantined(runtime: Runtime, size: int) -> dict[str, Any]:
    """What is held, the oldest first, with its raw text."""
    held = runtime.ledger.list_quarantine(limit=size)
    shown = []
    for one in held:
        raw = _text(one.item.raw)
        shown.append(
            {
                "item": one.item, "when": day_and_time(one.item.received, runtime.site.zone), "raw": raw[:LONGEST_RAW],
                "whole": len(raw) <= LONGEST_RAW, "bytes": len(one.item.raw),
            }
        )  # fmt: skip
    return {"held": shown, "total": runtime.ledger.waiting().held}


def mended(runtime: Runtime, name: str, text: str) -> str:
    """The text to read in the place of what came; "" where nobody changed it, so that its own bytes are read. A form
    shows hidden characters as escapes and sends its own line ends."""
    shown = visible(_text(runtime.ledger.get_quarantined(name).item.raw))
    sent = text.replace("\r\n", "\n")
    return "" if sent.strip() == shown.strip() else sent


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
