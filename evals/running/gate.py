"""The gate: a run held against a baseline. What falls by more than its interval allows must be looked at by a person.

A baseline is the record of a run without what changes from run to run: seconds, costs, and figures that only inform.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from evals.figures import Figure
from evals.running.compare import Difference, changed, difference, pairs_of, title_of
from evals.running.record import Asked, Cost, Outcome, Ran, Record
from setpoint.errors import UsageError

DIGITS = 4
"""Of the values a baseline keeps."""


@dataclass(frozen=True)
class Fall:
    """Why the gate is shut."""

    suite: str
    contender: str
    what: str
    """In one sentence."""
    difference: Difference | None = None
    """None where something is missing or broke."""
    broken: tuple[str, ...] = ()
    """Cases that were fine in the baseline, with what is wrong now."""


@dataclass(frozen=True)
class Verdict:
    """What the gate says."""

    falls: tuple[Fall, ...]
    rises: tuple[Difference, ...]
    """Figures that are better than the baseline by more than chance: time for a new one."""
    not_measured: tuple[str, ...]
    """Sets of the baseline whose data is not on this machine."""
    broken: tuple[str, ...]
    """Cases that were fine in the baseline and are not, whether or not a figure fell."""
    held: int
    """Figures that were held against the baseline."""

    @property
    def passed(self) -> bool:
        return not self.falls


def hold(baseline: Record, record: Record) -> Verdict:
    """Raises UsageError where the two ran other cases, so that nothing can be said."""
    _same_ask(baseline.asked, record.asked)
    falls, rises, absent, held = list[Fall](), list[Difference](), list[str](), 0
    pairs = [pair for pair in pairs_of(baseline, record) if not _yardstick(baseline, pair[0])]
    for old, new in pairs:
        missing = list(_not_here(old, new))
        absent += [f"{old.suite}: {name}" for name in missing]
        for one in _held(old, new, missing):
            if isinstance(one, Fall):
                falls.append(one)
                continue
            held += 1
            if one.verdict == "worse":
                falls.append(_fall(one, old, new))
            elif one.verdict == "better":
                rises.append(one)
        falls += _cases_gone(old, new, missing)
        falls += [
            Fall(new.suite, new.contender, f"a case could not be judged: {error}") for error in new.errors
        ]
        if new.failed_gate:
            falls.append(Fall(new.suite, new.contender, f"the suite refuses its figures: {new.failed_gate}"))
    known = [old for old, _ in pairs]
    for old in baseline.ran:
        if old not in known and not _yardstick(baseline, old):
            falls.append(Fall(old.suite, old.contender, "it did not run, and stands in the baseline"))
    if record.interrupted:
        falls.append(Fall("", "", "the run was interrupted"))
    broken = tuple(line for old, new in pairs for line in changed(old, new))
    return Verdict(tuple(falls), tuple(rises), tuple(dict.fromkeys(absent)), broken, held)


def _yardstick(baseline: Record, ran: Ran) -> bool:
    """Severity words are what the product is measured against, not the product: they may fall."""
    return baseline.contenders.get(ran.contender, {}).get("system") == "severity"


def _same_ask(baseline: Asked, run: Asked) -> None:
    for name in ("seed", "split", "epochs"):
        old, new = getattr(baseline, name), getattr(run, name)
        if old != new:
            raise UsageError(
                f"the run has {name} {new}, the baseline {old}: nothing can be said",
                remedy=f"Run it again with --{name} {old}",
            )


def _not_here(old: Ran, new: Ran) -> Iterator[str]:
    """Sets that the run names as skipped: their names, with commas between, stand before the colon of the reason."""
    heads = [reason.partition(":")[0].strip() for reason in new.skipped]
    skipped = {*heads, *(name for head in heads for name in head.split(", "))}
    measured = {figure.set for figure in new.figures}
    for name in dict.fromkeys(figure.set for figure in old.figures):
        if name not in measured and any(name == one or name.startswith(f"{one} ") for one in skipped if one):
            yield name


def _held(old: Ran, new: Ran, absent: list[str]) -> Iterator[Difference | Fall]:
    later = {figure.key: figure for figure in new.figures}
    for figure in old.figures:
        if not figure.better or figure.set in absent:
            continue
        if figure.key not in later:
            yield Fall(
                new.suite, new.contender, f"{figure.key}: no longer measured; it was {figure.value:.3f}"
            )
        else:
            yield difference(old.suite, title_of(old, new), figure, later[figure.key])


def _fall(one: Difference, old: Ran, new: Ran) -> Fall:
    allowed = (
        "no fall at all is allowed"
        if one.hard
        else f"95 % interval of the change {one.low:+.3f} to {one.high:+.3f}"
    )
    over = f"over {one.n} cases one by one" if one.paired else "from the two intervals"
    what = f"{one.key}: {one.before:.3f} -> {one.after:.3f} ({one.change:+.3f}; {allowed}, {over})"
    return Fall(one.suite, one.contender, what, one, _broken(one, old, new))


def _broken(one: Difference, old: Ran, new: Ran) -> tuple[str, ...]:
    """The cases in which this figure fell, else all that were fine and are not."""
    before, after = (next(f for f in ran.figures if f.key == one.key) for ran in (old, new))
    sign = 1 if one.better == "higher" else -1
    fallen = [case for case in before.cases if sign * (after.cases.get(case, 0) - before.cases[case]) < 0]
    if not (before.cases and after.cases):
        return tuple(line.partition(": ")[2] for line in changed(old, new))
    return tuple(f"{case}: {_said(new.cases.get(case))}" for case in fallen if case in after.cases)


def _said(outcome: Outcome | None) -> str:
    if outcome is None or outcome.fine:
        return "its value fell"
    return outcome.error or "; ".join(outcome.problems)


def _cases_gone(old: Ran, new: Ran, absent: list[str]) -> Iterator[Fall]:
    """Cases of the baseline that did not run here, those of absent sets apart."""
    excused = {case for figure in old.figures if figure.set in absent for case in figure.cases}
    # Without values of its cases an absent set does not say which they are; then none can be missed.
    unknown = any(figure.set in absent and not figure.cases for figure in old.figures)
    gone = [case for case in old.cases if case not in new.cases and case not in excused]
    if gone and not unknown:
        shown = ", ".join(gone[:5]) + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
        yield Fall(new.suite, new.contender, f"cases of the baseline did not run: {shown}")


# ---- baselines -----------------------------------------------------------------------------------------------------


def baseline_of(record: Record) -> Record:
    """What is kept of a run. Raises UsageError where the run is not whole."""
    if record.errors or record.interrupted or record.model_missing:
        why = record.errors[0] if record.errors else "it was interrupted"
        raise UsageError(f"no baseline from a run that is not whole: {why}", where=record.name)
    ran = sorted((_kept(one) for one in record.ran), key=lambda one: (one.suite, one.contender))
    return replace(record, name="baseline", ran=tuple(ran), seconds=0.0)


def _kept(ran: Ran) -> Ran:
    cases = {case: Outcome(outcome.problems) for case, outcome in sorted(ran.cases.items())}
    figures = tuple(_rounded(figure) for figure in ran.figures if figure.better)
    return replace(ran, figures=figures, cases=cases, cost=Cost(), seconds=0.0, log="", failed_gate="")


def _rounded(figure: Figure) -> Figure:
    return replace(
        figure,
        value=round(figure.value, DIGITS),
        low=round(figure.low, DIGITS),
        high=round(figure.high, DIGITS),
        cases={case: round(value, DIGITS) for case, value in sorted(figure.cases.items())},
    )
