"""Quantities of a question: rates, limits, loads, minutes, models, accelerators, and the knobs of a what-if."""

from __future__ import annotations

import re
from typing import Any

from agents.mentions import asset_in
from agents.metric_words import span_minutes
from setpoint.contracts.site import Site

CHANGE = re.compile(r"\b[\w\-/.]+=[^\s,?]+")
_MINUTES = re.compile(
    r"\b(?:after|over|in|for|within)\s+(\d+(?:\.\d+)?)\s*(min\w*|m|s|sec\w*|h|hours?)\b", re.IGNORECASE
)
RATE = re.compile(
    r"(\d+(?:\.\d+)?)\s*(?:rps|qps|req(?:uests?)?\s*(?:/\s*s|per second|a second|/sec)|/s)\b", re.IGNORECASE
)
_TOKENS = re.compile(r"(\d[\d,]*)[\s-]*(k?)[\s-]*tokens?\b", re.IGNORECASE)
_KW = re.compile(r"(\d+(?:\.\d+)?)\s*([kM]?W)\b", re.IGNORECASE)
ON_GPU = re.compile(r"\bon\s+(?:(\d+)\s*x?\s*)?([A-Za-z][\w\-.]*\d[\w\-.]*)", re.IGNORECASE)
_FOR_MODEL = re.compile(
    r"\b(?:for|of|split|train|serve|size|load)\s+(?:a |the )?([A-Za-z][\w\-]*[.\-]?\d[\w.\-]*)", re.IGNORECASE
)
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]*")
SIZED_MODEL = re.compile(
    r"(?<![\w-])([a-z][a-z]+(?:-[a-z]+)?[\s-]?(?:v?\d+(?:\.\d+)?[\s-])?(?:\d+x)?\d+(?:\.\d+)?b)\b",
    re.IGNORECASE,
)
"""`llama 3.1 70b`, `mixtral-8x22B`: a name that ends with a size."""
ACCELERATOR = re.compile(r"(?<![\w-])((?:h|a|b|gb|gh|mi|l|v|p|t)\d{2,3}[a-z]?)s?(?![\w-])", re.IGNORECASE)
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
_LOOSE_KNOBS = (
    (r"(?:gpu |sm )?clock(?:s|ed)?", "clock", r"mhz|ghz", "MHz"), (r"batch(?: size| limit)?", "batch", r"sequences", ""),
    (r"supply(?: temp(?:erature)?)?(?: set\s?point)?", "supply_temp", r"c|°c", "C"), (r"(?:coolant )?flow", "flow", r"lpm|l/min", "LPM"),
    (r"(?:power )?cap(?:ped)?(?: power)?|limited", "power_cap", r"w|kw", "W"), (r"chunk(?: size)?", "chunk", r"tokens", ""),
    (r"(?:kv )?watermark", "kv_watermark", r"%", "%"), (r"wet bulb", "wet_bulb", r"c|°c", "C"),
    (r"(?:outside|dry bulb|ambient)(?: air)?(?: temp(?:erature)?)?", "dry_bulb", r"c|°c", "C"),
)  # fmt: skip
"""(words, knob, units it is told in, unit where none is said)."""
_TIME_WORDS = {
    "ttft": r"ttft|tfft|first[- ]token|time to first token",
    "tpot": r"tpot|itl|inter[- ]token|per token|per output token|each token|token after",
}


def _spoken(question: str, site: Site) -> list[str]:
    """`the clock of gpu-01 is set to 1200 MHz` as `clock=1200MHz`, on the asset named, if one is."""
    asset = asset_in(question, site)
    found = []
    for words, value, unit in _SPOKEN.findall(question):
        key = _KNOBS[words.lower()]
        found.append(f"{asset}.{key}={value}{unit}" if asset else f"{key}={value}{unit}")
    return found


def spoken_changes(question: str, site: Site) -> list[str]:
    """Each knob once."""
    found: dict[str, str] = {}
    for change in (*_spoken(question, site), *_loosely_spoken(question, site)):
        found.setdefault(change.partition("=")[0], change)
    return list(found.values())


def _loosely_spoken(question: str, site: Site) -> list[str]:
    """`clocks on r-02 down to 1200`, `batch 96`: a knob, a few words, a number in its unit or in none."""
    asset = asset_in(question, site)
    found: dict[str, str] = {}
    for words, key, units, usual in _LOOSE_KNOBS:
        pattern = rf"(?<![\w-])(?:{words})(?![\w-])(?:\s+[^\s,.;?]*[^\s\d,.;?][^\s,.;?]*){{0,6}}?[\s=]+(\d+(?:\.\d+)?)\s*({units})?(?![\w-]|\s*(?:min|h\b|kw\b|rps\b|nodes?\b|gpus?\b))"
        before = rf"(?<![\w.-])(\d+(?:\.\d+)?)\s*({units})\s+(?:of |on )?(?:the )?(?:{words})(?![\w-])"
        if match := re.search(pattern, question, re.IGNORECASE) or re.search(before, question, re.IGNORECASE):
            told = f"{key}={match[1]}{match[2] or usual}"
            found.setdefault(key, f"{asset}.{told}" if asset else told)
    for key, unit in (("clock", "mhz"), ("flow", "lpm")):  # no other knob has this unit
        if key not in found and (
            match := re.search(rf"(?<![\w.-])(\d+(?:\.\d+)?)\s*{unit}\b", question, re.IGNORECASE)
        ):
            found[key] = f"{asset}.{key}={match[1]}{unit}" if asset else f"{key}={match[1]}{unit}"
    return list(found.values())


def pool_or_model(question: str, site: Site) -> dict[str, Any]:
    """A pool of the site, else a model on an accelerator, else nothing."""
    pools = {pool.name.lower(): pool.name for pool in site.pools}
    for word in WORD.findall(question):
        if (name := word.lower().rstrip(".:/")) in pools:
            return {"pool": pools[name]}
    model = model_in(question, site)
    return {"model": model, "gpu": accelerator_in(question, site)} if model else {}


def model_in(question: str, site: Site) -> str:
    """What ends with a size, such as `llama 3.1 70b`; else the word after `for`, `train` or the like that looks like a
    model and is no asset."""
    words = [match[1].rstrip(".") for match in _FOR_MODEL.finditer(question)]
    sized = [re.sub(r"\s+", "-", match[1].lower()) for match in SIZED_MODEL.finditer(question)]
    written = [word for word in words if word.lower() in sized]
    return next((word for word in (*written, *sized, *words) if site.find(word) is None), "")


def accelerator_in(question: str, site: Site) -> str:
    """As named, else that of the site's first node."""
    if match := ON_GPU.search(question):
        return match[2].rstrip(".")
    if match := ACCELERATOR.search(question):
        name = match[1].upper()
        return name if name == "L40S" else name.removesuffix("S")
    nodes = site.of_kind("gpu_node")
    return site.node_gpu(nodes[0].name).name if nodes else ""


def storage_in(question: str, site: Site) -> dict[str, Any]:
    asset = site.find(asset_in(question, site) or "-")
    return {"asset": asset.name} if asset is not None and asset.kind == "ess" else {}


def rate_in(question: str) -> dict[str, Any]:
    match = RATE.search(question)
    return {"rate_rps": float(match[1])} if match else {}


def tokens_in(question: str) -> int | None:
    match = _TOKENS.search(question)
    return int(match[1].replace(",", "")) * (1000 if match[2] else 1) if match else None


def load_in(question: str) -> dict[str, Any]:
    match = _KW.search(question)
    return {"load_kw": f"{match[1]}{match[2]}"} if match else {}


def times_in(question: str) -> dict[str, str]:
    """Limits with their units, as `ttft=500ms`, `TPOT below 50 ms` or `40 ms for each one thereafter`; ms where none is said."""
    found = {}
    for name, words in _TIME_WORDS.items():
        if match := re.search(
            rf"\b(?:{words})\b\D{{0,20}}?(\d+(?:\.\d+)?)\s*(ms|s|seconds?)?\b", question, re.IGNORECASE
        ):
            found[name] = f"{match[1]}{'s' if (match[2] or 'ms').startswith('s') else 'ms'}"
    each = re.search(
        r"(\d+(?:\.\d+)?)\s*(ms|s)\s+(?:for |per )?(?:each|every|a)\s+(?:one|token|further)\b",
        question,
        re.IGNORECASE,
    )
    if each and "tpot" not in found:
        found["tpot"] = f"{each[1]}{each[2]}"
    return found


def limits_in(question: str) -> dict[str, Any]:
    return {f"{name}_slo_ms": value for name, value in times_in(question).items()}


def minutes_in(question: str, most: float) -> dict[str, Any]:
    """Up to what the tool looks at."""
    match = _MINUTES.search(question)
    if not match:
        return {}
    scale = 60.0 if match[2].lower().startswith("h") else 1 / 60 if match[2].lower().startswith("s") else 1.0
    return {"minutes": max(1.0, min(most, float(match[1]) * scale))}


def span_in(question: str) -> dict[str, Any]:
    minutes = span_minutes(question)
    return {"minutes": minutes} if minutes else {}
