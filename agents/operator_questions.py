"""Questions to the tools that only a conversation has: plans and forecasts of the control loops, headroom of power gear, who
decided what, all evidence of an incident. Understood by words; what is not understood here is left to the others.
"""

from __future__ import annotations

import re
from typing import Any

from agents.mentions import asset_in, incident_in
from agents.plant_questions import PlantQuestion
from setpoint.contracts.site import Site

_LOOP_WORDS = (
    (r"maint(?:enance|ain)|wear|wears|worn|spare parts?|parts? (?:fail|wear)\w*|replac\w+|service visits?|breakdowns?", "maintenance"),
    (r"cooling|coolant|chill\w*|water temp\w*|heat|thermal", "cooling"),
    (r"peaks?|peak[- ]shaving|demand charge|contracted|batter(?:y|ies)|ess|storage|draw|grid|bill|power", "peak"),
    (r"energy|clocks?|dvfs|requests?|traffic|load|pools?|serving|nodes|instances", "energy"),
)  # fmt: skip
"""What is said of each loop's business, the most telling first."""
_LOOP_NAMED = re.compile(r"\b(energy|peak|cooling|maintenance) (?:loop|plan|forecast)\b", re.IGNORECASE)
_PLAN = re.compile(
    r"^\W*(?:(?:please|can you|could you|now|and|show(?: me)?|what'?s|what is|give me|make|draw up)\s+)*(?:the |a |our |your )?plan\b(?!\s+[bB]\b)|"
    r"\b(?:energy|peak|cooling|maintenance|peak[- ]shaving|charging|battery) plan\b|\bplan (?:for|of|to)\b|"
    r"\bwhat (?:does|do|would|will|is) (?:the |our )?(?:\w+ )?(?:loops?|optimi[sz]er)\b.*\b(?:plan|want|do|propose|suggest)\w*|"
    r"\bwhat(?:'s| is) planned\b(?!.*\b(?:work|maintenance window)\b)|\bhow (?:would|could|can|should) (?:we|you|i) (?:shave|save|cut|lower|reduce)\b.*\b(?:peaks?|energy|bill|cooling)\b",
    re.IGNORECASE,
)
_FORECAST = re.compile(
    r"\bforecasts?\b|\bforesee\w*|\bpredict\w*|\bexpect(?:ed|ation)?s?\b.*\b(?:load|draw|demand|requests|traffic|heat|peak|power)\b|"
    r"\b(?:load|draw|demand|requests|traffic|heat|peak|power)\b.*\b(?:expected|coming|tomorrow|next (?:few |\d+ )?(?:hours?|day)|in (?:\d+|an|two|three|six) hours?)\b|"
    r"\bwhat (?:will|is going to)\b.*\b(?:load|draw|demand|requests|traffic|heat|peak|wear)\b|\bwhen (?:will|is|does)\b.*\bpeak\b|"
    r"\bwhat (?:will|is going to) (?:fail|break|wear)\w*\b",
    re.IGNORECASE,
)
_HOURS = re.compile(r"\b(\d+(?:\.\d+)?)\s*(h|hrs?|hours?|d|days?)\b", re.IGNORECASE)
_HEADROOM = re.compile(
    r"\bhead\s?room\b|\bhow (?:full|loaded|close|near|tight)\b|\b(?:room|capacity|spare|reserve|margin) (?:left |is left |do we have )?(?:on|of|in)\b|"
    r"\btightest\b|\bhow much (?:more )?(?:can|could|room|capacity|spare)\b|\boverload\w*",
    re.IGNORECASE,
)
_POWER_GEAR = frozenset({"feed", "ups", "pdu", "rack"})
_GEAR = re.compile(r"\b(feed|ups|pdu|rack|cdu|crah|chiller)(?:e?s)?\b", re.IGNORECASE)
_DECIDED = re.compile(
    r"\bwho(?:'s| has| had| is| was)?(?: it)?(?: that)? (?:approved?|decided?|reject\w*|refused|signed|said (?:yes|no)|agreed|propos\w+|asked for|ordered|authori[sz]ed|"
    r"acknowledged|acked|closed|corrected|took|escalated|ungrouped|silenced)\b|\bby whom\b|\bwhose (?:decision|idea|call|yes)\b|"
    r"\b(?:why|when|how) (?:was|were|did|has|had)\b.*\b(?:approved|rejected|decided|signed off|acknowledged|acked|closed|corrected)\b|"
    r"\b(?:what|which) (?:was|were|has been|have been|did (?:we|they|people)) (?:\w+ )?(?:approved?|decided?|rejected?|refused?|done)\b|"
    r"\b(?:decisions|record of decisions|audit(?: trail)?|history of decisions)\b (?:on|of|for|about)\b|\bwhat did (?:people|the shift|they|we) (?:decide|approve|reject)\b",
    re.IGNORECASE,
)
_REVIEW = re.compile(r"\bREV-[0-9a-z.]+\b", re.IGNORECASE)
_EVIDENCE = re.compile(
    r"\b(?:all|full|whole|every|complete|entire) (?:the |of the )?(?:evidence|proof|reasoning|causes)\b|\b(?:other|alternative|which|what other) causes\b|\bhow sure\b.*\bcause\b",
    re.IGNORECASE,
)


def operator_question(plain: str, site: Site) -> PlantQuestion | None:
    """The tool that answers it and its arguments; None where it asks none of these."""
    for make in (_evidence, _decisions, _plan, _forecast, _headroom):
        if (found := make(plain, site)) is not None:
            return found
    return None


def _evidence(plain: str, site: Site) -> PlantQuestion | None:
    id = incident_in(plain)
    if not id or not _EVIDENCE.search(plain):
        return None
    return PlantQuestion("evidence", "what speaks for the cause", {"id": id})


def _decisions(plain: str, site: Site) -> PlantQuestion | None:
    review = _REVIEW.search(plain)
    if not _DECIDED.search(plain) and not review:
        return None
    subject = review[0].upper() if review else incident_in(plain) or asset_in(plain, site)
    return PlantQuestion("decisions", "who decided what", {"subject": subject} if subject else {})


def _plan(plain: str, site: Site) -> PlantQuestion | None:
    loop = _loop(plain)
    if not loop or not _PLAN.search(plain):
        return None
    return PlantQuestion("plan", "what a control loop would do", {"loop": loop})


def _forecast(plain: str, site: Site) -> PlantQuestion | None:
    loop = _loop(plain)
    if not loop or not _FORECAST.search(plain) or asset_in(plain, site):
        return None
    args: dict[str, Any] = {"loop": loop}
    if match := _HOURS.search(plain):
        hours = float(match[1]) * (24.0 if match[2].lower().startswith("d") else 1.0)
        args["hours"] = min(max(hours, 1.0), 72.0)
    elif re.search(r"\btomorrow\b|\bnext day\b", plain, re.IGNORECASE):
        args["hours"] = 30.0
    return PlantQuestion("forecast", "what is foreseen", args)


def _loop(plain: str) -> str:
    if named := _LOOP_NAMED.search(plain):
        return named[1].lower()
    return next(
        (loop for words, loop in _LOOP_WORDS if re.search(rf"\b(?:{words})\b", plain, re.IGNORECASE)), ""
    )


def _headroom(plain: str, site: Site) -> PlantQuestion | None:
    """Of power gear; of cooling gear the cooling tool tells more."""
    if not _HEADROOM.search(plain):
        return None
    asset = site.find(asset_in(plain, site) or "-")
    if asset is not None:
        return (
            PlantQuestion("headroom", "the headroom", {"asset": asset.name})
            if asset.kind in _POWER_GEAR
            else None
        )
    kinds = [match[1].lower() for match in _GEAR.finditer(plain)]
    if len(kinds) > 1 or re.search(r"\btightest\b", plain, re.IGNORECASE):
        return PlantQuestion("headroom", "the headroom", {"kind": kinds[0]} if len(kinds) == 1 else {})
    return (
        PlantQuestion("headroom", "the headroom", {"kind": kinds[0]})
        if kinds and kinds[0] in _POWER_GEAR
        else None
    )
