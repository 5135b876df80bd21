"""A record of decided actions in a real ledger, made quickly: what reviews, executor and comparison would write."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from plant.diagnosis.results import Band, Compared, Rehearsal
from setpoint.contracts import Action, ActionProposal, Decision, Outcome, Review
from setpoint.ledger import Ledger
from tools.actions import kind_of

BEGIN = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
CAP = kind_of("cap_gpu_power")


def rehearsal(at: datetime, **changes: Any) -> Rehearsal:
    band = Band(
        asset="gpu-01", metric="gpu_temp_c", times_s=(0.0, 600.0),
        without=((80.0, 81.0, 82.0), (84.0, 86.0, 88.0)), acted=((80.0, 81.0, 82.0), (70.0, 72.0, 74.0)),
        limit=87.0, limit_is="above",
    )  # fmt: skip
    values: dict[str, Any] = {
        "action": "cap_gpu_power", "asset": "gpu-01", "args": {"cap_w": 500.0}, "as_of": at, "horizon_s": 600.0,
        "members": 16, "confidence": 0.95, "bands": (band,),
    }  # fmt: skip
    return Rehearsal(**(values | changes))


def compared(observed: float = 72.0, came_true: bool = True) -> Compared:
    rows = (("gpu-01.gpu_temp_c", 70.0, 72.0, 74.0, observed),)
    return Compared(action="cap_gpu_power", asset="gpu-01", quantities=1, inside=int(came_true),
                    came_true=came_true, rows=rows)  # fmt: skip


def proposal(at: datetime, asset: str = "gpu-01", **changes: Any) -> ActionProposal:
    action = Action(name="cap_gpu_power", asset=asset, args={"cap_w": 500.0})
    values: dict[str, Any] = {
        "id": f"ACT-{action.digest('INC-1')[:10]}", "incident_id": "INC-1", "action": action, "risk": "low",
        "effect": "caps", "why": "it runs hot", "rollback": "lift it", "rehearsal": rehearsal(at),
    }  # fmt: skip
    return ActionProposal(**(values | changes))


@dataclass
class Record:
    """Writes one decided action after the other, an hour and a half apart unless told otherwise."""

    ledger: Ledger
    now: datetime = BEGIN
    count: int = field(default=0)

    def forward(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now

    def ask(self, asset: str = "gpu-01", incident: str = "INC-1") -> Review:
        self.count += 1
        asked = proposal(self.now, asset)
        review = Review(
            id=f"REV-{self.count}", kind="action", incident_id=incident, subject="Cap?", proposal=asked,
            digest=asked.action.digest(incident), created=self.now,
        )  # fmt: skip
        self.ledger.open_review(review, now=self.now)
        return review

    def say(self, review: Review, type: str, who: str = "ada", **more: Any) -> None:
        decision = Decision.model_validate({"type": type, "who": who} | more)
        self.ledger.decide(review.id, review.digest, decision, now=self.now)

    def act(
        self, review: Review, state: str = "done", *, dry_run: bool = False, message: str = "done"
    ) -> str:
        """Execute it; returns the key."""
        assert review.proposal is not None
        key = f"KEY-{review.id}"
        self.ledger.begin_action(
            key, review.proposal.action, incident_id=review.incident_id, review_id=review.id, dry_run=dry_run,
            now=self.now,
        )  # fmt: skip
        outcome = Outcome.model_validate(
            {"action_id": review.id, "state": state, "message": message, "dry_run": dry_run}
        )
        self.ledger.finish_action(key, outcome, now=self.now)
        return key

    def foresee(self, key: str, found: Compared | None) -> None:
        due = self.now + timedelta(minutes=10)
        self.ledger.note_rehearsal(key, rehearsal(self.now), incident_id="INC-1", due=due, now=self.now)
        if found is not None:
            self.ledger.finish_rehearsal(key, found, now=due)

    def good(
        self, times: int = 1, *, rehearsed: bool = True, who: str = "ada", asset: str = "gpu-01"
    ) -> None:
        """A plain yes, done, as rehearsed, and nothing came of it; ninety minutes pass."""
        for _ in range(times):
            review = self.ask(asset)
            self.say(review, "approve", who)
            key = self.act(review)
            if rehearsed:
                self.foresee(key, compared())
            self.forward(minutes=90)

    def rejected(self, who: str = "ada") -> None:
        self.say(self.ask(), "reject", who)
        self.forward(minutes=90)

    def edited(self) -> None:
        review = self.ask()
        assert review.proposal is not None
        other = review.proposal.action.model_copy(update={"args": {"cap_w": 450.0}})
        self.say(review, "edit", edited=other)
        self.act(self.ledger.get_review(review.id))
        self.forward(minutes=90)

    def failed(self) -> str:
        review = self.ask()
        self.say(review, "approve")
        key = self.act(review, "failed", message="the BMC did not answer")
        self.forward(minutes=90)
        return key
