"""Plain sentences about a plan, each with its facts apart, so that a model may say them otherwise and code can check it.

A line is words with slots, as in alerts: "{metric} rises from {value} now to {value1} at {time}". Every number, time and
name in it stands in the line's fact sheet. What the interpreter and the advisor say is built from such lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from setpoint.contracts import Action, Fact, FactSheet
from setpoint.contracts.facts import FactKind
from setpoint.contracts.loops import LoopPlan, Move
from setpoint.errors import InputError
from tools.actions import describe, spec_of

_SLOT_OF: dict[FactKind, str] = {
    "asset": "asset", "metric": "metric", "quantity": "value", "limit": "limit", "count": "count", "time": "time",
    "duration": "span", "name": "name", "quote": "said",
}  # fmt: skip
_MONEY = ("EUR", "USD", "GBP", "CHF", "JPY")
_WORD_UNITS = {"pct": "%", "percent": "%", "lpm": "L/min", "LPM": "L/min", "degC": "C", "pu": "", "share": ""}
MOST_NAMED = 3
"""Of like things so many are named, the others counted."""


@dataclass(frozen=True)
class Told:
    """Lines with their facts. The first `lead` of them may be said by a model."""

    lines: tuple[str, ...]
    sheet: FactSheet
    lead: int = 0

    @property
    def text(self) -> str:
        """All of it, facts filled in."""
        return " ".join(self.sheet.fill(line) for line in self.lines)

    def sheet_of(self, lines: Sequence[str]) -> FactSheet:
        """The facts of those lines alone, all of them required."""
        used = [fact for fact in self.sheet.facts if any(f"{{{fact.slot}}}" in line for line in lines)]
        return self.sheet.model_copy(
            update={"facts": tuple(fact.model_copy(update={"required": True}) for fact in used)}
        )


@dataclass
class Teller:
    """Collects lines and their facts. `zone`: in which times are told."""

    plan: LoopPlan
    zone: tzinfo
    lines: list[str] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    lead: int = 0

    def fact(self, kind: FactKind, text: str) -> str:
        """The slot of a fact, made where there is none with that text yet."""
        known = next((one for one in self.facts if (one.kind, one.text) == (kind, text)), None)
        if known:
            return f"{{{known.slot}}}"
        slot = _numbered(_SLOT_OF[kind], sum(one.kind == kind for one in self.facts))
        self.facts.append(Fact(slot=slot, kind=kind, text=text, evidence_id="E1"))
        return f"{{{slot}}}"

    def amount(self, value: float, unit: str) -> str:
        return self.fact("quantity", quantity(value, unit))

    def time(self, moment: datetime) -> str:
        return self.fact("time", when(moment, self.plan.made, self.zone))

    def asset(self, name: str) -> str:
        return self.fact("asset", name)

    def quote(self, text: str) -> str:
        """A whole sentence of code's own, as one fact: it ends with a full stop."""
        clean = " ".join(text.split())
        return self.fact("quote", clean if clean.endswith((".", "!", "?")) else f"{clean}.")

    def say(self, line: str, *, lead: bool = False) -> None:
        """Add a line. `lead`: a model may say it, where all lines before it may be too."""
        if lead and self.lead == len(self.lines):
            self.lead += 1
        self.lines.append(line)

    def told(self) -> Told:
        condition = f"plan of the {self.plan.loop} loop"
        return Told(tuple(self.lines), FactSheet(condition=condition, facts=tuple(self.facts)), self.lead)


def _numbered(base: str, many: int) -> str:
    """
    >>> _numbered("value", 0), _numbered("value", 3), _numbered("value", 12)
    ('value', 'value3', 'valueb2')
    """
    if not many:
        return base
    return f"{base}{chr(ord('a') + many // 10) if many > 9 else ''}{many % 10}"


def lower_first(text: str) -> str:
    """A title inside a sentence: names written with several capitals or digits keep them.

    >>> lower_first("Grid draw"), lower_first("GPU temperature"), lower_first("CDU-1 return")
    ('grid draw', 'GPU temperature', 'CDU-1 return')
    """
    word = text.split(" ", 1)[0]
    keeps = any(char.isupper() or char.isdigit() for char in word[1:])
    return text if keeps else text[:1].lower() + text[1:]


def upper_first(text: str) -> str:
    """As it begins a sentence; the names of assets and metrics keep how they are written.

    >>> upper_first("the heat balance"), upper_first("feed-a is silent"), upper_first("return_temp_c is old")
    ('The heat balance', 'feed-a is silent', 'return_temp_c is old')
    """
    word = text.split(" ", 1)[0]
    is_name = any(char in "_-" or char.isdigit() for char in word)
    return text if is_name else text[:1].upper() + text[1:]


# ---- figures -----------------------------------------------------------------------------------------------------


def figure(value: float) -> str:
    """Three figures that mean something, large numbers whole.

    >>> figure(1412.3), figure(41.27), figure(0.1234), figure(980.0), figure(-0.0)
    ('1,412', '41.3', '0.123', '980', '0')
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value + 0.0:.3g}"


def unit_sign(unit: str) -> str:
    """A unit as it is written.

    >>> unit_sign("lpm"), unit_sign("kW"), unit_sign("pct")
    ('L/min', 'kW', '%')
    """
    return _WORD_UNITS.get(unit, unit)


def quantity(value: float, unit: str) -> str:
    """
    >>> quantity(1412.3, "kW"), quantity(0.0312, "share"), quantity(120.4, "EUR"), quantity(41.0, "lpm")
    ('1,412 kW', '3.12 %', '120 EUR', '41 L/min')
    """
    if unit == "share":
        return f"{figure(100 * value)} %"
    return f"{figure(value)} {unit_sign(unit)}".strip()


def span_of(low: float, high: float, unit: str) -> str:
    """
    >>> span_of(1350.2, 1480.0, "kW")
    '1,350 to 1,480 kW'
    """
    if unit == "share":
        low, high, unit = 100 * low, 100 * high, "%"
    return f"{figure(low)} to {figure(high)} {unit_sign(unit)}".strip()


def share(value: float) -> str:
    """A chance or a part in per cent.

    >>> share(0.0), share(0.004), share(0.123), share(0.9999), share(1.0)
    ('0 %', 'under 1 %', '12 %', 'over 99 %', '100 %')
    """
    if 0.0 < value < 0.005:
        return "under 1 %"
    if 0.995 <= value < 1.0:
        return "over 99 %"
    return f"{100 * value:.0f} %"


def when(moment: datetime, made: datetime, zone: tzinfo) -> str:
    """A time as it is said on the day of `made`: the hour, with the weekday or the date where it is another day.

    >>> from datetime import UTC, timedelta
    >>> made = datetime(2026, 3, 14, 9, tzinfo=UTC)
    >>> [when(made + timedelta(hours=hours), made, UTC) for hours in (8, 30, 400)]
    ['17:00', 'Sun 15:00', '2026-03-31 01:00']
    """
    there, here = moment.astimezone(zone), made.astimezone(zone)
    days = (there.date() - here.date()).days
    if days == 0:
        return f"{there:%H:%M}"
    return f"{there:%a %H:%M}" if 0 < days < 7 else f"{there:%Y-%m-%d %H:%M}"


def day(moment: datetime, zone: tzinfo) -> str:
    """`2026-12-03`: for what is not known to the hour."""
    return f"{moment.astimezone(zone):%Y-%m-%d}"


def length(seconds: float) -> str:
    """
    >>> length(86400), length(5400), length(172800), length(600), length(90 * 86400)
    ('24 h', '1.5 h', '2 days', '10 min', '90 days')
    """
    if seconds >= 2 * 86400:
        return f"{seconds / 86400:.3g} days"
    return f"{seconds / 3600:.3g} h" if seconds >= 3600 else f"{max(1, round(seconds / 60))} min"


def many(number: int, word: str) -> str:
    """
    >>> many(1, "move"), many(3, "move")
    ('1 move', '3 moves')
    """
    return f"{number} {word}{'' if number == 1 else 's'}"


def listed(items: Sequence[str]) -> str:
    """
    >>> listed(["a"]), listed(["a", "b", "c"]), listed([])
    ('a', 'a, b and c', '')
    """
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)


# ---- moves -------------------------------------------------------------------------------------------------------


def due(plan: LoopPlan) -> tuple[Move, ...]:
    """The moves to be made now."""
    return tuple(move for move in plan.moves if move.at <= plan.made)


def later(plan: LoopPlan) -> tuple[Move, ...]:
    """The moves that come after."""
    return tuple(move for move in plan.moves if move.at > plan.made)


def action_of(move: Move) -> Action:
    return Action(name=move.action, asset=move.asset, args=dict(move.args))


def move_words(move: Move) -> str:
    """In the catalog's words; as written where the catalog does not know it.

    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 14, tzinfo=UTC)
    >>> move_words(Move(at=now, action="set_coolant_flow", asset="cdu-1", args={"flow_lpm": 180.0}, why=""))
    'Set the coolant flow of cdu-1 to 180 LPM'
    """
    try:
        return describe(action_of(move))
    except (InputError, KeyError):
        return f"{move.action} on {move.asset}"


def moves_words(moves: Sequence[Move]) -> list[str]:
    """Moves in words, in the order of their first: those that set the same are one, many of one kind are named by it.

    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 14, tzinfo=UTC)
    >>> moves_words([Move(at=now, action="set_coolant_flow", asset=f"cdu-{k}", args={"flow_lpm": 180.0}, why="")
    ...              for k in (1, 2)])
    ['Set the coolant flow of cdu-1 and cdu-2 to 180 LPM']
    """
    alike: dict[tuple[object, ...], list[Move]] = {}
    for move in moves:
        alike.setdefault((move.action, *sorted(move.args.items())), []).append(move)
    kinds: dict[str, list[list[Move]]] = {}
    for (name, *_), group in alike.items():
        kinds.setdefault(str(name), []).append(group)
    said = []
    for name, groups in kinds.items():
        if len(groups) <= MOST_NAMED:
            said += [move_words(group[0].model_copy(update={"asset": assets(group)})) for group in groups]
        else:
            said.append(f"{_title(name)} of {assets([move for group in groups for move in group])}")
    return said


def assets(moves: Sequence[Move]) -> str:
    """`cdu-1, cdu-2 and 6 more`."""
    names = [*dict.fromkeys(move.asset for move in moves)]
    return listed(names if len(names) <= MOST_NAMED else [*names[:2], f"{len(names) - 2} more"])


def _title(name: str) -> str:
    try:
        return spec_of(name).title
    except InputError:
        return name.replace("_", " ")


def finite(values: Sequence[float]) -> list[float]:
    """Those that are numbers."""
    return [value for value in values if math.isfinite(value)]
