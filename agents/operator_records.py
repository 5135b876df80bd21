"""What the ledger holds of one subject, for a conversation: who decided what and why, and the evidence of an incident."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Protocol

from langchain_core.tools import BaseTool
from pydantic import Field, JsonValue

from setpoint.contracts import Diagnosis, Incident, Review
from setpoint.contracts.site import Site
from setpoint.errors import UsageError
from setpoint.ledger.records import ActionRecord, AuditRow
from tools.plant_ports import known
from tools.typed import Answer, Args, ToolError, typed_tool

MOST_REVIEWS, MOST_DEEDS, MOST_EVIDENCE = 8, 8, 16
_DEED = "incident-"
"""How the audit rows of what somebody did with an incident begin."""


class RecordLedger(Protocol):
    """What is read of the ledger."""

    def list_reviews(self, *, incident_id: str = "", limit: int = 500) -> list[Review]: ...
    def list_actions(self, *, incident_id: str = "", limit: int = 1000) -> list[ActionRecord]: ...
    def approvals(self, review_id: str) -> tuple[tuple[str, ...], int]: ...
    def list_audit(self, *, subject: str = "", after: int = 0, limit: int = 1000) -> list[AuditRow]: ...
    def list_incidents(self, *, asset: str = "", limit: int = 1000) -> list[Incident]: ...
    def get_incident(self, incident_id: str) -> Incident: ...
    def get_diagnosis(self, incident_id: str) -> Diagnosis | None: ...


# ---- decisions ---------------------------------------------------------------------------------------------------


class DecisionsArgs(Args):
    """An incident, a review, an asset, or everything of late."""

    subject: Annotated[
        str, Field(max_length=120, description="INC-..., REV-... or an asset; empty: the latest")
    ] = ""


class Judgement(Answer):
    """One question to people, and what became of it."""

    review: str
    incident: str
    asked: str
    """What was asked, in words."""
    asked_at: str
    proposed_by: str
    risk: str
    state: str
    agreed: list[str]
    """Who said yes."""
    needed: int
    decision: str
    """approve, edit, reject, respond; empty while it waits."""
    decided_by: str
    reason: str
    act: str
    """What came of it on the site, in words; empty where nothing was done."""


class Deed(Answer):
    """Something a person did with an incident."""

    at: str
    who: str
    what: str
    subject: str
    why: str


class DecisionsAnswer(Answer):
    """The latest first."""

    subject: str
    judgements: list[Judgement]
    left_out: int
    deeds: list[Deed]


def _decisions(ledger: RecordLedger, site: Site, args: DecisionsArgs) -> DecisionsAnswer:
    subject = args.subject.strip()
    found = _reviews_of(ledger, site, subject)
    acts = {one.review_id: one for one in ledger.list_actions(limit=10_000)} if found else {}
    shown = list(reversed(found))[:MOST_REVIEWS]
    return DecisionsAnswer(
        subject=subject, judgements=[_judgement(one, acts.get(one.id), ledger, site) for one in shown],
        left_out=len(found) - len(shown), deeds=_deeds(ledger, site, subject) if subject else [],
    )  # fmt: skip


def _reviews_of(ledger: RecordLedger, site: Site, subject: str) -> list[Review]:
    """Oldest first."""
    if _is_incident(subject):
        return ledger.list_reviews(incident_id=_incident(ledger, subject).id, limit=10_000)
    every = ledger.list_reviews(limit=10_000)
    if subject.upper().startswith("REV-"):
        found = [one for one in every if one.id.lower() == subject.lower()]
        if not found:
            raise ToolError(f"no review {subject!r}; ask what waits for a decision")
        return found
    if not subject:
        return [one for one in every if one.decision is not None]
    asset = site.find(subject)
    if asset is None:
        raise ToolError(f"{subject!r} is no incident, review or asset here")
    touched = {one.id for one in ledger.list_incidents(asset=asset.name, limit=1000)}
    return [one for one in every if _about(one, asset.name) or one.incident_id in touched]


def _is_incident(subject: str) -> bool:
    return subject.upper().startswith("INC-")


def _incident(ledger: RecordLedger, id: str) -> Incident:
    """As it is written, else as ids are."""
    for name in (id.strip(), id.strip().upper()):
        try:
            return ledger.get_incident(name)
        except UsageError as error:
            missing = str(error)
    raise ToolError(missing)


def _about(review: Review, asset: str) -> bool:
    return review.proposal is not None and review.proposal.action.asset == asset


def _judgement(review: Review, act: ActionRecord | None, ledger: RecordLedger, site: Site) -> Judgement:
    agreed, needed = ledger.approvals(review.id)
    decision, proposal = review.decision, review.proposal
    said = decision and (decision.reason or decision.answer)
    return Judgement(
        review=review.id, incident=review.incident_id, asked=review.subject.rstrip("?"), asked_at=_at(review.created, site),
        proposed_by=(proposal.proposed_by if proposal else "") or "Setpoint", risk=proposal.risk if proposal else "",
        state=review.state, agreed=list(agreed), needed=needed, decision=decision.type if decision else "",
        decided_by=decision.who if decision else "", reason=said or "", act=_became(act),
    )  # fmt: skip


def _became(act: ActionRecord | None) -> str:
    if act is None:
        return ""
    state = "dry run" if act.dry_run else act.state
    return f"{state}: {act.message}" if act.message else state


def _deeds(ledger: RecordLedger, site: Site, subject: str) -> list[Deed]:
    """What people did with the incidents of the subject: who took them, closed or corrected them."""
    names = [_incident(ledger, subject).id] if _is_incident(subject) else []
    if asset := site.find(subject):
        names = [one.id for one in ledger.list_incidents(asset=asset.name, limit=MOST_DEEDS)]
    rows = [row for name in names for row in ledger.list_audit(subject=name)]
    told = [row for row in rows if row.what.startswith(_DEED)]
    told.sort(key=lambda row: row.number, reverse=True)
    return [
        Deed(
            at=_at(row.time, site),
            who=row.who,
            what=row.what.removeprefix(_DEED),
            subject=row.subject,
            why=_why(row.data),
        )
        for row in told[:MOST_DEEDS]
    ]


def _why(data: JsonValue) -> str:
    return str(data.get("why") or "") if isinstance(data, dict) else ""


def _at(moment: datetime, site: Site) -> str:
    return f"{moment.astimezone(site.zone):%Y-%m-%d %H:%M %Z}"


# ---- evidence ----------------------------------------------------------------------------------------------------


class EvidenceArgs(Args):
    """One incident."""

    id: Annotated[str, Field(max_length=40, description="Incident id, e.g. INC-0042")]


class Suspect(Answer):
    """One cause that was weighed."""

    cause: str
    title: str
    share_pct: float
    supports: list[str]
    """Evidence ids."""
    contradicts: list[str]
    missing: list[str]
    """What one would expect to see and does not."""


class Piece(Answer):
    """One thing that was observed."""

    id: str
    kind: str
    quoted: str
    source: str


class EvidenceAnswer(Answer):
    """Causes, the most likely first, and what was observed."""

    id: str
    title: str
    summary: str
    causes: list[Suspect]
    evidence: list[Piece]
    left_out: int
    steps: list[str]


def _evidence(ledger: RecordLedger, args: EvidenceArgs) -> EvidenceAnswer:
    incident = _incident(ledger, args.id)
    found = ledger.get_diagnosis(incident.id)
    if found is None:
        raise ToolError(f"{incident.id} has not been analysed, so there is no evidence yet")
    return EvidenceAnswer(
        id=incident.id, title=incident.title, summary=found.summary,
        causes=[
            Suspect(cause=one.cause, title=one.title, share_pct=known(100 * one.score, 3), supports=list(one.supports),
                    contradicts=list(one.contradicts), missing=list(one.missing))
            for one in found.hypotheses
        ],
        evidence=[
            Piece(id=one.id, kind=one.kind, quoted=one.text, source=one.source) for one in found.evidence[:MOST_EVIDENCE]
        ],
        left_out=max(0, len(found.evidence) - MOST_EVIDENCE), steps=[one.text for one in found.steps],
    )  # fmt: skip


def record_tools(ledger: RecordLedger, site: Site) -> list[BaseTool]:
    """Decisions and evidence, bound to this ledger."""
    return [
        typed_tool(
            "decisions", "Who proposed, approved, rejected, acknowledged or corrected what, when and why, of a subject.",
            DecisionsArgs, lambda args: _decisions(ledger, site, args),
        ),
        typed_tool(
            "evidence", "All evidence of one incident's analysis: causes with shares, what was observed, the steps.",
            EvidenceArgs, lambda args: _evidence(ledger, args),
        ),
    ]  # fmt: skip
