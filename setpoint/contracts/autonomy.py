"""Autonomy: how far a kind of action may go without a person, and what that rests on."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Literal

from pydantic import Field

from setpoint.contracts.action import ActionState, DecisionType, RiskClass
from setpoint.contracts.event import Frozen

AUTONOMY_WHO = "setpoint (autonomy)"
"""Who decided, where an action ran alone. Its decisions are no person's: they count for nothing that is earned."""
_OURS = ("setpoint", "executor", "triage", "plant", "policy", "slow-path", "retention", AUTONOMY_WHO)
Level = Literal["observe", "assist", "advise", "closed loop"]
LEVELS: tuple[Level, ...] = ("observe", "assist", "advise", "closed loop")
"""From the least to the most."""


class ActionKind(Frozen):
    """What the catalog says of one kind of action, as far as autonomy asks."""

    name: str
    risk: RiskClass
    reversible: bool
    may_run_alone: bool
    why_not_alone: str = ""
    """The catalog's reason where a kind of low risk may still never run alone."""


class Limits(Frozen):
    """What a signature allows. Nothing that runs can change it."""

    per_hour: int = Field(ge=1)
    per_day: int = Field(ge=1)
    assets: str = "*"
    """Glob over asset names, case-sensitive."""


class Count(Frozen):
    """One share and the bound below it."""

    good: int
    bad: int
    lower: float = Field(ge=0.0, le=1.0)
    """The true share is above this, whenever one looks, but for a chance of `alpha`."""
    required: float
    alpha: float
    more: int
    """Further good ones in a row until `lower` reaches `required`; 0 where it does."""

    @property
    def holds(self) -> bool:
        return self.more == 0


class LevelChange(Frozen):
    """What a person said about one kind's level. It stands in the audit chain as it is."""

    action: str
    what: Literal["set", "signed", "revoked"]
    level: Level
    who: str
    why: str
    time: datetime
    limits: Limits | None = None
    """Of a signature."""
    decisions: Count | None = None
    """Share of decisions that were a plain yes without harm, when it was said."""
    rehearsals: Count | None = None
    """Share of rehearsals that came true, when it was said."""
    tries: int = 0
    """Falls from closed loop before it."""
    sound: bool = True
    """False: the audit row it was read from does not have the hash it should."""


class Harm(Frozen):
    """A person's word that an action did harm."""

    key: str
    """Of the action."""
    action: str
    who: str
    why: str
    time: datetime


class DecidedAction(Frozen):
    """One proposed action that was decided, and everything that came of it."""

    review_id: str
    incident_id: str
    decided: datetime
    who: str
    type: DecisionType
    changed: bool
    """Somebody edited it before the yes."""
    alone: bool = False
    """Decided by autonomy and not by a person."""
    key: str = ""
    """Of the executed action; "" where none was begun."""
    asset: str = ""
    state: ActionState | None = None
    dry_run: bool = False
    message: str = ""
    finished: datetime | None = None
    rehearsed: bool = False
    """A rehearsal was noted for it; what came is compared with it."""
    came_true: bool | None = None
    """None: not compared yet, or not to be compared."""
    compared: datetime | None = None
    broke: str = ""
    """The limit that was broken within the rehearsal's horizon and not before it, in words."""
    harm: Harm | None = None
    escalated: datetime | None = None
    """When a person escalated its incident after it was done."""
    escalated_by: str = ""


def plain_name(who: str) -> str:
    """A name by which two spellings of one person are known as one: case, blanks, width and what nobody sees aside.

    >>> plain_name(" Ada\u200b  \uff2covelace ")
    'ada lovelace'
    """
    seen = "".join(char for char in unicodedata.normalize("NFKC", who) if unicodedata.category(char) != "Cf")
    return " ".join(seen.split()).casefold()


def is_person(who: str) -> bool:
    """Whether the name may be a person's: Setpoint's own parts can neither sign nor decide for themselves.

    >>> is_person("Ada Lovelace"), is_person(" setpoint (autonomy)"), is_person("--decide approve"), is_person("")
    (True, False, False, False)
    """
    name = plain_name(who)
    ours = name in _OURS or name.startswith(("setpoint", "--decide"))
    return any(letter.isalpha() for letter in name) and not ours
