"""What came of the maintenance loop, held against the truth of the simulated parts: failures that it had named, parts
that were renewed in time, and false alarms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from plant.control.days_wear import WornPart
from setpoint.app.formatting import counted
from setpoint.contracts.loops import Cycle

DAY_S = 86400.0
PartOf = tuple[str, str]
"""Asset and title of the part."""


@dataclass(frozen=True)
class Ended:
    """A part that failed, or that was renewed before it did."""

    asset: str
    part: str
    fails_at: datetime
    """When it failed, or would have."""
    failed: bool
    announced: bool
    """Its readings showed wear; else it failed out of the blue."""
    named_at: datetime | None
    """When a plan first had a window for it, or asked for a ticket; None: it came unnamed."""
    renewed_at: datetime | None

    @property
    def lead_days(self) -> float | None:
        """From being named to failing, in days."""
        return None if self.named_at is None else (self.fails_at - self.named_at).total_seconds() / DAY_S


@dataclass(frozen=True)
class FalseAlarm:
    """A part for which work was planned though it would have lasted beyond the plan's horizon."""

    asset: str
    part: str
    named_at: datetime
    fails_at: datetime


@dataclass(frozen=True)
class WearVerdict:
    """Of one run, all by time."""

    parts: int
    """That wear on this site."""
    horizon_days: float
    """Of the plans; what fails within it of being named was named rightly."""
    failures: tuple[Ended, ...]
    spared: tuple[Ended, ...]
    """Renewed while they still ran, which the horizon would have seen fail."""
    false_alarms: tuple[FalseAlarm, ...]
    open: int
    """Named, still running at the end, and rightly so."""

    @property
    def named(self) -> tuple[Ended, ...]:
        """Failures that were named before."""
        return tuple(one for one in self.failures if one.named_at is not None)

    @property
    def missed(self) -> tuple[Ended, ...]:
        """Failures that readings announced and no plan named."""
        return tuple(one for one in self.failures if one.announced and one.named_at is None)


def judged(truth: Sequence[WornPart], cycles: Iterable[Cycle], start: datetime, end: datetime) -> WearVerdict:
    """The plans of the maintenance loop's cycles from `start` to `end` against the truth of the parts."""
    plans = [cycle for cycle in cycles if cycle.loop == "maintenance"]
    horizon = timedelta(seconds=max((one.plan.horizon_s for one in plans), default=0.0))
    names: dict[PartOf, list[datetime]] = {}
    for cycle in plans:
        asked = {one.action.asset for one in cycle.proposals}
        for task in cycle.plan.tasks:
            if task.window_start is not None or task.asset in asked:
                names.setdefault((task.asset, task.part), []).append(cycle.at)
    failures, spared, alarms, rightly = [], [], [], 0
    for unit in truth:
        if (at := unit.renewed_at or unit.fails_at) < start or unit.fails_at < start:
            continue
        named_at = _first_named(unit, names.get((unit.asset, unit.part), ()))
        if unit.failed and unit.fails_at <= end:
            failures.append(_ended(unit, named_at))
        elif (
            unit.renewed_at is not None
            and at <= end
            and unit.ticket_at
            and unit.fails_at <= unit.ticket_at + horizon
        ):
            spared.append(_ended(unit, named_at))
    for key, moments in names.items():
        for named_at in _episodes(moments, key, truth):
            lasts = min(_ends_of(key, truth, named_at), default=None)
            if lasts is None or lasts > named_at + horizon:
                alarms.append(FalseAlarm(*key, named_at, lasts or end + horizon))
            elif lasts > end and not _was_renewed(key, truth, named_at):
                rightly += 1
    return WearVerdict(
        len({(one.asset, one.part) for one in truth}), horizon.total_seconds() / DAY_S,
        tuple(sorted(failures, key=lambda one: one.fails_at)), tuple(sorted(spared, key=lambda one: one.fails_at)),
        tuple(sorted(alarms, key=lambda one: one.named_at)), rightly,
    )  # fmt: skip


def _first_named(unit: WornPart, moments: Sequence[datetime]) -> datetime | None:
    """When it was first named in its life. One of many alike that fails without a sign was not what was meant."""
    if unit.number >= 0 and not unit.announced:
        return None
    gone = unit.renewed_at or unit.fails_at
    before = min(gone, unit.fails_at) if unit.failed else gone
    return next((at for at in moments if unit.since <= at < before), None)


def _ended(unit: WornPart, named_at: datetime | None) -> Ended:
    return Ended(unit.asset, unit.part, unit.fails_at, unit.failed, unit.announced, named_at, unit.renewed_at)


def _episodes(moments: Sequence[datetime], key: PartOf, truth: Sequence[WornPart]) -> Iterator[datetime]:
    """First namings of a part: again after one of it was renewed."""
    renewals = sorted(
        one.renewed_at for one in truth if (one.asset, one.part) == key and one.renewed_at is not None
    )
    last: datetime | None = None
    for at in moments:
        if last is None or any(last < renewed <= at for renewed in renewals):
            yield at
            last = at


def _ends_of(key: PartOf, truth: Sequence[WornPart], at: datetime) -> Iterator[datetime]:
    """When those in place at that moment fail, of many alike those that show it."""
    return (
        one.fails_at for one in truth
        if (one.asset, one.part) == key and one.since <= at < (one.renewed_at or one.fails_at)
        and (one.announced or one.number < 0)
    )  # fmt: skip


def _was_renewed(key: PartOf, truth: Sequence[WornPart], after: datetime) -> bool:
    return any(
        (one.asset, one.part) == key and one.renewed_at is not None and one.renewed_at > after
        for one in truth
    )


# ---- words ---------------------------------------------------------------------------------------------------------


def wear_words(verdict: WearVerdict, without_failed: float | None = None) -> list[str]:
    """In sentences: what failed, what was named and when, what was spared, false alarms."""
    failed, named = verdict.failures, verdict.named
    signs = sum(one.announced for one in failed)
    said = [
        f"Parts wear by the seed: {counted(len(failed), 'part')} of {verdict.parts} failed in these days"
        + (f" ({without_failed:.0f} without the loop)" if without_failed is not None else "")
        + (f", {signs} after a sign in their readings and {len(failed) - signs} out of the blue." if failed else ".")
    ]  # fmt: skip
    if failed:
        leads = sorted(one.lead_days or 0.0 for one in named)
        ahead = "" if not leads else f", {leads[0]:.1f} days ahead" if len(leads) == 1 else f", {leads[0]:.1f} to {leads[-1]:.1f} days ahead"  # fmt: skip
        said.append(f"Of those with a sign the loop had named {len(named)} before they failed{ahead}; it missed {len(verdict.missed)}.")  # fmt: skip
    days = f"{verdict.horizon_days:.0f} days"
    said.append(
        f"{counted(len(verdict.spared), 'part')} that would have failed within {days} "
        f"{'was' if len(verdict.spared) == 1 else 'were'} renewed before; {verdict.open} more "
        f"{'is' if verdict.open == 1 else 'are'} in the plan, rightly, and still run{'s' if verdict.open == 1 else ''}."
    )  # fmt: skip
    said.append(
        f"False alarms (work planned for a part that lasts longer than {days}): {len(verdict.false_alarms)}."
    )
    return said


def wear_rows(verdict: WearVerdict) -> list[tuple[str, str, str, str, str]]:
    """(asset, part, what came, when, named), by time."""
    rows = [
        (one.fails_at, one.asset, one.part, "failed" if one.failed else "renewed before it failed",
         f"{one.named_at:%d %b}, {one.lead_days:.1f} days ahead" if one.named_at
         else "missed" if one.announced else "no: nothing announced it")
        for one in (*verdict.failures, *verdict.spared)
    ]  # fmt: skip
    rows += [
        (
            one.fails_at,
            one.asset,
            one.part,
            f"false alarm: lasts {(one.fails_at - one.named_at).total_seconds() / DAY_S:,.0f} days",
            f"{one.named_at:%d %b}",
        )
        for one in verdict.false_alarms
    ]
    return [(asset, part, what, f"{at:%Y-%m-%d %H:%M}", named) for at, asset, part, what, named in sorted(rows)]  # fmt: skip
