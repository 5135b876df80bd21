"""What a conversation is about, and how a follow-up that leans on it becomes a question of its own.

Code keeps the last subject: asset, incident, what was listed, and the tool that was asked last with its arguments. A
follow-up is completed from it by words: "its pump", "the other one", "same for cdu-2", "make that 40 rps", "why?".
Nothing else is remembered, and no model takes part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from agents.mentions import assets_in, related, siblings
from agents.metric_words import metric_in, span_minutes
from agents.operator import TO_DO, Finding, Intent, understand
from agents.plant_questions import revised
from agents.spoken import plainly
from setpoint.contracts.site import Site

_LIVE = ("open", "acknowledged")
_MOST_LISTED, _MOST_CHARS = 8, 300
_POINTS_BACK = re.compile(
    r"\b(?:it|its|it's|that|this|them|they|their|those|these|there|he|she|same|both|other|two|one|ones|instead|too)\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"\b(?:it|that|this|them|they|there|that one|this one|that thing)\b(?!\s+(?:is|was|case|much|many|long|far|correct))",
    re.IGNORECASE,
)
_FRAGMENT = re.compile(
    r"^\W*(?:and|so|but|or|then|ok(?:ay)?|also|what about|how about|why|since|until|only|instead|same|now|nvm|no|for|on|in|at|with|make|\d)\b",
    re.IGNORECASE,
)
_ALONE_WORDS, _SHORT_WORDS = 4, 7
_ITS = re.compile(
    r"\b(?:its|their|it's|the|that|whose|which)\s+(?:\w+\s+)??({kinds})s?\b".format(
        kinds="rack|node|cdu|pdu|ups|chiller|crah|pump|leaf|spine|switch|storage|battery|feed|hall"
    ),
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\b(?:the )?(?:other|second|partner|spare|standby|twin|sister|sibling)(?: (?:one|\w+))?\b", re.IGNORECASE
)
_SMALL = frozenset(("and", "for", "on", "of", "in", "at", "the", "with", "now", "please", "then"))
_INSTEAD = re.compile(
    r"\b(?:meant?|rather|instead|same|what about|how about|and (?:for|on)?|make (?:it|that)|sorry|no)\b",
    re.IGNORECASE,
)
_RANKS: tuple[tuple[str, int], ...] = (
    (r"\b(?:worst|most urgent|top|first|1st)\b", 0), (r"\b(?:second|2nd|next)\b", 1), (r"\b(?:third|3rd)\b", 2),
    (r"\b(?:fourth|4th)\b", 3), (r"\b(?:last|bottom|least urgent)\b", -1),
)  # fmt: skip
_BY_AGE = re.compile(
    r"\b(?P<old>old(?:est|er)|earliest|earlier)\b|\b(?:new(?:est|er)|latest|youngest|most recent)\b",
    re.IGNORECASE,
)
_ITEM = re.compile(
    r"\b(?:one|incident|ticket|alert|item|of (?:them|those|these|the)|it|that)\b|^\W*(?:the )?\w+\W*$|\bshow|\bopen|\btake|\bgive",
    re.IGNORECASE,
)
_ASKS_HOW = re.compile(r"^\W*(?:and |so |but )?(?:how|what would|what will|when|why)\b", re.IGNORECASE)
_OF_INCIDENT = re.compile(
    r"\b(?:why|how come|cause[ds]?|reason|since when|when did|how long (?:has|is|ago|already)|how bad|how (?:serious|urgent)|evidence|sure|certain|touched|affected|"
    r"involved|hit|(?:could|else|might) (?:it |this |that )?be|what (?:should|can|could|do|must) (?:we|i|you|one) do|what now|next steps?|what'?s next|remedy|fix|advise|advice|"
    r"recommend\w*|instructions?|run\s?book|procedure|steps|guide|more|details?|tell me|explain|show|priority|happened|start(?:ed)?|begin|began)\b",
    re.IGNORECASE,
)
_OF_SUPPOSED = re.compile(
    r"\bwhat(?:'d| would| will| does| happens)\b(?: (?:it|that|this|they))?(?: (?:do|happen|cost|mean|change|save|if|then)\b|\W*$)|\bin that case\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Memory:
    """The subject of a conversation, in plain values."""

    asset: str = ""
    incident: str = ""
    listed: tuple[Mapping[str, str], ...] = ()
    """Incidents that were shown, in their order: id, asset, opened."""
    last: Mapping[str, Any] = field(default_factory=dict)
    """The last intent that looked at something: name, phrase, about, args."""
    supposed: str = ""
    """What was wished to be done and refused: its effect may be asked about."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"listed": [dict(one) for one in self.listed], "last": dict(self.last)}

    @classmethod
    def of(cls, value: Mapping[str, Any] | None) -> Memory:
        """From JSON; an empty one where there is none."""
        known = dict(value or {})
        return cls(**known | {"listed": tuple(known.get("listed", ()))})


def completed(question: str, site: Site, memory: Memory) -> Intent:
    """What is asked, with what was spoken of before. A wish to act is refused whatever came before it."""
    plain = plainly(question)
    own = understand(plain, site)
    if own.name in ("refused", "incident") or memory == Memory():
        return own
    if own.phrase == TO_DO and memory.incident:
        return Intent("incident", TO_DO, memory.incident)
    named = assets_in(plain, site)
    if named:
        return _replayed(plain, named, site, memory, own) or own
    if not _leans(plain):
        return own
    return (
        _revised(plain, site, memory, own)
        or _of_listed(plain, memory, own)
        or _pointed(plain, site, memory, own)
        or own
    )


def _leans(plain: str) -> bool:
    """Whether it points back or is too short to stand alone."""
    return bool(_POINTS_BACK.search(plain) or _FRAGMENT.search(plain)) or len(plain.split()) <= _ALONE_WORDS


def remember(
    question: str, site: Site, memory: Memory, intent: Intent, findings: Sequence[Finding]
) -> Memory:
    """The subject after this turn. What says nothing of a subject leaves it as it was."""
    named = assets_in(plainly(question), site)
    if intent.name == "refused":
        asset = named[0] if named else memory.asset
        return replace(memory, asset=asset, supposed=plainly(question)[:_MOST_CHARS])
    told = {"name": intent.name, "phrase": intent.phrase, "about": intent.about, "args": dict(intent.args)}
    fresh = replace(memory, last=told, supposed="")
    if intent.name == "incident":
        touched = next(
            (one.result.get("assets") or [] for one in findings if isinstance(one.result, dict)), []
        )
        return replace(fresh, incident=intent.about, asset=touched[0] if touched else memory.asset)
    if intent.name in ("asset", "incidents", "events"):
        listed = _listed(findings) if intent.name != "events" else ()
        live = next((one["id"] for one in listed if one["state"] in _LIVE), "")
        return replace(fresh, asset=intent.about, incident=live, listed=listed)
    if intent.name == "overview":
        listed = tuple(one for one in _listed(findings) if one["state"] in _LIVE)
        return replace(fresh, asset="", incident=listed[0]["id"] if listed else "", listed=listed)
    if intent.name == "plant":
        asset = intent.args.get("asset") or (named[0] if named else "") or _scope(intent)
        return replace(fresh, asset=str(asset), incident="" if asset != memory.asset else memory.incident)
    return replace(memory, last=told, supposed="")


def _listed(findings: Sequence[Finding]) -> tuple[dict[str, str], ...]:
    """Incidents as they were shown: without routine records, the live ones first."""
    rows = [
        row
        for one in findings
        if one.tool == "incidents" and isinstance(one.result, list)
        for row in one.result
    ]
    worth = {row["id"]: row for row in rows if row["priority"] != "P3"}
    ordered = sorted(worth.values(), key=lambda row: row["state"] not in _LIVE)
    return tuple(
        {
            "id": row["id"],
            "asset": (row["assets"] or [""])[0],
            "opened": str(row["opened"]),
            "state": row["state"],
        }
        for row in ordered[:_MOST_LISTED]
    )


def _scope(intent: Intent) -> str:
    """The asset that a what-if changes."""
    match = re.match(r"([\w-]+)\.\w+=", str(intent.args.get("changes", "")))
    return match[1] if match else ""


# ---- ways of leaning on what was said ------------------------------------------------------------------------------


def _last(memory: Memory) -> Intent | None:
    return Intent(**memory.last) if memory.last else None


def _replayed(plain: str, named: Sequence[str], site: Site, memory: Memory, own: Intent) -> Intent | None:
    """ "same for cdu-2", "and ups-2?", "I meant gpu-16": the last question again, of another asset."""
    last = _last(memory)
    words = [
        word for word in re.findall(r"[\w'-]+", plain) if word.lower() not in {name.lower() for name in named}
    ]
    alone = all(word.lower() in _SMALL for word in words)
    if (
        last is None
        or own.name != "asset"
        or len(words) > _SHORT_WORDS
        or not (alone or _INSTEAD.search(plain))
    ):
        return None
    return _of_other(last, named[0], site, memory)


def _of_other(last: Intent, asset: str, site: Site, memory: Memory) -> Intent | None:
    """The same of another asset; gear of another kind may have no answer to it."""
    new, old = site.find(asset), site.find(memory.asset) if memory.asset else None
    if new is None or (last.name == "plant" and old is not None and old.kind != new.kind):
        return None
    if last.name in ("asset", "incidents", "events"):
        return replace(
            last, about=asset, args={key: value for key, value in last.args.items() if key != "also"}
        )
    if last.name != "plant":
        return None
    args = dict(last.args)
    if "asset" in args or last.about in ("telemetry_history", "topology", "asset_lost", "cooling"):
        args |= {"asset": asset}
        args.pop("also", None)
    elif "node" in args:
        args |= {"node": asset}
    elif "changes" in args:
        args["changes"] = re.sub(r"(^|\s)(?:[\w-]+\.)?(?=[a-z_]+=)", rf"\g<1>{asset}.", str(args["changes"]))
    else:
        return None
    return replace(last, args=args)


def _revised(plain: str, site: Site, memory: Memory, own: Intent) -> Intent | None:
    """ "make that 40 rps", "6h not 1", "and supply temp?", "on h100s": the last call with other arguments. What is a
    question of another kind by itself is none of it."""
    last = _last(memory)
    of_its_own = own.name in ("overview", "reviews") or (
        own.name == "plant" and last and own.about != last.about
    )
    if last is None or of_its_own or len(plain.split()) > _SHORT_WORDS + 3:
        return None
    if last.name == "events" and (span := span_minutes(plain)):
        return replace(last, args={**last.args, "minutes": span})
    if last.name != "plant":
        return None
    if last.about == "ess_state" and re.search(r"\b(?:last|long|carry|minutes)\b", plain, re.IGNORECASE):
        return replace(
            last, about="ess_runtime", args={**last.args, **revised(plain, "ess_runtime", {}, site)}
        )
    if re.search(r"\bboth\b", plain, re.IGNORECASE) and last.about == "asset_lost":
        pair = siblings(str(last.args["asset"]), site)[:1]
        return replace(last, args={**last.args, "also": pair})
    if re.search(r"\bin that case\b|\bthen\b.*\bhow long\b", plain, re.IGNORECASE):
        return last
    args = dict(last.args)
    if last.about == "telemetry_history":
        span, metric = span_minutes(plain), metric_in(plain, str(args.get("asset", "")), site)
        more = ({"minutes": span} if span else {}) | ({"metric": metric} if metric else {})
    else:
        more = revised(plain, last.about, args, site)
    return replace(last, args=args | more) if more else None


def _of_listed(plain: str, memory: Memory, own: Intent) -> Intent | None:
    """ "the worst one", "show the second", "the older of the two": an incident of those shown."""
    if own.name == "plant" or not _ITEM.search(plain) or _ASKS_HOW.search(plain):
        return None
    if not memory.listed:
        return Intent("overview", "which incidents are open") if _BY_AGE.search(plain) else None
    if match := _BY_AGE.search(plain):
        ordered = sorted(memory.listed, key=lambda one: one["opened"])
        return _incident(ordered[0 if match["old"] else -1]["id"])
    for words, place in _RANKS:
        if re.search(words, plain, re.IGNORECASE) and -len(memory.listed) <= place < len(memory.listed):
            return _incident(memory.listed[place]["id"])
    return None


def _pointed(plain: str, site: Site, memory: Memory, own: Intent) -> Intent | None:
    """Asked of the subject, or of what stands beside it."""
    if own.name in ("overview", "reviews") and not _POINTS_BACK.search(plain):
        return None
    if memory.supposed and _OF_SUPPOSED.search(plain):
        return _effect(memory, site)
    if memory.asset and (near := _neighbour(plain, site, memory)):
        return _asked_of(plain, near, site, memory)
    if own.name == "reviews":
        return None
    if memory.incident and _OF_INCIDENT.search(plain):
        return _incident(memory.incident)
    if memory.asset and own.name in ("knowledge", "overview"):
        return _asked_of(plain, memory.asset, site, memory)
    return _incident(memory.incident) if memory.incident and own.name == "knowledge" else None


def _effect(memory: Memory, site: Site) -> Intent | None:
    """What the refused act would do, where that can be rehearsed."""
    named = "" if assets_in(memory.supposed, site) else f" on {memory.asset}"
    found = understand(f"what if we {memory.supposed.strip(' .!')}{named}", site)
    return found if found.name == "plant" else None


def _neighbour(plain: str, site: Site, memory: Memory) -> str:
    """ "its pump", "the other one": beside the subject."""
    if _OTHER.search(plain):
        return next(iter(siblings(memory.asset, site)), "")
    match = _ITS.search(plain)
    return next(iter(related(memory.asset, match[1], site)), "") if match else ""


def _asked_of(plain: str, asset: str, site: Site, memory: Memory) -> Intent | None:
    """The question with the subject's name for what points to it; where only the asset is new, the last question again."""
    other = asset != memory.asset
    if other:
        rest = _OTHER.sub(" ", _ITS.sub(" ", plain))
        if (
            len(rest.split()) <= 3
            and (last := _last(memory))
            and (found := _of_other(last, asset, site, memory))
        ):
            return found
    replaced, many = _PRONOUN.subn(asset, plain, count=1)
    asked = replaced if many and not other else f"{plain} {asset}"
    found = understand(asked, site)
    return found if found.name != "refused" else None


def _incident(id: str) -> Intent:
    return Intent("incident", "what this incident is about", id)
