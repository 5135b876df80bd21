"""A wish to act, as one action of the closed catalog: which action, which asset, which arguments; or why there is none.

Nothing is done here. What comes of it is an offer in words, and, where the person says so, a proposal that waits for a yes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from langchain_core.tools import BaseTool
from pydantic import Field

from agents.mentions import assets_in, kind_in
from setpoint.contracts import Action
from setpoint.contracts.action import ArgValue
from setpoint.contracts.site import Asset, Site
from setpoint.errors import ActionRefused
from tools.actions import CATALOG, ActionSpec, describe, spec_of, validate
from tools.guards import PREPARED, hindrance
from tools.plant_ports import PlantPorts
from tools.proposals import propose, target_for
from tools.typed import Answer, Args, ToolError, typed_tool

_ASKS = re.compile(
    r"^\W*(?:(?:please|ok(?:ay)?|yes|yep|so|then|and|now|go ahead(?: and)?|can you|could you|i want to|i would like to|let'?s|let us|"
    r"you may)\b[\s,]*)*(?:propos(?:e|ing)\b|put\b.*\b(?:to|up for|for|in|into)\s+(?:a |the )?(?:review|queue|shift|vote)|"
    r"(?:ask|request|file|raise|submit|open)\b[\w\s]*\b(?:approval|review|proposal)\b|(?:submit|file) (?:it|that|this)\b)",
    re.IGNORECASE,
)
_BECAUSE = re.compile(r"\b(?:because|since|as|so that|reason:|why:|due to)\s+(?P<why>\S.*)$", re.IGNORECASE)
_NAMES = re.compile(rf"\b({'|'.join(sorted(CATALOG, key=len, reverse=True))})\b", re.IGNORECASE)
_GIVEN = re.compile(r"\b([a-z]+(?:_[a-z]+)+)\s*=\s*(-?\d+(?:\.\d+)?|\w+)", re.IGNORECASE)
_UNITS = {
    "W": (("w", 1.0), ("kw", 1000.0)), "kW": (("kw", 1.0), ("mw", 1000.0)), "MHz": (("mhz", 1.0), ("ghz", 1000.0)),
    "C": (("°c", 1.0), ("c", 1.0), ("degrees", 1.0), ("deg", 1.0)), "LPM": (("lpm", 1.0), ("l/min", 1.0)),
    "min": (("minutes", 1.0), ("min", 1.0), ("hours", 60.0), ("h", 60.0)), "%": (("%", 1.0),),
    "nodes": (("nodes", 1.0), ("node", 1.0)), "sequences": (("sequences", 1.0), ("", 1.0)),
}  # fmt: skip
"""How people write the unit of an argument, and what it is worth in the catalog's."""


def _rule(words: str, action: str, *kinds: str) -> tuple[re.Pattern[str], str, frozenset[str]]:
    return re.compile(words, re.IGNORECASE), action, frozenset(kinds)


_RULES = (
    _rule(r"\b(?:discharg\w+|peak[- ]?shav\w+)\b", "discharge_ess"),
    _rule(r"\bhold\w*\b.*\bdraw\b", "hold_draw"),
    _rule(r"\bcharg\w+\b", "charge_ess", "ess"),
    _rule(r"\bshed\w*\b", "shed_load"),
    _rule(r"\buncordon\w*|\bundrain\w*|\bresum\w+", "resume_job", "gpu_node"),
    _rule(r"\bcordon\w*", "cordon_node"),
    _rule(r"\bdrain\w*|\bevacuat\w+|\bout of (?:service|rotation)\b", "drain_node", "gpu_node", "rack"),
    _rule(r"\bpaus\w+", "pause_job"),
    _rule(r"\b(?:migrat\w+|reloc\w+|mov(?:e|ing))\b", "migrate_job"),
    _rule(r"\bres(?:et|tart)\w*|\breboot\w*|\bpower[- ]?cycl\w+|\bbounc\w+", "reset_gpu", "gpu_node"),
    _rule(r"\b(?:standby|spare|other|second|backup) pump\b|\bswitch\w* (?:over )?(?:the )?pumps?\b|\b(?:start|run|bring|switch)\w*\b.*\bpump\b", "start_standby_pump"),
    _rule(r"\b(?:clos|shut|isolat|lock)\w*\b.*\b(?:valve|loop|rack|cdu|leak|water)\b|\bisolat\w+", "close_leak_valve", "rack", "cdu", "leak_sensor"),
    _rule(r"\b(?:chilled |cold )?water\b.*\b(?:temp\w*|degrees|\d)|\bwater (?:temp\w*|set\s?point)", "set_water_temp", "chiller"),
    _rule(r"\bsupply\b|\b(?:temp\w*|set\s?point|colder|cooler|warmer)\b", "set_supply_temp", "cdu"),
    _rule(r"\bflow\b", "set_coolant_flow"),
    _rule(r"\bbatch\w*", "set_batch_limit"),
    _rule(r"\bwatermark\b|\bkv\b", "set_kv_watermark"),
    _rule(r"\bsmaller model\b|\bswitch\w*\b.*\bmodel\b", "switch_to_smaller_model"),
    _rule(r"\bscal\w+\b|\bmore nodes\b|\bfewer nodes\b", "scale_pool", "service"),
    _rule(r"\bclocks?\b|\bmhz\b|\bghz\b|\bslow down\b", "lock_pool_clock", "service"),
    _rule(r"\bclocks?\b|\bmhz\b|\bghz\b|\bslow down\b", "lock_gpu_clock", "gpu_node"),
    _rule(r"\b(?:power[- ]?)?cap\w*\b|\bthrottl\w+|\blimit\w*\b.*\b(?:power|w|watts?)\b|\b(?:lower|reduc)\w*\b.*\bpower\b", "cap_gpu_power", "gpu_node", "rack"),
    _rule(r"\bticket\b", "open_ticket"),
    _rule(r"\bpag(?:e|ing)\b|\bcall out\b|\bwake\b", "page"),
)  # fmt: skip
"""The first whose words are said, and which can be done to the asset, is meant."""


@dataclass(frozen=True)
class Wish:
    """What somebody wants done, as far as it is known. `action` is empty where no action of the catalog is meant."""

    action: str
    asset: str
    args: Mapping[str, ArgValue] = field(default_factory=dict)
    why: str = ""
    """The reason that was given; "" for none."""


def asks_to_propose(plain: str) -> bool:
    """Whether the person says that something is to be put to review, as against that it is to be done."""
    return _ASKS.search(plain) is not None


def wished(plain: str, site: Site, asset: str = "") -> Wish:
    """The action that the words mean; `asset` is what was spoken of, where none is named."""
    named = assets_in(plain, site) or kind_in(plain, site)[:1] or ([asset] if asset else [])
    about = named[0] if named else ""
    because = _BECAUSE.search(plain)
    found = _action_in(plain, site.find(about) if about else None)
    args = _arguments(plain, CATALOG[found]) if found else {}
    return Wish(found, about, args, because["why"].strip() if because else "")


def _action_in(plain: str, asset: Asset | None) -> str:
    if match := _NAMES.search(plain):
        return match[1].lower()
    for words, action, kinds in _RULES:
        if words.search(plain) and (not kinds or asset is None or asset.kind in kinds):
            return action
    return ""


def _arguments(plain: str, spec: ActionSpec) -> dict[str, ArgValue]:
    """Those that are written out, `flow_lpm=180` or `180 LPM`; the others follow from readings."""
    written = {key.lower(): value for key, value in _GIVEN.findall(plain)}
    found: dict[str, ArgValue] = {}
    for arg in spec.args:
        if arg.name in written:
            value = written[arg.name]
            found[arg.name] = value if arg.type == "choice" else float(value)
        elif arg.type == "choice":
            choice = next((one for one in arg.choices if re.search(rf"\b{one}\b", plain, re.IGNORECASE)), "")
            found |= {arg.name: choice} if choice else {}
        elif (number := _number(plain, arg.unit)) is not None:
            found[arg.name] = round(number) if arg.type == "integer" else number
    return found


def _number(plain: str, unit: str) -> float | None:
    for written, factor in _UNITS.get(unit, ()):
        pattern = rf"(?<![\w.-])(-?\d+(?:\.\d+)?)\s*{re.escape(written)}(?![\w/])"
        if match := re.search(pattern, plain, re.IGNORECASE):
            return float(match[1]) * factor
    return None


# ---- the offer ---------------------------------------------------------------------------------------------------


class DraftArgs(Args):
    """One action of the catalog. Arguments that are left out follow from the readings."""

    action: Annotated[str, Field(max_length=60, description="Name in the catalog, such as set_coolant_flow")]
    asset: Annotated[
        str, Field(max_length=120, description="Asset of the site it is done to, or that has the trouble")
    ]
    args: Annotated[
        dict[str, ArgValue],
        Field(default_factory=dict, max_length=8, description="Arguments, such as flow_lpm: 180"),
    ]


class DraftAnswer(Answer):
    """What could be put to review. Nothing was."""

    action: str
    asset: str
    args: dict[str, ArgValue]
    words: str
    risk: str
    effect: str
    rollback: str
    people: int
    """How many have to agree."""
    against: str
    """What people have to prepare first; empty where nothing is in the way."""


def _draft(ports: PlantPorts, people_for: Callable[[str], int], args: DraftArgs) -> DraftAnswer:
    site = ports.site
    if args.action not in CATALOG:
        raise ToolError(_no_action(args.asset, site))
    try:
        action = complete(Wish(args.action, args.asset, args.args), ports)
        against = hindrance(action, site, ports.read, ports.clock())
    except ActionRefused as error:
        raise ToolError(f"{error.what}. {error.remedy}".rstrip(". ")) from error
    if against is not None and against.guard not in PREPARED:
        raise ToolError(f"an interlock refuses it now: {against.what}. {against.remedy}")
    spec = spec_of(action.name)
    return DraftAnswer(
        action=action.name, asset=action.asset, args=dict(action.args), words=describe(action), risk=spec.risk,
        effect=spec.effect, rollback=spec.rollback, people=people_for(spec.risk),
        against=f"{against.what}. {against.remedy}" if against else "",
    )  # fmt: skip


def complete(wish: Wish, ports: PlantPorts) -> Action:
    """The action with every argument, on the asset it belongs to. Raises ActionRefused and InputError as the catalog does."""
    site, spec = ports.site, spec_of(wish.action)
    given = {name: value for name, value in wish.args.items() if spec.arg(name)}
    if len(given) == len(spec.args):
        target = target_for(spec, wish.asset, site, ports.read)
        return validate(Action(name=wish.action, asset=target, args=given), site)
    made = propose(wish.action, wish.asset, site, ports.read)
    return validate(made.model_copy(update={"args": {**made.args, **given}}), site)


def _no_action(asset: str, site: Site) -> str:
    """The catalog's refusal: what it holds for that asset."""
    found = site.find(asset) if asset else None
    fitting = [
        spec.name for spec in CATALOG.values() if found is None or not spec.kinds or found.kind in spec.kinds
    ]
    on = f" for {found.name}, which is a {found.kind}," if found else ""
    return f"the catalog of actions holds nothing like that{on} and nothing outside it can be proposed; it holds {', '.join(fitting)}"


def wish_tools(ports: PlantPorts, people_for: Callable[[str], int]) -> list[BaseTool]:
    """The draft of an action, bound to these ports. It only reads."""
    return [
        typed_tool(
            "draft_action",
            "Checks one action of the catalog against site and interlocks and tells what putting it to review would ask. Changes nothing.",
            DraftArgs, lambda args: _draft(ports, people_for, args),
        ),
    ]  # fmt: skip


def offer_of(result: Any) -> dict[str, Any]:
    """What of a draft is needed to put it to review; empty where it was refused."""
    if not isinstance(result, Mapping):
        return {}
    return {key: result[key] for key in ("action", "asset", "args", "words")}


__all__ = ["Wish", "asks_to_propose", "complete", "offer_of", "wish_tools", "wished"]
