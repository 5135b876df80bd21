"""The correlator: which events are one incident, which only repeat what is known, and what surrounds each.

It reads events in the order they were accepted and judges by their own times, so a replay gives what the night
gave. Every event is placed on its own: the same events in the same order make the same incidents, however they
are cut into batches. What was said is never taken back: when the cause of an open incident appears later, the
cause opens its own, names the other as related, and new events join the cause.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from pydantic import TypeAdapter

from agents.correlation.hotspots import HotPlace, hot_places, note_failure
from agents.correlation.joining import ALONE, ENDED, FAILURES, Case, Joined, Joiner, add_subject
from agents.correlation.memory import (
    BURST,
    CONDITIONS,
    FIRED,
    GROUPS,
    SEEN,
    TEMPLATES,
    Burst,
    Condition,
    Group,
    State,
    drop_before,
    put,
    touch,
)
from agents.correlation.neighbourhood import Neighbourhood, Place
from agents.correlation.parts import part_of
from agents.correlation.planned import PlannedWork
from agents.correlation.symptoms import EVEN_AS_INFORMATION, RECOVERED, Symptom, classify
from setpoint.contracts import Context, Correlated, Event, Ranked
from setpoint.contracts.site import AssetKind, Site
from setpoint.intake.templates import Template, TemplateMiner, mask
from setpoint.settings import TriageSettings

Silenced = Callable[[Event, str], str]
"""Event and its template -> id of the silence that covers it, "" for none."""

_SAME_CONDITION_S = 86_400.0
"""A condition that comes back within a day, while its incident is open, belongs to it."""
_HISTORY_EVENTS = 50
"""A site has history once this many events were read."""
_SUSPICION = timedelta(days=7)
"""A pattern first seen this soon after a change is laid at its door."""
_SEVERITY = {"critical": 3, "error": 2, "warning": 1, "info": 0, "unknown": 0}
_SILENT_ABOUT_ENDS = frozenset({"syslog", "csv", "text"})
"""Formats whose conditions have no resolve message."""
_NAMES_ITS_END = frozenset({"alertmanager", "cloudevents"})
"""Formats whose resolve message carries the key of the condition it ends."""
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_STATE: TypeAdapter[State] = TypeAdapter(State)


def incident_id(group_key: str, first_event_id: str) -> str:
    """Short and stable: the same trouble gets the same id when it is read again after a crash.

    >>> incident_id("asset:gpu-03", "e1")
    'INC-40AX28VY'
    """
    number = int.from_bytes(hashlib.sha256(f"{group_key}\n{first_event_id}".encode()).digest()[:5], "big")
    return "INC-" + "".join(_ALPHABET[number >> shift & 31] for shift in range(35, -1, -5))


class Correlator:
    """State in memory, rebuilt from the ledger at start. Not thread-safe: one triage worker owns it."""

    def __init__(
        self,
        site: Site | None = None,
        settings: TriageSettings | None = None,
        silenced: Silenced | None = None,
    ) -> None:
        self._site = site
        self._settings = settings or TriageSettings()
        self._silenced = silenced
        self._near = Neighbourhood(site)
        self._miner = TemplateMiner(limit=TEMPLATES)
        self._results: OrderedDict[str, Correlated] = OrderedDict()
        self._load(State())

    def observe(self, events: Sequence[Event]) -> list[Correlated]:
        """Place each event. One that was placed before (a batch done again) gets the same answer."""
        return [self._results.get(event.id) or self._keep(self._observe(event)) for event in events]

    def forget(self, incident: str) -> None:
        """Somebody closed it: what comes next is a new incident. Repeat offenders stay known."""
        group = self._state.groups.pop(incident, None)
        for key in group.firing if group else ():
            self._state.conditions.pop(key, None)

    def merge(self, incident: str, into: str) -> None:
        """A person said that the two are one: what would join the first joins the second from now on."""
        if into in self._state.groups and incident in self._state.groups:
            self._state.groups[into].firing |= self._state.groups[incident].firing
            self._state.groups[incident] = self._state.groups[into]

    def hot_places(self) -> list[HotPlace]:
        """Racks, cages and slots where more parts failed in the last 90 days than chance explains."""
        return hot_places(self._state.failures, self._state.watermark_s)

    def snapshot(self) -> bytes:
        """The whole state as JSON."""
        self._state.templates = self._miner.snapshot()
        self._state.seen = list(self._results)
        return _STATE.dump_json(self._state)

    def restore(self, snapshot: bytes) -> None:
        """Go on from a snapshot. Events already in it are skipped by `rebuild`."""
        self._load(_STATE.validate_json(snapshot))

    def rebuild(self, history: Iterable[Ranked]) -> None:
        """Learn again from the ledger: triaged events in the order accepted.

        What the ledger says wins over what would be decided now. A day of history brings back every window but
        that of repeat offenders, which `snapshot` keeps.
        """
        done = set(self._state.seen)
        for ranked in history:
            if ranked.event.id not in done:
                self._keep(self._observe(ranked.event, ranked))

    def _load(self, state: State) -> None:
        self._state = state
        self._miner.restore(state.templates)
        self._joiner = Joiner(state, self._settings.group_window_s)
        self._planned = PlannedWork(state, self._site)
        self._results.clear()

    def _keep(self, result: Correlated) -> Correlated:
        return put(self._results, result.event.id, result, SEEN)

    def _observe(self, event: Event, told: Ranked | None = None) -> Correlated:
        time_s = self._clock(event)
        place = self._near.meant(event.asset, event.message)
        masked = mask(event.message) or event.kind or "(empty)"
        template = self._miner.add_masked(masked, event.kind)
        burst = self._burst(template, event, time_s)
        symptom = _symptom(event.kind, event.metric or "", masked, place.kind)
        change = self._new_since(event, place, burst)
        part = part_of(event.message, event.labels)
        calm = event.severity == "info" and symptom not in EVEN_AS_INFORMATION
        case = Case(time_s, place, symptom, str(template.id), part, change, calm)
        key = event.dedup_key or f"{event.asset}|{event.kind}|{masked}"
        if place.name.lower() != event.asset.lower():
            key = f"{key}|{place.name}"
        ended = self._ends(event, case, key)
        placed = self._end(event, case, ended) if ended else self._fire(event, case, key, burst)
        self._planned.hear(event, place)
        if told is not None and told.incident_id not in ("", placed.group.id):
            placed = self._as_told(placed, case, told)
        return self._answer(event, case, placed, template, burst)

    def _clock(self, event: Event) -> float:
        """Event time, but never later than receipt: a clock that runs ahead must not age everything else."""
        time_s = min(event.time, event.received).timestamp()
        state = self._state
        state.first_s = min(state.first_s, time_s) if state.events else time_s
        state.watermark_s = max(state.watermark_s, time_s)
        state.events += 1
        return time_s

    def _burst(self, template: Template, event: Event, time_s: float) -> Burst:
        key = str(template.id)
        burst = touch(self._state.bursts, key) or put(self._state.bursts, key, Burst(time_s), TEMPLATES)
        burst.count += 1
        if event.status == "resolved":
            return burst
        horizon_s = self._state.watermark_s - self._settings.group_window_s
        burst.times.append(time_s)
        drop_before(burst.times, horizon_s)
        del burst.times[:-BURST]
        put(burst.assets, event.asset, time_s, BURST)
        while burst.assets and next(iter(burst.assets.values())) < horizon_s:
            burst.assets.popitem(last=False)
        return burst

    def _new_since(self, event: Event, place: Place, burst: Burst) -> str:
        """The last change of the asset, in words, if this wording was never seen before it; else ""."""
        for change in sorted(place.changes, key=lambda one: one.time, reverse=True):
            if change.time <= event.time <= change.time + _SUSPICION:
                changed_s = change.time.timestamp()
                history = self._state.events > _HISTORY_EVENTS and self._state.first_s < changed_s
                return change.what if history and burst.first_s >= changed_s else ""
        return ""

    def _ends(self, event: Event, case: Case, key: str) -> str:
        """Key of the condition that this event ends; "" where it reports trouble."""
        if event.status == "resolved":
            exact = key in self._state.conditions or event.format in _NAMES_ITS_END
            return key if exact else self._firing_like(case) or key
        if event.severity == "info" and self._fell_back(key):
            return key
        if event.severity in ("info", "unknown") and RECOVERED.search(event.message):
            return self._firing_like(case)
        return ""

    def _fell_back(self, key: str) -> bool:
        """The same point was worse before and now reports information: that is its end."""
        condition = self._state.conditions.get(key)
        return condition is not None and condition.worst > 0

    def _firing_like(self, case: Case) -> str:
        """The newest condition of the same asset and symptom that has not ended, "" for none."""
        troubles = self._state.troubles.get(case.place.subject, {})
        trouble = troubles.get(case.symptom)
        if trouble is None and len(troubles) == 1:
            trouble = next(iter(troubles.values()))
        return trouble.keys[-1] if trouble is not None and trouble.keys else ""

    def _end(self, event: Event, case: Case, key: str) -> _Placed:
        condition = touch(self._state.conditions, key)
        group = self._state.groups.get(condition.group) if condition else None
        if condition is None or group is None:
            group = self._new_group(f"end:{key}", event.id, case)
            return _Placed(group, "end of a condition whose begin was not seen")
        if not condition.firing or case.time_s < condition.last_s:
            return _Placed(group, "end of a condition that has ended", repeat=True, condition=condition)
        was_flapping = condition.flapping
        self._toggle(condition, case.time_s)
        condition.firing, condition.last_s = False, case.time_s
        condition.clears = condition.clears or event.status == "resolved"
        group.firing.discard(key)
        self._joiner.end(case.place.subject, key)
        group.cleared = not any(self._can_end(one) for one in group.firing) and not condition.flapping
        return _Placed(group, ENDED, repeat=was_flapping, condition=condition, clears=group.cleared)

    def _can_end(self, key: str) -> bool:
        condition = self._state.conditions.get(key)
        return condition is not None and condition.clears

    def _fire(self, event: Event, case: Case, key: str, burst: Burst) -> _Placed:
        condition = touch(self._state.conditions, key)
        group = self._state.groups.get(condition.group) if condition else None
        if condition is not None and group is not None and not self._begins(event, case, condition, group):
            placed = self._again(event, case, key, condition, group)
            if placed is not None:
                return placed
        joined = self._joiner.join(case, burst)
        group = joined.group or self._new_group(joined.key or f"condition:{key}"[:200], event.id, case)
        condition = put(
            self._state.conditions,
            key,
            Condition(group.id, case.time_s, case.time_s, [case.time_s], [case.time_s]),
            CONDITIONS,
        )
        condition.clears = event.format not in _SILENT_ABOUT_ENDS
        condition.worst = _SEVERITY[event.severity]
        self._note(case, key, group, joined, burst)
        return _Placed(
            group,
            joined.words,
            repeat=self._known_offender(case),
            condition=condition,
            related=joined.related,
        )

    def _begins(self, event: Event, case: Case, condition: Condition, group: Group) -> bool:
        """Whether a known condition begins anew: it was mere information so far, or it was over for long and
        another incident accounts for it now."""
        if condition.worst == 0 and event.severity in ("warning", "error", "critical"):
            return True
        over = not condition.firing and case.time_s - condition.last_s > self._settings.flap_window_s
        return over and self._joiner.accounted_elsewhere(case, group)

    def _again(
        self, event: Event, case: Case, key: str, condition: Condition, group: Group
    ) -> _Placed | None:
        """A condition that fired before; None where that is too long ago to be the same trouble.

        One that never ended and comes back now and then is told at its 1st, 2nd, 4th, 8th ... return.
        """
        gap_s = abs(case.time_s - condition.last_s)
        near = gap_s <= self._settings.repeat_window_s
        lasting = condition.firing and condition.clears
        bounced = not condition.firing and gap_s <= self._settings.flap_window_s
        if not (near or lasting or bounced):
            if gap_s > _SAME_CONDITION_S or case.part in self._state.parts:
                return None
            condition.returns += 1
        if not condition.firing and case.time_s < condition.last_s:
            return _Placed(group, f"late report of a condition on {case.place.name}", True, condition)
        worse = _SEVERITY[event.severity] > condition.worst
        was_flapping, was_firing = condition.flapping, condition.firing
        self._refire(event, case, condition, worse)
        group.cleared = False
        group.firing.add(key)
        self._joiner.note(case, key, group, opened=False, explained=True)
        told = near or lasting or condition.returns.bit_count() > 1
        quiet = was_flapping or (was_firing and told)
        return _Placed(group, f"{ALONE} {case.place.name}", quiet and not worse, condition)

    def _refire(self, event: Event, case: Case, condition: Condition, worse: bool) -> None:
        if not condition.firing:
            self._toggle(condition, case.time_s)
        if worse:
            condition.worst = _SEVERITY[event.severity]
        condition.firing = True
        condition.last_s = max(condition.last_s, case.time_s)
        condition.fired.append(case.time_s)
        drop_before(condition.fired, condition.last_s - self._settings.repeat_window_s)
        del condition.fired[:-FIRED]

    def _toggle(self, condition: Condition, time_s: float) -> None:
        """Count a change between firing and ended, and say whether there are too many."""
        condition.toggles.append(time_s)
        drop_before(condition.toggles, time_s - self._settings.flap_window_s)
        del condition.toggles[: -4 * self._settings.flap_count]
        condition.flapping = len(condition.toggles) >= self._settings.flap_count

    def _known_offender(self, case: Case) -> bool:
        """A part known to be bad failed once more: said at its 2nd, 4th, 8th ... failure, counted between."""
        part = self._state.parts.get(case.part) if case.part else None
        return part is not None and part.own and part.failures > 2 and part.failures.bit_count() > 1

    def _note(self, case: Case, key: str, group: Group, joined: Joined, burst: Burst) -> None:
        opened = joined.group is None
        add_subject(group, case.place.name)
        if not case.calm:
            group.firing.add(key)
            group.cleared = False
        for other in joined.related:
            if other not in group.related and other != group.id:
                group.related.append(other)
        self._joiner.note(case, key, group, opened, explained=joined.reason == "cause")
        self._joiner.note_part(case, group, own=group.key == f"part:{case.part}")
        self._joiner.note_template(case, group, joined, burst)
        if case.symptom in FAILURES:
            note_failure(self._state.failures, case.place, case.part, case.time_s)

    def _new_group(self, key: str, event_id: str, case: Case) -> Group:
        made = incident_id(key, event_id)
        group = put(self._state.groups, made, Group(made, key, case.time_s, case.time_s), GROUPS)
        add_subject(group, case.place.name)
        return group

    def _as_told(self, placed: _Placed, case: Case, told: Ranked) -> _Placed:
        """While rebuilding: what the ledger says wins over what was decided just now."""
        group = self._state.groups.get(told.incident_id)
        if group is None:
            fresh = Group(told.incident_id, told.group_key, case.time_s, case.time_s)
            group = put(self._state.groups, told.incident_id, fresh, GROUPS)
        self._joiner.move(placed.group, group)
        if placed.condition is not None:
            placed.condition.group = group.id
        return replace(placed, group=group)

    def _answer(
        self, event: Event, case: Case, placed: _Placed, template: Template, burst: Burst
    ) -> Correlated:
        group, condition = placed.group, placed.condition
        group.last_s = max(group.last_s, case.time_s)
        text = template.text
        context = Context(
            template=text,
            template_count=template.count,
            repeats=len(condition.fired) - 1 if condition and event.status == "firing" else 0,
            burst=max(1, len(burst.times)),
            burst_assets=max(1, len(burst.assets)),
            new_pattern=bool(case.change),
            since_change=case.change,
            flapping=condition.flapping if condition else False,
            maintenance=_maintenance(case.place, event.time),
            about=case.place.name if case.place.name.lower() != event.asset.lower() else "",
            announced=self._planned.covering(event, case.place, case.time_s),
            silenced=self._silenced(event, text) if self._silenced else "",
            tier=case.place.tier,
            downstream=case.place.downstream,
        )
        return Correlated(
            event=event,
            context=context,
            group_key=group.key,
            grouped_by=placed.words,
            repeat=placed.repeat,
            incident_id=group.id,
            related=tuple(group.related),
            clears=placed.clears,
        )


@dataclass(frozen=True, slots=True)
class _Placed:
    group: Group
    words: str
    repeat: bool = False
    condition: Condition | None = None
    clears: bool = False
    related: tuple[str, ...] = ()


@lru_cache(maxsize=50_000)
def _symptom(kind: str, metric: str, wording: str, asset_kind: AssetKind) -> Symptom:
    return classify(kind, metric, wording, asset_kind)


def _maintenance(place: Place, time: datetime) -> str:
    """The maintenance window over the asset, in words."""
    for window in place.windows:
        if window.start <= time <= window.end:
            what = f"{window.what}, " if window.what else ""
            return f"{what}{window.assets}, until {window.end:%Y-%m-%d %H:%M} UTC"
    return ""
