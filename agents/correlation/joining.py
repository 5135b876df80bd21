"""Which open incident a new condition belongs to, and why.

The reasons, strongest first: something it stands on is in trouble; the same physical part failed before; it is
new since the same change; its own asset has fitting trouble; neighbours on one carrier show the same; one message
comes from many assets. Where none holds, the trouble stands alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from agents.correlation.memory import (
    ASSETS,
    KEYS,
    PARTS,
    SUBJECTS,
    Burst,
    Group,
    Part,
    Sign,
    State,
    Trouble,
    Waiting,
    put,
    touch,
)
from agents.correlation.neighbourhood import Place
from agents.correlation.symptoms import CARRIERS, COMPANIONS, EFFECTS, SAME_WORDING, Symptom

FAILURES: frozenset[Symptom] = frozenset({"gpu", "host", "io", "power", "link", "cooling"})
"""Symptoms of a part that may be broken: for these a serial number makes a repeat offender."""
_LASTING: frozenset[Symptom] = frozenset({"power", "cooling", "leak", "link", "io", "fire"})
"""Causes whose effects show late: they explain for three windows while they have not cleared."""
ALONE = "one condition on"
"""How the reason of an incident begins that nothing else was joined to."""
ENDED = "end of its condition"
"""The reason of an event that ends one: it says nothing about why events are one incident."""
_STORM_ASSETS = 5
"""One message from this many assets within the window is one storm."""
_STORM_FACTOR = 3.0
"""... unless it comes about as often always: a storm is this many times the usual rate."""
_SIGNS_KEPT = 64
_WAITING_KEPT = 32


Reason = Literal["cause", "part", "change", "asset", "below", "neighbours", "storm", "alone"]


@dataclass(frozen=True, slots=True)
class Case:
    """A condition that looks for its incident."""

    time_s: float
    place: Place
    symptom: Symptom
    template: str
    part: str
    change: str
    """The change it is new since, "" for none."""
    calm: bool = False
    """Mere information: it may join the trouble of its own asset, and is none itself."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The incident found, with the reason in words. `group` None: it opens one under `key`."""

    group: Group | None
    reason: Reason
    words: str
    key: str = ""
    related: tuple[str, ...] = ()


class Joiner:
    """Finds incidents by relation. It reads and writes the correlator's state and has none of its own."""

    def __init__(self, state: State, window_s: float) -> None:
        self._state = state
        self._window_s = window_s
        self._minutes = f"{window_s / 60:g} min"

    def join(self, case: Case, burst: Burst) -> Joined:
        """Where the condition belongs. The state is not changed: call `note` once the group exists."""
        if case.calm:
            return self._same_asset(case) or self._alone(case)
        return (
            self._cause(case)
            or self._part(case)
            or self._known_change(case)
            or self._same_asset(case)
            or self._change(case)
            or self._below(case)
            or self._neighbours(case)
            or self._storm(case, burst)
            or self._alone(case)
        )

    def note(self, case: Case, key: str, group: Group, opened: bool, explained: bool) -> None:
        """Remember the condition for those to come. `explained`: something upstream accounts for it."""
        subject = case.place.subject
        if case.symptom == "other" or case.calm or not subject:
            return
        troubles = touch(self._state.troubles, subject)
        if troubles is None:
            troubles = put(self._state.troubles, subject, {}, ASSETS)
        trouble = troubles.get(case.symptom)
        if trouble is None or trouble.group != group.id:
            trouble = troubles[case.symptom] = Trouble(group.id, case.time_s)
        trouble.last_s = max(trouble.last_s, case.time_s)
        if key not in trouble.keys and len(trouble.keys) < KEYS:
            trouble.keys.append(key)
        if opened:
            self._wait(case, group)
        if not explained:
            for _, key in self._carriers(case):
                self._sign(key, subject, case.time_s, group)

    def note_part(self, case: Case, group: Group, own: bool) -> None:
        """Count one failure of a part."""
        if not case.part or case.symptom not in FAILURES:
            return
        part = touch(self._state.parts, case.part)
        if part is None:
            put(self._state.parts, case.part, Part(1, case.time_s, group.id, own), PARTS)
            return
        part.failures += 1
        part.last_s = max(part.last_s, case.time_s)
        part.group, part.own = group.id, own

    def note_template(self, case: Case, group: Group, joined: Joined, burst: Burst) -> None:
        """Remember which incident speaks for this wording: of a storm, of a change, or the last that stood alone."""
        if group.key == f"storm:{case.template}":
            burst.group = group.id
        elif joined.reason == "alone":
            burst.before = [*burst.before[-7:], group.id]
        if case.change:
            put(self._state.changes, f"{case.change}|{case.template}", group.id, ASSETS)

    def end(self, subject: str, key: str) -> None:
        """A condition of the subject ended."""
        for trouble in self._state.troubles.get(subject, {}).values():
            if key in trouble.keys:
                trouble.keys.remove(key)

    def move(self, source: Group, into: Group) -> None:
        """All that points at `source` and came from its last event points at `into` from now on."""
        into.firing |= source.firing
        for subject in source.subjects:
            add_subject(into, subject)
            for trouble in self._state.troubles.get(subject.lower(), {}).values():
                if trouble.group == source.id:
                    trouble.group = into.id

    def _near(self, time_s: float, last_s: float, windows: float = 1.0) -> bool:
        return abs(time_s - last_s) <= self._window_s * windows

    def _open(self, group_id: str) -> Group | None:
        group = self._state.groups.get(group_id)
        return group if group is not None and not group.cleared else None

    def _cause(self, case: Case) -> Joined | None:
        """Something it stands on has trouble that can bring this about; the widest such trouble wins."""
        best: tuple[int, float] | None = None
        found: Joined | None = None
        for name, words in self._possible_causes(case.place):
            for symptom, trouble in self._state.troubles.get(name, {}).items():
                if case.symptom not in EFFECTS[symptom] or not self._explains(case, symptom, trouble):
                    continue
                group = self._open(trouble.group)
                if group is None:
                    continue
                weight = (len(group.subjects), trouble.last_s)
                if best is None or weight > best:
                    best, found = weight, Joined(group, "cause", words)
        return found

    @staticmethod
    def _possible_causes(place: Place) -> Iterator[tuple[str, str]]:
        """Whose trouble may bring this about, with the reason in words."""
        for name, _ in place.upstream:
            yield name, f"stands on {name}, which is in trouble"
        for name, _ in place.named:
            yield name, f"tells of {name}, which is in trouble"

    def _explains(self, case: Case, symptom: Symptom, trouble: Trouble) -> bool:
        lasting = bool(trouble.keys) and symptom in _LASTING
        return self._near(case.time_s, trouble.last_s, 3.0 if lasting else 1.0)

    def _still(self, case: Case, trouble: Trouble) -> bool:
        """Trouble of the same asset: what has not cleared lasts for three windows, whatever it is."""
        return self._near(case.time_s, trouble.last_s, 3.0 if trouble.keys else 1.0)

    def _part(self, case: Case) -> Joined | None:
        """The same serial number failed before: a repeat offender, however long ago and wherever it sat."""
        part = self._state.parts.get(case.part) if case.symptom in FAILURES and case.part else None
        if part is None:
            return None
        group = self._state.groups.get(part.group)
        words = f"part {case.part} failed {part.failures + 1} times: recommend replacement"
        if group is not None and (part.own or self._near(case.time_s, part.last_s)):
            return Joined(group, "part", words)
        return Joined(None, "part", words, f"part:{case.part}", (part.group,) if group else ())

    def accounted_elsewhere(self, case: Case, group: Group) -> bool:
        """Whether trouble of the asset, or of something it stands on, belongs to another incident."""
        found = self._cause(case) or self._same_asset(case)
        return found is not None and found.group is not None and found.group.id != group.id

    def _known_change(self, case: Case) -> Joined | None:
        """Another asset showed the same since the same change."""
        found = self._change(case)
        return found if found is not None and found.group is not None else None

    def _change(self, case: Case) -> Joined | None:
        if not case.change:
            return None
        key = f"{case.change}|{case.template}"
        group = self._open(self._state.changes.get(key, ""))
        return Joined(group, "change", f"not seen here before: {case.change}", f"change:{key}")

    def _same_asset(self, case: Case) -> Joined | None:
        """Fitting trouble of the same asset, the latest first: the same class, or one that brings the other about."""
        troubles = self._state.troubles.get(case.place.subject, {})
        for symptom, trouble in sorted(troubles.items(), key=lambda item: -item[1].last_s):
            if not self._still(case, trouble) or not _fit(case.symptom, symptom):
                continue
            if group := self._open(trouble.group):
                return Joined(group, "asset", f"several signs of trouble on {case.place.subject}")
        return None

    def _below(self, case: Case) -> Joined | None:
        """Several things that stand on this asset showed its effects first, and are one incident already."""
        for effect in EFFECTS[case.symptom]:
            group = self._shared_by(f"{case.place.subject}|{effect}", case.time_s)
            if group is not None:
                return Joined(group, "below", f"what stands on {case.place.subject} showed it first")
        return None

    def _shared_by(self, key: str, time_s: float) -> Group | None:
        """The incident that at least two subjects under this carrier are in."""
        counts: dict[str, int] = {}
        for sign in self._state.signs.get(key, {}).values():
            if self._near(time_s, sign.last_s):
                counts[sign.group] = counts.get(sign.group, 0) + 1
        shared = [group for group, count in counts.items() if count > 1]
        return self._open(max(shared, key=lambda group: (counts[group], group))) if shared else None

    def _neighbours(self, case: Case) -> Joined | None:
        """Another asset on the same carrier shows the same, within the window."""
        for carrier, key in self._carriers(case):
            signs: Mapping[str, Sign] = self._state.signs.get(key, {})
            near = [
                (sign.last_s, sign.group)
                for subject, sign in signs.items()
                if subject != case.place.subject and self._near(case.time_s, sign.last_s)
            ]
            group = self._open(max(near)[1]) if near else None
            if group is not None:
                return Joined(
                    group, "neighbours", f"several assets on {carrier} show the same within {self._minutes}"
                )
        return None

    def _carriers(self, case: Case) -> Iterator[tuple[str, str]]:
        kinds = CARRIERS.get(case.symptom, frozenset())
        wording = case.template if case.symptom in SAME_WORDING else ""
        for name, kind in case.place.upstream:
            if kind in kinds:
                yield name, f"{name}|{case.symptom}{wording}"

    def _storm(self, case: Case, burst: Burst) -> Joined | None:
        assets = len(burst.assets)
        if assets < _STORM_ASSETS or self._usual(case.time_s, burst):
            return None
        group = self._state.groups.get(burst.group)
        words = f"one message from many assets within {self._minutes}"
        if group is not None and self._near(case.time_s, group.last_s):
            return Joined(group, "storm", words)
        return Joined(None, "storm", words, f"storm:{case.template}", tuple(burst.before))

    def _usual(self, time_s: float, burst: Burst) -> bool:
        """The message comes at its usual rate: many assets say it, as always."""
        windows = (time_s - burst.first_s) / self._window_s
        return windows >= 6.0 and len(burst.times) < _STORM_FACTOR * burst.count / windows

    def _alone(self, case: Case) -> Joined:
        key = f"part:{case.part}" if case.part and case.symptom in FAILURES else ""
        asset = case.place.name or "an unknown asset"
        return Joined(None, "alone", f"{ALONE} {asset}", key, self._explained_later(case))

    def _explained_later(self, case: Case) -> tuple[str, ...]:
        """Open incidents below this asset that its trouble may explain: they stay, and are named as related."""
        below = self._state.waiting.get(case.place.subject, ())
        return tuple(
            dict.fromkeys(
                one.group
                for one in below
                if one.symptom in EFFECTS[case.symptom]
                and self._near(case.time_s, one.last_s)
                and self._open(one.group)
            )
        )

    def _sign(self, key: str, subject: str, time_s: float, group: Group) -> None:
        signs = touch(self._state.signs, key)
        if signs is None:
            signs = put(self._state.signs, key, OrderedDict(), ASSETS)
        put(signs, subject, Sign(group.id, time_s), _SIGNS_KEPT)

    def _wait(self, case: Case, group: Group) -> None:
        for name, _ in case.place.upstream:
            waiting = touch(self._state.waiting, name)
            if waiting is None:
                waiting = put(self._state.waiting, name, [], ASSETS)
            waiting.append(Waiting(group.id, case.symptom, case.time_s))
            del waiting[:-_WAITING_KEPT]


def _fit(one: Symptom, other: Symptom) -> bool:
    if "fault" in (one, other):
        return one in COMPANIONS and other in COMPANIONS
    return one in EFFECTS[other] or other in EFFECTS[one]


def add_subject(group: Group, subject: str) -> None:
    """Note an asset of the incident, up to a limit."""
    if subject and len(group.subjects) < SUBJECTS and subject not in group.subjects:
        group.subjects.append(subject)
