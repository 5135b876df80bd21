"""What an event is a symptom of, and which trouble can bring which symptom about.

This is no diagnosis: it only says what may belong together. An event of class "other" is never joined to
anything by place, so routine lines cannot glue troubles together.
"""

from __future__ import annotations

import re
from typing import Literal

from knowledge.text import words_of
from setpoint.contracts.site import AssetKind

Symptom = Literal[
    "fire", "security", "leak", "power", "cooling", "thermal", "link", "io", "down", "gpu", "host", "slo", "load",
    "sensor", "software", "wear", "fault", "other",
]  # fmt: skip

# The first pattern that matches decides; the order goes from the unmistakable to the general.
_PATTERNS: tuple[tuple[Symptom, str], ...] = (
    ("fire", r"\bsmoke\b|\bfire\b(?!wall)|fire[-_ ]?(?:alarm|panel)|vesda|sprinkler|suppression"),
    (
        "security",
        r"intrusion|unauthori[sz]ed|failed (?:password|login)|login fail|authentication fail|break-?in"
        r"|(?:login|logon|session|account) .{0,60}(?:outside|unknown|foreign|administrator|created)|brute.?force|tamper|door (?:forced|held|open)|invalid user|privilege",
    ),
    ("leak", r"\bleak|moisture|water (?:detected|on the floor)"),
    ("gpu", r"\bgpu\b.{0,60}(?:device lost|fallen off|fell off|off the bus)"),
    ("host", r"\bpciehp\b|surprise (?:link )?down"),
    ("link", r"\bnccl\b.{0,80}(?:ibv_|net/ib|peer|socket|connect)|subnet manager|\bports? (?:are |is )?inactive"),
    (
        "sensor",
        r"sensor.{0,40}(?:lost|fail|stale|no data|silent|missing|unavailable|not respond|frozen|drift)"
        r"|no (?:data|reading|telemetry)|telemetry.{0,20}(?:lost|stale|missing|gap)|scrape|absent"
        r"|(?:lost|stale|missing).{0,20}(?:reading|telemetry|sensor)"
        r"|(?:value|reading).{0,40}(?:unchanged|frozen|implausible)|quality.{0,12}(?:stale|bad|uncertain)"
        r"|sensor.{0,40}(?:deviat|disagree|calibrat|implausible|stuck)",
    ),
    (
        "wear",
        r"batter(?:y|ies).{0,40}(?:impedance|internal resistance|replac|weak|degrad|capacity)"
        r"|\bcells?\b.{0,30}(?:spread|imbalance|deviation)|phases?\b.{0,30}(?:unbalanced|imbalance)"
        r"|vibration|bearing|conductivity|fluid quality|filter.{0,30}(?:differential|service|dirty)"
        r"|condenser approach|endurance|media life|available spare",
    ),
    ("thermal", r"overheat|thermal (?:slowdown|throttl|shutdown|trip|limit)|throttl|hot ?spot"),
    (
        "gpu",
        r"\bs?xid\b|nvrm|(?:fallen|fell) off|double.?bit|nvlink|nvswitch|\bgpu.{0,40}(?:ecc|hang|hung|lost|error|fail"
        r"|fault|page retire|row.?remap|reset)|row.?remap|\bhbm\b|reports? \S+ of \S+ gpus|gpu ?count|(?:ecc|page retire).{0,30}gpu|nccl"
        r"|power (?:cap|brake)\b|\bsm clock|gpu clock|process\w* on the gpus|gpu.{0,20}(?:foreign|shared by)"
        r"|replica.{0,30}(?:checksum|hash|check)|parameter hash|grad(?:ient)? norm|result mismatch",
    ),
    (
        "slo",
        r"\bslo\b|latency|\bttft\b|\btpot\b|time to first token|inter.?token|error budget|5xx|error rate"
        r"|deadline exceeded|timeouts? serving|goodput|step time|slowest rank|straggl|no tokens|[0#] tokens"
        r"|prompt length|request rate",
    ),
    ("load", r"kv.?cache|prefill|queue (?:length|depth|wait)|queue(?:d|ing)|preempt|batch (?:size|limit)|requests waiting"),
    (
        "thermal",
        r"therm|overheat|(?:temp|temperature).{0,60}(?:high|above|exceed|over|crit|rising|limit)|hot ?spot|\bhotter\b"
        r"|(?:high|over).{0,20}temp|slowdown|throttl|temp_c\b|inlet_temp|gpu_temp",
    ),
    (
        "cooling",
        r"pump|\bcdu\b|coolant|chiller|\bcrah\b|\bcrac\b|flow (?:rate|low)|low flow|flow_lpm|cooling|supply.?temp|\bfan\b"
        r"|glycol|condensat|dew.?point|differential pressure",
    ),
    (
        "power",
        r"power (?:feed|loss|lost|fail|supply|outage|cut|cap|brake)|utility|\bfeed\b.{0,40}(?:lost|down|dead|fail)|breaker"
        r"|\bpdu\b|\bups\b|on battery|mains|(?:under|over)voltage|voltage|\bats\b|transfer switch|\bess\b|\bpsu\b"
        r"|input lost|phase loss|power_kw|state of charge",
    ),
    (
        "link",
        r"\blink\b|\bport\b.{0,30}(?:down|up|flap|error|fail)|infiniband|\bib_?\d*\b|\bmlx\d|symbol error|optic|transceiver"
        r"|carrier|switch.{0,30}(?:fail|down|reboot|unreach)|fabric|bgp|\bnic\b|packet (?:loss|drop)|congestion",
    ),
    (
        "io",
        r"\bi/o error|\bio error|nvme|\bdisk\b|\bscsi\b|\bnfs\b|lustre|filesystem|storage|\bost\b|\boss\b|sector|raid"
        r"|mount|stale file|read-only",
    ),
    (
        "down",
        r"unreachable|not ?ready|no route to host|node (?:down|lost)|host (?:down|lost)|\bdown\b|heartbeat|offline"
        r"|not (?:respond|answer)|unresponsive|failed node|node failure|failure of node|connection (?:refused|lost|timed out)|power(?:ed)? off|rebooted|kernel panic|crashed",
    ),
    (
        "host",
        r"\bmce\b|machine check|edac|\bdimm\b|memory error|uncorrect|\bcpu\b.{0,30}(?:error|fault|stall|lockup)|soft lockup"
        r"|hardware error|pcie|\baer\b|bios|out of memory|oom",
    ),
    (
        "software",
        r"firmware|driver|version mismatch|certificate|config|segfault|traceback|exception|assert|unknown symbol"
        r"|restarting failed|crash ?loop|(?:startup|readiness|liveness) probe|replica.{0,40}not ready|safetensors",
    ),
)  # fmt: skip
_FAULT = re.compile(
    r"error|fail|fault|panic|fatal|abort|corrupt|crit|lost|denied|unable|cannot", re.IGNORECASE
)
"""Words of trouble that say nothing about its nature."""
_COMPILED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _PATTERNS)
_ROUTINE = re.compile(
    r"session (?:opened|closed)|accepted (?:password|publickey)|\bcron\b|\binfo\b:", re.IGNORECASE
)
RECOVERED = re.compile(
    r"\b(?:recovered|restored|back to normal|returned to normal|cleared|resolved|link (?:is )?up|is up|now up"
    r"|came (?:back )?up|back online|within limits again|link becomes ready)\b|state (?:changed )?to up\b",
    re.IGNORECASE,
)
"""Words by which a source without a resolve message says that a condition ended."""

_BY_ASSET: dict[AssetKind, Symptom] = {
    "fire_panel": "fire", "door": "security", "leak_sensor": "leak", "cdu": "cooling", "pump": "cooling",
    "chiller": "cooling", "crah": "cooling", "pdu": "power", "ups": "power", "ess": "power", "ats": "power",
    "feed": "power", "switch": "link", "link": "link", "storage": "io", "service": "slo",
}  # fmt: skip
"""Where the words say nothing, the asset does."""
_FIRM_ASSETS: frozenset[AssetKind] = frozenset(
    {"fire_panel", "feed", "ups", "pdu", "ats", "pump", "cdu", "chiller"}
)
"""Assets that mean their own trouble whatever the wording ("supply temperature high" on a CDU is cooling)."""
_ALWAYS: frozenset[Symptom] = frozenset({"fire", "security", "leak", "sensor", "wear"})
EVEN_AS_INFORMATION: frozenset[Symptom] = frozenset({"fire", "security"})
"""What is trouble although its source calls it information. All else so called brings nothing about."""

EFFECTS: dict[Symptom, frozenset[Symptom]] = {
    "fire": frozenset({"fire", "power", "cooling", "thermal"}),
    "power": frozenset(
        {"power", "cooling", "thermal", "link", "io", "down", "slo", "sensor", "host", "load"}
    ),
    "cooling": frozenset({"cooling", "thermal", "down", "slo", "load"}),
    "leak": frozenset({"leak", "cooling", "thermal", "slo"}),
    "thermal": frozenset({"thermal", "down", "slo", "load"}),
    "link": frozenset({"link", "io", "down", "slo", "load"}),
    "io": frozenset({"io", "slo", "load"}),
    "down": frozenset({"down", "slo", "load", "sensor", "link"}),
    "gpu": frozenset({"gpu", "down", "slo", "load"}),
    "host": frozenset({"host", "gpu", "down", "slo", "load"}),
    "load": frozenset({"load", "slo"}),
    "slo": frozenset({"slo", "load"}),
    "security": frozenset({"security"}),
    "sensor": frozenset({"sensor"}),
    "software": frozenset({"software", "slo", "load"}),
    "wear": frozenset({"wear", "power", "cooling", "io"}),
    "fault": frozenset({"fault"}),
    "other": frozenset(),
}
"""Cause -> what it may bring about on assets that stand on the cause's asset."""

CARRIERS: dict[Symptom, frozenset[AssetKind]] = {
    "fire": frozenset({"hall"}),
    "security": frozenset({"switch"}),
    "leak": frozenset({"cdu", "pump"}),
    "power": frozenset({"pdu", "ups", "feed", "ats", "rack"}),
    "cooling": frozenset({"cdu", "pump", "chiller", "crah", "ats"}),
    "thermal": frozenset({"rack", "cdu", "pump", "crah"}),
    "link": frozenset({"switch", "link"}),
    "io": frozenset({"storage", "switch"}),
    "down": frozenset({"pdu", "ups", "feed", "switch", "rack"}),
    "gpu": frozenset({"rack"}),
    "host": frozenset({"rack"}),
    "slo": frozenset({"service"}),
    "load": frozenset({"service"}),
    "sensor": frozenset({"switch"}),
}
"""Kinds of asset whose trouble shows as this symptom on several things that stand on it."""

COMPANIONS: frozenset[Symptom] = frozenset({"fault", "gpu", "host", "io", "link", "down", "software"})
"""What a line of unnamed trouble from the same asset belongs to: mostly another line of the same record."""

SAME_WORDING: frozenset[Symptom] = frozenset({"gpu", "host"})
"""Parts that fail alone as a rule: neighbours are joined only where they say the very same thing."""


def classify(kind: str, metric: str, wording: str, asset_kind: AssetKind) -> Symptom:
    """The symptom class of an event, from its kind, metric, masked wording and what its asset is."""
    text = f"{words_of(kind)} {metric} {wording}"
    if _ROUTINE.search(text):
        return "other"
    said = next((name for name, pattern in _COMPILED if pattern.search(text)), None)
    if said in _ALWAYS:
        return said
    if said is None:
        said = "fault" if _FAULT.search(text) else "other"
    if asset_kind in _FIRM_ASSETS or said in ("fault", "other"):
        return _BY_ASSET.get(asset_kind, said)
    return said
