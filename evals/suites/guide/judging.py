"""Whether a recovery guide may be followed: every line stands where it says, in the right order, and nothing is added."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evals.suites.guide.runbooks import Place, flat, place_of, runbooks
from knowledge.causes import NO_FAULT, UNKNOWN, load_causes
from tools.actions import CATALOG

ORDER = ("safety", "check", "step", "escalate")
HEADING = {"safety": "steps", "check": "checks", "step": "steps", "escalate": "escalate-when"}
"""Where a line of each kind comes from."""
CHECKS = ("cited", "to the letter", "supported", "in order", "nothing invented", "fit to act on")
"""What is looked at, each apart."""
_COMMAND = re.compile(
    r"`[^`]+`|\{[a-z_]+\}|(?<![\w/])/[\w{}./-]+|(?<!\w)--?[a-z][\w-]*|\b[a-z]+_[a-z_]+\b|"
    r"\b(?:sudo|rm|kill|reboot|systemctl|ipmitool|nvidia-smi|dcgmi|kubectl|scontrol|curl|dd|mkfs)\b"
)
"""What reads like something to type, to open or to call."""
Step = Mapping[str, Any]
Problem = tuple[str, str]
"""(one of CHECKS, what is wrong)."""


def problems_of(guide: Sequence[Step]) -> list[Problem]:
    """Everything that is wrong with the lines of a guide."""
    found = [problem for number, step in enumerate(guide, 1) for problem in _line(number, step)]
    return [*found, *_order(guide)]


# ---- one line --------------------------------------------------------------------------------------------------


def _line(number: int, step: Step) -> Iterator[Problem]:
    where = f"line {number}"
    cited, quote, text = step["citation"]["passage_id"], flat(step["citation"]["quote"]), flat(step["text"])
    place = place_of(cited)
    if place is None:
        yield "cited", f"{where} cites {cited}, which no runbook has"
        return
    if place.heading != HEADING.get(step["kind"]):
        yield "cited", f"{where}, a {step['kind']}, cites {cited}"
    if not quote or quote not in place.text:
        yield "to the letter", f"{where} quotes what does not stand in {cited}: {quote!r}"
    if not _is_said(text, quote, place):
        yield "supported", f"{where} says what {cited} does not: {text!r}"
    known = f"{place.text} {' '.join(CATALOG)}"
    for command in _COMMAND.findall(text):
        if command not in known:
            yield "nothing invented", f"{where} has {command}, which {cited} does not"
    action, meant = step.get("action") or "", place.item.action if place.item else ""
    if action != meant:
        yield "nothing invented", f"{where} calls for {action or 'nothing'}, {cited} for {meant or 'nothing'}"


def _is_said(text: str, quote: str, place: Place) -> bool:
    """The line is the whole of what it cites: a part of a sentence can turn its meaning round."""
    if place.item is not None:
        return text == place.item.text
    items = runbooks()[place.section].items[place.heading].values()
    return text in quote and any(text == item.text for item in items)


# ---- the whole --------------------------------------------------------------------------------------------------


def _order(guide: Sequence[Step]) -> Iterator[Problem]:
    ranks = [ORDER.index(step["kind"]) if step["kind"] in ORDER else len(ORDER) for step in guide]
    for number, (before, after) in enumerate(itertools.pairwise(ranks), 2):
        if after < before:
            yield "in order", f"line {number}, a {guide[number - 1]['kind']}, comes too late"
    for number, step in enumerate(guide, 1):
        if step["text"].startswith("Safety:") != (step["kind"] == "safety"):
            yield "in order", f"line {number} is told as a {step['kind']}: {step['text'][:40]!r}"
    yield from _as_written(guide)
    yield from _safety_left_out(guide)


def _as_written(guide: Sequence[Step]) -> Iterator[Problem]:
    """Lines of one kind keep the order of their runbook."""
    last: dict[str, int] = {}
    for number, step in enumerate(guide, 1):
        place = place_of(step["citation"]["passage_id"])
        if place is None or place.number is None:
            continue
        if place.number <= last.get(step["kind"], 0):
            yield "in order", f"line {number} stands before its runbook's line {last[step['kind']]}"
        last[step["kind"]] = place.number


def _safety_left_out(guide: Sequence[Step]) -> Iterator[Problem]:
    said = {flat(step["text"]) for step in guide}
    for section in sections_of(guide):
        for item in runbooks()[section].items["steps"].values() if section in runbooks() else ():
            if item.text.startswith("Safety:") and item.text not in said:
                yield "in order", f"leaves out what {section} says of safety: {item.text!r}"


def sections_of(guide: Sequence[Step]) -> list[str]:
    """The runbooks it quotes, in order."""
    return list(dict.fromkeys(step["citation"]["passage_id"].split("#")[0] for step in guide))


def kept(guide: Sequence[Step]) -> float:
    """The share of its runbooks' steps that it gives."""
    items = [item.text for one in sections_of(guide) for item in runbooks()[one].items["steps"].values()]
    said = {flat(step["text"]) for step in guide}
    return sum(item in said for item in items) / len(items) if items else 1.0


# ---- what it would have done ------------------------------------------------------------------------------------


def moves_site(name: str) -> bool:
    """Whether the action changes anything but what people know."""
    return name not in CATALOG or CATALOG[name].touches_site


def action_problems(
    cause: str,
    share: float,
    proposals: Sequence[Mapping[str, Any]],
    evidence: Sequence[str],
    assets: Sequence[str],
) -> list[Problem]:
    """Of the actions proposed with the guide. `share`: the belief in the named cause; at half or less it is open, and
    somebody is asked to look, no more."""
    return [("fit to act on", text) for text in _actions(cause, share, proposals, evidence, assets)]


def _actions(
    cause: str,
    share: float,
    proposals: Sequence[Mapping[str, Any]],
    evidence: Sequence[str],
    assets: Sequence[str],
) -> Iterator[str]:
    is_open = cause in (NO_FAULT, UNKNOWN) or share < 0.5
    for one in proposals:
        name, asset = one["action"]["name"], one["action"]["asset"]
        if name not in CATALOG:
            yield f"proposes {name}, which is no action"
            continue
        if cause == NO_FAULT or (is_open and moves_site(name)):
            yield f"proposes {name} while the cause is {cause} ({share:.0%})"
        if not is_open and name not in load_causes()[cause].remedies:
            yield f"proposes {name}, which is no remedy of {cause}"
        if asset not in assets:
            yield f"proposes {name} at {asset}, which the site does not have"
        if strange := [piece for piece in one["evidence"] if piece not in evidence]:
            yield f"proposes {name} on evidence that is not there: {', '.join(strange)}"
