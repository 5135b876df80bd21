"""Desk values as text for a person at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from setpoint.app.live import COLOUR

WIDEST = 88


def _console() -> Console:
    return Console(soft_wrap=False)


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str] = ()) -> None:
    """Any list of like rows."""
    if not rows:
        _console().print("[dim]nothing")
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns or rows[0]:
        shown.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        shown.add_row(*(_cell(row.get(column)) for column in columns or rows[0]))
    _console().print(shown)


def incidents(rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        _console().print("[dim]no incidents")
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "incident", "state", "events", "since", "title", "assets"):
        shown.add_column(column, overflow="fold")
    for row in rows:
        priority = row["priority"]
        shown.add_row(
            f"[{COLOUR[priority]}]{priority}", row["id"], row["state"], str(row["event_count"]), _when(row["opened"]),
            escape(row["title"]), escape(_names(row["assets"])),
        )  # fmt: skip
    _console().print(shown)


def incident(value: dict[str, Any]) -> None:
    """Everything about one incident, in the order an operator asks for it."""
    out, found, diagnosis = _console(), value["incident"], value["diagnosis"]
    priority = found["priority"]
    out.print(
        f"[{COLOUR[priority]}] {priority} [/] [bold]{found['id']}  {escape(found['title'])}[/]  {found['state']}"
    )
    out.print(
        f"  {found['event_count']} events on {escape(_names(found['assets']))}, {_when(found['opened'])} to {_when(found['updated'])}"
    )
    out.print(f"  one incident because {escape(found['grouped_by'])}")
    first = next((event["triage"] for event in value["events"] if event["triage"]), None)
    if first:
        for question in ("urgency", "impact", "complexity"):
            out.print(f"  {question} {first[question]['level']}: {escape(first[question]['reason'])}")
    if value["corrected_cause"]:
        out.print(f"  cause set by a person: [bold]{value['corrected_cause']}")
    if diagnosis:
        _diagnosis(out, diagnosis)
    for one in value["reviews"]:
        out.print(f"  review [bold]{one['id']}[/] {one['state']}: {escape(one['subject'])}")
    out.print("[underline]timeline")
    for item in value["timeline"]:
        out.print(
            f"  {_when(item['time'])}  {item['kind']:<9} {escape(item['text'])} {'(' + item['who'] + ')' if item['who'] else ''}"
        )


def _diagnosis(out: Console, value: dict[str, Any]) -> None:
    out.print(f"[underline]cause[/]  {escape(value['summary'])}")
    for hypothesis in value["hypotheses"]:
        proof = ", ".join(hypothesis["supports"]) or "no evidence names it"
        out.print(f"  {hypothesis['score']:>4.0%}  {escape(hypothesis['title'])}  [dim]{proof}")
    out.print("[underline]evidence")
    for piece in value["evidence"]:
        out.print(f"  {piece['id']:<4}{escape(piece['text'])}")
    out.print("[underline]reasoning")
    for step in value["steps"]:
        out.print(f"  {escape('[' + ', '.join(step['evidence']) + ']')} {escape(step['text'])}")
    out.print("[underline]recovery guide")
    for number, step in enumerate(value["guide"]["steps"], 1):
        out.print(
            f"  {number}. {escape(step['text'])} [cyan]{escape('[' + step['citation']['passage_id'] + ']')}"
        )
    out.print(f"[dim]  words: {value['written_by']}; mode {value['mode']}")
    for fallback in value["fallbacks"]:
        out.print(f"[magenta]  fell back to plain facts: {escape(fallback)}")


def reviews(rows: Sequence[dict[str, Any]]) -> None:
    table([row | {"asked": row["subject"], "risk": (row["proposal"] or {}).get("risk", ""), "yes": f"{len(row['approvals'])} of {row['needed']}"}
           for row in rows], ("id", "kind", "risk", "yes", "state", "incident_id", "asked"))  # fmt: skip


def review(row: dict[str, Any]) -> None:
    out = _console()
    out.print(
        f"[bold]{row['id']}[/]  {row['kind']}  {row['state']}  ({len(row['approvals'])} of {row['needed']} yes)"
    )
    out.print(f"  {escape(row['subject'])}")
    if proposal := row["proposal"]:
        arguments = (
            ", ".join(f"{key}={value}" for key, value in proposal["action"]["args"].items()) or "no arguments"
        )
        out.print(f"  action    {proposal['action']['name']} on {proposal['action']['asset']}: {arguments}")
        for name in ("effect", "why", "risk", "rollback"):
            out.print(f"  {name:<9} {escape(str(proposal[name]))}")
        out.print(f"  evidence  {', '.join(proposal['evidence'])} of {row['incident_id']}")
    out.print(
        f"  digest    {row['digest'][:16]}   expires {_when(row['expires']) if row['expires'] else 'never'}"
    )
    if decision := row["decision"]:
        out.print(
            f"  decided   {decision['type']} by {decision['who']}: {escape(decision['reason'] or decision['answer'])}"
        )


def decided(value: dict[str, Any]) -> None:
    one = value["review"]
    if value["final"]:
        _console().print(f"{one['id']}: {one['decision']['type']} by {one['decision']['who']}")
    else:
        _console().print(
            f"{one['id']}: {len(value['approvals'])} of {value['needed']} yes; another person must agree"
        )


def changed(row: dict[str, Any]) -> None:
    _console().print(f"{row['id']} is now {row['state']}")


def feedback(rows: Sequence[dict[str, Any]]) -> None:
    table(rows, ("time", "subject", "field", "proposed", "decided", "who", "why"))


def passages(rows: Sequence[dict[str, Any]]) -> None:
    out = _console()
    for row in rows:
        out.print(
            f"[bold]{escape(row['title'])}[/]  [cyan]{escape(row['id'])}[/]  [dim]{row['score']:.2f} {escape(row['origin'])}"
        )
        for line in row["text"].splitlines()[:6]:
            out.print(f"    {escape(line)}")
    if not rows:
        out.print("[dim]nothing found; try other words")


def said(value: Any) -> None:
    """One value, a line a field."""
    for key, item in value.items():
        _console().print(f"{key.replace('_', ' ')}: {escape(_cell(item))}")


def audit(rows: Sequence[dict[str, Any]]) -> None:
    table(rows, ("number", "time", "who", "what", "subject", "data"))


VIEWS: dict[str, Callable[[Any], None]] = {
    "table": table, "incidents": incidents, "incident": incident, "reviews": reviews, "review": review,
    "decided": decided, "changed": changed, "feedback": feedback, "passages": passages, "said": said, "audit": audit,
}  # fmt: skip


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return _names(value)
    text = str(value)
    return text if len(text) <= WIDEST * 4 else text[: WIDEST * 4] + "..."


def _names(names: Sequence[Any]) -> str:
    shown = [str(name) for name in names[:4]]
    return ", ".join(shown) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _when(text: str) -> str:
    return text[:19].replace("T", " ") + "Z"
