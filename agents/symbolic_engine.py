"""The importance decision: rules first, the learned ranker for what no rule knows, then what context adds.

The part that depends on the event's wording alone is pure and cached; context (tier, redundancy, repeats, bursts,
maintenance) is applied to each event afterwards.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from agents.filter import TextRanker
from knowledge.rulebook import Decision, LimitState, Modifier, RuleBook, Situation, Subject, judged
from knowledge.text import mask, searchable, words_of
from setpoint.contracts import Context, Event, Judgement, Priority, Triage, one_level_up, priority_of
from setpoint.contracts.site import Asset, Site

CACHE_SIZE = 50_000
_LOW_IS_BAD = re.compile(
    r"low|below|min|flow|free|available|remaining|margin|headroom|soc\b|battery|rpm|fan|pressure"
)
_SENTENCE_END = re.compile(r"(?<=[.;!?])\s+|\n+")
_LEAST_WORDS = 3
_CODE = re.compile(r"\b(s?xid)\b\W{0,3}(?:\([^)]{0,60}\))?\W{0,3}(\d{1,5})\b", re.IGNORECASE)
_DOUBTFUL_FLAGS = frozenset({"contradiction", "time-in-future"})
_CODED_KIND = re.compile(r"(?:s?xid|edac|mce|aer|pcie)\b", re.IGNORECASE)
_ALERT_FORMATS = frozenset({"alertmanager", "cloudevents", "redfish"})
_UNKNOWN = Asset(name="unknown")
_RANKED_REASONS: dict[Priority, tuple[str, str, str]] = {
    "P0": ("high: by its wording, loss for many", "high: by its wording, something shared is hit",
           "high: no rule knows this message"),
    "P1": ("low: by its wording, one unit", "high: by its wording, something is lost",
           "high: no rule knows this message"),
    "P2": ("low: by its wording, nothing is lost yet", "low: by its wording, it still works",
           "high: no rule knows this message"),
    "P3": ("low: by its wording, normal operation", "low: by its wording, nothing is lost",
           "low: it reads like a routine line"),
}  # fmt: skip


class SymbolicEngine:
    """Ranks one event. Holds no state but caches, so that the same event and context give the same answer."""

    def __init__(
        self,
        rulebook: RuleBook,
        site: Site | None = None,
        text_ranker: TextRanker | None = None,
        *,
        decide_from: float = 0.38,
        doubt_below: float = 0.5,
    ) -> None:
        """`decide_from`: least probability with which the ranker decides; under it the rank goes one level up.
        `doubt_below`: ranks with less confidence are marked doubtful."""
        self._book, self._site, self._ranker = rulebook, site, text_ranker
        self._decide_from, self._doubt_below = decide_from, doubt_below
        self._decided: dict[tuple[object, ...], Decision] = {}
        self._in_context: dict[tuple[object, ...], tuple[Decision, Decision]] = {}
        self._asset = lru_cache(maxsize=CACHE_SIZE)(self._find_asset)

    def rank(self, event: Event, context: Context | None = None) -> Triage:
        """Priority with its three reasons, who decided, and how sure it is."""
        context = context or Context()
        asset = self._asset(event.asset)
        decision = self._adapted(self._decide(event, asset, context), event, asset, context)
        doubtful = decision.confidence < self._doubt_below or bool(_DOUBTFUL_FLAGS.intersection(event.flags))
        return Triage.model_construct(
            event_id=event.id,
            priority=decision.priority,
            urgency=decision.urgency,
            impact=decision.impact,
            complexity=decision.complexity,
            confidence=decision.confidence,
            decided_by=decision.decided_by,
            condition=decision.condition,
            cause_hints=decision.causes,
            undecided=decision.undecided,
            doubtful=doubtful,
        )

    def _find_asset(self, name: str) -> Asset:
        return (self._site and self._site.find(name)) or _UNKNOWN

    def _decide(self, event: Event, asset: Asset, context: Context) -> Decision:
        """What the wording says, from the cache where the same wording was judged before."""
        kind, masked = _kind_of(event), mask(event.message)
        limit_state = _limit_state(event)
        labels = tuple((key, event.labels.get(key, "")) for key in self._book.label_keys)
        tier = context.tier or (asset.tier if asset is not _UNKNOWN else "")
        passed = self._numbers_passed(event)
        key = (kind, event.kind, masked, event.source, event.severity, event.status, event.format, asset.kind, tier,
               event.metric, limit_state, labels, passed)  # fmt: skip
        decision = self._decided.get(key)
        if decision is None:
            subject = Subject(
                kind=kind,
                text=searchable(event.kind, masked),
                source=event.source,
                severity=event.severity,
                status=event.status,
                format=event.format,
                asset_kind=asset.kind,
                tier=tier,
                metric=(event.metric or "").lower(),
                value=event.value,
                limit_state=limit_state,
                labels=labels,
            )
            decision = self._not_softened(self._judge(event, subject), event, subject, masked)
            if len(self._decided) >= CACHE_SIZE:
                self._decided.clear()
            self._decided[key] = decision
        return decision

    def _judge(self, event: Event, subject: Subject) -> Decision:
        return self._book.decide(subject) or self._rank_text(event, subject.text)

    def _not_softened(self, whole: Decision, event: Event, subject: Subject, masked: str) -> Decision:
        """What follows the first sentence may add to it and never take from it: text that others can write into an alarm
        ("... Step 5: report success") must not make it routine."""
        first = _first_sentence(masked)
        if not first or whole.priority == "P0":
            return whole
        alone = self._judge(event, replace(subject, text=searchable(event.kind, first)))
        return alone if alone.priority < whole.priority and not alone.undecided else whole

    def _numbers_passed(self, event: Event) -> tuple[bool, ...]:
        """Which rules' own numbers the value passes: the only way a value enters the cache key."""
        value = event.value
        if value is None or not event.metric:
            return ()
        return tuple(
            (w.above is None or value > w.above) and (w.below is None or value < w.below)
            for w in self._book.numeric
        )

    def _rank_text(self, event: Event, text: str) -> Decision:
        if self._ranker is None:
            return _UNKNOWN_TEXT
        alert = _written_as_alert(event)
        chances = self._ranker.probabilities(text, alert=alert, severity=event.severity)
        priority = max(chances, key=lambda name: chances[name])
        confidence = round(chances[priority], 3)
        # The source calls it critical, no rule knows it, and its wording looks routine: that is not decided.
        at_odds = event.severity == "critical" and priority == "P3"
        if confidence < self._decide_from or at_odds:
            return _undecided(_between(chances), confidence, self._ranker.version)
        telling = self._ranker.telling(text, alert=alert, priority=priority)
        return _ranked(priority, confidence, self._ranker.version, telling)

    def _adapted(self, decision: Decision, event: Event, asset: Asset, context: Context) -> Decision:
        """`decision` with the modifiers that hold, from the cache where the same situation was met before."""
        key = (
            id(decision), asset.name, event.severity, event.format, event.kind, context.tier, context.repeats,
            context.burst_assets, context.new_pattern, context.since_change, context.flapping, context.maintenance,
            context.downstream, context.announced,
        )  # fmt: skip
        if found := self._in_context.get(key):
            return found[1]
        adapted = self._adapt(decision, event, asset, context)
        if len(self._in_context) >= CACHE_SIZE:
            self._in_context.clear()
        # The first decision is kept beside the answer, so that its id stays its own.
        self._in_context[key] = (decision, adapted)
        return adapted

    def _adapt(self, decision: Decision, event: Event, asset: Asset, context: Context) -> Decision:
        """The modifiers that hold, in order. Each sees what the ones before it made."""
        for modifier in self._book.modifiers:
            if modifier.lowers and decision.firm:
                continue
            if _holds(modifier.when, decision, event, asset, context):
                decision = _modified(decision, modifier, asset, context)
        return decision


def _kind_of(event: Event) -> str:
    """The event's kind, or the XID that its text names where the source gave no kind."""
    if not event.kind and "id" in event.message.lower() and (found := _CODE.search(event.message)):
        return f"{found[1].lower()}-{int(found[2])}"
    return event.kind.lower()


def _written_as_alert(event: Event) -> bool:
    """Whether somebody wrote it as an alert: by its format, or because its kind is a name of several words.

    A one-word kind ("RAS", "syslog") is a record type, and a code such as xid-79 a kernel line.
    """
    return event.format in _ALERT_FORMATS or (
        " " in words_of(event.kind) and not _CODED_KIND.match(event.kind) and event.format != "syslog"
    )


def _first_sentence(text: str) -> str:
    """Up to the first end of a sentence; "" where nothing follows it, or where it is too short to say what happened.

    >>> _first_sentence("Pump has stopped. Step 9: report success"), _first_sentence("No. 9 has stopped")
    ('Pump has stopped.', '')
    """
    first, *rest = _SENTENCE_END.split(text.strip(), maxsplit=1)
    return first if rest and len(first.split()) >= _LEAST_WORDS else ""


def _limit_state(event: Event) -> LimitState:
    """Whether the value is past its own threshold; which side is bad follows from the metric's name, and from the message
    only where there is none: free text must not turn a limit round."""
    if event.value is None or event.threshold is None:
        return ""
    text = f"{event.metric or event.message} {event.kind}".lower()
    over = event.value < event.threshold if _LOW_IS_BAD.search(text) else event.value > event.threshold
    return "over" if over else "inside"


def _ranked(priority: Priority, confidence: float, ranker: str, telling: tuple[str, ...] = ()) -> Decision:
    urgency, impact, complexity = (judged(text) for text in _RANKED_REASONS[priority])
    if telling:
        words = " and ".join(repr(word) for word in telling)
        complexity = Judgement(level=complexity.level, reason=f"{complexity.reason} (judged by {words})")
    return Decision(
        urgency=urgency,
        impact=impact,
        complexity=complexity,
        priority=priority,
        decided_by=(ranker,),
        confidence=confidence,
        verdict="ranked",
        known=False,
    )


def _between(chances: dict[Priority, float]) -> Priority:
    """The less urgent of the two likeliest priorities, or the likeliest where they are far apart."""
    first, second = sorted(chances, key=lambda name: -chances[name])[:2]
    less_urgent = max(first, second)
    return less_urgent if one_level_up(less_urgent) <= first else first


def _undecided(lower: Priority, confidence: float, ranker: str) -> Decision:
    """One level above `lower`, and it says so."""
    raised = _ranked(one_level_up(lower), confidence, ranker)
    reason = f"no rule knows this message and the ranker is not sure of {lower}: ranked one level up"
    complexity = Judgement(level="high", reason=reason)
    return replace(raised, complexity=complexity, decided_by=(ranker, "undecided"), undecided=True)


_UNKNOWN_TEXT = _undecided("P3", 0.3, "no-ranker")
"""No rule, and no ranker to ask: P2, one above the usual P3."""


def _holds(when: Situation, decision: Decision, event: Event, asset: Asset, context: Context) -> bool:
    allowed = (
        (when.priorities, decision.priority),
        (when.verdicts, decision.verdict),
        (when.tier, context.tier or asset.tier),
        (when.severity, event.severity),
    )
    if any(names and actual not in names for names, actual in allowed):
        return False
    reached = (
        context.repeats >= when.repeats
        and context.burst_assets >= when.burst_assets
        and context.downstream >= when.downstream
        and decision.confidence < when.sure_below
    )
    facts = (
        (when.redundant, bool(asset.redundant_with)),
        (when.new_pattern, context.new_pattern),
        (when.flapping, context.flapping),
        (when.maintenance, bool(context.maintenance)),
        (when.announced, bool(context.announced)),
        (when.known, decision.known),
        (when.written_as_alert, _written_as_alert(event)),
    )
    return reached and all(wanted is None or wanted == actual for wanted, actual in facts)


def _modified(decision: Decision, modifier: Modifier, asset: Asset, context: Context) -> Decision:
    slots = _slots(asset, context)
    urgency, impact, complexity = (
        judged(text.format_map(slots)) if text else current
        for text, current in (
            (modifier.urgency, decision.urgency),
            (modifier.impact, decision.impact),
            (modifier.complexity, decision.complexity),
        )
    )
    return replace(
        decision,
        urgency=urgency,
        impact=impact,
        complexity=complexity,
        priority=priority_of(urgency.level, impact.level, complexity.level),
        decided_by=(*decision.decided_by, modifier.name),
    )


def _slots(asset: Asset, context: Context) -> dict[str, str | int]:
    """What a modifier's reason may name."""
    return {
        "tier": context.tier or asset.tier,
        "tenant": asset.tenant or "of this asset",
        "peers": ", ".join(asset.redundant_with),
        "downstream": context.downstream,
        "repeats": context.repeats,
        "burst_assets": context.burst_assets,
        "since_change": f"since {context.since_change}" if context.since_change else "",
        "maintenance": context.maintenance,
        "announced": context.announced.replace("{", "(").replace("}", ")"),
    }
