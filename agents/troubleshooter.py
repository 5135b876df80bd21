"""The troubleshooter: ranks root causes of one incident from the closed catalog.

Code first ranks by symbolic signatures: each cause has patterns that name it, patterns that fit it, patterns that
speak against it, and things one would also expect to see. Scores add up as log-odds; "unknown" has a fixed score that
a cause must beat, and "no fault" gains where everything cleared by itself. Where the site's readings are at hand, the
causes are then tried on the plant model (plant/diagnosis), and the shares of that trial order the list; where the
signatures would have named another cause, that is said.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from agents.announced import of_case
from agents.evidence import Case, priority_in, telling_events
from knowledge.causes import NO_FAULT, UNKNOWN, Cause, Signature
from prompts import Certainty
from setpoint.contracts import Event, Evidence, Hypothesis
from setpoint.contracts.diagnosis import Trial, Verdict

STRONG, WEAK, AGAINST, MISSING = 3.0, 0.9, -2.5, -0.6
HINT, LEAST_HINT = 2.0, 0.6
"""A triage rule that knows the cause (an XID table row, say) is as good as two thirds of a strong pattern; one that
names several shares it out."""
FIRST = 1.0
"""Causes come before effects: the pattern that matches the incident's first serious events counts more."""
CARRIES = 1.2
"""A cause on an asset that carries the other assets explains them."""
EXPLAINS, UNEXPLAINED = 0.5, -3.0
"""A cause has to fit the worst of what happened, not only something on the way to it."""
UNKNOWN_SCORE = 2.5
NOTHING_SERIOUS, ANNOUNCED, CLEARED = 3.0, 7.5, 1.0
"""For no fault: nothing above routine was said; somebody announced the work; all of it ended by itself."""
CLEAR, LIKELY = 0.8, 0.5
"""Shares from which a cause may be called the cause, and the likely cause (likelier than all others together)."""
BEHIND_ONE_SWITCH, MOST_OF_ITS_MACHINES = 4, 0.5
"""So many machines that lose the fabric, and that share of all behind a switch, speak of the switch and not of each of
their links."""
_LOST_FABRIC = re.compile(
    r"link (is )?(down|lost)|no carrier|no path|(not|never) respond|unreachable|ports? (is |are )?(inactive|down)",
    re.IGNORECASE,
)
SWITCH = "switch_failure"
_OWN_LINKS = frozenset({"ib_link_down", "nic_failure"})
SHOWN = 4
MUCH_LIKELIER = 3.0
"""A second fault is told where it makes the first so many times likelier; a few odd readings do not."""


@dataclass(frozen=True)
class Finding:
    """How one cause fared."""

    cause: Cause
    score: float
    supports: tuple[str, ...]
    contradicts: tuple[str, ...]
    missing: tuple[str, ...]


def rank_causes(
    case: Case, causes: Mapping[str, Cause], evidence_of: Mapping[str, str], evidence: Sequence[Evidence] = ()
) -> list[Hypothesis]:
    """By signatures alone, most likely first; the shares of the causes shown sum to 1."""
    return by_signature(weigh_causes(case, causes, evidence_of, evidence))


def weigh_causes(
    case: Case, causes: Mapping[str, Cause], evidence_of: Mapping[str, str], evidence: Sequence[Evidence] = ()
) -> list[Finding]:
    """Every cause that anything speaks for, best first.

    `evidence_of` maps event ids to evidence ids. The list is never empty: "unknown" is always weighed.
    """
    firing = _speaking(case)
    dark = _behind_one_switch(case, firing)
    found = [
        finding
        for cause in causes.values()
        if cause.signature and (finding := _weigh(case, cause, cause.signature, firing, evidence_of, dark))
    ]
    found += [_unknown(causes[UNKNOWN]), _no_fault(case, causes[NO_FAULT], firing, evidence_of)]
    found = _with_change(found, evidence)
    return sorted(found, key=lambda finding: (-finding.score, finding.cause.id))


def by_signature(findings: Sequence[Finding]) -> list[Hypothesis]:
    """The best few with shares."""
    ranked = findings[:SHOWN]
    total = sum(math.exp(finding.score) for finding in ranked)
    return [_hypothesis(finding, math.exp(finding.score) / total) for finding in ranked]


def by_trial(findings: Sequence[Finding], trial: Trial, causes: Mapping[str, Cause]) -> list[Hypothesis]:
    """Ordered by the trial on the plant model, "unknown" and "no fault" always among them; of each cause the place that
    fits best stands for all its places, with their shares together."""
    weighed = {finding.cause.id: finding for finding in findings}
    places: dict[str, list[Verdict]] = {}
    for verdict in trial.verdicts:
        if verdict.cause in causes:
            places.setdefault(verdict.cause, []).append(verdict)
    ranked = sorted((_together(found) for found in places.values()), key=lambda one: -one.share)
    tested = [one for place, one in enumerate(ranked) if place < SHOWN or one.cause in (UNKNOWN, NO_FAULT)]
    total = sum(one.share for one in tested)
    return [
        _hypothesis(
            weighed.get(one.cause, Finding(causes[one.cause], 0.0, (), (), ())), one.share / total
        ).model_copy(update={"tested": one})
        for one in tested
    ]


def _together(places: Sequence[Verdict]) -> Verdict:
    """The best of them with the share of all: alone, unless a second fault beside it is much likelier."""
    share = min(1.0, sum(one.share for one in places))
    low = min(share, sum(one.low for one in places))
    high = max(share, min(1.0, sum(one.high for one in places)))
    best = places[0]
    alone = next((one for one in places if not one.also and one.asset == best.asset), best)
    shown = alone if alone.share * MUCH_LIKELIER >= best.share else best
    return shown.model_copy(update={"share": share, "low": low, "high": high})


def disagreement(signature: Sequence[Hypothesis], tested: Sequence[Hypothesis]) -> str:
    """Where the two orders name different causes, in a sentence; "" where they agree."""
    said, found = signature[0], tested[0]
    if said.cause == found.cause:
        return ""
    fared = next((h.score for h in tested if h.cause == said.cause), 0.0)
    return (
        f"The event signatures alone would name {said.title} ({said.score:.0%}); on the plant model it comes to "
        f"{fared:.0%}, {found.title} to {found.score:.0%}."
    )


def _speaking(case: Case) -> list[Event]:
    """What may name a cause: firing events above P3. Routine that fell into the incident may not, unless all is
    routine."""
    firing = [event for event in case.events if event.status == "firing"]
    return [event for event in firing if priority_in(case, event) < "P3"] or firing


def certainty(hypotheses: Sequence[Hypothesis]) -> Certainty:
    """How firmly the first cause may be said: clear, likely or open."""
    top = hypotheses[0]
    if top.cause in (UNKNOWN, NO_FAULT):
        return "open"
    if top.score >= CLEAR and not top.contradicts:
        return "clear"
    return "likely" if top.score >= LIKELY else "open"


def _weigh(
    case: Case,
    cause: Cause,
    signature: Signature,
    firing: Sequence[Event],
    evidence_of: Mapping[str, str],
    dark: Sequence[Event],
) -> Finding | None:
    texts = [(event, _text(event, case)) for event in firing]
    strong = _often([e for e, text in texts if _any(signature.strong, text)], signature.at_least)
    strong = strong or (list(dark) if cause.id == SWITCH else [])
    hinted = [e for e in firing if cause.id in _hints(e, case)]
    weak = [e for e, text in texts if e not in strong and _any((*signature.weak, *signature.strong), text)]
    if not strong and not hinted and not weak:
        return None
    everything = [(event, _text(event, case)) for event in telling_events(case)]
    against = [event for event, text in everything if _any(signature.against, text)]
    against += dark if cause.id in _OWN_LINKS else ()
    expected = [[event for event, text in everything if e.pattern.search(text)] for e in signature.expects]
    missing = [e.what for e, seen in zip(signature.expects, expected, strict=True) if not seen]
    score = math.log(signature.prior) + MISSING * len(missing)
    score += STRONG * bool(strong) + _hint_weight(cause, hinted, case) + AGAINST * bool(against)
    score += 0.5 * (_kinds(strong) > 1) + WEAK * min(_kinds(weak), 3)
    score += EXPLAINS if _explains([*strong, *hinted, *weak], firing, case) else UNEXPLAINED
    source = strong or hinted
    if source:
        score += FIRST * _comes_first(source[0], firing, case) + CARRIES * _carries(source, firing, case)
    supports = _evidence_ids([*strong, *hinted, *weak, *itertools.chain(*expected)], evidence_of)
    return Finding(cause, score, supports, _evidence_ids(against, evidence_of), tuple(missing))


def _behind_one_switch(case: Case, firing: Sequence[Event]) -> tuple[Event, ...]:
    """What machines say of a lost fabric, where all of them stand on one switch and are most of its machines."""
    said = [
        event for event in firing if _LOST_FABRIC.search(event.message) and _is_machine(case, event.asset)
    ]
    machines = {event.asset for event in said}
    if len(machines) < BEHIND_ONE_SWITCH:
        return ()
    shared = set.intersection(*(set(case.site.upstream(name)) for name in machines))
    switches = [name for name in shared if (found := case.site.find(name)) and found.kind == "switch"]
    behind = min((_machines_behind(case, name) for name in switches), default=0)
    return tuple(said) if behind and len(machines) >= MOST_OF_ITS_MACHINES * behind else ()


def _is_machine(case: Case, asset: str) -> bool:
    found = case.site.find(asset)
    return found is not None and found.kind in ("gpu_node", "host")


def _machines_behind(case: Case, switch: str) -> int:
    return sum(_is_machine(case, name) for name in case.site.downstream(switch))


def _any(patterns: Sequence[re.Pattern[str]], text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)


def _often(events: list[Event], least: int) -> list[Event]:
    """Those of assets that said it often enough."""
    times = Counter(event.asset for event in events)
    return [event for event in events if times[event.asset] >= least]


def _hints(event: Event, case: Case) -> tuple[str, ...]:
    triage = case.triages.get(event.id)
    return triage.cause_hints if triage else ()


def _hint_weight(cause: Cause, hinted: Sequence[Event], case: Case) -> float:
    """A rule that names one cause says more than a rule that names several; the most telling one counts."""
    return max((max(LEAST_HINT, HINT - math.log(len(_hints(event, case)))) for event in hinted), default=0.0)


def _comes_first(event: Event, firing: Sequence[Event], case: Case) -> bool:
    """Among the events that are P0 or P1 (or all, where none is), nothing came clearly earlier."""
    serious = [e for e in firing if priority_in(case, e) < "P2"] or list(firing)
    return (event.time - serious[0].time).total_seconds() <= 5.0


def _explains(fitting: Sequence[Event], firing: Sequence[Event], case: Case) -> bool:
    """Whether the cause fits any of the most urgent things that happened."""
    best = min((priority_in(case, event) for event in firing), default="P3")
    return any(priority_in(case, event) == best for event in fitting)


def _carries(source: Sequence[Event], firing: Sequence[Event], case: Case) -> float:
    """Share of the incident's other assets that stand on an asset the cause was seen on."""
    roots = {event.asset for event in source}
    others = {event.asset for event in firing} - roots
    if not others:
        return 0.0
    explained = {name for root in roots for name in case.site.downstream(root)}
    return len(others & explained) / len(others)


def _with_change(found: list[Finding], evidence: Sequence[Evidence]) -> list[Finding]:
    """A recent change on the asset speaks for a regression, together with patterns that name it."""
    change = next((piece.id for piece in evidence if piece.kind == "change"), None)
    if change is None:
        return found
    return [
        Finding(f.cause, f.score + 1.5, (*f.supports, change), f.contradicts, f.missing)
        if f.cause.id == "firmware_regression"
        else f
        for f in found
    ]


def _unknown(cause: Cause) -> Finding:
    return Finding(cause, UNKNOWN_SCORE, (), (), ())


def _no_fault(case: Case, cause: Cause, firing: Sequence[Event], evidence_of: Mapping[str, str]) -> Finding:
    """Gains where all that fired was routine or in maintenance, was announced as planned work, or has cleared by
    itself; loses with every serious event."""
    serious = [event for event in firing if priority_in(case, event) < "P3"]
    if not serious:
        return Finding(cause, NOTHING_SERIOUS, (), (), ())
    announced = of_case(case.events, case.context)
    score = (
        0.5 - 0.5 * min(len(serious), 6) + ANNOUNCED * bool(announced) + CLEARED * _all_cleared(case, serious)
    )
    return Finding(cause, score, _evidence_ids(announced, evidence_of), (), ())


def _all_cleared(case: Case, serious: Sequence[Event]) -> bool:
    """Every serious condition has been followed by its own end."""
    ended: dict[tuple[str, str], datetime] = {}
    for event in case.events:
        if event.status == "resolved":
            ended[event.asset, event.kind] = max(event.time, ended.get((event.asset, event.kind), event.time))
    return all(ended.get((event.asset, event.kind), event.time) > event.time for event in serious)


def _hypothesis(finding: Finding, share: float) -> Hypothesis:
    return Hypothesis(
        cause=finding.cause.id,
        title=finding.cause.title,
        score=share,
        supports=finding.supports,
        contradicts=tuple(e for e in finding.contradicts if e not in finding.supports),
        missing=finding.missing,
    )


def _text(event: Event, case: Case) -> str:
    asset = case.site.find(event.asset)
    return f"{asset.kind if asset else ''} | {event.kind} | {event.message} | {event.metric or ''}"


def _kinds(events: Sequence[Event]) -> int:
    """Distinct things said: forty nodes saying one thing are one piece of evidence."""
    return len({event.kind or event.message[:24] for event in events})


def _evidence_ids(events: Sequence[Event], evidence_of: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(evidence_of[event.id] for event in events if event.id in evidence_of))
