"""The noun groups of the command line: incidents, silence, feedback, quarantine, knowledge, rules, audit, config, eval.
`review` and `eval` have files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from setpoint.app.cli_eval import evals
from setpoint.app.cli_review import review
from setpoint.app.desk_calls import Json, Store, Who, Why, desk_of, group, person, show, tell
from setpoint.errors import SetpointError, UsageError

Incident = Annotated[str, typer.Argument(help="Incident id, as INC-XFJF7VHE.", metavar="INCIDENT")]
Item = Annotated[str, typer.Argument(help="Quarantine id, as q-8bb27f9fcf233fefcc24.", metavar="ITEM")]
LIVE = ["open", "acknowledged"]
URGENT = ["P0", "P1", "P2"]


incidents = group("List, read and handle incidents.")
silence = group("Record matching events, but notify nobody for a while.")
feedback = group("Decisions and corrections people made.")
quarantine = group("Input that could not be read.")
knowledge = group("Runbooks and the site's own manuals.")
rules = group("Rule sets and whether they count yet.")
audit = group("The hash-chained record of who did what.")
config = group("Settings and where each comes from.")
GROUPS = {
    "incidents": incidents, "review": review, "silence": silence, "feedback": feedback, "quarantine": quarantine,
    "knowledge": knowledge, "rules": rules, "audit": audit, "config": config, "eval": evals,
}  # fmt: skip


# ---- incidents -----------------------------------------------------------------------------------------------


@incidents.command("list")
def incidents_list(
    state: Annotated[
        list[str] | None, typer.Option(help="open, acknowledged, resolved, closed. Repeatable.")
    ] = None,
    priority: Annotated[list[str] | None, typer.Option(help="P0 to P3. Repeatable.")] = None,
    asset: Annotated[str, typer.Option(help="Only incidents that touch this asset.")] = "",
    all: Annotated[bool, typer.Option("--all", help="Finished and routine (P3) ones too.")] = False,
    limit: Annotated[int, typer.Option(help="At most this many.", min=1)] = 50,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """What is open and not routine, most urgent first; `--all` for the rest.

    Example: `setpoint incidents list --state open --priority P0`
    """
    states = state or (None if all else LIVE)
    priorities = priority or (None if all or state else URGENT)
    if not as_json:
        flood = desk_of(store)("incidents_causes")
        if flood["active"]:
            show(flood, False, "flood_line")
    found = tell(
        store, as_json, "incidents", "incidents_list", states=states, priorities=priorities, asset=asset, limit=limit
    )  # fmt: skip
    if len(found) == limit:
        typer.echo(f"only the first {limit} are shown (--limit)", err=True)


@incidents.command("show")
def incidents_show(id: Incident, as_json: Json = False, store: Store = None) -> None:
    """One incident: why it ranks so, cause, evidence, guide, decisions, timeline.

    Example: `setpoint incidents show INC-XFJF7VHE`
    """
    tell(store, as_json, "incident", "incidents_show", id=id)


@incidents.command("causes")
def incidents_causes(as_json: Json = False, store: Store = None) -> None:
    """What is open by cause instead of by alarm, the gravest first: for a flood of alarms.

    Example: `setpoint incidents causes`
    """
    tell(store, as_json, "open_causes", "incidents_causes")


@incidents.command("ungroup")
def incidents_ungroup(
    id: Incident, why: Why, who: Who = "", as_json: Json = False, store: Store = None
) -> None:
    """It is a trouble of its own: take it out from under the cause it was put under; it stays out.

    Example: `setpoint incidents ungroup INC-XFJF7VHE --why "another pump"`
    """
    tell(store, as_json, "ungrouped", "incidents_ungroup", id=id, who=person(who), why=why)


@incidents.command("ack")
def incidents_ack(
    id: Incident, why: Why = "", who: Who = "", as_json: Json = False, store: Store = None
) -> None:
    """You have it: it no longer escalates.

    Example: `setpoint incidents ack INC-XFJF7VHE --why "on my way to hall 1"`
    """
    tell(store, as_json, "changed", "incidents_ack", id=id, who=person(who), why=why)


@incidents.command("close")
def incidents_close(
    id: Incident, why: Why = "", who: Who = "", as_json: Json = False, store: Store = None
) -> None:
    """It is over; its pending reviews are withdrawn.

    Example: `setpoint incidents close INC-XFJF7VHE --why "pump replaced"`
    """
    tell(store, as_json, "changed", "incidents_close", id=id, who=person(who), why=why)


@incidents.command("escalate")
def incidents_escalate(
    id: Incident, why: Why = "", who: Who = "", as_json: Json = False, store: Store = None
) -> None:
    """Tell the next sink now.

    Example: `setpoint incidents escalate INC-XFJF7VHE --why "needs the power engineer"`
    """
    tell(store, as_json, "escalated", "incidents_escalate", id=id, who=person(who), why=why)


@incidents.command("correct")
def incidents_correct(
    id: Incident,
    field: Annotated[
        str,
        typer.Argument(
            help="priority, cause, grouping, wording (the title), guide-step, or text with --part."
        ),
    ],
    value: Annotated[
        str,
        typer.Argument(
            help="What it should be: P0 to P3; a cause of `setpoint knowledge causes`; for grouping the incident it "
            'belongs to; for guide-step "3: new words"; for a text the better one, "" where it is bad and you have none.'
        ),
    ],
    why: Why,
    part: Annotated[str, typer.Option(help="Which text: alert, summary or step-N of the analysis.")] = "",
    who: Who = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Say what Setpoint got wrong; it is corrected, and kept to learn from. A text may be said in any words; a number, name or
    time that is in no evidence of the incident is refused.

    Examples: `setpoint incidents correct INC-XFJF7VHE cause coolant_leak --why "found it wet"`;
    `setpoint incidents correct INC-XFJF7VHE text "cdu-1: pump failed, flow 40 lpm" --part alert --why "place first"`
    """
    tell(
        store, as_json, "corrected", "incidents_correct", id=id, field=field, value=value, who=person(who), why=why, part=part
    )  # fmt: skip


# ---- silence, feedback, quarantine -----------------------------------------------------------------------------


@silence.command("add")
def silence_add(
    why: Why,
    asset: Annotated[str, typer.Option(help="Glob over asset names.")] = "*",
    kind: Annotated[str, typer.Option(help="Glob over event kinds (alert name, xid-79 ...).")] = "*",
    template: Annotated[str, typer.Option(help="Glob over message templates.")] = "*",
    minutes: Annotated[float, typer.Option(help="For how long; at most 30 days.")] = 60.0,
    who: Who = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Record matching events, but notify nobody.

    Example: `setpoint silence add --asset 'gpu-0[1-4]' --minutes 120 --why CHG-112`
    """
    tell(
        store, as_json, "silenced", "silence_add", who=person(who), why=why, minutes=minutes, asset=asset, kind=kind,
        template=template,
    )  # fmt: skip


@silence.command("list")
def silence_list(as_json: Json = False, store: Store = None) -> None:
    """Silences that nobody has removed. Example: `setpoint silence list`"""
    tell(store, as_json, "silences", "silence_list")


@silence.command("remove")
def silence_remove(
    id: Annotated[str, typer.Argument(help="Silence id, as SIL-0b1192.", metavar="SILENCE")],
    who: Who = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """End a silence now. Example: `setpoint silence remove SIL-0b1192`"""
    tell(store, as_json, "removed", "silence_remove", id=id, who=person(who))


@feedback.command("list")
def feedback_list(
    subject: Annotated[str, typer.Option(help="Only about this incident or review.")] = "",
    simulated: Annotated[bool, typer.Option(help="With decisions of --decide policies.")] = False,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """What people decided and corrected, oldest first. Example: `setpoint feedback list --subject INC-XFJF7VHE`"""
    tell(store, as_json, "feedback", "feedback_list", subject=subject, simulated=simulated)


@feedback.command("export")
def feedback_export(
    kind: Annotated[str, typer.Option(help="raw, preference or supervised.")] = "raw",
    simulated: Annotated[bool, typer.Option(help="With decisions of --decide policies.")] = False,
    store: Store = None,
) -> None:
    """JSON Lines for training. Example: `setpoint feedback export --kind preference > pairs.jsonl`"""
    for line in desk_of(store)("feedback_export", kind=kind, simulated=simulated):
        typer.echo(line)


@quarantine.command("list")
def quarantine_list(as_json: Json = False, store: Store = None) -> None:
    """Items that could not be read, with reason and remedy. Example: `setpoint quarantine list`"""
    tell(store, as_json, "quarantine", "quarantine_list")


@quarantine.command("show")
def quarantine_show(id: Item, as_json: Json = False, store: Store = None) -> None:
    """One item as it came. Example: `setpoint quarantine show q-8bb27f9fcf233fefcc24`"""
    tell(store, as_json, "quarantined", "quarantine_show", id=id)


@quarantine.command("replay")
def quarantine_replay(
    id: Item,
    mended: Annotated[Path | None, typer.Option(help="A file with the mended item.")] = None,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Read it again, mended where you give a file.

    Example: `setpoint quarantine replay q-8bb27f9fcf233fefcc24 --mended item.json`
    """
    text = _text_of(mended) if mended else ""
    tell(store, as_json, "replayed", "quarantine_replay", id=id, text=text)


def _text_of(path: Path) -> str:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=str(path), remedy="Give a file of text"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError("is not UTF-8 text", where=str(path), remedy="Save it as UTF-8") from error
    if not text.strip():
        raise UsageError("the file is empty", where=str(path), remedy="Put the mended item into it")
    return text


@quarantine.command("remove")
def quarantine_remove(id: Item, as_json: Json = False, store: Store = None) -> None:
    """Give an item up; its bytes are dropped. Example: `setpoint quarantine remove q-8bb27f9fcf233fefcc24`"""
    tell(store, as_json, "removed", "quarantine_remove", id=id)


# ---- knowledge, rules, audit, config ---------------------------------------------------------------------


@knowledge.command("search")
def knowledge_search(
    query: Annotated[str, typer.Argument(help="A few words.")],
    limit: Annotated[int, typer.Option(help="At most this many passages.", min=1, max=50)] = 6,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Passages of runbooks and manuals. Example: `setpoint knowledge search "card vanished from the bus"`"""
    tell(store, as_json, "passages", "knowledge_search", query=query, limit=limit)


@knowledge.command("list")
def knowledge_list(as_json: Json = False, store: Store = None) -> None:
    """Every runbook and every manual of the site. Example: `setpoint knowledge list`"""
    tell(store, as_json, "documents", "knowledge_list")


@knowledge.command("add")
def knowledge_add(
    files: Annotated[list[Path], typer.Argument(help="Markdown, HTML, text or PDF.")],
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Take your own manuals in. One that cannot be read is said; the others are taken.

    Example: `setpoint knowledge add pump-manual.pdf site-rules.md`
    """
    desk, added, failed = desk_of(store), [], []
    for path in files:
        try:
            added.append(desk("knowledge_add", path=str(path.resolve())))
        except SetpointError as error:
            failed.append(error)
            typer.echo(f"setpoint: {error}", err=True)
        else:
            typer.echo(f"{path.name} taken in", err=True)
    show(added, as_json, "added")
    if failed:
        raise typer.Exit(failed[0].exit_code)


@knowledge.command("remove")
def knowledge_remove(
    name: Annotated[str, typer.Argument(help="Its file name, as `knowledge list` shows it.")],
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Drop a manual. Example: `setpoint knowledge remove pump-manual.pdf`"""
    tell(store, as_json, "removed", "knowledge_remove", manual=name)


@knowledge.command("causes")
def knowledge_causes(as_json: Json = False, store: Store = None) -> None:
    """The closed catalog of root causes. Example: `setpoint knowledge causes`"""
    tell(store, as_json, "causes", "knowledge_causes")


@rules.command("list")
def rules_list(as_json: Json = False, store: Store = None) -> None:
    """The site's rule files by content: accepted, pending, rejected. A pending one waits in `setpoint review list`.

    Example: `setpoint rules list`
    """
    tell(store, as_json, "rules", "rules_list")


@audit.command("list")
def audit_list(
    subject: Annotated[str, typer.Option(help="Only about this id.")] = "",
    after: Annotated[int, typer.Option(help="From the row after this number on; else the latest.")] = -1,
    limit: Annotated[int, typer.Option(help="At most this many rows.", min=1)] = 50,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Who did what, the latest rows. Example: `setpoint audit list --subject INC-XFJF7VHE`"""
    tell(store, as_json, "audit", "audit_list", subject=subject, after=after, limit=limit)


@audit.command("verify")
def audit_verify(as_json: Json = False, store: Store = None) -> None:
    """Recompute the chain; exit 5 where a row was changed, removed or put in. Example: `setpoint audit verify`"""
    found = tell(store, as_json, "chain", "audit_verify")
    if not found["ok"]:
        raise typer.Exit(5)


@config.command("show")
def config_show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    as_json: Json = False,
) -> None:
    """Every setting with its value; secrets in addresses are left out. Example: `setpoint config show --origin`"""
    from setpoint.app.cli import settings_from
    from setpoint.settings import flatten_settings

    loaded = settings_from(None)
    rows = [
        {"key": key, "value": _harmless(key, value)}
        | ({"origin": loaded.origins.get(key, "default")} if origin else {})
        for key, value in flatten_settings(loaded.settings).items()
    ]
    show(rows, as_json, "settings")


def _harmless(key: str, value: Any) -> Any:
    """A value without what only the owner should see: tokens in sinks, a password in the ledger's URL."""
    from setpoint.contracts.sinks import sink_label

    if key == "alerts.sinks":
        return [sink_label(sink) for sink in value]
    if key == "store.url" and "@" in value:
        scheme, rest = value.split("://", 1)
        return f"{scheme}://{rest.rsplit('@', 1)[1]}"
    return value
