"""Corrections of the same thing again and again are about a rule, not about words: they become a change for review.

Three people's corrections of one message's priority are a rule for that message; where its events carry readings, the
corrected ones bound it. A condition that people replace by the same other words is the rule's condition reworded. Nothing of this counts
before a person said yes to the lines in `setpoint review`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import yaml
from pydantic import JsonValue

from agents.verification.lexicon import PLAIN_WORDS
from knowledge.rulebook import Rule, RuleBook
from knowledge.text import mask, searchable
from setpoint.app.formatting import one_line
from setpoint.app.rules import LEARNED, hash_of
from setpoint.contracts import Event, Feedback, Priority, Review, Triage
from setpoint.contracts.autonomy import is_person
from setpoint.errors import InputError
from setpoint.ledger import Ledger

LEAST = 3
"""Corrections of one thing the same way, of different incidents, before it is put to review."""
ORDER = 900
"""Before every rule of a subject, after what says that a condition is over (1000)."""
KEPT = timedelta(days=30)
_LEVELS: dict[Priority, tuple[str, str, str]] = {
    "P0": ("high", "high", "low"), "P1": ("low", "high", "low"), "P2": ("high", "low", "low"), "P3": ("low", "low", "low"),
}  # fmt: skip
_BETWEEN = re.compile(r"\{[a-z]+[0-9]?\}|[.:;,()]|\s-\s")


@dataclass
class Repeated:
    """One thing that people corrected the same way."""

    what: str
    """In words."""
    rule: dict[str, Any]
    """What the rules would say then, as YAML data."""
    incidents: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)


def propose_repeated(ledger: Ledger, who: str, now: datetime) -> list[JsonValue]:
    """Put what was corrected again and again to review, all of it as one content of LEARNED. Returns what it found."""
    refused = _refused(ledger)
    found = [
        one for one in (*repeated_priorities(ledger), *repeated_phrases(ledger)) if one.rule not in refused
    ]
    if not found:
        return []
    content = learned_content(ledger, found)
    why = "; ".join(one.what for one in found)
    review = Review(
        id=f"REV-rules-learned-{hash_of(content) % 10**8:08d}",
        kind="rule_change",
        incident_id="",
        subject=f"May rules learned from corrections count: {one_line(why, 240)}?",
        digest=f"{hash_of(content):016x}",
        created=now,
        expires=now + KEPT,
    )
    version = ledger.propose_rules(LEARNED, content, who=who, why=why, review=review)
    return [
        {
            "what": one.what, "incidents": [*one.incidents], "people": [*one.people], "review": version.review_id,
            "state": version.state,
        }
        for one in found
    ]  # fmt: skip


def learned_content(ledger: Ledger, found: Sequence[Repeated]) -> str:
    """The rules that count already, with the new ones in their places."""
    accepted = ledger.accepted_rules(LEARNED)
    known = yaml.safe_load(accepted.content)["rules"] if accepted else []
    rules = {rule["id"]: rule for rule in known} | {one.rule["id"]: one.rule for one in found}
    file = {
        "area": "learned",
        "version": 1,
        "source": "corrections of this site",
        "rules": list(rules.values()),
    }
    return yaml.safe_dump(file, sort_keys=False, allow_unicode=True, width=110)


def _refused(ledger: Ledger) -> list[dict[str, Any]]:
    """Rules that people said no to: they are not asked again before there are more corrections."""
    accepted = ledger.accepted_rules(LEARNED)
    counts = yaml.safe_load(accepted.content)["rules"] if accepted else []
    said_no = [one for one in ledger.list_rules(state="rejected") if one.name == LEARNED]
    rules = [rule for one in said_no for rule in yaml.safe_load(one.content)["rules"]]
    return [rule for rule in rules if rule not in counts]


# ---- priorities ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ranked:
    """A corrected incident with the event that led it."""

    item: Feedback
    event: Event
    triage: Triage
    template: str
    """What rules read of it; numbers are masked."""


def repeated_priorities(ledger: Ledger) -> Iterator[Repeated]:
    """Messages of one template whose incidents were given the same other priority by people, never two different ones."""
    groups: defaultdict[str, list[_Ranked]] = defaultdict(list)
    last = {one.subject: one for one in ledger.list_feedback(fields=("priority",)) if is_person(one.who)}
    for item in last.values():
        if (ranked := _leading(ledger, item)) is not None and item.decided != item.proposed:
            groups[ranked.template].append(ranked)
    for group in groups.values():
        wanted = {str(one.item.decided) for one in group}
        if len(group) >= LEAST and len(wanted) == 1:
            yield _priority_rule(group)


def _leading(ledger: Ledger, item: Feedback) -> _Ranked | None:
    """The first event of the rank that was corrected; None where it is not kept any more."""
    triages = {one.event_id: one for one in ledger.triage_of(item.subject)}
    for event in ledger.events_of(item.subject):
        triage = triages.get(event.id)
        if triage is not None and triage.priority == item.proposed:
            return _Ranked(item, event, triage, searchable(event.kind, mask(event.message)))
    return None


def _priority_rule(group: Sequence[_Ranked]) -> Repeated:
    first, wanted = group[0], str(group[0].item.decided)
    people = list(dict.fromkeys(one.item.who for one in group))
    bound = _bound(group, wanted)
    urgency, impact, complexity = _LEVELS[wanted]  # type: ignore[index]  # the ledger takes no other priority
    reason = f"people of this site ranked it {wanted} {len(group)} times"
    rule = {
        "id": f"learned.{hash_of(first.template) % 10**8:08d}",
        "when": _whens(first.event, bound),
        "is": "routine" if wanted == "P3" else "at-risk",
        "condition": first.triage.condition or "trouble reported",
        "causes": list(first.triage.cause_hints),
        "urgency": f"{urgency}: {reason}",
        "impact": f"{impact}: {reason}",
        "complexity": f"{complexity}: a rule of this site names it",
        "order": ORDER,
    }
    limits = "".join(f", {key} {value:g}" for key, value in bound.items() if key != "metric")
    what = f"{first.item.proposed} corrected to {wanted} {len(group)} times: {first.template[:80]}{limits}"
    return Repeated(what, rule, [one.item.subject for one in group], people)


def _whens(event: Event, bound: dict[str, Any]) -> list[dict[str, Any]]:
    """Exactly the messages of its template, and its first sentence alone: what follows one never makes a message less urgent,
    so the rule has to know both."""
    masked = mask(event.message)
    sentence = re.split(r"(?<=[.;!?])\s", masked, maxsplit=1)[0]
    texts = dict.fromkeys(searchable(event.kind, text) for text in (masked, sentence))
    return [{"status": "firing", "text": f"^{re.escape(text)}$"} | bound for text in texts]


def _bound(group: Sequence[_Ranked], wanted: str) -> dict[str, Any]:
    """Where all corrected events carry a reading of one metric: raised from the least, lowered up to the greatest of them."""
    metrics = {one.event.metric for one in group}
    values = [one.event.value for one in group if one.event.value is not None]
    metric = next(iter(metrics)) if len(metrics) == 1 else None
    if not metric or len(values) < len(group) or len(set(values)) == 1:
        return {}
    raised = wanted < str(group[0].item.proposed)
    over = _over(group)
    named = {"metric": f"^{re.escape(metric)}$"}
    # A reading that is bad when high is worse above, one that is bad when low is worse below.
    return named | ({"above": _below(min(values))} if raised == over else {"below": _above(max(values))})


def _over(group: Sequence[_Ranked]) -> bool:
    """Whether a higher reading is the worse one, by the events' own limits."""
    return all(
        one.event.threshold is None or (one.event.value or 0.0) >= one.event.threshold for one in group
    )


def _below(value: float) -> float:
    return float(f"{value - abs(value) * 1e-6 - 1e-9:.9g}")


def _above(value: float) -> float:
    return float(f"{value + abs(value) * 1e-6 + 1e-9:.9g}")


# ---- phrases ------------------------------------------------------------------------------------------------------


def repeated_phrases(ledger: Ledger) -> Iterator[Repeated]:
    """Conditions that people replaced by the same other words in alerts of different incidents."""
    book = RuleBook.load()
    found: defaultdict[tuple[str, str], list[Feedback]] = defaultdict(list)
    for item in ledger.list_feedback(fields=("wording",)):
        words = replaced_condition(item) if is_person(item.who) else ""
        rule = _rule_of(ledger, item.subject, book) if words else None
        if rule is not None:
            found[rule.id, words.lower()].append(item)
    for (name, words), items in found.items():
        subjects = list(dict.fromkeys(item.subject for item in items))
        if len(subjects) >= LEAST:
            rule = book.by_id[name]
            changed = rule.model_copy(update={"condition": words, "version": rule.version + 1})
            data = changed.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            what = f"{rule.condition!r} replaced by {words!r} {len(items)} times"
            yield Repeated(what, data, subjects, list(dict.fromkeys(item.who for item in items)))


def replaced_condition(item: Feedback) -> str:
    """The words that stand where the alert's condition stood; "" where it still stands or was left out."""
    from agents.wordings import inputs_of
    from setpoint.contracts.wording import Wording
    from setpoint.learning.slotting import unfill

    before, decided = item.proposed, item.decided
    if not isinstance(before, dict) or not isinstance(decided, dict) or decided.get("part") != "alert":
        return ""
    try:
        inputs = inputs_of(Wording.model_validate({key: before[key] for key in ("task", "inputs", "words")}))
    except (InputError, ValueError, KeyError):
        return ""
    old = str(before["words"]) or unfill(str(before["text"]), inputs).words
    new = unfill(str(decided.get("text", "")), inputs).words
    return "" if "{what}" in new or "{what}" not in old else _own_phrase(new)


def _own_phrase(words: str) -> str:
    """The one stretch between slots and punctuation that says something, without the joints at its ends; "" where there are
    several, or none.

    >>> _own_phrase("{asset}: pump stopped on trip since {time}, {value} against {limit}.")
    'pump stopped on trip'
    >>> _own_phrase("{asset} broke at {time}: the belt tore.")
    ''
    """
    found = []
    for stretch in _BETWEEN.split(words):
        said = stretch.split()
        while said and said[0].lower() in PLAIN_WORDS:
            said.pop(0)
        while said and said[-1].lower() in PLAIN_WORDS:
            said.pop()
        if said:
            found.append(" ".join(said))
    return found[0] if len(found) == 1 else ""


def _rule_of(ledger: Ledger, incident: str, book: RuleBook) -> Rule | None:
    """The rule that names the incident's condition, where one does."""
    triages = sorted(ledger.triage_of(incident), key=lambda one: one.priority)
    for name in triages[0].decided_by if triages else ():
        rule = book.by_id.get(name.rpartition("@")[0])
        if rule is not None and rule.condition == triages[0].condition:
            return rule
    return None
