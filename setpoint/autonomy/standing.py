"""Where one kind of action stands: a pure reading of its record, done anew at each look.

Levels rise by what people say, which stands in the audit chain; they fall by themselves. Nothing has to run for a fall:
whoever reads the record after the event that brings it reads the lower level. After a fall from closed loop evidence
counts anew, against a bound that is stricter with each try (rules.alpha_of).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from setpoint.autonomy import rules
from setpoint.autonomy.bound import count, exceeds
from setpoint.autonomy.evidence import COUNTED, Judged, Verdict, judge
from setpoint.contracts import Frozen
from setpoint.contracts.autonomy import LEVELS, ActionKind, Count, DecidedAction, Level, LevelChange
from setpoint.settings import AutonomySettings


class Fall(Frozen):
    """A level that was lost without a person taking it."""

    time: datetime
    level: Level
    """What it was."""
    why: str


class Standing(Frozen):
    """One kind's level, what it rests on and what it would take to rise."""

    kind: ActionKind
    level: Level
    why: str
    """What holds it there."""
    decisions: Count
    """Share of plain yeses without harm, against what running alone requires."""
    advised: Count
    """The same share, against what a recommendation requires."""
    rehearsals: Count
    """Share of rehearsals that came true, against what running alone requires."""
    days: int
    """On which good decisions were made."""
    tally: dict[Verdict, int]
    """All decisions, those of earlier tries too."""
    tries: int
    """Falls from closed loop."""
    since: datetime | None
    """Evidence counts from here; None: from the beginning."""
    signature: LevelChange | None
    """In force."""
    falls: tuple[Fall, ...]
    next_level: Level | None
    to_rise: tuple[str, ...]
    """What it would take, in words."""


def standing(
    kind: ActionKind, changes: Sequence[LevelChange], decided: Sequence[DecidedAction], settings: AutonomySettings,
    now: datetime,
) -> Standing:  # fmt: skip
    """Read a whole record, in the order in which it became known."""
    run = _Run(kind)
    judged = [judge(item, now, settings.watch_s) for item in decided]
    for happening in sorted(_happenings(changes, judged), key=lambda one: one.at):
        run.take(happening)
    return _told(run, judged, settings, now)


# ---- reading a record ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Happening:
    at: datetime
    change: LevelChange | None = None
    judged: Judged | None = None
    came_true: bool | None = None


def _happenings(changes: Sequence[LevelChange], judged: Sequence[Judged]) -> list[_Happening]:
    """At one moment what is known of actions comes before what people say of levels."""
    counted = [one for one in judged if one.verdict in COUNTED]
    known = [_Happening(one.at, judged=one) for one in (*counted, *(o.instead for o in counted if o.instead))]
    runs = [
        _Happening(one.item.compared, came_true=one.item.came_true)
        for one in judged
        if one.item.compared is not None and one.item.came_true is not None
    ]
    return known + runs + [_Happening(one.time, change=one) for one in changes]


@dataclass
class _Run:
    """The level and the evidence as they go on through a record."""

    kind: ActionKind
    level: Level = "assist"
    why: str = "every kind begins here; nobody has changed it"
    tries: int = 0
    since: datetime | None = None
    signature: LevelChange | None = None
    good: int = 0
    bad: int = 0
    days: set[date] = field(default_factory=set)
    came_true: int = 0
    came_otherwise: int = 0
    latest: deque[bool] = field(default_factory=lambda: deque(maxlen=rules.DRIFT_OF))
    falls: list[Fall] = field(default_factory=list)

    @property
    def alpha(self) -> float:
        return rules.alpha_of(self.tries)

    def take(self, one: _Happening) -> None:
        if one.change is not None:
            self._said(one.change)
        elif one.judged is not None:
            self._known(one.judged)
        elif one.came_true is not None:
            self._compared(one.came_true, one.at)

    def _said(self, change: LevelChange) -> None:
        problem = self._against(change)
        if problem:
            self.why = (
                f"{change.level} was {change.what} by {change.who} on {_day(change.time)}, but {problem}"
            )
            return
        self.level = change.level
        self.signature = change if change.what == "signed" else None
        self.why = f"{change.what} by {change.who} on {_day(change.time)}: {change.why}"

    def _against(self, change: LevelChange) -> str:
        """Why what was said does not count. Levels below the present one always do."""
        if not change.sound:
            return "its row in the audit chain was changed afterwards: it does not count"
        if change.level == "closed loop":
            if change.what != "signed" or change.limits is None:
                return "only a signature with limits counts for it"
            never = rules.never_alone(self.kind)
            return never or ("" if self._carries() else "the record did not carry it then")
        if change.level == "advise" and LEVELS.index(self.level) < LEVELS.index("advise"):
            return "" if self._carries_advice() else "the record did not carry it then"
        return ""

    def _carries(self) -> bool:
        return exceeds(self.good, self.bad, rules.GOOD_ALONE, self.alpha) and exceeds(
            self.came_true, self.came_otherwise, rules.TRUE_ALONE, self.alpha
        )

    def _carries_advice(self) -> bool:
        return exceeds(self.good, self.bad, rules.GOOD_ADVISE, self.alpha)

    def _known(self, judged: Judged) -> None:
        if judged.verdict == "good":
            self.good += 1
            self.days.add(judged.item.decided.date())
            return
        self._take_back(judged.instead)
        self.bad += 1
        if judged.verdict in ("harm", "rejected"):
            self._fall(judged.at, judged.why)
        elif (self.level == "closed loop" and not self._carries()) or (
            self.level == "advise" and not self._carries_advice()
        ):
            self._fall(judged.at, f"{judged.why}, and its record no longer carries the level")

    def _take_back(self, judged: Judged | None) -> None:
        """What was thought of an action until its harm became known. That of an earlier try counts no more anyway."""
        if judged is None or (self.since is not None and judged.at <= self.since):
            return
        if judged.verdict == "good":
            self.good -= 1
        else:
            self.bad -= 1

    def _compared(self, came_true: bool, at: datetime) -> None:
        self.latest.append(came_true)
        self.came_true += came_true
        self.came_otherwise += not came_true
        untrue = self.latest.count(False)
        if untrue >= rules.DRIFT_UNTRUE:
            self._fall(at, f"{untrue} of the last {len(self.latest)} rehearsals did not come true: the plant model has "
                           "drifted from the site")  # fmt: skip

    def _fall(self, at: datetime, why: str) -> None:
        """Only what stands above assist can fall."""
        if LEVELS.index(self.level) <= LEVELS.index("assist"):
            return
        self.falls.append(Fall(time=at, level=self.level, why=why))
        self.why = f"fell from {self.level} on {at:%Y-%m-%d %H:%M} UTC: {why}"
        if self.level == "closed loop":
            self._begin_anew(at)
        self.level, self.signature = "assist", None

    def _begin_anew(self, at: datetime) -> None:
        self.tries, self.since = self.tries + 1, at
        self.good = self.bad = self.came_true = self.came_otherwise = 0
        self.days.clear()
        self.latest.clear()


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


# ---- telling it ---------------------------------------------------------------------------------------------


def _told(run: _Run, judged: Sequence[Judged], settings: AutonomySettings, now: datetime) -> Standing:
    level, why, signature = run.level, run.why, run.signature
    if LEVELS.index(level) > LEVELS.index(settings.highest):
        why = f"autonomy.highest is {settings.highest}; it would be {level}: {why}"
        level, signature = settings.highest, None
    decisions = count(run.good, run.bad, rules.GOOD_ALONE, run.alpha)
    advised = count(run.good, run.bad, rules.GOOD_ADVISE, run.alpha)
    rehearsals = count(run.came_true, run.came_otherwise, rules.TRUE_ALONE, run.alpha)
    tally: dict[Verdict, int] = {}
    for one in judged:
        tally[one.verdict] = tally.get(one.verdict, 0) + 1
    following = _next(level, run.kind, settings)
    short = _Shortfall(run.kind, decisions, advised, rehearsals, max(0, settings.least_days - len(run.days)))
    return Standing(
        kind=run.kind, level=level, why=why, decisions=decisions, advised=advised, rehearsals=rehearsals,
        days=len(run.days), tally=tally, tries=run.tries, since=run.since, signature=signature,
        falls=tuple(run.falls), next_level=following, to_rise=short.for_level(following, settings),
    )  # fmt: skip


def _next(level: Level, kind: ActionKind, settings: AutonomySettings) -> Level | None:
    highest = LEVELS.index(settings.highest)
    if rules.never_alone(kind):
        highest = min(highest, LEVELS.index("advise"))
    place = LEVELS.index(level)
    return LEVELS[place + 1] if place < highest else None


@dataclass(frozen=True)
class _Shortfall:
    """What a record lacks."""

    kind: ActionKind
    decisions: Count
    advised: Count
    rehearsals: Count
    days: int

    def for_level(self, level: Level | None, settings: AutonomySettings) -> tuple[str, ...]:
        if level is None:
            never = rules.never_alone(self.kind)
            held = f"autonomy.highest is {settings.highest}"
            top = "nothing: it has the highest level" if settings.highest == "closed loop" else held
            return (f"it cannot rise: {never}",) if never else (top,)
        return self.lacks(level) or (_how(level, self.kind.name),)

    def lacks(self, level: Level) -> tuple[str, ...]:
        """Empty where a person may give it now."""
        if level in ("observe", "assist"):
            return ()
        decisions = self.advised if level == "advise" else self.decisions
        found = []
        if decisions.more:
            found.append(
                f"{decisions.more} more plain yeses without harm in a row: the bound is {decisions.lower:.3f}, and "
                f"{level} requires {decisions.required:g}"
            )
        if level == "closed loop" and self.rehearsals.more:
            found.append(
                f"{self.rehearsals.more} more rehearsals that come true: the bound is {self.rehearsals.lower:.3f}, and "
                f"{level} requires {self.rehearsals.required:g}"
            )
        if level == "closed loop" and self.days:
            found.append(f"good decisions on {self.days} more {'day' if self.days == 1 else 'days'}")
        return tuple(found)


def _how(level: Level, name: str) -> str:
    if level == "closed loop":
        return f"a person's signature: setpoint autonomy sign {name} --who NAME --why REASON"
    return f"a person's word: setpoint autonomy set {name} {level} --why REASON"


def lacking(one: Standing, level: Level, settings: AutonomySettings) -> tuple[str, ...]:
    """What the record lacks for a level, in words; empty where a person may give it now."""
    if LEVELS.index(level) > LEVELS.index(settings.highest):
        return (f"autonomy.highest is {settings.highest}",)
    never = rules.never_alone(one.kind) if level == "closed loop" else ""
    if never:
        return (never,)
    days = max(0, settings.least_days - one.days)
    return _Shortfall(one.kind, one.decisions, one.advised, one.rehearsals, days).lacks(level)
