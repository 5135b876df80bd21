"""Lines of a night: what equipment logs about each fault, and what monitoring says about readings past a limit."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from plant.faults import wire
from plant.faults.alarms import Crossing, holds
from plant.faults.catalog import Fault, Form, Said
from plant.faults.place import FaultPlan, reach, targets
from plant.faults.sensors import Sampler, Series
from plant.faults.wire import Line, stable_hash
from plant.faults.words import Words
from plant.site import Site

_HOST_FORMS = ("kernel", "syslog", "health")
_SOURCES: dict[Form, str] = {"bms": "bms", "fire": "fas", "access": "acs"}
_LOUD: dict[str, int] = {"critical": 2, "warning": 4, "info": 6}
REPORTS_S: dict[Form, tuple[float, float]] = {
    "kernel": (0.02, 0.4), "syslog": (0.02, 0.6), "bms": (0.5, 3.0), "fire": (0.3, 1.0), "access": (0.3, 1.0),
    "alert": (5.0, 25.0), "health": (1.0, 8.0), "redfish": (0.3, 2.5),
}  # fmt: skip
"""Seconds from what happened to the line's arrival: relays at once, BMS polls, Alertmanager's group_wait."""


@dataclass(frozen=True)
class Spoken:
    """One line before it is put on the wire."""

    form: Form
    asset: str
    text: str
    severity: str
    name: str = ""
    args: tuple[str, ...] = ()
    program: str = "kernel"
    level: int = 3
    status: str = "firing"
    codes: tuple[str, ...] = ()
    gpu: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    reading: Mapping[str, float | str] = field(default_factory=dict)
    began: datetime | None = None


@dataclass(frozen=True)
class _Pending:
    at_s: float
    said: Spoken
    priority: str
    plan: FaultPlan | None


@dataclass
class Teller:
    """Collects what is said in one night, then puts it on the wire: it knows the site, the readings and the clocks."""

    site: Site
    sampler: Sampler
    series: Series
    seed: int
    _pending: list[_Pending] = field(default_factory=list)

    def lines(self) -> list[Line]:
        """All lines in the order in which things happened, numbered as each Redfish service numbers its events."""
        self._pending.sort(key=lambda one: (one.at_s, one.said.asset, one.said.text))
        numbers: Counter[str] = Counter()
        out: list[Line] = []
        for one in self._pending:
            numbers[one.said.asset] += 1
            number = numbers[one.said.asset] + stable_hash(one.said.asset) % 900
            out.append(self._line(one, number))
        return out

    def fault(self, plan: FaultPlan) -> None:
        """All scripted lines of one fault that fall within the night."""
        rng = random.Random(f"{self.seed}-{plan.story}")
        words = Words.of(plan, self.site, rng)
        for said in plan.fault.events:
            self._said(plan, said, plan.at_s, words, rng)
        if plan.end_s is not None:
            for said in plan.fault.resolves:
                self._said(plan, said, plan.end_s, words, rng)

    def crossing(self, crossing: Crossing, plan: FaultPlan | None) -> None:
        """The line of a reading past its limit, or back. `plan` is the fault it belongs to."""
        rule, asset = crossing.rule, crossing.asset
        at_s = float(self.sampler.times_s[crossing.sample])
        rng = random.Random(f"{self.seed}-{rule.id}-{asset}-{crossing.sample}")
        sample_s = float(self.sampler.times_s[1])
        back = crossing.state == "back"
        shown = self._shown(asset, at_s)
        # The reading passed its limit somewhere between two samples.
        at_s = max(
            at_s - 0.4 * sample_s * rng.random(), plan.at_s + 1.0 if plan and at_s > plan.at_s + 1.0 else 0.0
        )
        words = Words.of(plan, self.site, rng) if plan else Words({"pci": "1b"})
        with_redundant = rule.redundant and self.site.by_name[asset.lower()].redundant_with
        priority = "P3" if back else (rule.redundant if with_redundant and rule.redundant else rule.priority)
        fill = _Filler(words, self.site, rng, shown, asset, crossing.limit)
        text = fill(rule.back if back else rule.say)
        if text is None:
            return
        reading = _reading(crossing.metric, shown, rule.unit, crossing.limit) if rule.unit or not back else {}
        spoken = Spoken(
            rule.form, asset, text, "info" if back and rule.form != "alert" else rule.severity,
            (rule.back_name or rule.name) if back else rule.name,
            tuple(fill(arg) or "" for arg in rule.args[: 2 if back else None]), level=rule.level,
            status="resolved" if back else "firing", labels=rule.labels, reading=reading,
            began=self.sampler.time(crossing.began) if rule.form == "alert" else None,
        )  # fmt: skip
        self._pending.append(_Pending(at_s, spoken, priority, plan))

    def _said(self, plan: FaultPlan, said: Said, zero_s: float, words: Words, rng: random.Random) -> None:
        for turn in range(said.times):
            # All lines of one turn (down, up) come at the same pace, so that they stay in order.
            pace = 1 + 0.2 * (random.Random(f"{self.seed}-{plan.story}-{turn}").random() - 0.5)
            for place, asset in enumerate(targets(self.site, plan.asset, said)):
                at_s = zero_s + said.at + turn * said.every_s * pace + place * said.apart_s
                if abs(said.at) > 30:
                    at_s += 0.08 * abs(said.at) * (rng.random() - 0.5)
                self._one(plan, said, asset, at_s, words, rng)

    def _one(
        self, plan: FaultPlan, said: Said, asset: str, at_s: float, words: Words, rng: random.Random
    ) -> None:
        if said.when:
            met = np.flatnonzero(holds(said.when, asset, self.series) & (self.sampler.times_s >= at_s))
            if not len(met):
                return
            at_s = float(self.sampler.times_s[met[0]])
        ended = plan.end_s is not None and said in plan.fault.events and at_s > plan.end_s
        if (
            ended
            or not 0 <= at_s <= float(self.sampler.times_s[-1])
            or self._is_mute(said.form, said.program, asset, at_s)
        ):
            return
        shown = self._shown(asset, at_s, after=at_s >= plan.at_s)
        fill = _Filler(words, self.site, rng, shown, asset, _limit(said.limit, self.site))
        text, args = fill(said.say), [fill(arg) for arg in said.args]
        if text is None or None in args:
            return
        gpu = str(words.fixed["gpu"]) if said.gpu else ""
        spoken = Spoken(
            said.form, asset, text, said.severity, said.name, tuple(arg or "" for arg in args), said.program,
            said.level, said.status, said.codes, gpu, {"gpu": gpu} if gpu and said.form == "alert" else {},
            _reading(said.metric, shown, said.unit, _limit(said.limit, self.site)) if said.metric else {},
        )  # fmt: skip
        redundant = said.redundant and self.site.by_name[plan.asset.lower()].redundant_with
        priority = said.redundant if redundant and said.redundant else said.priority
        self._pending.append(_Pending(at_s, spoken, priority, plan))

    def _line(self, one: _Pending, number: int) -> Line:
        happened = self.sampler.start + timedelta(seconds=one.at_s)
        rng = random.Random(f"{self.seed}-{one.said.asset}-{number}")
        low, high = REPORTS_S[one.said.form]
        # One sender's lines stay in order: its delay is its own, only polled and grouped alerts vary.
        share = (
            rng.random()
            if one.said.form == "alert"
            else stable_hash(f"{self.seed}{one.said.asset}") % 997 / 997
        )
        text = self._on_the_wire(one.said, happened, one.at_s, number, rng)
        plan = one.plan
        story, cause, root = (
            (plan.story, plan.fault.cause, plan.asset) if plan else ("ambient", "no_fault", "")
        )
        return Line(
            happened + timedelta(seconds=low + (high - low) * share), text, story, one.priority, cause, root
        )

    def _on_the_wire(self, said: Spoken, time: datetime, at_s: float, number: int, rng: random.Random) -> str:
        site, asset = self.site.name, said.asset
        own = time + timedelta(milliseconds=self._clock_off_ms(asset, at_s))
        if said.form == "kernel":
            return wire.kernel(own, asset, said.text, said.level)
        if said.form == "syslog":
            if said.program == "kernel":
                return wire.kernel(own, asset, said.text, said.level)
            return wire.syslog(own, asset, said.program, said.text, said.level)
        if said.form == "alert":
            return wire.webhook(
                time, said.name, asset, said.severity, said.text, said.status, site=site, began=said.began,
                labels=dict(said.labels),
            )  # fmt: skip
        if said.form == "health":
            own_id, healthy = f"{rng.randrange(16**8):08x}", said.status == "resolved"
            return wire.cloudevent(
                own, own_id, asset, said.name, said.text, said.severity == "critical" and not healthy, site=site,
                healthy=healthy, codes=said.codes, gpu=said.gpu,
            )  # fmt: skip
        if said.form == "redfish":
            kind = self.site.by_name[asset.lower()].kind if self.site.find(asset) else ""
            return wire.redfish(own, number, asset, kind, said.name, said.severity, said.text, said.args)
        return wire.bms(time, asset, said.severity, said.text, dict(said.reading), _SOURCES[said.form])

    def _shown(self, asset: str, at_s: float, after: bool = False) -> dict[str, float]:
        """What the asset's sensors read at that moment, or, `after` something happened, at the next sample; what is
        not read is left out."""
        number = self._sample(at_s)
        if after and self.sampler.times_s[number] < at_s:
            number = min(number + 1, len(self.sampler.times_s) - 1)
        found = ((m, float(self.series[asset, m][number])) for m in self._metrics.get(asset, ()))
        return {metric: value for metric, value in found if not np.isnan(value)}

    @cached_property
    def _metrics(self) -> dict[str, list[str]]:
        by_asset: dict[str, list[str]] = {}
        for asset, metric in self.series:
            by_asset.setdefault(asset, []).append(metric)
        return by_asset

    def _sample(self, at_s: float) -> int:
        """The last sample at or before that time."""
        return max(0, int(np.searchsorted(self.sampler.times_s, at_s, side="right")) - 1)

    def _is_mute(self, form: Form, program: str, asset: str, at_s: float) -> bool:
        """A node that was already down at the last sample writes no log of its own; its BMC does."""
        up = self.series.get((asset, "up"))
        if up is None or form not in _HOST_FORMS or program == "ipmiseld":
            return False
        found = self.site.find(asset)
        number = self._sample(at_s)
        return found is not None and found.kind == "gpu_node" and float(up[number]) == 0.0

    def _clock_off_ms(self, asset: str, at_s: float) -> float:
        """How far the asset's own clock is off: what it writes bears that time."""
        offset = self.series.get((asset, "clock_offset_ms"))
        if offset is None:
            return 0.0
        value = float(offset[self._sample(at_s)])
        return 0.0 if np.isnan(value) else value


@dataclass
class _Filler:
    words: Words
    site: Site
    rng: random.Random
    shown: Mapping[str, float]
    asset: str
    limit: float

    def __call__(self, text: str) -> str | None:
        """The text with its fields, None where it speaks of a reading that nobody has."""
        try:
            return self.words.fill(text, self.asset, self.site, self.rng, self.shown, limit=self.limit)
        except KeyError as missing:
            if str(missing.args[0]).startswith("t."):
                return None
            raise


def _limit(given: float | str | None, site: Site) -> float:
    if given is None:
        return float("nan")
    return float(site.limits.get(given, float("nan"))) if isinstance(given, str) else float(given)


def _reading(metric: str, shown: Mapping[str, float], unit: str, limit: float) -> dict[str, float | str]:
    if metric not in shown:
        return {}
    found: dict[str, float | str] = {"metric": metric, "value": shown[metric]}
    if unit:
        found["unit"] = unit
    if not np.isnan(limit):
        found["threshold"] = round(limit, 2)
    return found


def belongs(crossing: Crossing, plans: Sequence[Reached], at_s: float) -> FaultPlan | None:
    """The fault a crossing belongs to: of those present then, one that reaches its asset, else one that its asset
    depends on however remotely (a pool on the nodes of a loop); of several the one that began last."""
    present = [one for one in plans if one.plan.at_s - one.plan.fault.lead_s <= at_s <= _gone_s(one.plan)]
    near = [one.plan for one in present if crossing.asset in one.near]
    far = [one.plan for one in present if crossing.asset in one.far and one.plan.at_s <= at_s]
    return max(near or far, key=lambda plan: plan.at_s, default=None)


@dataclass(frozen=True)
class Reached:
    """One fault with the assets it shows on, and those that depend on these."""

    plan: FaultPlan
    near: frozenset[str]
    far: frozenset[str]

    @classmethod
    def of(cls, plan: FaultPlan, site: Site) -> Reached:
        near = reach(plan, site)
        return cls(plan, near, frozenset(name for one in near for name in site.downstream(one)))


SETTLE_S = 2400.0
"""After a repair temperatures, queues and batteries need so long to come back."""


def _gone_s(plan: FaultPlan) -> float:
    return float("inf") if plan.end_s is None else plan.end_s + SETTLE_S


def said_by(fault: Fault) -> Iterator[Said]:
    """Every scripted line of a fault."""
    yield from fault.events
    yield from fault.resolves
