"""What people may say about a kind's level: set it, sign for running alone, take it back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from setpoint.autonomy.standing import Standing, lacking, standing
from setpoint.contracts.autonomy import (
    LEVELS,
    ActionKind,
    DecidedAction,
    Level,
    LevelChange,
    Limits,
    is_person,
)
from setpoint.errors import ActionRefused, UsageError
from setpoint.settings import AutonomySettings


class RecordLedger(Protocol):
    """What is read to know where a kind stands."""

    def level_changes(self, action: str) -> list[LevelChange]: ...

    def decided_actions(self, action: str) -> list[DecidedAction]: ...


class LevelLedger(RecordLedger, Protocol):
    """What is needed to change it."""

    def change_level(self, item: LevelChange) -> LevelChange: ...


def standing_of(
    kind: ActionKind, ledger: RecordLedger, settings: AutonomySettings, now: datetime
) -> Standing:
    """Where the kind stands at this moment."""
    return standing(kind, ledger.level_changes(kind.name), ledger.decided_actions(kind.name), settings, now)


def set_level(
    kind: ActionKind,
    level: str,
    who: str,
    why: str,
    ledger: LevelLedger,
    settings: AutonomySettings,
    now: datetime,
) -> LevelChange:
    """Give a kind another level below closed loop. Down always; up where the record allows.

    Raises UsageError for a level or a name that is none, ActionRefused where the record does not carry it.
    """
    _check_words(who, why)
    wanted = _level(level)
    if wanted == "closed loop":
        raise UsageError(
            "closed loop is not set, it is signed for",
            where=kind.name,
            remedy=f"setpoint autonomy sign {kind.name} --who NAME --why REASON",
        )
    now_at = standing_of(kind, ledger, settings, now)
    if LEVELS.index(wanted) > LEVELS.index(now_at.level):
        _refuse_what_lacks(now_at, wanted, settings)
    return ledger.change_level(_change(now_at, "set", wanted, who, why, None, now))


def sign(
    kind: ActionKind,
    who: str,
    why: str,
    limits: Limits,
    ledger: LevelLedger,
    settings: AutonomySettings,
    now: datetime,
) -> LevelChange:
    """Let a kind run alone, within these limits.

    Raises UsageError where no person is named or the limits are wider than the settings', ActionRefused where the kind
    may never run alone or its record does not carry it.
    """
    _check_words(who, why)
    _check_limits(limits, settings)
    now_at = standing_of(kind, ledger, settings, now)
    _refuse_what_lacks(now_at, "closed loop", settings)
    return ledger.change_level(_change(now_at, "signed", "closed loop", who, why, limits, now))


def revoke(
    kind: ActionKind, who: str, why: str, ledger: LevelLedger, settings: AutonomySettings, now: datetime
) -> LevelChange:
    """Back to assist at once, whatever the record says. A kind at observe or assist stays where it is."""
    _check_words(who, why)
    now_at = standing_of(kind, ledger, settings, now)
    level: Level = now_at.level if LEVELS.index(now_at.level) <= LEVELS.index("assist") else "assist"
    return ledger.change_level(_change(now_at, "revoked", level, who, why, None, now))


def _level(text: str) -> Level:
    words = " ".join(text.replace("-", " ").replace("_", " ").split()).lower()
    for level in LEVELS:
        if level == words:
            return level
    raise UsageError(f"no level {text!r}", remedy="One of: " + ", ".join(LEVELS))


def _check_words(who: str, why: str) -> None:
    if not is_person(who):
        raise UsageError(
            f"{who.strip() or 'nobody'} is no person's name",
            remedy="Give the name of who answers for it: --who",
        )
    if not why.strip():
        raise UsageError("a change of level needs a reason", remedy="Add --why")


def _check_limits(limits: Limits, settings: AutonomySettings) -> None:
    for name, asked, most in (
        ("hour", limits.per_hour, settings.per_hour),
        ("day", limits.per_day, settings.per_day),
    ):
        if asked > most:
            raise UsageError(
                f"{asked} an {name}, at most {most}"
                if name == "hour"
                else f"{asked} a {name}, at most {most}",
                where="limits",
                remedy=f"Sign for less, or raise autonomy.per_{name}",
            )
    if not limits.assets.strip():
        raise UsageError("the signature is for no asset", remedy="Give --assets, as 'gpu-0*'")


def _refuse_what_lacks(now_at: Standing, wanted: Level, settings: AutonomySettings) -> None:
    lacks: Sequence[str] = lacking(now_at, wanted, settings)
    if lacks:
        raise ActionRefused(
            f"it cannot go to {wanted}: {'; '.join(lacks)}",
            where=now_at.kind.name,
            remedy=f"its record: setpoint autonomy show {now_at.kind.name}",
        )


def _change(
    now_at: Standing, what: str, level: Level, who: str, why: str, limits: Limits | None, now: datetime
) -> LevelChange:
    """What goes into the audit chain: the word, and the record it was given on."""
    body = {"action": now_at.kind.name, "what": what, "level": level, "who": " ".join(who.split()), "why": why.strip(),
            "time": now, "limits": limits, "decisions": now_at.decisions, "rehearsals": now_at.rehearsals,
            "tries": now_at.tries}  # fmt: skip
    return LevelChange.model_validate(body)
