"""Ranking rules as data: read, checked and matched.

A rule file is YAML with `area`, `version` and `rules`. A rule says *when* it applies and *is* one of the verdicts
of `verdicts.yaml` (which carries the three levels and their reasons), names the condition in a short noun phrase
and points at root causes. Rules are tried most specific first; among equals, in the order of files and lines.
Modifiers apply afterwards to what context adds: tier, redundancy, bursts, repeats, maintenance.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from knowledge.literals import needed
from knowledge.text import words_of
from setpoint.contracts import Judgement, Level, Priority, priority_of
from setpoint.errors import ConfigError

RULES_DIR = Path(__file__).parent / "rules"
CATALOGS_DIR = Path(__file__).parent / "catalogs"
LimitState = Literal["over", "inside", ""]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        # A long pattern may stand on several lines (YAML block `|-`): they are joined without a blank.
        return re.compile(re.sub(r"\n\s*", "", pattern), re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}: {pattern!r}") from error


@dataclass(frozen=True)
class Subject:
    """What rules look at: one event, normalised."""

    kind: str
    """The event's kind, lower case."""
    text: str
    """See `knowledge.text.searchable`."""
    source: str = ""
    severity: str = "unknown"
    status: str = "firing"
    format: str = ""
    asset_kind: str = "unknown"
    tier: str = ""
    metric: str = ""
    value: float | None = None
    limit_state: LimitState = ""
    labels: tuple[tuple[str, str], ...] = ()


class When(_Closed):
    """All that is given must hold; a list means any of it. Patterns are searched without regard to case."""

    kind: tuple[str, ...] = ()
    """Exact kinds; a Redfish registry prefix is ignored."""
    text: str = ""
    unless: str = ""
    """A text that excludes the rule."""
    source: str = ""
    severity: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    format: tuple[str, ...] = ()
    asset: tuple[str, ...] = ()
    """Asset kinds of the site file."""
    tier: tuple[str, ...] = ()
    metric: str = ""
    above: float | None = None
    below: float | None = None
    limit: tuple[LimitState, ...] = ()
    """"over": the event's value is past its own threshold."""
    labels: dict[str, str] = Field(default_factory=dict)

    @field_validator("kind", "severity", "status", "format", "asset", "tier", "limit", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("text", "unless", "source", "metric")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        _compiled(value)
        return value

    @cached_property
    def specificity(self) -> int:
        """Kind beats a number beyond a limit, which beats labels, place and text."""
        numbers = self.above is not None or self.below is not None or bool(self.limit)
        parts = (
            50 * bool(self.kind),
            30 * numbers,
            20 * bool(self.text or self.metric),
            10 * len(self.labels),
        )
        places = (self.asset, self.tier, self.source, self.severity, self.status, self.format)
        return sum(parts) + 5 * sum(map(bool, places))

    @cached_property
    def _patterns(self) -> Mapping[str, re.Pattern[str]]:
        return {name: _compiled(getattr(self, name)) for name in ("text", "unless", "source", "metric")}

    @cached_property
    def _kinds(self) -> frozenset[str]:
        return frozenset(kind.lower() for kind in self.kind)

    @cached_property
    def _labels(self) -> Mapping[str, re.Pattern[str]]:
        return {name: _compiled(pattern) for name, pattern in self.labels.items()}

    def holds(self, subject: Subject) -> bool:
        # The text is asked first: it says no most often and, thanks to its needed words, at least cost.
        return self._text_holds(subject) and self._place_holds(subject) and self._number_holds(subject)

    def _place_holds(self, subject: Subject) -> bool:
        if self._kinds and subject.kind not in self._kinds and subject.kind.split(".")[-1] not in self._kinds:
            return False
        pairs = (
            (self.severity, subject.severity),
            (self.status, subject.status),
            (self.format, subject.format),
            (self.asset, subject.asset_kind),
            (self.tier, subject.tier),
        )
        if any(allowed and actual not in allowed for allowed, actual in pairs):
            return False
        return all(p.search(dict(subject.labels).get(name, "")) for name, p in self._labels.items())

    def _number_holds(self, subject: Subject) -> bool:
        if self.metric and not (subject.metric and self._patterns["metric"].search(subject.metric)):
            return False
        if self.limit and subject.limit_state not in self.limit:
            return False
        if self.above is not None and (subject.value is None or subject.value <= self.above):
            return False
        return self.below is None or (subject.value is not None and subject.value < self.below)

    @cached_property
    def _needed(self) -> tuple[str, ...]:
        return tuple(needed(self._patterns["text"])) if self.text else ()

    def _text_holds(self, subject: Subject) -> bool:
        if self._needed and not any(word in subject.text for word in self._needed):
            return False
        if self.text and not self._patterns["text"].search(subject.text):
            return False
        if self.source and not self._patterns["source"].search(subject.source):
            return False
        return not (self.unless and self._patterns["unless"].search(subject.text))


class Verdict(_Closed):
    """One answer to the three questions, with reasons in which {what} stands for the rule's subject."""

    urgency: str
    impact: str
    complexity: str
    loss: bool = False
    """Something is lost or about to be."""
    firm: bool = False
    """People or the building: no redundancy and no maintenance window lowers it."""

    @field_validator("urgency", "impact", "complexity")
    @classmethod
    def _has_level(cls, value: str) -> str:
        judged(value)
        return value


class Rule(_Closed):
    """One human-written ranking rule."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.\-]*$")
    version: int = Field(default=1, ge=1)
    when: tuple[When, ...]
    """Alternatives: one is enough."""
    verdict: str = Field(alias="is")
    what: str = "the asset"
    condition: str
    causes: tuple[str, ...] = ()
    urgency: str = ""
    """"high: reason", in place of the verdict's."""
    impact: str = ""
    complexity: str = ""
    confidence: float = Field(default=0.9, gt=0, le=1)
    order: int = 0
    """Added to the specificity."""

    @field_validator("when", mode="before")
    @classmethod
    def _as_alternatives(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @property
    def name(self) -> str:
        return f"{self.id}@{self.version}"


class Situation(_Closed):
    """What must hold for a modifier. Empty fields do not matter."""

    verdicts: tuple[str, ...] = ()
    priorities: tuple[Priority, ...] = ()
    tier: tuple[str, ...] = ()
    repeats: int = 0
    """At least so many repeats."""
    burst_assets: int = 0
    downstream: int = 0
    """At least so many assets stand on it."""
    redundant: bool | None = None
    new_pattern: bool | None = None
    flapping: bool | None = None
    maintenance: bool | None = None
    announced: bool | None = None
    """True: planned work that a message announced beforehand accounts for it."""
    known: bool | None = None
    """True: a rule decided; False: the ranker did, or nobody."""
    severity: tuple[str, ...] = ()
    written_as_alert: bool | None = None
    """True: a person chose the level when writing the alert; False: a log's native level."""
    sure_below: float = 1.01
    """Only where the decision so far is less sure than this."""


class Modifier(_Closed):
    """What context adds to a rule's verdict. Reasons may use the slots of the site and of correlation."""

    id: str
    version: int = 1
    when: Situation
    urgency: str = ""
    impact: str = ""
    complexity: str = ""
    lowers: bool = False
    """Never applied to a firm verdict."""

    @property
    def name(self) -> str:
        return f"{self.id}@{self.version}"


@dataclass(frozen=True)
class Decision:
    """What one rule (or the ranker) says before context is looked at."""

    urgency: Judgement
    impact: Judgement
    complexity: Judgement
    priority: Priority
    decided_by: tuple[str, ...]
    condition: str = ""
    causes: tuple[str, ...] = ()
    confidence: float = 0.9
    verdict: str = ""
    firm: bool = False
    known: bool = True
    undecided: bool = False


def judged(text: str) -> Judgement:
    """`high: reason` as a judgement. Raises ValueError where the level is neither high nor low."""
    level, _, reason = text.partition(":")
    if level.strip() not in ("high", "low"):
        raise ValueError(f"{text!r} must begin with `high:` or `low:`")
    return Judgement(level=_level(level.strip()), reason=reason.strip())


def _level(text: str) -> Level:
    return "high" if text == "high" else "low"


class _RuleFile(_Closed):
    area: str
    version: int = 1
    source: str = ""
    rules: tuple[Rule, ...] = ()
    verdicts: dict[str, Verdict] = Field(default_factory=dict)
    modifiers: tuple[Modifier, ...] = ()


class RuleBook:
    """All rules, verdicts and modifiers in force, in the order they are tried."""

    def __init__(
        self, rules: Iterable[Rule], verdicts: Mapping[str, Verdict], modifiers: Iterable[Modifier] = ()
    ) -> None:
        """Raises ConfigError on a doubled rule id or an unknown verdict."""
        self.verdicts = dict(verdicts)
        self.modifiers = tuple(modifiers)
        self.rules = tuple(rules)
        self.by_id = {rule.id: rule for rule in self.rules}
        self._check()
        self._decisions = {rule.id: self._decision_of(rule) for rule in self.rules}
        pairs = [(rule, when) for rule in self.rules for when in rule.when]
        self._conditions = tuple(sorted(pairs, key=_most_specific_first))
        self._by_kind, self._general = self._indexed()
        whens = [when for _, when in pairs]
        self.label_keys = tuple(sorted({key for when in whens for key in when.labels}))
        """Labels that some rule looks at."""
        self.numeric = tuple(w for w in whens if w.above is not None or w.below is not None)
        """Conditions with a number of their own: an event's value decides them."""

    @classmethod
    def load(cls, paths: Iterable[Path] = ()) -> RuleBook:
        """The rules that ship with Setpoint, then those in `paths` (files or folders), which win among equals.

        Raises ConfigError naming file, rule and field.
        """
        shipped = [*sorted(RULES_DIR.glob("*.yaml")), *(CATALOGS_DIR / f"{name}.yaml" for name in _CATALOGS)]
        own = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
        files = [_read(path) for path in (*own, *shipped)]
        verdicts = {name: verdict for file in reversed(files) for name, verdict in file.verdicts.items()}
        rules = {rule.id: rule for file in reversed(files) for rule in reversed(file.rules)}
        return cls(
            reversed(rules.values()),
            verdicts,
            (modifier for file in reversed(files) for modifier in file.modifiers),
        )

    def decide(self, subject: Subject) -> Decision | None:
        """What the first condition that holds says; None where no rule knows the event."""
        for rule, when in self._candidates(subject):
            if when.holds(subject):
                return self._decisions[rule.id]
        return None

    def decision(self, rule_id: str) -> Decision:
        """What that rule says. Raises KeyError where there is none."""
        return self._decisions[rule_id]

    def _candidates(self, subject: Subject) -> Iterable[tuple[Rule, When]]:
        """Conditions in order; those bound to other kinds are left out at once."""
        short = subject.kind.split(".")[-1]
        keyed = self._by_kind.get(subject.kind) or self._by_kind.get(short)
        places = heapq.merge(keyed, self._general) if keyed else self._general
        return (self._conditions[place] for place in places)

    def _indexed(self) -> tuple[dict[str, list[int]], list[int]]:
        """Places of the conditions by the kinds they name, and of those that name none."""
        by_kind: dict[str, list[int]] = {}
        general: list[int] = []
        for place, (_, when) in enumerate(self._conditions):
            for kind in {kind.lower() for kind in when.kind}:
                by_kind.setdefault(kind, []).append(place)
            if not when.kind:
                general.append(place)
        return by_kind, general

    def _check(self) -> None:
        counts = Counter(rule.id for rule in self.rules)
        if doubled := [rule_id for rule_id, count in counts.items() if count > 1]:
            raise ConfigError(f"rule id {doubled[0]!r} is used twice", remedy="Rename one of the two")
        for rule in self.rules:
            if rule.verdict not in self.verdicts:
                known = ", ".join(sorted(self.verdicts))
                raise ConfigError(
                    f"unknown verdict {rule.verdict!r}", where=rule.id, remedy=f"Use one of {known}"
                )

    def _decision_of(self, rule: Rule) -> Decision:
        verdict = self.verdicts[rule.verdict]
        urgency, impact, complexity = (
            judged((getattr(rule, name) or getattr(verdict, name)).replace("{what}", rule.what))
            for name in ("urgency", "impact", "complexity")
        )
        return Decision(
            urgency=urgency,
            impact=impact,
            complexity=complexity,
            priority=priority_of(urgency.level, impact.level, complexity.level),
            decided_by=(rule.name,),
            condition=rule.condition,
            causes=rule.causes,
            confidence=rule.confidence,
            verdict=rule.verdict,
            firm=verdict.firm,
        )


def _most_specific_first(pair: tuple[Rule, When]) -> int:
    rule, when = pair
    return -(rule.order + when.specificity)


_CATALOGS = ("xid", "sxid", "edac", "redfish")


def _read(path: Path) -> _RuleFile:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except OSError as error:
        raise ConfigError(f"cannot read the rule file: {error.strerror}", where=str(path)) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {error}", where=str(path)) from error
    if not isinstance(raw, dict):
        raise ConfigError("a rule file is a mapping with `area` and `rules`", where=str(path))
    try:
        return _RuleFile.model_validate(_expanded(raw))
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{_place(raw, first['loc'])}: {first['msg']}", where=str(path)) from error


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _place(raw: Mapping[str, Any], loc: tuple[int | str, ...]) -> str:
    """The rule's id in place of its number, where there is one."""
    if len(loc) > 1 and loc[0] == "rules" and isinstance(loc[1], int):
        rule = raw["rules"][loc[1]]
        return ".".join(map(str, (rule.get("id", loc[1]), *loc[2:])))
    return ".".join(map(str, loc))


def _expanded(raw: dict[str, Any]) -> dict[str, Any]:
    """Rules inherit the file's version; each code of a catalog's `groups` becomes one rule."""
    version = raw.get("version", 1)
    rules = [{"version": version, **rule} for rule in raw.get("rules") or []]
    for group in raw.get("groups") or []:
        rules += _code_rules(raw.get("area", ""), version, group)
    return {key: value for key, value in raw.items() if key != "groups"} | {"rules": rules}


def _code_rules(family: str, version: int, group: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`codes: {79: GPU fell off the bus}` as a rule `xid.79` on kind `xid-79`; the rest of the group is shared."""
    shared = {key: value for key, value in group.items() if key != "codes"}
    return [
        {
            "id": f"{family}.{words_of(str(code)).replace(' ', '-')}",
            "version": version,
            "when": {"kind": [f"{family}-{code}"]},
            "condition": condition,
            **shared,
        }
        for code, condition in group["codes"].items()
    ]
