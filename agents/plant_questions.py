"""Questions about the plant, understood by their words: which tool is asked, with which arguments.

No model takes part. What is not understood here is left to the other intents of the operator; what is understood but
lacks something goes to the tool, which says what it needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agents.mentions import asset_in, assets_in, kind_in, siblings
from agents.metric_words import metric_in
from agents.quantities import (
    ACCELERATOR,
    CHANGE,
    ON_GPU,
    RATE,
    SIZED_MODEL,
    WORD,
    accelerator_in,
    limits_in,
    load_in,
    minutes_in,
    model_in,
    pool_or_model,
    rate_in,
    span_in,
    spoken_changes,
    storage_in,
    times_in,
    tokens_in,
)
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
    r"\b(fail\w*|trips?|tripped|is lost|lost|los(e|es|ing)|stops?|dies|die|dying|breaks?|without|goes?|went|quits?|blows?|is gone|"
    r"falls? (out|over|off)|drops? (out|off|dead)|gives? (up|out)|out of service|runs dry|packs? (it )?in|outage|dark|dead|failure)\b",
    re.IGNORECASE,
)
_IF = re.compile(
    r"\bwhat'?s? (if|happens?|becomes|breaks)\b|\bwhat (would|will|does|do) .*\b(if|happen|become|cost|do)\b|\bif\b|\b(when|once)\b.*\b(dies?|fails?|trips?)\b|"
    r"\b(suppos\w+|suppose|assum\w+|imagine|were (i|we|it|they) to|say we|hypothetical\w*|simulat\w+|try|would|could|can (we|i)|surviv\w+|worst case|"
    r"scenario|effects?|impact|consequences?|how bad|hurts?|saves?|saving)\b|\bthen( what)?\s*\?|\bthen what\b|\bhow (much|many|far|long)\b.*\b(lose|cost|gain|at|without)\b|"
    r"\bwho goes dark\b",
    re.IGNORECASE,
)
_ACTED = re.compile(
    r"\b(drain|cordon|restart|reboot|reset|paus|migrat|mov|shut|clos|start|stop|isolat)\w*\b", re.IGNORECASE
)
_ACTION_OF = {
    "drain": "drain_node",
    "cordon": "cordon_node",
    "reset": "reset_gpu",
    "paus": "pause_job",
    "migrat": "migrate_job",
}
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
    changes = CHANGE.findall(question) or spoken_changes(question, site)
    if changes:
        args: dict[str, Any] = {"changes": " ".join(change.rstrip(".;:!") for change in changes)}
        return PlantQuestion("what_if", "what a change would do", args | minutes_in(question, most=10))
    lost = assets_in(question, site)
    if (_LOSS.search(question) and (found := _lost(question, lost, site))) or (
        lost and (found := _acted(question, lost))
    ):
        return found
    if re.search(r"\bwhat if\b", question, re.IGNORECASE) and not lost:
        supposed = re.split(r"\bwhat if\b", question, maxsplit=1, flags=re.IGNORECASE)[1].strip(" ?.")
        return PlantQuestion("what_if", "what a change would do", {"changes": supposed[:400] or "?"})
    return None


def _lost(question: str, named: list[str], site: Site) -> PlantQuestion | None:
    """Those named, "both" of a pair, or the gear that is named without a number."""
    both = re.search(r"\bboth\b", question, re.IGNORECASE)
    lost = named or kind_in(question, site)[: 2 if both else 1]
    if not lost:
        return None
    if len(lost) == 1 and both:
        lost = [*lost, *siblings(lost[0], site)[:1]]
    args = {"asset": lost[0]} | ({"also": lost[1:8]} if lost[1:] else {}) | minutes_in(question, most=60)
    return PlantQuestion("asset_lost", "what happens when this fails", args)


def _acted(question: str, named: list[str]) -> PlantQuestion | None:
    """A supposed act is rehearsed."""
    match = _ACTED.search(question)
    action = _ACTION_OF.get(match[1].lower(), "") if match else ""
    if not action:
        return None
    args = {"action": action, "asset": named[0], "args": {}}
    return PlantQuestion("rehearse_action", "what an action would do", args)


def _rehearse(question: str, site: Site) -> PlantQuestion:
    """`rehearse set_coolant_flow on cdu-1 flow_lpm=90`."""
    match = re.search(r"\brehearse\s+([a-z_]+)", question, re.IGNORECASE)
    given = (change.split("=", 1) for change in CHANGE.findall(question))
    args = {name: float(value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else value for name, value in given}
    asked = {
        "action": match[1].lower() if match else "?",
        "asset": asset_in(question, site) or "?",
        "args": args,
    }
    return PlantQuestion("rehearse_action", "what an action would do", asked | minutes_in(question, most=240))


def _size(question: str, site: Site) -> PlantQuestion:
    args: dict[str, Any] = {"model": model_in(question, site), "gpu": accelerator_in(question, site)}
    if match := RATE.search(question):
        args["rate_rps"] = float(match[1])
    args |= limits_in(question)
    return PlantQuestion("sizing", "how many accelerators serve this", args)


def _size_at_rate(question: str, site: Site) -> PlantQuestion | None:
    """Where a model and a rate are named."""
    return _size(question, site) if RATE.search(question) and model_in(question, site) else None


def _parallelism(question: str, site: Site) -> PlantQuestion:
    args: dict[str, Any] = {"model": model_in(question, site), "gpu": accelerator_in(question, site)}
    if (match := ON_GPU.search(question)) and match[1]:
        args["gpus"] = int(match[1])
    if re.search(r"\btrain\w*\b", question, re.IGNORECASE):
        args = {"gpus": 64} | args | {"purpose": "train"}
    return PlantQuestion("parallelism", "how to split this model", args)


def _telemetry(question: str, site: Site) -> PlantQuestion | None:
    asset = asset_in(question, site)
    if not asset:
        return None
    args: dict[str, Any] = {"asset": asset}
    for words, purpose in _PURPOSES:
        if re.search(rf"\bfor\b.*\b({words})\b", question, re.IGNORECASE):
            args["purpose"] = purpose
            break
    return PlantQuestion(
        "telemetry_quality", "whether the readings can carry a plan", args | span_in(question)
    )


def _history(question: str, site: Site) -> PlantQuestion | None:
    asset = asset_in(question, site)
    metric = next((word for word in WORD.findall(question) if "_" in word), "") or metric_in(
        question, asset, site
    )
    if not (asset and metric):
        return None
    args: dict[str, Any] = {"asset": asset, "metric": metric} | span_in(question)
    return PlantQuestion("telemetry_history", "what it read", args)


def _kv_cache(question: str, site: Site) -> PlantQuestion:
    args = pool_or_model(question, site) | rate_in(question)
    if (tokens := tokens_in(question)) is not None:
        args["preempted_tokens"] = tokens
    return PlantQuestion("kv_cache", "how full the cache is", args)


def _batching(question: str, site: Site) -> PlantQuestion:
    return PlantQuestion(
        "batching", "what batch limits do", pool_or_model(question, site) | rate_in(question)
    )


def _dvfs(question: str, site: Site) -> PlantQuestion:
    args = pool_or_model(question, site) | rate_in(question)
    slo = {f"{name}_slo_ms": value for name, value in times_in(question).items()}
    if re.search(r"\bpower[- ]caps?\b", question, re.IGNORECASE):
        args["by"] = "power_cap"
    return PlantQuestion("dvfs", "which clock keeps the limits with least energy", args | slo)


def _request_way(question: str, site: Site) -> PlantQuestion:
    args = pool_or_model(question, site)
    if (tokens := tokens_in(question)) is not None:
        args["prompt_tokens"] = tokens
    if re.search(r"\bcold\b", question, re.IGNORECASE):
        args["start"] = "cold"
    return PlantQuestion("request_way", "where the time of a request goes", args)


def _ess_runtime(question: str, site: Site) -> PlantQuestion | None:
    """A UPS has a battery of its own, whose charge and load its readings tell."""
    if (asset := site.find(asset_in(question, site) or "-")) and asset.kind != "ess":
        return None
    return PlantQuestion(
        "ess_runtime", "how long the battery lasts", storage_in(question, site) | load_in(question)
    )


def _ess_dispatch(question: str, site: Site) -> PlantQuestion | None:
    if (asset := site.find(asset_in(question, site) or "-")) and asset.kind != "ess":
        return None
    args = storage_in(question, site)
    if load := load_in(question):
        args["load_kw"] = [load["load_kw"]]
    if match := re.search(r"\b(\d+)\s*(?:h|hours?)\b", question, re.IGNORECASE):
        args["hours"] = int(match[1])
    return PlantQuestion("ess_dispatch", "when the battery should charge and discharge", args)


def _ess_state(question: str, site: Site) -> PlantQuestion | None:
    if (asset := site.find(asset_in(question, site) or "-")) and asset.kind != "ess":
        return None
    return PlantQuestion("ess_state", "the state of the battery", storage_in(question, site))


def _cooling(question: str, site: Site) -> PlantQuestion:
    asset = asset_in(question, site)
    return PlantQuestion(
        "cooling", "the cooling headroom", ({"asset": asset} if asset else {}) | load_in(question)
    )


def _host_paths(question: str, site: Site) -> PlantQuestion:
    args: dict[str, Any] = {}
    if asset := asset_in(question, site):
        args["node"] = asset
    if model := model_in(question, site):
        args["model"] = model
    return PlantQuestion("host_paths", "which data paths can be used", args)


def _jobs(question: str, site: Site) -> PlantQuestion | None:
    args: dict[str, Any] = {}
    names = {job.name.lower(): job.name for job in site.jobs}
    job = next((names[w.lower()] for w in WORD.findall(question) if w.lower() in names), "")
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
    asset = asset_in(question, site)
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
    if asset_in(question, site):
        return None
    return PlantQuestion("trends", "where the site stands among the eras")


def _topology(question: str, site: Site) -> PlantQuestion | None:
    asset = asset_in(question, site)
    return PlantQuestion("topology", "what it stands on", {"asset": asset}) if asset else None


def _gpus(question: str, site: Site) -> PlantQuestion | None:
    """Of one node its readings tell; of the fleet this."""
    if asset_in(question, site):
        return None
    return PlantQuestion("gpus", "how the GPU nodes do")


def _power(question: str, site: Site) -> PlantQuestion | None:
    return None if asset_in(question, site) else PlantQuestion("site_summary", "what the site draws")


def _cooling_now(question: str, site: Site) -> PlantQuestion | None:
    return None if asset_in(question, site) else _cooling(question, site)


def _site_summary(question: str, site: Site) -> PlantQuestion:
    return PlantQuestion("site_summary", "what the site is")


_Make = Callable[[str, Site], PlantQuestion | None]


def _rule(pattern: str, make: _Make) -> tuple[re.Pattern[str], _Make]:
    return re.compile(pattern, re.IGNORECASE), make


_BATTERY = r"(batter(y|ies)|\bess(-\w+)?\b|energy storage|\bstorage\b(?!-\d))"
_RULES: tuple[tuple[re.Pattern[str], _Make], ...] = (
    _rule(r"^\s*(please\s+)?rehearse\s+[a-z]+_[a-z_]+\b", _rehearse),
    (_IF, _what_if),
    _rule(r"^\s*(please\s+)?(size|sizing)\b|\bsizing\b.*\d+b\b|\bhow many [\w\s-]*?(gpus?|accelerators|instances|nodes|cards|[a-z]{1,2}\d{2,3}[a-z]?s?)\b.*"
          r"\b(need\w*|serve|for|set aside|take)\b|\b(gpus?|cards|[a-z]{1,2}\d{2,3}s?) (are |is )?(needed|required) for\b", _size),
    _rule(r"\b(needs?|nodes|hardware|gpus?|accelerators|host|deploy|serve)\b", _size_at_rate),
    _rule(r"\bparallelism\b|\b(tensor|expert|pipeline|data)[- ]parallel\b|\bways to split\b", _parallelism),
    _rule(r"\b(telemetry|readings|data|sensors?)\b.*\b(good|fine|dense|enough|quality|coarse|gaps?|whole)\b|"
          r"\bquality of\b.*\b(telemetry|readings|data)\b", _telemetry),
    _rule(r"\bsince (midnight|noon|yesterday|this morning|\d)|\bgot(ten)? (\w+er)\b|\bhow (did|has|have)\b.*\b(develop\w*|behav\w*|evolv\w*|look\w*|chang\w*|go(ne)?)\b|\bhistory of\b|\b(past|recent) readings\b|\breadings of\b|\b(trend|graph|plot|curve|course)\b|"
          r"\b(last|past|previous|these|over the|in the)\s+(\w+\s+)?(\d+\s*)?(min\w*|m|h|hrs?|hours?|days?|d|shift|night)\b|"
          r"\b(creep\w*|drift\w*|climb\w*|ris(en|ing)|fall(en|ing)|dropp\w+|go(ne|ing) (up|down)|been)\b.*\b(since|over|for|lately|tonight|down|up)\w*",
          _history),
    _rule(r"\b(what|who|which \w+)( \w+)? (feeds|powers|supplies|cools)\b|\b(fed|powered|supplied|cooled) (by|from)\b|\bhang(s|ing)? (on|off|from)\b|"
          r"\b(stands?|sits|depends?|relies) on\b|\b(up|down)stream\b|\btopology\b|\bconnected to\b|\bdependen(ts?|c\w+)\b|\bwhat('s| is) (behind|below|under|above)\b|"
          r"\bwho('s| is)? (uses|depends|on)\b|\bwhere('s| is) [\w-]+\W*$|\bwhat('s| is) (in|on) [\w-]+\W*$|\bwhat does [\w-]+ (cool|feed|power|serve|supply)\b|"
          r"\beverything (on|behind|under|below|in)\b|\bwhich \w+ (holds?|contains?|hosts?|has|have|sits?|feeds?|cools?|powers?)\b|\bblast radius\b|\bwhich (rack|cdu|pdu|ups|chiller|leaf|switch|hall|feed)\b.*\b(is|does|on|in)\b", _topology),
    _rule(r"\b(gpus?|nodes|fleet)\b.*\b(throttl\w*|busy|idle|free|sit(ting)?|us(ed|age)|util\w*|load\w*|hot\w*|down|healthy|up|dead|missing|working|running)\b|"
          r"\b(throttl\w*|busy|idle|free|hot(test)?|dead|healthy|how many|loaded|util\w*)\b.*\b(gpus?|nodes|fleet)\b", _gpus),
    _rule(r"\b(host|data) paths?\b|\bgpudirect\b|\brdma\b|\bio_uring\b|\bbounce buffers?\b|\bload time of\b", _host_paths),
    _rule(r"\bkv\b|\bswap or recompute\b|\brecompute or swap\b|\bpaged?attention\b|\bcache (blocks?|pool)\b", _kv_cache),
    _rule(r"\bdvfs\b|\b(which|what(?! if)|best|lowest|optimal|cheapest)\b[\w\s-]*\b(clocks?|power[- ]caps?)\b", _dvfs),
    _rule(r"\bbatching\b|\b(which|what|best) (batch|chunk)\b|\bbatch (limit|size)s?\b|\btoken budget\b", _batching),
    _rule(r"\bway of a request\b|\bwhere (does|goes|is) the time\b|\brequest'?s? (way|path|breakdown)\b", _request_way),
    _rule(rf"{_BATTERY}.*\b(last|lasts|runtime|how long|minutes|carry|bridge)\b|\b(how long|how many minutes)\b.*{_BATTERY}",
          _ess_runtime),
    _rule(rf"{_BATTERY}.*\b(dispatch|schedul\w*|sav\w+|arbitrage|charge and discharge)\b|"
          rf"\b(dispatch|schedul\w*|when (to|should)|sav\w+)\b.*{_BATTERY}", _ess_dispatch),
    _rule(r"^\W*(and |what'?s |how('s| is) |nvm,? |the |current |present |our )*(soc|state of charge|batter(y|ies)|ess|storage)( level| charge| state| status| doing| now| please| pls)*\W*$",
          _ess_state),
    _rule(rf"{_BATTERY}.*\b((dis)?charging|level|empty|left|juice|ok|okay|fine|doing)\b|\b(level|juice|left)\b.*{_BATTERY}", _ess_state),
    _rule(rf"{_BATTERY}.*\b(state|soc|soh|health|charged?|full)\b|\b(state|soc|soh|health|charge|how full)\b.*{_BATTERY}",
          _ess_state),
    _rule(r"\bcooling\b.*\b(headroom|capacity|reserve|state|margin)\b|\b(headroom|delta[- ]?t)\b|"
          r"\b(how much|what|which) (coolant )?flow\b|\bflow (needed|does|is needed)\b", _cooling),
    _rule(r"\bcooling\b.*\b(pace|cop\w+|keep\w*|ok|okay|fine|hold\w*|enough|status|doing|well|up|manag\w+|now|tonight|left|have|spare|much)\b|\bhow('s| is) (the )?cooling\b", _cooling_now),
    _rule(r"\bcontract(ed)?\b|\bpower limit\b|\bhow many kw\b|\b(kw|power)\b.*\b(pull\w*|tak\w+|us\w+|draw\w*)\b|\b(total|site|whole|overall|grid|hall) (\w+ )?(draw|power|load|consumption|kw)\b|\bdraw(s|ing)? (right )?now\b|\bhow much (power|electricity|kw)\b|\bpue\b|"
          r"\bpower (draw|use|usage|budget|headroom|consumption|situation)\b|\b(draw|headroom|room)\b.*\b(grid|contract\w*|feeds?)\b", _power),
    _rule(r"\bwhich jobs\b|\bjobs? (that )?(run|wait|queue)\w*|\bjob queue\b|\b(paus|mov|relocat|migrat)ing\b", _jobs),
    _rule(r"\bfault catalog(ue)?\b|\b(known|possible) faults?\b|\bfaults?\b.*\b(strike|hit|befall)\b|\bwhat can go wrong\b|\bfaults? \w+_\w+", _faults),
    _rule(r"^\s*trends?\b|\btrends\b|\beras?\b", _trends),
    _rule(r"\bsite summary\b|\bsummary of (the|this) site\b|\b(describe|about) (the|this) site\b|\bhow (big|large) is (the|this) site\b|"
          r"\bwhat is this site\b", _site_summary),
)  # fmt: skip
"""The first that finds something answers."""


# ---- parts of a question -----------------------------------------------------------------------------------------


def revised(question: str, tool: str, args: dict[str, Any], site: Site) -> dict[str, Any]:
    """What a follow-up changes in a call of the tool: rate, accelerator, model, limits, load, minutes, knobs."""
    if tool == "what_if":
        scope = re.match(r"([\w\-/]+)\.", str(args.get("changes", "")))
        more = CHANGE.findall(question) or spoken_changes(question, site)
        if not more:
            return {}
        named = [
            change if "." in change.partition("=")[0] or not scope else f"{scope[1]}.{change}"
            for change in more
        ]
        keys = {change.partition("=")[0] for change in named}
        kept = [one for one in str(args["changes"]).split() if one.partition("=")[0] not in keys]
        return {"changes": " ".join([*kept, *named])}
    found: dict[str, Any] = {}
    if tool in ("sizing", "kv_cache", "batching", "dvfs"):
        found |= rate_in(question)
        if tool in ("sizing", "dvfs"):
            found |= limits_in(question)
        if match := ACCELERATOR.search(question):
            found["gpu"] = accelerator_in(match[0], site)
        if match := SIZED_MODEL.search(question):
            found["model"] = model_in(match[0], site)
    if tool in ("ess_runtime", "cooling"):
        found |= load_in(question)
    if tool in ("asset_lost", "rehearse_action"):
        found |= minutes_in(question, most=60)
    return found
