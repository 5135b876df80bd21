"""Desk values as text for a person at a terminal: times in the site's zone, one line an item, long text hung in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from setpoint.app import autonomy_views, cause_views, learn_views, loop_views, trial_views
from setpoint.app.formatting import counted, names, number, one_line, visible
from setpoint.contracts.wording import CORRECTED_BY

COLOUR = {"P0": "bold white on red", "P1": "bold red", "P2": "yellow", "P3": "dim"}
PIPED_WIDTH = 200
"""Columns where the output is no terminal: a pipe has no edge to cut at."""
LEAST_FLEXIBLE = 24
"""Columns a cut column keeps."""
TIMELINE_EVENTS = 12
"""Events a timeline shows at its begin and at its end; the rest is counted."""
MEANING = {
    "action": "approve: do exactly this; edit: do it with other arguments; reject: do not; respond: ask or answer",
    "doubtful_input": "approve: the rank stands; reject: it was no real trouble; respond: leave a note. It was "
    "alerted on meanwhile",
    "rule_change": "approve: the rules count from now on; reject: they do not; until then the ones before count",
}
DONE = {"approve": "approved", "edit": "approved with changes", "reject": "rejected", "respond": "answered"}


@dataclass(frozen=True)
class Screen:
    """Where to write, and the site's zone."""

    console: Console
    zone: ZoneInfo

    def line(self, text: str = "", style: str = "") -> None:
        self.console.print(Text(visible(text), style=style), soft_wrap=not self.console.is_terminal)

    def hung(self, label: str, text: str, width: int = 11, style: str = "", label_style: str = "") -> None:
        """`label  text`, further lines of the text under its first."""
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(width=width, no_wrap=True)
        row.add_column(overflow="fold")
        row.add_row(Text(label, style=label_style), Text(visible(text), style=style))
        self.console.print(row)

    def head(self, text: str) -> None:
        self.console.print(Text(text, style="underline"))

    def when(self, text: str) -> str:
        """`2026-03-15 00:20:00`, in the site's zone."""
        return _time(text).astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S")

    def soon(self, text: str) -> str:
        """The time of day, with the day where it is not today's."""
        at = _time(text).astimezone(self.zone)
        return at.strftime("%H:%M" if at.date() == datetime.now(self.zone).date() else "%Y-%m-%d %H:%M")

    def zoned(self, text: str) -> str:
        return _time(text).astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S %Z")

    @property
    def zone_name(self) -> str:
        return str(self.zone.key)


def make_screen(zone: str) -> Screen:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(console.width, PIPED_WIDTH))
    return Screen(console, ZoneInfo(zone))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _table(screen: Screen, columns: Sequence[str], rows: Sequence[Sequence[str | Text]], *, flexible: int = -1) -> None:  # fmt: skip
    """One line a row; only the column `flexible` is cut where the terminal is too narrow, the last by default."""
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    at = flexible % len(columns)
    for place, column in enumerate(columns):
        widest = max([len(column), *(len(row[place]) for row in rows)])
        least = min(widest, LEAST_FLEXIBLE) if place == at else widest
        shown.add_column(column, no_wrap=True, overflow="ellipsis", min_width=least)
    for row in rows:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(one_line(cell)) for cell in row))
    screen.console.print(shown)


# ---- incidents ---------------------------------------------------------------------------------------------------


def incidents(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        screen.line("no incident matches", "dim")
        return
    lines = [
        (Text(row["priority"], COLOUR[row["priority"]]), row["id"], row["state"], screen.when(row["opened"])[:16],
         str(row["event_count"]), _title(row))
        for row in rows
    ]  # fmt: skip
    _table(screen, ("", "incident", "state", f"since ({screen.zone_name})", "events", "what"), lines)


def _title(row: Mapping[str, Any]) -> str:
    """The title, and the assets it does not name itself."""
    others = [name for name in row["assets"] if name.lower() not in row["title"].lower()]
    where = f"  ({names(others, 3)})" if others and len(row["assets"]) > 1 else ""
    return f"{row['title']}{where}{cause_views.standing(row)}"


def incident(screen: Screen, value: Mapping[str, Any]) -> None:
    """Everything about one incident, in the order an operator asks for it."""
    found, diagnosis = value["incident"], value["diagnosis"]
    screen.console.print(
        Text.assemble((f" {found['priority']} ", COLOUR[found["priority"]]), "  ", (found["id"], "bold"), "  ",
                      (one_line(found["title"]), "bold"), f"  [{found['state']}]")
    )  # fmt: skip
    _facts(screen, value)
    if diagnosis:
        _diagnosis(screen, diagnosis)
    elif found["priority"] != "P3":
        screen.hung("cause", "not analysed yet", style="dim")
    _asked(screen, value)
    _timeline(screen, value["timeline"])


def _facts(screen: Screen, value: Mapping[str, Any]) -> None:
    found = value["incident"]
    begin, end = screen.when(found["opened"]), screen.zoned(found["updated"])
    screen.hung(
        "when",
        f"{begin} to {end}, {counted(found['event_count'], 'event')}" if begin[:19] != end[:19] else end,
    )
    screen.hung("where", names(found["assets"], 8))
    if found["event_count"] > 1:
        screen.hung("grouped", found["grouped_by"])
    if lead := _lead(value["events"]):
        for question in ("urgency", "impact", "complexity"):
            answer = lead["triage"][question]
            screen.hung(question, f"{answer['level']}: {answer['reason']}")
        screen.hung(
            "ranked by", f'{", ".join(lead["triage"]["decided_by"])}, from "{one_line(lead["message"], 120)}"'
        )
        if lead["triage"]["undecided"]:
            screen.hung("", "no rule knows this message: ranked one level up", style="magenta")
    for item in value.get("corrections", ()):
        said = f"{item['field'].replace('_', ' ')}: {_change(item)}"
        screen.hung("corrected", f"{said} ({item['who']}: {item['why']})", label_style="green")


def _lead(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The event that made the incident as important as it is: the first of the highest rank."""
    ranked = [event for event in events if event["triage"]]
    return min(ranked, key=lambda event: (event["triage"]["priority"], event["time"]), default=None)


def _diagnosis(screen: Screen, value: Mapping[str, Any]) -> None:
    by = f" ({value['summary_by']})" if value.get("summary_by", "").startswith(CORRECTED_BY) else ""
    screen.hung("cause", value["summary"] + by, style="bold")
    if value.get("disagreement"):
        screen.hung("but", value["disagreement"], style="magenta")
    tried = trial_views.tested(screen, value)
    for hypothesis in () if tried else value["hypotheses"]:
        if hypothesis["score"] >= 0.01 or hypothesis is value["hypotheses"][0]:
            proof = (
                f"because of {', '.join(hypothesis['supports'])}"
                if hypothesis["supports"]
                else "nothing names it"
            )
            screen.hung("", f"{hypothesis['score']:>4.0%}  {hypothesis['title']}, {proof}")
    if value.get("untested"):
        screen.hung("", f"not tried on the plant model: {value['untested']}", style="yellow")
    if value.get("service"):
        screen.hung("", f"from events and readings alone: {value['service']}")
    trial_views.path(screen, value)
    screen.head("evidence")
    for piece in value["evidence"]:
        screen.hung(f"  {piece['id']}", piece["text"], 6)
    if any(step["evidence"] for step in value["steps"]):
        screen.head("reasoning")
    for place, step in enumerate(value["steps"], 1):
        by = f" ({step['written_by']})" if step["written_by"].startswith(CORRECTED_BY) else ""
        screen.hung(f"  {place}", f"{step['text']} [{', '.join(step['evidence'])}]{by}", 4)
    _guide(screen, value["guide"]["steps"])
    if value.get("withheld"):
        screen.head("not proposed")
    for one in value.get("withheld", ()):
        screen.hung("  -", f"{one['subject']}: {one['why']}", 5)
    by = {"facts": "code", "assisted": "the model among code's candidates", "free": "the model"}[
        value["mode"]
    ]
    screen.line(f"cause decided by {by}; words by {_author(value['written_by'])}", "dim")
    for fallback in value["fallbacks"]:
        screen.line(f"model's words not used: {fallback}", "dim")


def _author(name: str) -> str:
    return "code" if name == "template" else name.replace("template", "code")


def _guide(screen: Screen, steps: Sequence[Mapping[str, Any]]) -> None:
    """Steps in order with where each stands; what calls for escalation apart, since it is no step."""
    do = [step for step in steps if not _calls_for_escalation(step)]
    call = [step for step in steps if _calls_for_escalation(step)]
    if do:
        screen.head("recovery guide")
    for place, step in enumerate(do, 1):
        screen.hung(f"  {place}.", f"{step['text']}  [{step['citation']['passage_id']}]", 5)
    if call:
        screen.head("escalate when")
    for step in call:
        screen.hung("  -", f"{step['text']}  [{step['citation']['passage_id']}]", 5)


def _calls_for_escalation(step: Mapping[str, Any]) -> bool:
    return "#escalate-when" in step["citation"]["passage_id"]


def _asked(screen: Screen, value: Mapping[str, Any]) -> None:
    rows = value["reviews"]
    if not rows:
        return
    screen.head("decisions")
    for row in rows:
        screen.hung(
            f"  {row['id']}",
            f"{_fate(row)}  {row['subject']}",
            22,
            "" if row["state"] == "pending" else "dim",
        )
        if brief := trial_views.in_brief(row["proposal"]):
            screen.hung("", brief, 22, "dim")
    if any(row["state"] == "pending" for row in rows):
        screen.line("  decide with: setpoint review show ID, then approve, edit, reject or respond", "dim")


def _fate(row: Mapping[str, Any]) -> str:
    if row["state"] == "pending":
        return "waiting"
    decision = row["decision"]
    return f"{DONE[decision['type']]} by {decision['who']}" if decision else row["state"]


def _timeline(screen: Screen, items: Sequence[Mapping[str, Any]]) -> None:
    screen.head(f"timeline ({screen.zone_name})")
    events = [item for item in items if item["kind"] == "event"]
    left_out = events[TIMELINE_EVENTS:-TIMELINE_EVENTS] if len(events) > 2 * TIMELINE_EVENTS else []
    said = False
    for item in items:
        if item["kind"] == "event" and any(item is other for other in left_out):
            if not said:
                screen.hung(
                    "  ...", f"{counted(len(left_out), 'more event')} (all of them with --json)", 21, "dim"
                )
            said = True
            continue
        who = f" ({_author(item['who'])})" if item["who"] else ""
        text = f"{item['kind']:<9} {one_line(item['text'])}{who}"
        screen.hung(f"  {screen.when(item['time'])}", text, 21, "dim" if item["kind"] == "event" else "")


# ---- reviews -----------------------------------------------------------------------------------------------------


def reviews(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    """Under their incidents, the most urgent first."""
    if not rows:
        screen.line("nothing waits for a decision", "dim")
        return
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row.get("priority") or "P9", row["incident_id"]), []).append(row)
    for (priority, name), members in sorted(groups.items(), key=lambda item: item[0][0]):
        _review_group(screen, priority, name, members)


def _review_group(screen: Screen, priority: str, name: str, members: Sequence[Mapping[str, Any]]) -> None:
    if loop := members[0].get("loop"):
        screen.console.print(
            Text.assemble((f" {loop} loop ", "black on cyan"), "  ", (name, "bold"), "  ", one_line(members[0]["incident_title"]))
        )  # fmt: skip
    elif name:
        screen.console.print(Text.assemble((f" {priority} ", COLOUR.get(priority, "")), "  ", (name, "bold"), "  ",
                                           one_line(members[0].get("incident_title", ""))))  # fmt: skip
    else:
        screen.console.print(Text("rules of the site", "bold"))
    for row in sorted(members, key=lambda row: not row.get("recommended")):
        said = f"{len(row['approvals'])} of {row['needed']} yes" if row["needed"] > 1 else ""
        state = "" if row["state"] == "pending" else _fate(row)
        until = f"until {screen.soon(row['expires'])}" if row["expires"] and not state else ""
        advice = "recommended" if row.get("recommended") else ""
        notes = ", ".join(part for part in (advice, _kind(row), said, state or until) if part)
        wide = max(19, len(row["id"]) + 2)
        screen.hung(f"  {row['id']}", f"{row['subject']}  ({notes})", wide)
        if row["state"] == "pending" and (brief := trial_views.in_brief(row["proposal"])):
            screen.hung("", brief, wide, "dim")


def _kind(row: Mapping[str, Any]) -> str:
    return f"{row['proposal']['risk']} risk" if row["proposal"] else row["kind"].replace("_", " ")


def review(screen: Screen, row: Mapping[str, Any]) -> None:
    """What is asked, why, what it does, and what each answer means."""
    screen.console.print(Text.assemble((row["id"], "bold"), f"  {_kind(row)}  [{_fate(row)}]"))
    screen.hung("asked", row["subject"], style="bold")
    if row.get("recommended"):
        screen.hung("advice", f"do it: {row['recommended']}")
    if row.get("loop"):
        screen.hung("loop", f"{row['loop']}, {row['incident_id']}: {row['incident_title']}")
    elif row.get("incident_title"):
        screen.hung("incident", f"{row['priority']} {row['incident_id']} {row['incident_title']}")
    if proposal := row["proposal"]:
        _proposal(screen, proposal, row.get("evidence_texts", {}))
    if row.get("asked_args"):
        screen.hung(
            "changed", _difference(row["asked_args"], row["proposal"]["action"]["args"]), label_style="green"
        )
    for line in row.get("rule_lines", ()):
        screen.line(f"  {line}", "green" if line.startswith("+") else "red" if line.startswith("-") else "")
    if row["needed"] > 1:
        screen.hung(
            "agreed", f"{', '.join(row['approvals']) or 'nobody yet'} ({row['needed']} people needed)"
        )
    if decision := row["decision"]:
        why = decision["reason"] or decision["answer"]
        screen.hung("decided", f"{DONE[decision['type']]} by {decision['who']}{': ' + why if why else ''}")
        return
    if row["state"] == "pending":
        screen.hung("expires", screen.zoned(row["expires"]) if row["expires"] else "never")
        screen.hung("digest", row["digest"][:16])
        screen.line(MEANING[row["kind"]], "dim")


def _proposal(screen: Screen, proposal: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    action = proposal["action"]
    args = ", ".join(f"{key} {_value(value)}" for key, value in action["args"].items())
    screen.hung("action", f"{action['name']} on {action['asset']}{': ' + args if args else ''}")
    trial_views.rehearsed(screen, proposal)
    for name in ("effect", "why", "risk", "rollback"):
        screen.hung(name, str(proposal[name]))
    for place, key in enumerate(proposal["evidence"]):
        screen.hung("" if place else "evidence", f"{key}  {texts.get(key, '')}".rstrip())


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {_value(before.get(key))} -> {_value(value)}"
        for key, value in after.items()
        if before.get(key) != value
    )


def decided(screen: Screen, value: Mapping[str, Any]) -> None:
    one = value["review"]
    if not value["final"]:
        screen.line(
            f"{one['id']}: {len(value['approvals'])} of {value['needed']} have agreed ({', '.join(value['approvals'])}); "
            "another person must agree before anything happens"
        )
        return
    screen.line(f"{one['id']} {_fate(one)}: {one['subject']}")
    if one["kind"] == "action" and one["decision"]["type"] in ("approve", "edit"):
        screen.line(f"what came of it: {loop_views.show_command(one['incident_id'])}", "dim")


# ---- the rest ----------------------------------------------------------------------------------------------------


def changed(screen: Screen, row: Mapping[str, Any]) -> None:
    screen.line(f"{row['id']} is {row['state']}: {row['title']}")


def escalated(screen: Screen, value: Mapping[str, Any]) -> None:
    screen.line(f"{value['incident']} escalated to {value['sink']}")


def corrected(screen: Screen, value: Mapping[str, Any]) -> None:
    screen.line(
        f"{value['subject']} {value['field'].replace('_', ' ')}: {_change(value)}; kept as feedback {value['id'][:8]}"
    )


def _change(item: Mapping[str, Any]) -> str:
    before, after = _brief(item["proposed"]), _brief(item["decided"])
    return f"{before} -> {after}" if before else after


def _brief(value: Any) -> str:
    """A proposed or decided value in a few words."""
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    if "part" in value:
        return f"{str(value['part']).replace('-', ' ')} {value['text']!r}" if value["text"] else "found bad"
    if "step" in value:
        return f"{value['step']}. {value['text']}"
    if "into" in value:
        return f"{counted(len(value['events']), 'event')} into {value['into']}"
    if "type" in value:
        edited = f": {_brief(value['action'])}" if value["type"] == "edit" else ""
        answer = f": {value['answer']}" if value.get("answer") else ""
        return DONE[value["type"]] + edited + answer
    if "name" in value:
        args = ", ".join(f"{key} {_value(one)}" for key, one in value["args"].items())
        return f"{value['name']} on {value['asset']}{': ' + args if args else ''}"
    return ", ".join(str(one) for one in value.values())


def _value(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def feedback(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        screen.line("nobody has decided or corrected anything yet", "dim")
    for row in rows:
        why = f"  because: {row['why']}" if row["why"] else ""
        mark = "  (simulated)" if row["simulated"] else ""
        what = f"{row['subject']}  {row['field'].replace('_', ' ')}: {_change(row)}"
        screen.hung(screen.when(row["time"]), f"{row['who']}  {what}{why}{mark}", 20)


def quarantine(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        screen.line("nothing is in quarantine", "dim")
    for row in rows:
        screen.hung(
            row["id"],
            f"{row['origin']} ({row['bytes']} bytes, {screen.when(row['received'])}): {row['reason']}",
            23,
        )
        screen.hung("", row["remedy"], 23, "dim")


def quarantined(screen: Screen, row: Mapping[str, Any]) -> None:
    for name in ("origin", "reason", "remedy", "state"):
        screen.hung(name, row[name])
    screen.hung("received", screen.zoned(row["received"]))
    screen.head("as it came")
    screen.line(row["raw"] if len(row["raw"]) <= 4000 else row["raw"][:4000] + " ... (all of it with --json)")


def replayed(screen: Screen, value: Mapping[str, Any]) -> None:
    again = f", {counted(value['duplicates'], 'duplicate')}" if value["duplicates"] else ""
    screen.line(
        f"{value['replayed']} read: {counted(value['events'], 'new event')}{again}; it left quarantine"
    )


def silences(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        screen.line("nothing is silenced", "dim")
        return
    columns = ("silence", f"until ({screen.zone_name})", "", "what", "who", "why")
    now = datetime.now(screen.zone)
    lines = [
        (row["id"], screen.when(row["until"])[:16], "" if _time(row["until"]) > now else "over", _matched(row),
         row["who"], row["why"])
        for row in rows
    ]  # fmt: skip
    _table(screen, columns, lines)


def silenced(screen: Screen, row: Mapping[str, Any]) -> None:
    screen.line(
        f"{row['id']}: {_matched(row)} notifies nobody until {screen.zoned(row['until'])}; it is still recorded"
    )


def _matched(row: Mapping[str, Any]) -> str:
    said = [f"{name} {row[name]}" for name in ("asset", "kind", "template") if row[name] != "*"]
    return ", ".join(said)


def removed(screen: Screen, value: Mapping[str, Any]) -> None:
    screen.line(f"{value['removed']} removed")


def passages(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    from agents.operator import without_marks  # takes longer to import than most commands run

    if not rows:
        screen.line("nothing found; try other words", "dim")
    for row in rows:
        origin = "" if row["origin"] == "setpoint" else f"  from {row['origin']}"
        screen.console.print(
            Text.assemble(
                (one_line(row["title"]), "bold"),
                "  ",
                (row["id"], "cyan"),
                (f"  {row['score']:.1f}{origin}", "dim"),
            )
        )
        for line in [line for line in without_marks(row["text"]).splitlines() if line.strip()][:6]:
            screen.hung("", line, 3)


def documents(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [(row["id"], row["title"], str(row["passages"]), row["origin"]) for row in rows]
    _table(screen, ("id", "title", "passages", "from"), lines, flexible=1)


def added(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        screen.line(f"{row['added']}: {counted(row['passages'], 'passage')}")


def causes(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    _table(
        screen,
        ("id", "area", "title", "meaning"),
        [(r["id"], r["area"], r["title"], r["meaning"]) for r in rows],
    )


def rules(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        screen.line(
            "the site has no rules of its own (triage.rules); those shipped with Setpoint count", "dim"
        )
        return
    lines = [
        (row["name"], row["digest"][:12], row["state"], screen.when(row["proposed"])[:16], row["who"], row["why"],
         row["review_id"] if row["state"] == "pending" else "")
        for row in rows
    ]  # fmt: skip
    _table(
        screen,
        ("rules", "content", "state", f"seen ({screen.zone_name})", "who", "why", "decide with"),
        lines,
        flexible=5,
    )


def audit(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [
        (
            str(row["number"]),
            screen.when(row["time"]),
            row["who"],
            row["what"],
            row["subject"],
            _data(row["data"]),
        )
        for row in rows
    ]
    _table(screen, ("row", f"time ({screen.zone_name})", "who", "what", "about", "data"), lines)


def _data(value: Any) -> str:
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    return ", ".join(f"{key} {_item(item)}" for key, item in value.items() if item not in (None, "", [], {}))


def _item(value: Any) -> str:
    if isinstance(value, list):
        return names([str(item) for item in value], 3)
    text = str(value)
    return text[:12] if len(text) == 64 else text


def chain(screen: Screen, value: Mapping[str, Any]) -> None:
    if value["ok"]:
        screen.line(
            f"the chain of {counted(value['rows'], 'row')} is intact; its head is {value['head'][:16]}"
        )
    else:
        screen.line(f"the chain is broken at row {value['broken_at']}: {value['problem']}", "bold red")


def settings(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [tuple(_setting(row[name]) for name in row) for row in rows]
    _table(screen, tuple(rows[0]), lines, flexible=1)


def _setting(value: Any) -> str:
    """As one would write it in setpoint.toml."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(f'"{item}"' if isinstance(item, str) else str(item) for item in value) + "]"
    return "" if value is None else str(value)


def suites(screen: Screen, rows: Sequence[Mapping[str, Any]]) -> None:
    _table(screen, ("suite", "what it measures"), [(row["suite"], row["what"]) for row in rows])


VIEWS: dict[str, Callable[[Screen, Any], None]] = {
    view.__name__: view
    for view in (
        incidents, incident, reviews, review, decided, changed, escalated, corrected, feedback, quarantine, quarantined,
        replayed, silences, silenced, removed, passages, documents, added, causes, rules, audit, chain, settings, suites,
        cause_views.open_causes, cause_views.flood_line, cause_views.ungrouped, loop_views.cycles,
        loop_views.cycle, *autonomy_views.VIEWS, *learn_views.VIEWS,
    )
}  # fmt: skip
