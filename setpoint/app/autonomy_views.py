"""Autonomy at a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from setpoint.app.formatting import counted, one_line

if TYPE_CHECKING:
    from setpoint.app.views import Screen

COLOUR = {"observe": "dim", "assist": "", "advise": "cyan", "closed loop": "bold green"}
SHOWN = 40
"""Decisions listed of one kind; all of them with --json."""
WORDS = {
    "good": "a plain yes, done, no harm", "edited": "approved with changes", "rejected": "rejected",
    "untrue": "went otherwise than rehearsed: counts for nothing", "harm": "harm", "alone": "ran alone: counts for nothing",
    "waits": "not known yet", "apart": "moved nothing: counts for nothing",
}  # fmt: skip


def autonomy_kinds(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    """Kinds that have a record or a level of their own; the others in one line."""
    told = [row for row in rows if row["tally"] or row["level"] != "assist" or row["falls"]]
    if told:
        _table(screen, told)
        for row in told:
            screen.line()
            screen.line(row["kind"]["name"], "bold")
            _held(screen, row)
    silent = [row["kind"]["name"] for row in rows if row not in told]
    if silent:
        screen.line()
        screen.hung(
            "assist", f"each is asked about, and no decision counts yet: {', '.join(silent)}", style="dim"
        )
    screen.line("one kind with its whole record: setpoint autonomy show KIND", "dim")


def _table(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in (
        "kind",
        "risk",
        "level",
        "decisions",
        "good",
        "bound",
        "required",
        "rehearsals true",
        "alone in 24 h",
    ):
        shown.add_column(column, no_wrap=True)
    for row in rows:
        count, runs = row["decisions"], row["rehearsals"]
        shown.add_row(
            row["kind"]["name"], row["kind"]["risk"], Text(row["level"], COLOUR[row["level"]]),
            str(count["good"] + count["bad"]), str(count["good"]), f"{count['lower']:.3f}", f"{count['required']:g}",
            f"{runs['good']} of {runs['good'] + runs['bad']}", str(row["ran_alone_last_day"]),
        )  # fmt: skip
    screen.console.print(shown)


def _held(screen: Screen, row: Mapping[str, Any]) -> None:
    screen.hung("  held by", row["why"], 12)
    level = row["next_level"]
    for place, need in enumerate(row["to_rise"]):
        label = "" if place else (f"  to {level}" if level else "  to rise")
        screen.hung(label, need, 14 if level == "closed loop" else 12)


def autonomy_kind(screen: Screen, row: Mapping[str, Any]) -> None:
    """One kind: level, bounds, what people said, falls, decisions."""
    kind = row["kind"]
    screen.console.print(
        Text.assemble((kind["name"], "bold"), f"  {kind['risk']} risk, "
                      f"{'reversible' if kind['reversible'] else 'not reversible'}  ", (row["level"], COLOUR[row["level"]]))
    )  # fmt: skip
    _held(screen, row)
    _signed(screen, row)
    for name, what in (("decisions", "a plain yes without harm"), ("rehearsals", "came true")):
        screen.hung(f"  {name}", _share(row[name], what), 12)
    days = f"{row['days']} day{'' if row['days'] == 1 else 's'}"
    screen.hung("  over", f"{days} with good decisions{_since(screen, row)}", 12)
    for fall in row["falls"]:
        screen.hung(
            "  fell", f"from {fall['level']} on {screen.when(fall['time'])}: {fall['why']}", 12, "yellow"
        )
    if row.get("changes"):
        screen.head(f"what people said ({screen.zone_name})")
    for change in row.get("changes", ()):
        mark = "" if change["sound"] else "  (changed afterwards: does not count)"
        text = f"{change['who']} {change['what']} {change['level']}: {change['why']}{mark}"
        screen.hung(f"  {screen.when(change['time'])}", text, 22)
    _decided(screen, row.get("decided", ()))


def _share(count: Mapping[str, Any], what: str) -> str:
    return (
        f"{count['good']} of {count['good'] + count['bad']} {what}: the true share is above {count['lower']:.3f} "
        f"(error {count['alpha']:.2g} over all looks); {count['required']:g} is required to run alone"
    )


def _since(screen: Screen, row: Mapping[str, Any]) -> str:
    if not row["tries"]:
        return ""
    falls = "time" if row["tries"] == 1 else "times"
    return f"; it fell {row['tries']} {falls} from closed loop, and counts anew since {screen.when(row['since'])}"


def _signed(screen: Screen, row: Mapping[str, Any]) -> None:
    signature = row["signature"]
    if signature is None:
        return
    limits = signature["limits"]
    text = f"at most {limits['per_hour']} an hour and {limits['per_day']} a day, on {limits['assets']}"
    screen.hung("  limits", text, 12)


def _decided(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        screen.head("decisions")
    if len(rows) > SHOWN:
        screen.line(
            f"  {counted(len(rows) - SHOWN, 'earlier decision')} left out (all of them with --json)", "dim"
        )
    for one in rows[-SHOWN:]:
        why = f": {one_line(one['why'])}" if one["why"] else ""
        style = (
            "red"
            if one["counts"] == "harm"
            else "yellow"
            if one["counts"] in ("edited", "rejected", "untrue")
            else ""
        )
        text = f"{one['review']}  {one['asset']}  {one['who']}  {WORDS[one['counts']]}{why}"
        screen.hung(f"  {screen.when(one['time'])}", text, 22, style)


def autonomy_changed(screen: Screen, row: Mapping[str, Any]) -> None:
    screen.line(f"{row['kind']['name']} is at {row['level']}: {row['why']}")
    _signed(screen, row)


def autonomy_revoked(screen: Screen, value: Mapping[str, Any]) -> None:
    names = ", ".join(value["revoked"])
    screen.line(f"{names}: back to assist at once" if names else "no kind stands above assist")


def harmed(screen: Screen, value: Mapping[str, Any]) -> None:
    screen.line(
        f"{value['key']} is marked harmful; {value['action']} is at {value['level']}: {value['held']}"
    )


def approved_together(screen: Screen, value: Mapping[str, Any]) -> None:
    for row in value["reviews"]:
        screen.line(f"{row['id']} {'approved' if row['final'] else row['said']}: {row['subject']}")
    screen.line(f"what came of it: setpoint incidents show {value['incident']}", "dim")


VIEWS = (autonomy_kinds, autonomy_kind, autonomy_changed, autonomy_revoked, harmed, approved_together)
