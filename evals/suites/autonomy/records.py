"""Records of decided actions as a ledger would give them, read by the product: when a kind rises, and when it falls."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from evals import autonomy as study
from evals.autonomy import Bools, Policy
from plant.diagnosis.results import Rehearsal
from setpoint.autonomy.bound import needed
from setpoint.autonomy.disposition import State, may_run_alone
from setpoint.autonomy.rules import GOOD_ALONE, TRUE_ALONE, alpha_of
from setpoint.autonomy.standing import Standing, lacking, standing
from setpoint.contracts import Action, ActionProposal
from setpoint.contracts.autonomy import AUTONOMY_WHO, DecidedAction, Harm, LevelChange, Limits
from setpoint.settings import AutonomySettings
from tools.actions import kind_of

BEGIN = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
APART = timedelta(hours=3)
"""Between two decisions: longer than harm is looked for, so that each is known before the next."""
CAP = kind_of("cap_gpu_power")
SETTINGS = AutonomySettings()
MOST = 60
"""Decisions after an event that are looked at."""
AGREEMENT_DECISIONS = 420


def decided(number: int, at: datetime, **changes: Any) -> DecidedAction:
    """A plain yes, done, as rehearsed, and nothing came of it."""
    values: dict[str, Any] = {
        "review_id": f"REV-{number}", "incident_id": f"INC-{number}", "decided": at, "who": "ada", "type": "approve",
        "changed": False, "key": f"KEY-{number}", "asset": "gpu-01", "state": "done", "finished": at,
        "rehearsed": True, "came_true": True, "compared": at + timedelta(minutes=10),
    }  # fmt: skip
    return DecidedAction(**(values | changes))


def signed(at: datetime, **changes: Any) -> LevelChange:
    values: dict[str, Any] = {
        "action": CAP.name, "what": "signed", "level": "closed loop", "who": "ada", "why": "it earned it", "time": at,
        "limits": Limits(per_hour=4, per_day=24),
    }  # fmt: skip
    return LevelChange(**(values | changes))


# ---- agreement of the simulation with the product ----------------------------------------------------------------------


def agreement(seed: int) -> dict[str, Any]:
    """After how many decisions the simulation signs for the first time, and after how many the product would let one."""
    rng = np.random.default_rng(seed)
    policy = Policy(
        harm=float(rng.choice((0.0005, 0.002, 0.005, 0.03))), rejects=float(rng.choice((0.0, 0.01))), edits=0.0, sees=0.0,
        true=float(rng.choice((0.99, 0.97, 0.93, 0.7))),
    )  # fmt: skip
    good, bad, true = study.decided(policy, AGREEMENT_DECISIONS, rng)
    simulated = study.first(good, bad, true, 0)
    product = _first_of_product(_record(good, bad, true), simulated)
    said = f"simulation rises after {simulated}, the product after {product}"
    return {"text": said, "simulated": simulated, "product": product}


def _record(good: Bools, bad: Bools, true: Bools) -> list[DecidedAction]:
    found = []
    for number in range(len(good)):
        at = BEGIN + number * APART
        # A bad one is a yes that somebody changed: unlike a rejection it takes nothing but its own count.
        found.append(decided(number, at, changed=bool(bad[number]), came_true=bool(true[number])))
    return found


def _first_of_product(record: Sequence[DecidedAction], hint: int | None) -> int | None:
    """The first decision after which nothing is lacking. Reading a record takes milliseconds, so around the hint each
    decision is looked at, and before it every tenth."""
    looked: set[int] = {*range(10, len(record) + 1, 10), *range(max(1, (hint or 1) - 3), (hint or 1) + 4)}
    for many in sorted(looked):
        if many <= len(record) and not lacking(_read(record[:many]), "closed loop", SETTINGS):
            return many
    return None


def _read(
    record: Sequence[DecidedAction], changes: Sequence[LevelChange] = (), now: datetime | None = None
) -> Standing:
    moment = now or record[-1].decided + timedelta(seconds=SETTINGS.watch_s + 1)
    return standing(CAP, changes, record, SETTINGS, moment)


# ---- what happens to a kind that runs alone ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """A record, what people said of levels, and what speaks against running alone besides."""

    record: tuple[DecidedAction, ...]
    changes: tuple[LevelChange, ...]
    now: datetime
    troubles: tuple[str, ...] = ()
    stopped: str = ""


Happens = Callable[[Told, int, datetime], Told]
"""Adds the n-th thing that happens, at that moment."""


def _last(told: Told, at: datetime, number: int, **changes: Any) -> Told:
    """One more action, which ran alone, and what became of it."""
    values = {"who": AUTONOMY_WHO, "alone": True} | changes
    one = decided(10_000 + number, at, **values)
    return Told((*told.record, one), told.changes, at + timedelta(minutes=30))


def _harm_said(told: Told, number: int, at: datetime) -> Told:
    harm = Harm(
        key="KEY", action=CAP.name, who="mira", why="it throttled a VIP job", time=at + timedelta(minutes=5)
    )
    return _last(told, at, number, harm=harm)


def _limit_broken(told: Told, number: int, at: datetime) -> Told:
    return _last(told, at, number, broke="gpu_temp_c 91 above 87", came_true=False)


def _failed(told: Told, number: int, at: datetime) -> Told:
    return _last(
        told, at, number, state="failed", message="the BMC did not answer", came_true=None, compared=None
    )


def _escalated(told: Told, number: int, at: datetime) -> Told:
    return _last(told, at, number, escalated=at + timedelta(minutes=20), escalated_by="mira")


def _rejected(told: Told, number: int, at: datetime) -> Told:
    return _last(told, at, number, who="mira", alone=False, type="reject", state=None, finished=None, rehearsed=False,
                 came_true=None, compared=None)  # fmt: skip


def _edited(told: Told, number: int, at: datetime) -> Told:
    return _last(told, at, number, who="mira", alone=False, changed=True)


def _untrue(told: Told, number: int, at: datetime) -> Told:
    return _last(told, at, number, came_true=False)


def _revoked(told: Told, number: int, at: datetime) -> Told:
    said = signed(at, what="revoked", level="assist", limits=None, who="mira", why="I want to look at it")
    return Told(told.record, (*told.changes, said), at + timedelta(seconds=1))


def _row_changed(told: Told, number: int, at: datetime) -> Told:
    return Told(told.record, tuple(one.model_copy(update={"sound": False}) for one in told.changes), at)


def _sensor(told: Told, number: int, at: datetime) -> Told:
    return Told(
        told.record, told.changes, at, troubles=("flow of cdu-1 has stood at one value for 20 minutes",)
    )


def _stopped(told: Told, number: int, at: datetime) -> Told:
    return Told(told.record, told.changes, at, stopped="mira: smoke in hall 1")


SCENARIOS: Mapping[str, tuple[Happens, int | None]] = {
    "a person says it did harm": (_harm_said, 0), "a limit is broken after it": (_limit_broken, 0),
    "it fails": (_failed, 0), "its incident is escalated": (_escalated, 0), "a person rejects one": (_rejected, 0),
    "a sensor is broken": (_sensor, 0), "everything is stopped": (_stopped, 0), "the signature is revoked": (_revoked, 0),
    "its row in the audit chain is changed": (_row_changed, 0), "people edit one after the other": (_edited, None),
    "rehearsals stop coming true": (_untrue, 9),
}  # fmt: skip
"""What happens, and how many further ones may run alone after the first; None: it is measured only."""


def fall(name: str, seed: int) -> dict[str, Any]:
    """How many more would have run alone after it happened first; None: it never stopped."""
    happens, aim = SCENARIOS[name]
    told, at = _runs_alone(random.Random(f"{name} {seed}"))
    before = _is_alone(told)
    after: int | None = None
    for number in range(MOST):
        at += APART
        told = happens(told, number, at)
        if not _is_alone(told):
            after = number
            break
    again = Told(told.record, (*told.changes, signed(told.now + timedelta(seconds=1))), told.now + timedelta(seconds=2),
                 told.troubles, told.stopped)  # fmt: skip
    return {
        "text": f"{name}: alone before {before}, {after} more ran alone", "alone_before": before, "after": after, "aim": aim,
        # Where the record fell (and no mere trouble of the moment), a signature on the old evidence must not lift it.
        "signed_again": name in _LOSE_THE_RECORD and _is_alone(again),
    }  # fmt: skip


_LOSE_THE_RECORD = frozenset(SCENARIOS) - {
    "a sensor is broken", "everything is stopped", "the signature is revoked", "its row in the audit chain is changed",
}  # fmt: skip
"""A signature that a person took back, or whose row was changed, may be given anew on the same record."""


def _runs_alone(rng: random.Random) -> tuple[Told, datetime]:
    """A record that carries closed loop, with some to spare, and its signature."""
    least = max(needed(0, share, alpha_of(0)) for share in (GOOD_ALONE, TRUE_ALONE))
    record = tuple(decided(number, BEGIN + number * APART) for number in range(least + rng.randrange(150)))
    at = record[-1].decided + APART
    return Told(record, (signed(at),), at + timedelta(seconds=1)), at


def _is_alone(told: Told) -> bool:
    """Whether the next one would run without anybody being asked."""
    state = State(
        standing=_read(told.record, told.changes, told.now), settings=SETTINGS, now=told.now, troubles=told.troubles,
        stopped=told.stopped,
    )  # fmt: skip
    return not may_run_alone(_proposal(told.now), state)


def _proposal(at: datetime) -> ActionProposal:
    args: dict[str, float | int | str | bool] = {"cap_w": 500.0}
    foreseen = Rehearsal(
        action=CAP.name, asset="gpu-01", args=args, as_of=at, horizon_s=600.0, members=16, confidence=0.95
    )
    return ActionProposal(
        id="ACT-1", incident_id="INC-1", action=Action(name=CAP.name, asset="gpu-01", args=args), risk="low",
        effect="caps", why="it runs hot", rollback="lift it", rehearsal=foreseen,
    )  # fmt: skip
