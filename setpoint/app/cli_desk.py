"""The noun groups of the command line: incidents, review, silence, feedback, quarantine, knowledge, rules, audit,
config, eval. Each calls the desk: in this process, or in the running `setpoint serve`."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from setpoint.errors import UsageError

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Store = Annotated[Path | None, typer.Option("--store", help="Folder of the ledger.")]
Who = Annotated[
    str, typer.Option("--as", help="Who says so (default: your login name).", envvar="SETPOINT_USER")
]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept.")]
Id = Annotated[str, typer.Argument(help="Its id.")]


def _group(text: str) -> typer.Typer:
    return typer.Typer(
        help=text, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
    )


incidents = _group("List, read and handle incidents.")
review = _group("The shift's queue of decisions: actions, doubtful input, rule changes.")
silence = _group("Record matching events, but notify nobody for a while.")
feedback = _group("Decisions and corrections people made.")
quarantine = _group("Input that could not be read.")
knowledge = _group("Runbooks and the site's own manuals.")
rules = _group("Rule sets and whether they count yet.")
audit = _group("The hash-chained record of who did what.")
config = _group("Settings and where each comes from.")
evals = _group("Eval suites of agent quality.")
GROUPS = {
    "incidents": incidents, "review": review, "silence": silence, "feedback": feedback, "quarantine": quarantine,
    "knowledge": knowledge, "rules": rules, "audit": audit, "config": config, "eval": evals,
}  # fmt: skip


def _call(store: Path | None, name: str, **arguments: Any) -> Any:
    from setpoint.app.cli import settings_from
    from setpoint.app.client import caller

    loaded = settings_from(None, None, store)

    def here() -> Any:
        from setpoint.app.wiring import local_desk  # takes seconds to import; a running server spares it

        return local_desk(loaded.settings)

    return caller(loaded.settings.store.dir, here)(name, **arguments)


def _person(who: str) -> str:
    return who or getpass.getuser()


def _print(value: Any, as_json: bool, view: str) -> None:
    if as_json:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
        return
    from setpoint.app.views import VIEWS

    VIEWS[view](value)


# ---- incidents -----------------------------------------------------------------------------------------------


@incidents.command("list")
def incidents_list(
    state: Annotated[
        list[str] | None, typer.Option(help="open, acknowledged, resolved, closed. Repeatable.")
    ] = None,
    priority: Annotated[list[str] | None, typer.Option(help="P0 to P3. Repeatable.")] = None,
    asset: Annotated[str, typer.Option(help="Only incidents that touch this asset.")] = "",
    limit: int = 50,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Most urgent first. Example: `setpoint incidents list --state open --priority P0`"""
    found = _call(store, "incidents_list", states=state, priorities=priority, asset=asset, limit=limit)
    _print(found, as_json, "incidents")


@incidents.command("show")
def incidents_show(id: Id, as_json: Json = False, store: Store = None) -> None:
    """One incident: why it ranks so, evidence, cause, guide, decisions, timeline."""
    _print(_call(store, "incidents_show", id=id), as_json, "incident")


@incidents.command("ack")
def incidents_ack(id: Id, why: Why = "", who: Who = "", as_json: Json = False, store: Store = None) -> None:
    """You have it: it no longer escalates."""
    _print(_call(store, "incidents_ack", id=id, who=_person(who), why=why), as_json, "changed")


@incidents.command("close")
def incidents_close(id: Id, why: Why = "", who: Who = "", as_json: Json = False, store: Store = None) -> None:
    """It is over; its pending reviews are withdrawn."""
    _print(_call(store, "incidents_close", id=id, who=_person(who), why=why), as_json, "changed")


@incidents.command("escalate")
def incidents_escalate(
    id: Id, why: Why = "", who: Who = "", as_json: Json = False, store: Store = None
) -> None:
    """Tell the next sink now."""
    _print(_call(store, "incidents_escalate", id=id, who=_person(who), why=why), as_json, "said")


@incidents.command("correct")
def incidents_correct(
    id: Id,
    field: Annotated[str, typer.Argument(help="priority, cause, grouping, wording or guide-step.")],
    value: Annotated[str, typer.Argument(help="What it should be; for grouping the incident it belongs to.")],
    why: Why,
    who: Who = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Say what Setpoint got wrong. Example: `setpoint incidents correct INC-0007 cause coolant_leak --why "found it wet"`"""
    made = _call(store, "incidents_correct", id=id, field=field, value=value, who=_person(who), why=why)
    _print(made, as_json, "said")


# ---- review --------------------------------------------------------------------------------------------------


@review.command("list")
def review_list(
    all: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    kind: Annotated[
        list[str] | None, typer.Option(help="action, doubtful_input, rule_change. Repeatable.")
    ] = None,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """What waits for a person, oldest first."""
    _print(_call(store, "review_list", all=all, kinds=kind), as_json, "reviews")


@review.command("show")
def review_show(id: Id, as_json: Json = False, store: Store = None) -> None:
    """One review with the action, its effect, risk, rollback and evidence."""
    _print(_call(store, "review_show", id=id), as_json, "review")


Digest = Annotated[str, typer.Option(help="Decide only if this is still what is asked (from `review show`).")]


def _decide(store: Path | None, as_json: bool, **arguments: Any) -> None:
    _print(_call(store, "review_decide", **arguments), as_json, "decided")


@review.command("approve")
def review_approve(
    id: Id, why: Why = "", who: Who = "", digest: Digest = "", as_json: Json = False, store: Store = None
) -> None:
    """Yes to exactly what is asked."""
    _decide(store, as_json, id=id, type="approve", who=_person(who), reason=why, digest=digest)


@review.command("reject")
def review_reject(
    id: Id, why: Why = "", who: Who = "", digest: Digest = "", as_json: Json = False, store: Store = None
) -> None:
    """No."""
    _decide(store, as_json, id=id, type="reject", who=_person(who), reason=why, digest=digest)


@review.command("edit")
def review_edit(
    id: Id,
    arg: Annotated[list[str], typer.Option("--arg", help="A changed argument, as flow_lpm=180. Repeatable.")],
    why: Why = "",
    who: Who = "",
    digest: Digest = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Yes, with other arguments. Example: `setpoint review edit R-12 --arg flow_lpm=180 --why "filter is old"`"""
    changes = {}
    for item in arg:
        key, separator, value = item.partition("=")
        if not separator:
            raise UsageError(f"--arg takes name=value, got {item!r}")
        try:
            changes[key] = json.loads(value)
        except ValueError:
            changes[key] = value
    _decide(store, as_json, id=id, type="edit", who=_person(who), reason=why, digest=digest, args=changes)


@review.command("respond")
def review_respond(
    id: Id, answer: Annotated[str, typer.Argument(help="Your answer.")], who: Who = "", as_json: Json = False,
    store: Store = None,
) -> None:  # fmt: skip
    """Answer a question. It is neither a yes nor a no."""
    _decide(store, as_json, id=id, type="respond", who=_person(who), answer=answer)


# ---- silence, feedback, quarantine -----------------------------------------------------------------------------


@silence.command("add")
def silence_add(
    why: Why,
    asset: Annotated[str, typer.Option(help="Glob over asset names.")] = "*",
    kind: Annotated[str, typer.Option(help="Glob over event kinds (alert name, xid-79 ...).")] = "*",
    template: Annotated[str, typer.Option(help="Glob over message templates.")] = "*",
    minutes: float = 60.0,
    who: Who = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Example: `setpoint silence add --asset 'gpu-0[1-4]' --minutes 120 --why 'CHG-112'`"""
    made = _call(
        store,
        "silence_add",
        who=_person(who),
        why=why,
        minutes=minutes,
        asset=asset,
        kind=kind,
        template=template,
    )
    _print(made, as_json, "said")


@silence.command("list")
def silence_list(as_json: Json = False, store: Store = None) -> None:
    """Silences that are not removed."""
    _print(_call(store, "silence_list"), as_json, "table")


@silence.command("remove")
def silence_remove(id: Id, who: Who = "", as_json: Json = False, store: Store = None) -> None:
    """End a silence now."""
    _print(_call(store, "silence_remove", id=id, who=_person(who)), as_json, "said")


@feedback.command("list")
def feedback_list(
    subject: str = "",
    simulated: Annotated[bool, typer.Option(help="With decisions of --decide policies.")] = False,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """What people decided and corrected, oldest first."""
    _print(_call(store, "feedback_list", subject=subject, simulated=simulated), as_json, "feedback")


@feedback.command("export")
def feedback_export(
    kind: Annotated[str, typer.Option(help="raw, preference or supervised.")] = "raw",
    simulated: bool = False,
    store: Store = None,
) -> None:
    """JSON Lines for training."""
    for line in _call(store, "feedback_export", kind=kind, simulated=simulated):
        typer.echo(line)


@quarantine.command("list")
def quarantine_list(as_json: Json = False, store: Store = None) -> None:
    """Items that could not be read, with reason and remedy."""
    _print(_call(store, "quarantine_list"), as_json, "table")


@quarantine.command("show")
def quarantine_show(id: Id, as_json: Json = False, store: Store = None) -> None:
    """One item as it came."""
    _print(_call(store, "quarantine_show", id=id), as_json, "said")


@quarantine.command("replay")
def quarantine_replay(
    id: Id,
    mended: Annotated[Path | None, typer.Option(help="A file with the mended item.")] = None,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Read it again, mended where you give a file."""
    text = mended.read_text("utf-8") if mended else ""
    _print(_call(store, "quarantine_replay", id=id, text=text), as_json, "said")


@quarantine.command("remove")
def quarantine_remove(id: Id, as_json: Json = False, store: Store = None) -> None:
    """Give it up."""
    _print(_call(store, "quarantine_remove", id=id), as_json, "said")


# ---- knowledge, rules, audit, config, eval ---------------------------------------------------------------------


@knowledge.command("search")
def knowledge_search(query: str, limit: int = 6, as_json: Json = False, store: Store = None) -> None:
    """Example: `setpoint knowledge search "card vanished from the bus"`"""
    _print(_call(store, "knowledge_search", query=query, limit=limit), as_json, "passages")


@knowledge.command("list")
def knowledge_list(as_json: Json = False, store: Store = None) -> None:
    """Every section and manual."""
    _print(_call(store, "knowledge_list"), as_json, "table")


@knowledge.command("add")
def knowledge_add(files: list[Path], as_json: Json = False, store: Store = None) -> None:
    """Take your own manuals in: Markdown, HTML or PDF."""
    _print([_call(store, "knowledge_add", path=str(path.resolve())) for path in files], as_json, "table")


@knowledge.command("remove")
def knowledge_remove(name: str, as_json: Json = False, store: Store = None) -> None:
    """Drop a manual by its file name."""
    _print(_call(store, "knowledge_remove", manual=name), as_json, "said")


@knowledge.command("causes")
def knowledge_causes(as_json: Json = False, store: Store = None) -> None:
    """The closed catalog of root causes."""
    _print(_call(store, "knowledge_causes"), as_json, "table")


@rules.command("list")
def rules_list(as_json: Json = False, store: Store = None) -> None:
    """Rule sets by content: accepted, pending, rejected. A pending one is decided with `setpoint review`."""
    _print(_call(store, "rules_list"), as_json, "table")


@audit.command("list")
def audit_list(
    subject: str = "", after: int = 0, limit: int = 100, as_json: Json = False, store: Store = None
) -> None:
    """Rows of the chain."""
    _print(_call(store, "audit_list", subject=subject, after=after, limit=limit), as_json, "audit")


@audit.command("verify")
def audit_verify(as_json: Json = False, store: Store = None) -> None:
    """Recompute the chain; exit 5 where a row was changed, removed or put in."""
    found = _call(store, "audit_verify")
    _print(found, as_json, "said")
    if not found["ok"]:
        raise typer.Exit(5)


@config.command("show")
def config_show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    as_json: Json = False,
) -> None:
    """Every setting with its value."""
    from setpoint.app.cli import settings_from
    from setpoint.settings import flatten_settings

    loaded = settings_from(None)
    rows = [
        {"key": key, "value": value} | ({"origin": loaded.origins.get(key, "default")} if origin else {})
        for key, value in flatten_settings(loaded.settings).items()
    ]
    _print(rows, as_json, "table")


@evals.command("list")
def eval_list(as_json: Json = False) -> None:
    """The suites there are."""
    from evals.suites import SUITES

    _print([{"suite": name, "what": suite.what} for name, suite in SUITES.items()], as_json, "table")


@evals.command("run")
def eval_run(
    suites: Annotated[list[str], typer.Argument(help="triage, alert.")],
    limit: Annotated[int | None, typer.Option(help="At most this many samples.")] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
    logs: Annotated[Path, typer.Option(help="Where Inspect's logs go.")] = Path("var/evals"),
    data: Annotated[
        Path | None, typer.Option(help="Folder of public data, for the suites that use it.")
    ] = None,
) -> None:
    """Run eval suites on Inspect. Example: `setpoint eval run triage alert`"""
    from evals.runner import run_suites

    raise typer.Exit(run_suites(suites, limit=limit, output=output, logs=logs, data=data))
