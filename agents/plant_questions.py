"""Questions about the plant, understood by their words: which tool is asked, with which arguments.

No model takes part. What is not understood here is left to the other intents of the operator; what is understood but
lacks something goes to the tool, which says what it needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from setpoint.contracts.site import Site


@dataclass(frozen=True)
class PlantQuestion:
    """One call of a plant tool."""

    tool: str
    phrase: str
    """The question as a short phrase without facts."""
    args: dict[str, Any] = field(default_factory=dict)


_HOW_TO = re.compile(
    r"^\s*(why|how (do|should|can) (i|we)|how to|runbook|what (is|does) xid)\b", re.IGNORECASE
)
_LOSS = re.compile(
    r"\b(fail\w*|trips?|tripped|is lost|lost|los(e|es|ing)|stops?|dies|breaks?|without|goes (down|off|away)|is gone|"
    r"falls? (out|over|off)|out of service|runs dry)\b",
    re.IGNORECASE,
)
_IF = re.compile(
    r"\b(what if|what happens|what would happen|what (would|does) .* if|if .* what)\b", re.IGNORECASE
)
_CHANGE = re.compile(r"\b[\w\-/.]+=[^\s,?]+")
_MINUTES = re.compile(
    r"\b(?:after|over|in|for|within)\s+(\d+(?:\.\d+)?)\s*(min\w*|m|s|sec\w*|h|hours?)\b", re.IGNORECASE
)
_RATE = re.compile(
    r"(\d+(?:\.\d+)?)\s*(?:rps|req(?:uests?)?\s*(?:/\s*s|per second|a second|/sec)|/s)\b", re.IGNORECASE
)
_TOKENS = re.compile(r"(\d[\d,]*)[\s-]*(k?)[\s-]*tokens?\b", re.IGNORECASE)
_KW = re.compile(r"(\d+(?:\.\d+)?)\s*([kM]?W)\b", re.IGNORECASE)
_ON_GPU = re.compile(r"\bon\s+(?:(\d+)\s*x?\s*)?([A-Za-z][\w\-.]*\d[\w\-.]*)", re.IGNORECASE)
_FOR_MODEL = re.compile(
    r"\b(?:for|of|split|train|serve|size|load)\s+(?:a |the )?([A-Za-z][\w\-]*[.\-]?\d[\w.\-]*)", re.IGNORECASE
)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]*")
_KNOBS = {
    "prefill clock": "prefill_clock", "decode clock": "decode_clock", "power cap": "power_cap", "batch limit": "batch",
    "batch size": "batch", "batch": "batch", "chunk size": "chunk", "chunk": "chunk", "clock": "clock",
    "supply temperature": "supply_temp", "supply temp": "supply_temp", "coolant flow": "flow", "flow": "flow",
    "kv watermark": "kv_watermark", "wet bulb": "wet_bulb", "dry bulb": "dry_bulb", "air temperature": "crah_temp",
    "load": "rate", "rate": "rate",
}  # fmt: skip
"""Words of people for what a what-if can set; the longer ones first."""
_SPOKEN = re.compile(
    rf"\b({'|'.join(_KNOBS)})\b(?:\s+(?:of|on)\s+[\w\-/]+)?(?:\s+(?:is|was|were|goes|set|lowered|raised|limited))*\s+(?:to|of|at|is|was|were)\s+"
    r"(\d+(?:\.\d+)?)\s*(MHz|GHz|C|W|kW|LPM|l/min|%)?",
    re.IGNORECASE,
)
_PURPOSES = (
    (r"power spikes?|spikes", "power_spikes"), (r"thermal|cooling|temperature control", "thermal_control"),
    (r"peak[- ]shaving|peaks?", "peak_shaving"), (r"tariff|bill\w*", "tariff"), (r"capacity|sizing", "capacity"),
)  # fmt: skip


def plant_question(question: str, site: Site) -> PlantQuestion | None:
    """The tool that answers it and its arguments; None where it is not about the plant's workings."""
    if _HOW_TO.search(question):
        return None
    for wanted, make in _RULES:
        if wanted.search(question) and (found := make(question, site)) is not None:
            return found
    return None


def _what_if(question: str, site: Site) -> PlantQuestion | None:
    """Changes are simulated, losses too; other suppositions are left to the tool to say how they are written."""
    changes = [*_CHANGE.findall(question), *_spoken(question, site)]
    if changes:
        args: dict[str, Any] = {"changes": " ".join(change.rstrip(".;:!") for change in changes)}
        return PlantQuestion("what_if", "what a change would do", args | _minutes(question, most=10))
    lost = _assets(question, site)
    if lost and _LOSS.search(question):
        args = {"asset": lost[0]} | ({"also": lost[1:8]} if lost[1:] else {}) | _minutes(question, most=60)
        return PlantQuestion("asset_lost", "what happens when this fails", args)
    if re.search(r"\bwhat if\b", question, re.IGNORECASE) and not lost:
        supposed = re.split(r"\bwhat if\b", question, maxsplit=1, flags=re.IGNORECASE)[1].strip(" ?.")
        return PlantQuestion("what_if", "what a change would do", {"changes": supposed[:400] or "?"})
    return None


def _rehearse(question: str, site: Site) -> PlantQuestion:
    """`rehearse set_coolant_flow on cdu-1 flow_lpm=90`."""
    match = re.search(r"\brehearse\s+([a-z_]+)", question, re.IGNORECASE)
    given = (change.split("=", 1) for change in _CHANGE.findall(question))
    args = {name: float(value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else value for name, value in given}
    asked = {
        "action": match[1].lower() if match else "?",
        "asset": _asset(question, site) or "?",
        "args": args,
    }
    return PlantQuestion("rehearse_action", "what an action would do", asked | _minutes(question, most=240))


def _spoken(question: str, site: Site) -> list[str]:
    """`the clock of gpu-01 is set to 1200 MHz` as `clock=1200MHz`, on the asset named, if one is."""
    asset = _asset(question, site)
    found = []
    for words, value, unit in _SPOKEN.findall(question):
        key = _KNOBS[words.lower()]
        found.append(f"{asset}.{key}={value}{unit}" if asset else f"{key}={value}{unit}")
    return found


def _size(question: str, site: Site) -> PlantQuestion:
    args: dict[str, Any] = {"model": _model(question, site), "gpu": _gpu(question, site)}
    if match := _RATE.search(question):
        args["rate_rps"] = float(match[1])
    args |= _slo(question)
    return PlantQuestion("sizing", "how many accelerators serve this", args)


def _parallelism(question: str, site: Site) -> PlantQuestion:
    args: dict[str, Any] = {"model": _model(question, site), "gpu": _gpu(question, site)}
    if (match := _ON_GPU.search(question)) and match[1]:
        args["gpus"] = int(match[1])
    if re.search(r"\btrain\w*\b", question, re.IGNORECASE):
        args = {"gpus": 64} | args | {"purpose": "train"}
    return PlantQuestion("parallelism", "how to split this model", args)


def _telemetry(question: str, site: Site) -> PlantQuestion | None:
    asset = _asset(question, site)
    if not asset:
        return None
    args: dict[str, Any] = {"asset": asset}
    for words, purpose in _PURPOSES:
        if re.search(rf"\bfor\b.*\b({words})\b", question, re.IGNORECASE):
            args["purpose"] = purpose
            break
    return PlantQuestion(
        "telemetry_quality", "whether the readings can carry a plan", args | _history_span(question)
    )


def _history(question: str, site: Site) -> PlantQuestion | None:
    asset = _asset(question, site)
    metric = next((word for word in _WORD.findall(question) if "_" in word), "")
    if not (asset and metric):
        return None
    args: dict[str, Any] = {"asset": asset, "metric": metric} | _history_span(question)
    return PlantQuestion("telemetry_history", "what it read", args)


def _kv_cache(question: str, site: Site) -> PlantQuestion:
    args = _which(question, site) | _rate(question)
    if (tokens := _tokens(question)) is not None:
        args["preempted_tokens"] = tokens
    return PlantQuestion("kv_cache", "how full the cache is", args)


def _batching(question: str, site: Site) -> PlantQuestion:
    return PlantQuestion("batching", "what batch limits do", _which(question, site) | _rate(question))


def _dvfs(question: str, site: Site) -> PlantQuestion:
    args = _which(question, site) | _rate(question)
    slo = {f"{name}_slo_ms": value for name, value in _times(question).items()}
    if re.search(r"\bpower[- ]caps?\b", question, re.IGNORECASE):
        args["by"] = "power_cap"
    return PlantQuestion("dvfs", "which clock keeps the limits with least energy", args | slo)


def _request_way(question: str, site: Site) -> PlantQuestion:
    args = _which(question, site)
    if (tokens := _tokens(question)) is not None:
        args["prompt_tokens"] = tokens
    if re.search(r"\bcold\b", question, re.IGNORECASE):
        args["start"] = "cold"
    return PlantQuestion("request_way", "where the time of a request goes", args)


def _ess_runtime(question: str, site: Site) -> PlantQuestion:
    return PlantQuestion("ess_runtime", "how long the battery lasts", _ess(question, site) | _load(question))


def _ess_dispatch(question: str, site: Site) -> PlantQuestion:
    args = _ess(question, site)
    if load := _load(question):
        args["load_kw"] = [load["load_kw"]]
    if match := re.search(r"\b(\d+)\s*(?:h|hours?)\b", question, re.IGNORECASE):
        args["hours"] = int(match[1])
    return PlantQuestion("ess_dispatch", "when the battery should charge and discharge", args)


def _ess_state(question: str, site: Site) -> PlantQuestion:
    return PlantQuestion("ess_state", "the state of the battery", _ess(question, site))


def _cooling(question: str, site: Site) -> PlantQuestion:
    asset = _asset(question, site)
    return PlantQuestion(
        "cooling", "the cooling headroom", ({"asset": asset} if asset else {}) | _load(question)
    )


def _host_paths(question: str, site: Site) -> PlantQuestion:
    args: dict[str, Any] = {}
    if asset := _asset(question, site):
        args["node"] = asset
    if model := _model(question, site):
        args["model"] = model
    return PlantQuestion("host_paths", "which data paths can be used", args)


def _jobs(question: str, site: Site) -> PlantQuestion | None:
    args: dict[str, Any] = {}
    names = {job.name.lower(): job.name for job in site.jobs}
    job = next((names[w.lower()] for w in _WORD.findall(question) if w.lower() in names), "")
    if not job and not re.search(r"\bjobs?\b", question, re.IGNORECASE):
        return None
    if job and re.search(r"\bpaus\w*\b", question, re.IGNORECASE):
        args["pause"] = job
    elif job and re.search(r"\b(mov\w+|relocat\w+|migrat\w+)\b", question, re.IGNORECASE):
        args["move"] = job
    if match := re.search(r"\bafter\s+(\d+(?:\.\d+)?)\s*h", question, re.IGNORECASE):
        args["after_h"] = float(match[1])
    return PlantQuestion("jobs", "what runs and what waits", args)


def _faults(question: str, site: Site) -> PlantQuestion:
    asset = _asset(question, site)
    if asset:
        return PlantQuestion("faults", "what can go wrong here", {"asset": asset})
    named = re.search(r"\bfaults?\s+([a-z0-9]+(?:_[a-z0-9]+)+)\b|\bwhat is (?:the fault )?([a-z0-9]+(?:_[a-z0-9]+)+)", question, re.IGNORECASE)  # fmt: skip
    if named:
        return PlantQuestion("faults", "what this fault does", {"id": (named[1] or named[2]).lower()})
    kind = re.search(
        r"\b(?:with|on|of|for|strike) (?:a |an |the )?([a-z_]+?)s?\??$", question.strip(), re.IGNORECASE
    )
    return PlantQuestion("faults", "what can go wrong", {"asset": kind[1].lower()} if kind else {})


def _trends(question: str, site: Site) -> PlantQuestion | None:
    if _asset(question, site):
        return None
    return PlantQuestion("trends", "where the site stands among the eras")


def _site_summary(question: str, site: Site) -> PlantQuestion:
    return PlantQuestion("site_summary", "what the site is")


_Make = Callable[[str, Site], PlantQuestion | None]


def _rule(pattern: str, make: _Make) -> tuple[re.Pattern[str], _Make]:
    return re.compile(pattern, re.IGNORECASE), make


_BATTERY = r"(batter(y|ies)|\bess(-\w+)?\b|energy storage|storage)"
_RULES: tuple[tuple[re.Pattern[str], _Make], ...] = (
    _rule(r"^\s*(please\s+)?rehearse\s+[a-z]+_[a-z_]+\b", _rehearse),
    (_IF, _what_if),
    _rule(r"^\s*(please\s+)?(size|sizing)\b|\bhow many (gpus|accelerators|instances|nodes)\b.*\b(need|serve|for)\b", _size),
    _rule(r"\bparallelism\b|\b(tensor|expert|pipeline|data)[- ]parallel\b|\bways to split\b", _parallelism),
    _rule(r"\b(telemetry|readings|data|sensors?)\b.*\b(good|fine|dense|enough|quality|coarse|gaps?|whole)\b|"
          r"\bquality of\b.*\b(telemetry|readings|data)\b", _telemetry),
    _rule(r"\bhistory of\b|\b(past|recent) readings\b|\breadings of\b", _history),
    _rule(r"\b(host|data) paths?\b|\bgpudirect\b|\brdma\b|\bio_uring\b|\bbounce buffers?\b|\bload time of\b", _host_paths),
    _rule(r"\bkv\b|\bswap or recompute\b|\brecompute or swap\b|\bpaged?attention\b|\bcache (blocks?|pool)\b", _kv_cache),
    _rule(r"\bdvfs\b|\b(which|what(?! if)|best|lowest|optimal|cheapest)\b[\w\s-]*\b(clocks?|power[- ]caps?)\b", _dvfs),
    _rule(r"\bbatching\b|\b(which|what|best) (batch|chunk)\b|\bbatch (limit|size)s?\b|\btoken budget\b", _batching),
    _rule(r"\bway of a request\b|\bwhere (does|goes|is) the time\b|\brequest'?s? (way|path|breakdown)\b", _request_way),
    _rule(rf"{_BATTERY}.*\b(last|lasts|runtime|how long|minutes|carry|bridge)\b|\b(how long|how many minutes)\b.*{_BATTERY}",
          _ess_runtime),
    _rule(rf"{_BATTERY}.*\b(dispatch|schedul\w*|sav\w+|arbitrage|charge and discharge)\b|"
          rf"\b(dispatch|schedul\w*|when (to|should)|sav\w+)\b.*{_BATTERY}", _ess_dispatch),
    _rule(rf"{_BATTERY}.*\b(state|soc|soh|health|charged?|full)\b|\b(state|soc|soh|health|charge|how full)\b.*{_BATTERY}",
          _ess_state),
    _rule(r"\bcooling\b.*\b(headroom|capacity|reserve|state|margin)\b|\b(headroom|delta[- ]?t)\b|"
          r"\b(how much|what|which) (coolant )?flow\b|\bflow (needed|does|is needed)\b", _cooling),
    _rule(r"\bwhich jobs\b|\bjobs? (that )?(run|wait|queue)\w*|\bjob queue\b|\b(paus|mov|relocat|migrat)ing\b", _jobs),
    _rule(r"\bfault catalog(ue)?\b|\b(known|possible) faults?\b|\bfaults?\b.*\b(strike|hit|befall)\b|\bwhat can go wrong\b|\bfaults? \w+_\w+", _faults),
    _rule(r"^\s*trends?\b|\btrends\b|\beras?\b", _trends),
    _rule(r"\bsite summary\b|\bsummary of (the|this) site\b|\b(describe|about) (the|this) site\b|\bhow (big|large) is (the|this) site\b|"
          r"\bwhat is this site\b", _site_summary),
)  # fmt: skip
"""The first that finds something answers."""


# ---- parts of a question -----------------------------------------------------------------------------------------


def _asset(question: str, site: Site) -> str:
    return next(iter(_assets(question, site)), "")


def _assets(question: str, site: Site) -> list[str]:
    """Assets of the site that are named, in the order of the question."""
    found = (site.find(word.rstrip(".:/")) for word in _WORD.findall(question))
    return list(dict.fromkeys(asset.name for asset in found if asset is not None))


def _which(question: str, site: Site) -> dict[str, Any]:
    """A pool of the site, else a model on an accelerator, else nothing."""
    pools = {pool.name.lower(): pool.name for pool in site.pools}
    for word in _WORD.findall(question):
        if (name := word.lower().rstrip(".:/")) in pools:
            return {"pool": pools[name]}
    model = _model(question, site)
    return {"model": model, "gpu": _gpu(question, site)} if model else {}


def _model(question: str, site: Site) -> str:
    """The word after `for`, `train` or the like that looks like a model and is no asset."""
    words = (match[1].rstrip(".") for match in _FOR_MODEL.finditer(question))
    return next((word for word in words if site.find(word) is None), "")


def _gpu(question: str, site: Site) -> str:
    """As named, else that of the site's first node."""
    if match := _ON_GPU.search(question):
        return match[2].rstrip(".")
    nodes = site.of_kind("gpu_node")
    return site.node_gpu(nodes[0].name).name if nodes else ""


def _ess(question: str, site: Site) -> dict[str, Any]:
    asset = site.find(_asset(question, site) or "-")
    return {"asset": asset.name} if asset is not None and asset.kind == "ess" else {}


def _rate(question: str) -> dict[str, Any]:
    match = _RATE.search(question)
    return {"rate_rps": float(match[1])} if match else {}


def _tokens(question: str) -> int | None:
    match = _TOKENS.search(question)
    return int(match[1].replace(",", "")) * (1000 if match[2] else 1) if match else None


def _load(question: str) -> dict[str, Any]:
    match = _KW.search(question)
    return {"load_kw": f"{match[1]}{match[2]}"} if match else {}


def _times(question: str) -> dict[str, str]:
    """Limits with their units, as `ttft=500ms` or `TPOT below 50 ms`."""
    found = {}
    for name in ("ttft", "tpot"):
        if match := re.search(rf"\b{name}\b\D{{0,12}}?(\d+(?:\.\d+)?)\s*(ms|s)\b", question, re.IGNORECASE):
            found[name] = f"{match[1]}{match[2]}"
    return found


def _slo(question: str) -> dict[str, Any]:
    return {f"{name}_slo_ms": value for name, value in _times(question).items()}


def _minutes(question: str, most: float) -> dict[str, Any]:
    """Up to what the tool looks at."""
    match = _MINUTES.search(question)
    if not match:
        return {}
    scale = 60.0 if match[2].lower().startswith("h") else 1 / 60 if match[2].lower().startswith("s") else 1.0
    return {"minutes": max(1.0, min(most, float(match[1]) * scale))}


def _history_span(question: str) -> dict[str, Any]:
    match = re.search(r"\blast\s+(\d+)\s*(min\w*|m|h|hours?|d|days?)\b", question, re.IGNORECASE)
    if not match:
        return {}
    scale = {"m": 1, "h": 60, "d": 1440}[match[2][0].lower()]
    return {"minutes": max(1, min(14 * 1440, int(match[1]) * scale))}
