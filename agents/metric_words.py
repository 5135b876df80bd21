"""Readings as people call them, and spans of time: "the temps of the last two hours"."""

from __future__ import annotations

import re

from setpoint.contracts.site import Site

_WORDS: tuple[tuple[str, dict[str, str]], ...] = (
    (r"supply(?: temp\w*)?", {"cdu": "supply_temp_c", "crah": "supply_temp_c"}),
    (r"return(?: temp\w*)?|outlet(?: temp\w*)?", {"cdu": "return_temp_c", "rack": "outlet_temp_c"}),
    (r"bearing(?: temp\w*)?", {"pump": "bearing_temp_c"}),
    (r"inlet(?: temp\w*)?", {"rack": "inlet_temp_c"}),
    (r"temp(?:s|erature|eratures)?|hot\w*|heat|warm\w*|cold\w*|cool\w*|warm\w*|degrees", {
        "gpu_node": "gpu_temp_c", "cdu": "return_temp_c", "rack": "inlet_temp_c", "sensor": "temp_c", "switch": "temp_c",
        "pump": "bearing_temp_c", "ups": "battery_temp_c", "ess": "cell_temp_max_c", "hall": "temp_c",
    }),
    (r"flows?|lpm", {"cdu": "flow_lpm", "rack": "flow_lpm"}),
    (r"pressure", {"cdu": "pressure_kpa", "chiller": "condenser_kpa"}),
    (r"filter|delta[- ]?p", {"cdu": "filter_dp_kpa"}),
    (r"conductivity", {"cdu": "conductivity_us_cm"}),
    (r"reservoir|level", {"cdu": "reservoir_pct"}),
    (r"vibration\w*", {"pump": "vibration_mm_s"}),
    (r"speed", {"pump": "speed_pct"}),
    (r"current|amps", {"pump": "current_a"}),
    (r"soc|charge|battery", {"ess": "soc_pct", "ups": "battery_pct"}),
    (r"power|draw|kw|watts?|consumption|load", {
        "gpu_node": "power_kw", "rack": "power_kw", "pump": "power_kw", "chiller": "power_kw", "ess": "power_kw",
        "pdu": "load_kw", "ups": "load_kw", "feed": "load_kw", "service": "load_pu",
    }),
    (r"clocks?|mhz|frequency", {"gpu_node": "clock_mhz"}),
    (r"throttl\w*", {"gpu_node": "throttled"}),
    (r"util\w*|busy", {"gpu_node": "load_pu"}),
    (r"ttft|latency|first token|response time", {"service": "ttft_ms", "storage": "latency_ms"}),
    (r"iops", {"storage": "iops_k"}),
    (r"full|used|space", {"storage": "used_pct"}),
    (r"queue", {"service": "queue"}),
    (r"kv|cache", {"service": "kv_use_pct"}),
    (r"tokens?|throughput", {"service": "tokens_per_s"}),
    (r"requests?|arrivals?|rps|rate", {"service": "arrival_rps"}),
    (r"approach", {"chiller": "approach_k"}),
)  # fmt: skip
"""(words, kind of asset: its reading), the more telling words first."""
_NUMBERS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "half": 0.5,
    "couple": 2,
    "few": 3,
}
_SPAN = re.compile(
    r"\b(?:last|past|previous|these|over|for|since|in|the)\s+(?:the\s+)?(?:last\s+|past\s+)?(?:a\s+)?(\d+(?:\.\d+)?|one|two|three|four|five|six|half|couple|few)?"
    r"(?:\s+(?:an?|of))*\s*(min\w*|m|hours?|hrs?|h|days?|d|weeks?|shift|night)\b|^\D{0,12}?(\d+)\s*(h|hrs?|hours?|min\w*|days?)\b",
    re.IGNORECASE,
)
_WHOLE_DAY = re.compile(
    r"\bsince (?:midnight|noon|yesterday|this morning|last night)\b|\btoday\b", re.IGNORECASE
)
_SCALES = {"m": 1.0, "h": 60.0, "d": 1440.0, "w": 10_080.0, "s": 480.0, "n": 480.0}
_MOST_MIN = 14 * 1440


def metric_in(question: str, asset: str, site: Site) -> str:
    """The reading of that asset which the question names; "" where it names none."""
    known = site.find(asset) if asset else None
    if known is None:
        return ""
    asked = question.lower().replace(asset.lower(), " ")
    for words, of_kind in _WORDS:
        if known.kind in of_kind and re.search(rf"\b(?:{words})\b", asked):
            return of_kind[known.kind]
    return ""


def span_minutes(question: str) -> int:
    """`last 2h`, `these past three hours`, `6h not 1`; 0 where no span is named.

    >>> span_minutes("flow last hour"), span_minutes("over the past two days"), span_minutes("now")
    (60, 2880, 0)
    """
    if _WHOLE_DAY.search(question):
        return 1440
    match = _SPAN.search(question)
    if not match:
        return 0
    many, unit = (match[3], match[4]) if match[3] else (match[1], match[2])
    count = _NUMBERS.get((many or "one").lower()) or float(many or 1)
    return int(max(1, min(_MOST_MIN, count * _SCALES[unit[0].lower()])))
