"""What the product made of a case folder against what was expected of it, in figures and in words.

It reads the documents of `setpoint run -o json`: incidents with notices and analysis, and the reviews people were asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evals.folders.folder import Expected, Wanted

MOST_FORBIDDEN_SHARE = 0.3
"""Belief in a forbidden cause that is still tolerated while it is not first."""
SURE_SHARE = 0.8
NO_FAULT = "no_fault"
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Played:
    """What the product said of one case."""

    incidents: Sequence[Document]
    reviews: Sequence[Document]
    pages: int
    explained: Mapping[str, str]
    """Incident to the one whose cause explains it, by id."""

    @classmethod
    def of(cls, said: Document) -> Played:
        return cls(said["incidents"], said["reviews"], said["pages"], said["explained"])

    @property
    def above_p3(self) -> list[Document]:
        return [one for one in self.incidents if one["priority"] != "P3"]

    def analysis(self, incident: Document) -> Document | None:
        """Its own, or that of the incident whose cause explains it."""
        root = self.explained.get(incident["id"], incident["id"])
        found = {one["id"]: one["diagnosis"] for one in self.incidents}
        diagnosis: Document | None = found.get(root) or incident["diagnosis"]
        return diagnosis

    def asked(self, incidents: Sequence[Document], *, withdrawn: bool) -> list[Document]:
        """Actions that people were asked about for these incidents or the ones that explain them."""
        ids = {name for one in incidents for name in (one["id"], self.explained.get(one["id"]))}
        told = [one for one in self.reviews if one["proposal"] and one["incident_id"] in ids]
        return [one["proposal"]["action"] for one in told if withdrawn or one["state"] != "withdrawn"]


@dataclass
class Verdict:
    """Of one expectation: what held and what did not. None: not asked for, or nothing to judge it by."""

    priority: bool | None = None
    cause: bool | None = None
    near: bool | None = None
    """A right cause is among the first three."""
    forbidden_cause: bool | None = None
    """No forbidden cause is first or believed in too much."""
    sure_and_wrong: bool | None = None
    asset: bool | None = None
    required: bool | None = None
    forbidden_action: bool | None = None
    """No forbidden action was proposed."""
    quiet: bool | None = None
    """Nobody was told of what is no incident."""
    pages: bool | None = None
    problems: list[str] = field(default_factory=list)


def judge(expected: Sequence[Expected], said: Document) -> dict[str, Any]:
    """One row of measurements; what is None was not judged."""
    played = Played.of(said)
    alone = len(expected) == 1
    verdicts = [_judged(one, played, alone) for one in expected]
    problems = [problem for verdict in verdicts for problem in verdict.problems]
    problems += [f"{name} was carried out and nobody had said yes" for name in said["moved"]]
    names = [name for name in Verdict.__dataclass_fields__ if name not in ("problems", "sure_and_wrong")]
    row: dict[str, Any] = {name: _all(getattr(one, name) for one in verdicts) for name in names}
    sure = [one.sure_and_wrong for one in verdicts if one.sure_and_wrong is not None]
    return row | {
        "sure_and_wrong": any(sure) if sure else None,
        "moved": len(said["moved"]),
        "right": not problems,
        "unreadable": len(said["quarantined"]),
        "problems": problems,
    }


def _all(values: Iterator[bool | None]) -> bool | None:
    known = [value for value in values if value is not None]
    return all(known) if known else None


def _judged(expected: Expected, played: Played, alone: bool) -> Verdict:
    verdict = Verdict()
    _judge_pages(expected, played, verdict)
    if expected.no_incident:
        _judge_quiet(played, verdict)
        return verdict
    incident = _incident_of(expected, played)
    if incident is None:
        _not_found(expected, verdict)
        return verdict
    _judge_priority(expected, incident, verdict)
    _judge_cause(expected, incident, played.analysis(incident), verdict)
    _judge_actions(expected, incident, played, alone, verdict)
    return verdict


def _incident_of(expected: Expected, played: Played) -> Document | None:
    """The most urgent one on the assets named, of several the largest."""
    names = {name.lower() for name in expected.incident_on or expected.asset}
    fitting = [one for one in played.incidents if not names or names & {a.lower() for a in one["assets"]}]
    return min(fitting, key=lambda one: (one["priority"], -one["event_count"]), default=None)


def _not_found(expected: Expected, verdict: Verdict) -> None:
    """Everything that was asked for is missing."""
    names = " or ".join(expected.incident_on or expected.asset) or "the site"
    verdict.problems.append(f"no incident on {names}")
    verdict.priority = False if expected.priority else None
    verdict.cause = verdict.near = False if expected.cause else None
    verdict.asset = False if expected.asset else None
    verdict.required = False if expected.required_actions else None


def _judge_pages(expected: Expected, played: Played, verdict: Verdict) -> None:
    if expected.most_pages is None:
        return
    verdict.pages = played.pages <= expected.most_pages
    if not verdict.pages:
        verdict.problems.append(
            f"people were called {played.pages} times, at most {expected.most_pages} are right"
        )


def _judge_quiet(played: Played, verdict: Verdict) -> None:
    told = [f"{one['priority']} {one['title']}" for one in played.above_p3]
    asked = [str(_named(one)) for one in played.asked(played.incidents, withdrawn=True)]
    verdict.quiet = not (told or asked or played.pages)
    if told:
        verdict.problems.append(f"nothing is wrong, but it says {'; '.join(told)}")
    verdict.problems += [f"nothing is wrong, but it proposes {name}" for name in asked]


def _judge_priority(expected: Expected, incident: Document, verdict: Verdict) -> None:
    if expected.priority is None:
        return
    verdict.priority = incident["priority"] in expected.priorities
    if not verdict.priority:
        right = " or ".join(expected.priorities)
        verdict.problems.append(f"{incident['title']}: ranked {incident['priority']}, is {right}")


def _judge_cause(
    expected: Expected, incident: Document, diagnosis: Document | None, verdict: Verdict
) -> None:
    """An incident that is rightly P3 is recorded and not analysed: there is no cause to judge."""
    if diagnosis is None:
        if incident["priority"] == "P3" and "P3" in expected.priorities:
            return
        verdict.cause = verdict.near = False if expected.cause else None
        if expected.cause:
            verdict.problems.append(f"{incident['title']}: no cause is said")
        return
    shares = {one["cause"]: float(one["score"]) for one in diagnosis["hypotheses"]}
    first = diagnosis["hypotheses"][0]["cause"]
    if expected.causes:
        verdict.cause = first in expected.causes
        verdict.near = bool({*expected.causes} & {*list(shares)[:3]})
        verdict.sure_and_wrong = not verdict.cause and shares[first] >= SURE_SHARE
        if not verdict.cause:
            verdict.problems.append(_wrong_cause(expected, first, shares))
    if expected.forbidden_causes:
        bad = [name for name in expected.forbidden_causes if _believed(name, first, shares)]
        verdict.forbidden_cause = not bad
        verdict.problems += [f"{name} must not be believed, has {shares[name]:.0%}" for name in bad]
    if expected.asset and first != NO_FAULT:
        _judge_asset(expected, diagnosis, verdict)


def _wrong_cause(expected: Expected, first: str, shares: Mapping[str, float]) -> str:
    right = " or ".join(f"{name} ({shares.get(name, 0.0):.0%})" for name in expected.causes)
    return f"says {first} ({shares[first]:.0%}), is {right}"


def _believed(name: str, first: str, shares: Mapping[str, float]) -> bool:
    return name == first or shares.get(name, 0.0) > MOST_FORBIDDEN_SHARE


def _judge_asset(expected: Expected, diagnosis: Document, verdict: Verdict) -> None:
    blamed = blamed_assets(diagnosis)
    if not blamed:
        return
    wholes = {name.lower().split("/")[0] for name in blamed}
    verdict.asset = bool((wholes | {*map(str.lower, blamed)}) & {name.lower() for name in expected.asset})
    if not verdict.asset:
        right = " or ".join(expected.asset)
        verdict.problems.append(f"puts the cause on {', '.join(blamed)}, is on {right}")


def blamed_assets(diagnosis: Document) -> list[str]:
    """Where the first cause lies: as the plant model says, else where its first evidence was seen, which may be on
    several; none where it says neither."""
    top = diagnosis["hypotheses"][0]
    tested: str = (top.get("tested") or {}).get("asset", "")
    if tested:
        return [tested]
    evidence = {piece["id"]: piece for piece in diagnosis["evidence"]}
    seen = [evidence[name] for name in top["supports"] if name in evidence]
    places = [fact["text"] for piece in seen for fact in piece["sheet"]["facts"] if fact["kind"] == "asset"]
    return [name for name in re.split(r", | and \d+ more$", places[0]) if name] if places else []


def _judge_actions(
    expected: Expected, incident: Document, played: Played, alone: bool, verdict: Verdict
) -> None:
    """Of what is forbidden nothing may be proposed anywhere, where the case is about one incident only."""
    if expected.required_actions:
        asked = played.asked([incident], withdrawn=False)
        missing = [some for some in expected.required_actions if not any(_fits(one, asked) for one in some)]
        verdict.required = not missing
        verdict.problems += [f"does not propose {' or '.join(map(str, some))}" for some in missing]
    if expected.forbidden_actions:
        asked = played.asked(played.incidents if alone else [incident], withdrawn=True)
        bad = [one for one in expected.forbidden_actions if _fits(one, asked)]
        verdict.forbidden_action = not bad
        verdict.problems += [f"proposes {one}, which is wrong here" for one in bad]


def _fits(wanted: Wanted, asked: Sequence[Document]) -> bool:
    return any(wanted.fits(one["name"], one["asset"], one["args"]) for one in asked)


def _named(action: Document) -> Wanted:
    return Wanted(name=action["name"], asset=action["asset"])
