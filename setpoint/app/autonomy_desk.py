"""The desk's functions about autonomy: where each kind stands, and what people say about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import JsonValue, ValidationError

from setpoint.autonomy import granting, rules
from setpoint.autonomy.evidence import judge
from setpoint.autonomy.standing import Standing
from setpoint.contracts import Decision
from setpoint.contracts.autonomy import Limits, is_person
from setpoint.errors import NotDecidable, UsageError
from tools.actions import CATALOG, kind_of

if TYPE_CHECKING:
    from setpoint.app.desk import Desk


def autonomy_list(desk: Desk) -> JsonValue:
    """Every kind of the catalog, with its level, its record and what it would take to rise."""
    now = datetime.now(UTC)
    return [_row(desk, _standing(desk, name, now), now) for name in CATALOG]


def autonomy_show(desk: Desk, kind: str) -> JsonValue:
    """One kind: where it stands, everything that was said about it, and every decision with what it counts for."""
    now = datetime.now(UTC)
    found = _standing(desk, kind, now)
    decided = desk.ledger.decided_actions(found.kind.name)
    judged = [judge(item, now, desk.autonomy.watch_s) for item in decided]
    return _row(desk, found, now) | {
        "changes": [change.model_dump(mode="json") for change in desk.ledger.level_changes(found.kind.name)],
        "decided": [
            {
                "time": one.item.decided.isoformat(), "review": one.item.review_id, "key": one.item.key,
                "asset": one.item.asset, "who": one.item.who, "counts": one.verdict, "why": one.why,
            }
            for one in judged
        ],
    }  # fmt: skip


def autonomy_set(desk: Desk, kind: str, level: str, who: str, why: str) -> JsonValue:
    """Another level below closed loop: down always, up where the record allows."""
    granting.set_level(kind_of(kind), level, who, why, desk.ledger, desk.autonomy, datetime.now(UTC))
    return _now(desk, kind)


def autonomy_sign(
    desk: Desk, kind: str, who: str, why: str, per_hour: int | None = None, per_day: int | None = None,
    assets: str = "*",
) -> JsonValue:  # fmt: skip
    """Let a kind run alone within limits; those not given are the settings'."""
    most = desk.autonomy
    try:
        limits = Limits(per_hour=per_hour or most.per_hour, per_day=per_day or most.per_day, assets=assets)
    except ValidationError as error:
        raise UsageError(f"not a limit: {error.errors()[0]['msg']}", where=kind) from error
    granting.sign(kind_of(kind), who, why, limits, desk.ledger, desk.autonomy, datetime.now(UTC))
    return _now(desk, kind)


def autonomy_revoke(desk: Desk, who: str, why: str, kind: str = "", all: bool = False) -> JsonValue:
    """One kind, or every kind above assist, back to assist at once."""
    if bool(kind) == all:
        raise UsageError("name one kind, or all of them", remedy="setpoint autonomy revoke KIND, or --all")
    now = datetime.now(UTC)
    names = [kind_of(kind).name] if kind else [n for n in CATALOG if _above_assist(desk, n, now)]
    for name in names:
        granting.revoke(kind_of(name), who, why, desk.ledger, desk.autonomy, now)
    return {"revoked": [*names], "level": "assist"}


def autonomy_harm(desk: Desk, action: str, who: str, why: str) -> JsonValue:
    """A person says that an executed action did harm. Its kind falls to assist at once."""
    if not why.strip():
        raise UsageError("harm needs a reason", remedy="Say what happened with --why")
    if not is_person(who):
        raise UsageError(f"{who.strip() or 'nobody'} is no person's name", remedy="Give --who")
    harm = desk.ledger.mark_harm(action, who, why)
    at = _standing(desk, harm.action, datetime.now(UTC))
    return harm.model_dump(mode="json") | {"level": at.level, "held": at.why}


def review_approve_recommended(desk: Desk, incident: str, who: str, reason: str = "") -> JsonValue:
    """Say yes to every action that is recommended for one incident, or by one cycle of a loop, as each stands now. What is
    of high risk is decided by itself: each needs its asset's name."""
    if desk.ledger.find_cycle(incident) is None:
        desk.ledger.get_incident(incident)
    waiting = desk.ledger.list_reviews(states=("pending",), kinds=("action",), incident_id=incident)
    named = [review for review in waiting if review.recommended]
    if not named:
        raise NotDecidable(
            "nothing recommended waits for a decision",
            where=incident,
            remedy=f"{len(waiting)} others wait: setpoint review list" if waiting else "",
        )
    rows: list[JsonValue] = []
    for review in named:
        decision = Decision(type="approve", who=who, reason=reason)
        try:
            made = desk.ledger.decide(review.id, review.digest, decision, versions=desk.versions())
        except (NotDecidable, UsageError) as error:
            rows.append({"id": review.id, "subject": review.subject, "said": str(error), "final": False})
            continue
        said = "" if made.final else f"{len(made.approvals)} of {made.needed} have agreed"
        rows.append({"id": review.id, "subject": review.subject, "said": said, "final": made.final})
    return {"incident": incident, "reviews": rows}


# ---- small ------------------------------------------------------------------------------------------------


def _standing(desk: Desk, kind: str, now: datetime) -> Standing:
    return granting.standing_of(kind_of(kind), desk.ledger, desk.autonomy, now)


def _now(desk: Desk, kind: str) -> JsonValue:
    now = datetime.now(UTC)
    return _row(desk, _standing(desk, kind, now), now)


def _row(desk: Desk, at: Standing, now: datetime) -> dict[str, JsonValue]:
    alone = desk.ledger.ran_alone(now - timedelta(days=1), at.kind.name)
    row: dict[str, JsonValue] = at.model_dump(mode="json")
    return row | {"ran_alone_last_day": alone, "never_alone": rules.never_alone(at.kind)}


def _above_assist(desk: Desk, kind: str, now: datetime) -> bool:
    return _standing(desk, kind, now).level in ("advise", "closed loop")
