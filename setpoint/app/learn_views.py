"""Learning at a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from setpoint.app.formatting import counted, one_line

if TYPE_CHECKING:
    from setpoint.app.views import Screen

SHOWN = 20
"""Rows of a list at a terminal; all of them with --json."""
STATE = {
    "none": "no set was prepared yet: setpoint learn prepare",
    "unsigned": "nobody has signed it: setpoint learn prepare --sign --as NAME --why REASON",
    "changed": "it was changed after it was signed: look at it and sign again",
    "signed": "signed",
}


def learning(screen: Screen, value: Mapping[str, Any]) -> None:
    """The record per kind, the lessons, and the models."""
    screen.head("left unchanged by people")
    if value["kinds"]:
        _record(screen, value["kinds"])
    else:
        screen.line(
            "nobody has acknowledged, closed, corrected or decided anything yet: nothing to count", "dim"
        )
    _lessons(screen, value)
    _models(screen, value["models"])


def _record(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in (
        "kind",
        "words by",
        "shown",
        "unchanged",
        "edited",
        "rejected",
        "share",
        "95 % interval",
        "autonomy",
    ):
        shown.add_column(column, no_wrap=True)
    for row in rows:
        shown.add_row(
            row["kind"], row["writer"], str(row["shown"]), str(row["unchanged"]), str(row["edited"]), str(row["rejected"]),
            share_of(row), interval_of(row), _level(row),
        )  # fmt: skip
    screen.console.print(shown)


def share_of(row: Mapping[str, Any]) -> str:
    return "" if row["share"] is None else f"{row['share']:.0%}"


def interval_of(row: Mapping[str, Any]) -> str:
    return "" if row["low"] is None else f"{row['low']:.0%} to {row['high']:.0%}"


def _level(row: Mapping[str, Any]) -> str:
    found = row.get("autonomy")
    return f"{found['level']}, bound {found['bound']:.2f} of {found['required']:g}" if found else ""


def _lessons(screen: Screen, value: Mapping[str, Any]) -> None:
    kept = value["set"]
    screen.head("lessons")
    screen.hung("waiting", waiting_words(value["waiting"]))
    screen.hung("set", f"{counted(kept['count'], 'lesson')}, {signed_words(kept)}")


def waiting_words(waiting: Mapping[str, int]) -> str:
    """Judged texts that the model in service was not taught."""
    total = sum(waiting.values())
    parts = ", ".join(f"{count} {name}" for name, count in waiting.items() if count)
    if not total:
        return "nothing that the model in service was not taught"
    return f"{counted(total, 'judged text')} that the model in service was not taught ({parts})"


def signed_words(kept: Mapping[str, Any]) -> str:
    """Whether the set is signed, and by whom."""
    signature = kept["signature"]
    if kept["state"] == "signed":
        return f"signed by {signature['who']} on {signature['time'][:10]}: {signature['why']}"
    return STATE[kept["state"]]


def _models(screen: Screen, models: Mapping[str, Any]) -> None:
    now, last = models["in_service"], models["last_trained"]
    screen.head("model")
    by = f", put in service by {now['who']} on {now['since'][:10]}: {now['why']}" if now["since"] else ""
    screen.hung("in service", f"{now['name']} ({now['sha256'][:12]}){by}")
    if now["warning"]:
        screen.hung("", now["warning"], style="yellow")
    screen.hung("trained", f"{last['name']} on {last['time'][:10]}" if last else "none here yet")


def lessons(screen: Screen, value: Mapping[str, Any]) -> None:
    """What was prepared, what is none and why, what to look at, and how to go on."""
    screen.line(f"{counted(value['count'], 'lesson')} in {value['file']}", "bold")
    for one in value["lessons"][:SHOWN]:
        wanted = one["chosen"] or f"not: {one['rejected']}"
        screen.hung(
            one["id"][:24], f"{one['task']} {one['kind']} by {one['who']}: {one_line(wanted, 160)}", 25
        )
    _more(screen, value["lessons"])
    _listed(
        screen,
        "set aside",
        value["aside"],
        lambda one: f"{one['incident']} {one['part']} by {one['who']}: {one['reason']}",
    )
    _listed(
        screen,
        "notes, for people to read",
        value["notes"],
        lambda one: f"{one['who']} on {one['subject']}: {one['text']}",
    )
    _listed(screen, "put to review as a change of rules", value["proposals"], _proposal)
    _listed(
        screen,
        "look at these before you sign",
        value["findings"],
        lambda one: f"{one['kind']}: {one['reason']}",
        "yellow",
    )
    screen.line()
    screen.line(signed_words(value))


def _proposal(one: Mapping[str, Any]) -> str:
    return (
        f"{one['what']} (by {', '.join(one['people'])}): {one['state']}, setpoint review show {one['review']}"
    )


def _listed(screen: Screen, title: str, rows: Sequence[Any], words: Any, style: str = "") -> None:
    if rows:
        screen.head(title)
    for one in rows[:SHOWN]:
        screen.hung("  -", words(one), 3, style=style)
    _more(screen, rows)


def _more(screen: Screen, rows: Sequence[Any]) -> None:
    if len(rows) > SHOWN:
        screen.line(f"and {len(rows) - SHOWN} more: --json lists all", "dim")


def lessons_signed(screen: Screen, value: Mapping[str, Any]) -> None:
    screen.line(
        f"{counted(value['count'], 'lesson')} {signed_words(value)}; go on with: setpoint learn train"
    )


VIEWS = (learning, lessons, lessons_signed)
