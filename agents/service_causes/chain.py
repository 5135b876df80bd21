"""Tells causes from their effects by time and by what can cause what, and weighs "no fault" and "unknown" beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from agents.service_causes.changes import Movement
from agents.service_causes.loads import Loads, is_statement
from agents.service_causes.meaning import words
from agents.service_causes.signs import Placed
from agents.service_causes.weigh import Seen, Weighed
from agents.service_causes.wording import source
from knowledge.service_causes import Mode, load_catalog

LEAST = 2.0
"""A mode with less is not used to explain another."""
LEAST_SHARE = 0.45
"""A cause has at least this share of the support of the effect it explains."""
INHERITS, EFFECT_KEEPS = 0.4, 0.35
SOON = timedelta(minutes=5)
PLANNED = 1.5
"""What it is worth that somebody announced what happened."""
NEAR_PLAN = timedelta(hours=2)
PROMPT = 1.2
"""A change right before the first symptom is worth that much more."""
CHANGES = ("deployment_regression", "bad_configuration", "access_rule")
"""Modes whose evidence is that someone changed something: they have to fit what then moved."""
SYMPTOMS = ("errors", "latency", "availability", "lag", "queue")
STRONG_SIGN = 2.0
_BROKEN = frozenset(
    [
        "failure",
        "failed",
        "failing",
        "error",
        "errors",
        "exhaustion",
        "exhausted",
        "misconfiguration",
        "misconfigured",
        "expired",
        "expiry",
        "limit",
        "outage",
        "bad",
        "high",
        "slow",
        "missing",
        "timeout",
        "fault",
        "leak",
        "issue",
        "unhealthy",
        "denied",
        "exceeded",
        "event",
        "storm",
        "spike",
        "down",
        "unavailable",
        "configuration",
        "config",
        "change",
    ]
)
WRITTEN = ("storage_full", "replication_lag")
"""Modes brought about by writing."""
EVENTS = ("failover", "host_broken", "provider_outage", "network_broken")
"""Failures that are events: that they are over does not undo that they raised the alert."""
CALM_STATES = ("normal", "ok", "resolved", "green", "healthy", "closed", "inactive", "info", "informational")


def separate(weighed: Mapping[str, Weighed], seen: Seen) -> None:
    """Marks effects and moves their weight to the cause that explains them."""
    for one in weighed.values():
        if one.mode.id in CHANGES:
            one.score = one.raw = one.raw * _fits(one, weighed, seen)
            one.score += PROMPT * _prompt(one, seen) if one.raw > 0 else 0.0
    order = sorted(weighed.values(), key=lambda one: -one.score)
    for effect in sorted(weighed.values(), key=lambda one: -one.raw):
        causes = [one for one in order if one is not effect and _explains(one, effect, seen)]
        if causes:
            cause = _first_cause(causes)
            if _is_its_trigger(cause, effect):
                cause, effect = effect, cause
            effect.effect_of = cause.mode.id
            cause.explains.append(effect.mode.id)
    for effect in weighed.values():
        if effect.effect_of:
            root = _root(effect, weighed)
            root.score += INHERITS * max(effect.raw, 0.0)
            effect.score = EFFECT_KEEPS * effect.raw if effect.raw > 0 else effect.raw


def _first_cause(causes: Sequence[Weighed]) -> Weighed:
    """The strongest; it may itself be an effect of another."""
    return max(causes, key=lambda one: one.score)


def _is_its_trigger(change: Weighed, mode: Weighed) -> bool:
    """Whether a changed setting is just how a mode came about that is itself a matter of settings: names that no
    longer resolve after an edit are a DNS failure, and the edit its trigger."""
    return (
        change.mode.id == "bad_configuration"
        and "configuration_error" in mode.mode.categories
        and mode.raw >= 1.5
    )


def _root(one: Weighed, weighed: Mapping[str, Weighed]) -> Weighed:
    seen = {one.mode.id}
    while one.effect_of and one.effect_of not in seen:
        seen.add(one.effect_of)
        one = weighed[one.effect_of]
    return one


def _explains(cause: Weighed, effect: Weighed, seen: Seen) -> bool:
    """Whether a mode can have brought about another: it may, it is supported itself, and it did not come later."""
    if effect.mode.id not in cause.mode.causes or _root_is(effect, cause):
        return False
    if (
        cause.score < LEAST
        or cause.score < LEAST_SHARE * effect.raw
        or not (cause.proven or cause.mode.id in CHANGES)
    ):
        return False
    if cause.mode.id in CHANGES and not (
        _mentions(cause, effect.mode) or cause.mode.id != "bad_configuration"
    ):
        return False
    if cause.onset and effect.onset and cause.onset > effect.onset + seen.slack:
        return False
    mutual = cause.mode.id in effect.mode.causes
    return not mutual or (cause.onset or seen.first, -cause.score) <= (
        effect.onset or seen.first,
        -effect.score,
    )


def _root_is(effect: Weighed, cause: Weighed) -> bool:
    """Whether the cause is already explained by the effect."""
    return cause.effect_of == effect.mode.id


def _change_lines(one: Weighed) -> list[Placed]:
    return [
        p.source
        for p in one.pieces
        if isinstance(p.source, Placed) and p.source.said.sign.role == "change" and not p.source.said.alert
    ]


def _fits(one: Weighed, weighed: Mapping[str, Weighed], seen: Seen) -> float:
    """How far a change fits what moved: 1 where its words name it or the program itself fails after it, little where
    a load explains as much."""
    if not _change_lines(one) or any(
        _mentions(one, other.mode) for other in weighed.values() if other is not one and other.raw >= 1.0
    ):
        return 1.0
    if one.mode.id == "access_rule":
        return (
            1.0
            if any(other.mode.id in one.mode.causes and other.raw >= 1.0 for other in weighed.values())
            else 0.3
        )
    if one.mode.id == "deployment_regression":
        after = any(isinstance(p.source, Placed) and p.source.said.sign.id == "exception" for p in one.pieces)
        driven = bool(seen.loads.writer) or any(
            m.quantity.id == "demand" and "up" in m.events for m in seen.movements
        )
        return 1.0 if after else 0.4 if driven else 0.8
    if any(p.strong for p in one.pieces):
        return 1.0
    others = any(other.proven and other.raw >= LEAST for other in weighed.values() if other is not one)
    return 0.3 if others or seen.loads.writer else 0.7


def _mentions(change: Weighed, mode: Mode) -> bool:
    """Whether the words of a change name what the mode is about."""
    lines = _change_lines(change)
    quantities = {event.split(".")[0] for event, weight in mode.moves.items() if weight >= 1.0} - {"errors"}
    patterns = [w for q in load_catalog().quantities if q.id in quantities for w in q.words]
    signs = [load_catalog().signs[name].words for name, weight in mode.signs.items() if weight >= STRONG_SIGN]
    texts = [f"{placed.said.line.text} {placed.said.line.about}" for placed in lines]
    names = {_stem(name) for name in mode.also} - {""}
    return (
        any(p.search(words(t)) for p in patterns for t in texts)
        or any(s.search(t) for s in signs for t in texts)
        or any(re.search(rf"\b{name}\b", words(t)) for name in names for t in texts)
    )


def _stem(name: str) -> str:
    """What a name of a mode is about, without the words for being broken.

    >>> _stem("health_check_failure"), _stem("oom")
    ('health check', 'oom')
    """
    return " ".join(word for word in name.split("_") if word not in _BROKEN)


def _prompt(one: Weighed, seen: Seen) -> bool:
    times = [placed.at for placed in _change_lines(one) if placed.at and placed.weight > 0]
    return seen.first is not None and any(-seen.slack <= seen.first - at <= SOON + seen.slack for at in times)


def fault_free(seen: Seen, weighed: Mapping[str, Weighed]) -> float:
    """Score of "no fault"."""
    bad = [m for m in seen.movements if m.bad and m.quantity.role not in ("other", "limit")]
    lasting = [m for m in bad if not m.recovered]
    hard = [m for m in lasting if m.events & {"full", "zero", "low"} or m.quantity.role in SYMPTOMS]
    failing = _failing(seen)
    score = (
        1.2 - 1.5 * min(len(hard), 2) - 0.4 * min(len(lasting) - len(hard), 3) - 1.0 * min(len(failing), 3)
    )
    alert = seen.case.alert
    if alert and (
        alert.state in CALM_STATES
        or (not alert.state and alert.severity in CALM_STATES)
        or alert.severity in CALM_STATES[-2:]
    ):
        score += 2.5
    if not lasting and seen.movements:
        score += 1.6
    if not failing and (seen.case.lines or seen.movements):
        score += 1.0
    if bad and not hard and (_recovery(seen) or not (lasting or failing)):
        score += 2.0
    if not (hard or failing) and planned(seen):
        score += PLANNED
    return score if seen.movements or seen.case.lines else 0.0


def _failing(seen: Seen) -> list[Placed]:
    """Failures the evidence reports, that count and were not followed by a recovery."""
    told = [
        s
        for s in seen.signs
        if s.said.sign.role == "failure" and s.weight >= 1.0 and not s.said.alert and not s.said.calm
    ]
    healed = [s.at for s in _recovery(seen) if s.at]
    calm = seen.case.alert is not None and seen.case.alert.state in CALM_STATES
    return [s for s in told if (s.said.sign.id in EVENTS and not calm) or not _healed(s, healed, seen)]


def planned(seen: Seen) -> list[Placed]:
    """Where the evidence calls what happened planned or usual, for this time or without one."""
    return [
        s for s in seen.signs
        if s.said.sign.id == "planned" and not s.said.alert
        and (s.at is None or seen.first is None or abs(s.at - seen.first) <= NEAR_PLAN)
    ]  # fmt: skip


def _healed(placed: Placed, recoveries: Sequence[datetime], seen: Seen) -> bool:
    """Whether everything that moved came back, and a recovery or that return followed."""
    bad = [m for m in seen.movements if m.bad]
    back = [m.ends or m.readings.times[-1] for m in bad]
    followed = placed.at is not None and any(at >= placed.at for at in [*recoveries, *back])
    return followed and all(m.recovered for m in bad)


def _recovery(seen: Seen) -> list[Placed]:
    return [s for s in seen.signs if s.said.sign.role == "recovery" and s.weight > 0 and not s.said.alert]


def not_to_tell(seen: Seen, weighed: Mapping[str, Weighed]) -> float:
    """Score of "unknown": what a cause has to beat."""
    symptoms = any(m.bad and not m.recovered and m.quantity.role in SYMPTOMS for m in seen.movements)
    return 1.8 + 0.7 * symptoms + 0.5 * (not seen.movements and not seen.case.lines)


def second_cause(top: Weighed, weighed: Mapping[str, Weighed], seen: Seen) -> Weighed | None:
    """A further cause that stands by itself: strong, lasting, and neither effect nor cause of the first."""
    for one in sorted(weighed.values(), key=lambda w: -w.score):
        if one is top or one.effect_of or one.raw < 3.0 or not one.proven:
            continue
        if one.mode.id in top.mode.causes or top.mode.id in one.mode.causes or _only_symptoms(one, top.mode):
            continue
        return one
    return None


def _only_symptoms(one: Weighed, top: Mode) -> bool:
    """Whether all that speaks for a mode are movements and lines the first cause brings about or shows anyway."""
    strong = [p for p in one.pieces if p.strong]
    shared = {s for s, weight in top.signs.items() if weight >= 1.0}
    for piece in strong:
        if isinstance(piece.source, Movement) and piece.source.quantity.id in top.shows:
            continue
        if isinstance(piece.source, Placed) and piece.source.said.sign.id in shared:
            continue
        return False
    return True


def driver(loads: Loads, mode: Mode) -> str:
    """Who is behind the load, in one sentence; "" where the rankings single out none."""
    if loads.holder:
        held = loads.holder
        return f"The others wait for {held.name} ({held.kind}, {held.measure} {held.weight:g}, {source(held.file)} {held.field})."
    if not loads.leaders:
        return ""
    first, share = loads.leaders[0]
    if mode.id in WRITTEN and loads.biggest_writer and not loads.writer:
        wrote, part = loads.biggest_writer
        return f"What writes most is {wrote.name} ({part:.0%} of {wrote.table} in {source(wrote.file)})."
    what = "query" if is_statement(first) else "consumer"
    heavy = "The workload is write-heavy: the heaviest" if loads.writer is first else "The heaviest"
    also = [c.name for c, _ in loads.leaders[1:] if not is_statement(c)]
    beside = f"; leading beside it: {', '.join(list(dict.fromkeys(also))[:3])}" if also else ""
    return f"{heavy} {what} is {first.name} ({share:.0%} of {first.table} in {source(first.file)}{beside})."
