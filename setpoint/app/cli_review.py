"""`setpoint review`: what waits for a person, and the person's word on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from setpoint.app.desk_calls import Json, Store, Who, Why, group, person, tell
from setpoint.errors import UsageError

ReviewId = Annotated[str, typer.Argument(help="Review id, as REV-3a06b7e807.", metavar="REVIEW")]

review = group("The shift's queue of decisions: actions, doubtful input, rule changes.")


@review.command("list")
def review_list(
    all: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    kind: Annotated[
        list[str] | None, typer.Option(help="action, doubtful_input, rule_change. Repeatable.")
    ] = None,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """What waits for a person, under its incident, the most urgent first.

    Example: `setpoint review list --kind action`
    """
    tell(store, as_json, "reviews", "review_list", all=all, kinds=kind)


@review.command("show")
def review_show(id: ReviewId, as_json: Json = False, store: Store = None) -> None:
    """What is asked, with effect, risk, rollback and evidence, or the lines of a rule change.

    Example: `setpoint review show REV-3a06b7e807`
    """
    tell(store, as_json, "review", "review_show", id=id)


Digest = Annotated[str, typer.Option(help="Decide only if this is still what is asked (from `review show`).")]


Asset = Annotated[
    str, typer.Option(help="The asset's name, typed by you: a yes to something of high risk needs it.")
]


def _decide(store: Path | None, as_json: bool, **arguments: Any) -> None:
    tell(store, as_json, "decided", "review_decide", **arguments)


@review.command("approve")
def review_approve(
    id: ReviewId,
    why: Why = "",
    who: Who = "",
    digest: Digest = "",
    asset: Asset = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Yes to exactly what is asked. High risk needs the yes of two people, each with --asset NAME. With the id of an incident or of a loop's cycle:
    yes to all that is recommended for it.

    Examples: `setpoint review approve REV-3a06b7e807 --why "seen on the camera"`; `setpoint review approve INC-XFJF7VHE`
    """
    if id.startswith(("INC-", "LOOP-")):
        tell(
            store,
            as_json,
            "approved_together",
            "review_approve_recommended",
            incident=id,
            who=person(who),
            reason=why,
        )
        return
    _decide(store, as_json, id=id, type="approve", who=person(who), reason=why, digest=digest, asset=asset)


@review.command("reject")
def review_reject(
    id: ReviewId,
    why: Why = "",
    who: Who = "",
    digest: Digest = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """No.

    Example: `setpoint review reject REV-3a06b7e807 --why "done by hand"`
    """
    _decide(store, as_json, id=id, type="reject", who=person(who), reason=why, digest=digest)


@review.command("edit")
def review_edit(
    id: ReviewId,
    arg: Annotated[list[str], typer.Option("--arg", help="A changed argument, as flow_lpm=180. Repeatable.")],
    why: Why = "",
    who: Who = "",
    digest: Digest = "",
    asset: Asset = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Yes, with other arguments; bounds and interlocks are checked again.

    Example: `setpoint review edit REV-3a06b7e807 --arg flow_lpm=180 --why "the filter is old"`
    """
    changes = dict(_changed(item) for item in arg)
    _decide(
        store, as_json, id=id, type="edit", who=person(who), reason=why, digest=digest, args=changes, asset=asset
    )  # fmt: skip


def _changed(item: str) -> tuple[str, Any]:
    key, separator, value = item.partition("=")
    if not separator:
        raise UsageError(f"--arg takes name=value, got {item!r}", remedy="Example: --arg flow_lpm=180")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


@review.command("respond")
def review_respond(
    id: ReviewId, answer: Annotated[str, typer.Argument(help="Your answer.")], who: Who = "", as_json: Json = False,
    store: Store = None,
) -> None:  # fmt: skip
    """Answer without deciding: neither a yes nor a no; it is asked again with your answer beside it.

    Example: `setpoint review respond REV-3a06b7e807 "wait until the filter is changed"`
    """
    _decide(store, as_json, id=id, type="respond", who=person(who), answer=answer)
