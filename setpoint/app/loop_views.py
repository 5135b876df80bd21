"""Cycles of the control loops as text for a person at a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from setpoint.app import trial_views
from setpoint.app.formatting import counted, number, one_line
from setpoint.app.loop_desk import PREFIX

if TYPE_CHECKING:
    from setpoint.app.views import Screen

DONE = {"approve": "approved", "edit": "approved with changes", "reject": "rejected", "respond": "answered"}


def show_command(name: str) -> str:
    """How to see more of an incident, or of a loop's cycle."""
    return f"setpoint loop show {name}" if name.startswith(PREFIX) else f"setpoint incidents show {name}"


def cycles(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    """A line a cycle."""
    if not rows:
        screen.line("no control loop has turned yet", "dim")
        return
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("cycle", f"at ({screen.zone_name})", "state", "asked", "done", "withheld", "what"):
        shown.add_column(column, no_wrap=True, overflow="ellipsis")
    for row in rows:
        style = "yellow" if row["troubles"] else ""
        cells = (row["id"], screen.when(row["at"])[:16], row["state"], str(row["asked"]), str(row["done"]),
                 str(row["withheld"]))  # fmt: skip
        shown.add_row(*(Text(cell) for cell in cells), Text(one_line(row["headline"]), style))
    screen.console.print(shown)


def cycle(screen: Screen, value: Mapping[str, Any]) -> None:
    """One cycle, in the order in which it went."""
    found, plan = value["cycle"], value["cycle"]["plan"]
    screen.console.print(
        Text.assemble((f" {found['loop']} loop ", "black on cyan"), "  ", (found["id"], "bold"), f"  [{found['state']}]")
    )  # fmt: skip
    screen.hung("at", screen.zoned(found["at"]))
    screen.hung("plan", plan["headline"], style="bold")
    for label, text in (("coming", found["advice"]["forecast"]), ("advice", found["advice"]["advice"])):
        if text:
            screen.hung(label, text)
    for trouble in plan["troubles"]:
        words = " ".join(part for part in (trouble["what"], trouble["instead"], trouble["remedy"]) if part)
        screen.hung("trouble", words, style="yellow" if trouble["blocks"] else "")
    _savings(screen, plan["savings"])
    _asked(screen, value)
    if found["withheld"]:
        screen.head("not put to review")
    for one in found["withheld"]:
        screen.hung("  -", f"{one['subject']}: {one['why']}", 5)
    _observed(screen, found["observed"])
    spent = found["spent_s"]
    if spent:
        screen.line(f"{sum(spent.values()):.2f} s; words by {found['advice']['written_by']}", "dim")
    if found["advice"]["fell_back"]:
        screen.line(f"model's words not used: {found['advice']['fell_back']}", "dim")


def _savings(screen: Screen, savings: Sequence[Mapping[str, Any]]) -> None:
    for one in savings:
        saved = one["baseline"] - one["planned"]
        unit = f" {one['unit']}" if one["unit"] else ""
        share = f" ({saved / one['baseline']:.1%})" if one["baseline"] else ""
        screen.hung("saves", f"{one['what']}: {number(saved)}{unit}{share} against {one['baseline_name']}")


def _asked(screen: Screen, value: Mapping[str, Any]) -> None:
    if not value["reviews"]:
        return
    screen.head("decisions")
    acts = {act["review_id"]: act for act in value["actions"]}
    for row in value["reviews"]:
        decision, act = row["decision"], acts.get(row["id"])
        fate = "waiting" if row["state"] == "pending" else row["state"]
        if decision:
            fate = f"{DONE[decision['type']]} by {decision['who']}"
        screen.hung(f"  {row['id']}", f"{fate}  {row['subject']}", 22)
        if brief := trial_views.in_brief(row["proposal"]):
            screen.hung("", brief, 22, "dim")
        if act:
            screen.hung("", f"{act['state'].replace('_', ' ')}: {act['message']}", 22)
    if any(row["state"] == "pending" for row in value["reviews"]):
        screen.line("  decide with: setpoint review show ID, then approve, edit, reject or respond", "dim")


def _observed(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    """What earlier cycles foresaw for this moment, against what was read."""
    read = [row for row in rows if row["read"] is not None]
    if not rows:
        return
    inside = sum(row["foreseen"]["low"] <= row["read"] <= row["foreseen"]["high"] for row in read)
    screen.hung("foreseen", f"{inside} of {counted(len(read), 'reading')} lay within their interval")
    for row in read:
        one = row["foreseen"]
        unit = f" {one['unit']}" if one["unit"] else ""
        screen.hung(
            "", f"{one['name']}: {number(row['read'])}{unit} read, {number(one['low'])} to {number(one['high'])} foreseen",
            style="dim",
        )  # fmt: skip
