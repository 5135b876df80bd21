"""What the site's monitoring says by itself: readings past a limit, and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import Field, TypeAdapter, field_validator, model_validator

from plant.closed import Closed
from plant.faults.catalog import Form, Priority, Severity
from plant.faults.sensors import Series
from plant.site import AssetKind, Site
from plant.units import Seconds

PATH = Path(__file__).parent / "alerts.yaml"


class Rule(Closed):
    """One threshold rule."""

    id: str
    kind: tuple[AssetKind, ...]
    metric: tuple[str, ...]
    above: float | str | None = None
    below: float | str | None = None
    """A number, the name of a limit in the site file, or `start`: the reading as the run began."""
    absent: bool = False
    default: float | None = None
    """Where the site file does not name the limit."""
    factor: float = 1.0
    offset: float = 0.0
    for_s: Seconds = 0.0
    needs: str = ""
    """A second condition, `metric >= number`."""
    form: Form = Field(alias="as")
    severity: Severity = "warning"
    priority: Priority
    redundant: Priority | None = None
    name: str = ""
    args: tuple[str, ...] = ()
    level: int = 4
    say: str
    back: str = ""
    """What is said when it is over; "" where nothing is."""
    back_name: str = ""
    unit: str = ""
    labels: dict[str, str] = Field(default_factory=dict)

    @field_validator("kind", "metric", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_side(self) -> Rule:
        if sum((self.above is not None, self.below is not None, self.absent)) != 1:
            raise ValueError(f"rule {self.id}: give one of above, below, absent")
        return self


@lru_cache(maxsize=1)
def load_rules() -> dict[str, Rule]:
    """By id, in the order of the file."""
    raw = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    return {rule.id: rule for rule in TypeAdapter(list[Rule]).validate_python(raw["rules"])}


@dataclass(frozen=True)
class Crossing:
    """A rule became true for an asset, or ended."""

    rule: Rule
    asset: str
    metric: str
    sample: int
    limit: float
    state: Literal["past", "back"]
    began: int
    """Sample at which the reading first was past its limit."""


def crossings(site: Site, series: Series, times_s: Any) -> Iterator[Crossing]:
    """Every crossing of every rule. What is past its limit from the first sample on was there before the run and
    is not reported."""
    for rule in load_rules().values():
        for asset in site.assets:
            if asset.kind not in rule.kind:
                continue
            for metric in rule.metric:
                if (asset.name, metric) in series:
                    yield from _of_one(rule, asset.name, metric, site, series, times_s)


def _of_one(
    rule: Rule, asset: str, metric: str, site: Site, series: Series, times_s: Any
) -> Iterator[Crossing]:
    values = series[asset, metric]
    limit = _limit(rule, site, values)
    past = _past(rule, values, limit)
    if rule.needs and past.any():
        past &= holds(rule.needs, asset, series)
    edges = np.flatnonzero(np.diff(past.astype(np.int8)))
    for began in (int(edge) + 1 for edge in edges if past[edge + 1]):
        after = np.flatnonzero(~past[began:])
        ended = began + int(after[0]) if len(after) else len(past)
        sure = int(np.searchsorted(times_s, times_s[began] + rule.for_s))
        if sure >= ended or sure >= len(past):
            continue
        yield Crossing(rule, asset, metric, sure, limit, "past", began)
        if ended < len(past) and rule.back and not np.isnan(values[ended]):
            yield Crossing(rule, asset, metric, ended, limit, "back", began)


def _limit(rule: Rule, site: Site, values: Any) -> float:
    given = rule.above if rule.above is not None else rule.below
    if given is None:
        return float("nan")
    if given == "start":
        known = values[~np.isnan(values)]
        base = float(np.median(known[:5])) if len(known) else float("nan")
        return base * rule.factor + rule.offset if rule.factor < 0.99 or rule.offset else base
    if isinstance(given, str):
        return float(site.limits.get(given, rule.default if rule.default is not None else float("nan")))
    return float(given)


def _past(rule: Rule, values: Any, limit: float) -> Any:
    if rule.absent:
        return np.isnan(values)
    with np.errstate(invalid="ignore"):
        if rule.above is not None:
            return _steady(values > limit, values < limit - _margin(limit))
        if rule.factor >= 0.99 and rule.below == "start":
            return values < limit - 0.5  # a count below what it was
        return _steady(values < limit, values > limit + _margin(limit))


def _margin(limit: float) -> float:
    """Hysteresis, so that noise at the limit is no flood: 1.5 % of it."""
    return 0.015 * abs(limit)


def _steady(past: Any, clear: Any) -> Any:
    """Past from the first reading past the limit until one that is clearly back (a Schmitt trigger)."""
    state = np.where(past, 1, np.where(clear, 0, -1))
    known = np.where(state >= 0, np.arange(len(state)), -1)
    last = np.maximum.accumulate(known)
    return np.where(last >= 0, state[np.maximum(last, 0)], 0) == 1


def holds(condition: str, asset: str, series: Series) -> Any:
    """At which samples `metric >= number` (or <=) is true for the asset; all False where nobody reads it."""
    metric, sign, number = condition.split()
    values = series.get((asset, metric))
    if values is None:
        return np.zeros(len(next(iter(series.values()))), dtype=bool)
    with np.errstate(invalid="ignore"):
        return values >= float(number) if sign == ">=" else values <= float(number)
