"""Kernel and driver lines that name a hardware condition, as kind and labels.

Sources of the line shapes: NVIDIA "Xid Errors" and Fabric Manager guide (Xid, SXid), Linux drivers/edac/edac_mc.c,
arch/x86/kernel/cpu/mce/core.c and the Intel SDM vol. 3B, IA32_MCi_STATUS (bits UC 61, PCC 57).
"""

from __future__ import annotations

import re
from typing import NamedTuple

HINT = re.compile(
    r"Xid \(|EDAC |[Mm]achine [Cc]heck|\[Hardware Error\]|allen off the bus|Kernel panic|lockup|blocked for more than"
    r"|ut of memory|oom-kill|AER: |PCIe Bus Error|clock throttled|BUG: |Oops|^(?:mce|MCE): |general protection fault"
)
"""One cheap search that tells whether `classify` can find anything."""


class Condition(NamedTuple):
    kind: str
    labels: dict[str, str]


_PCI = r"\(?(?:PCI:)?(?P<pci>(?:[0-9A-Fa-f]{4,8}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}(?:\.[0-9A-Fa-f])?)\)?"
_XID = re.compile(
    rf"(?<![A-Za-z])Xid {_PCI}: (?P<xid>\d+)(?:, pid='?(?:(?P<pid>\d+)|[^,]*?)'?)?(?:, name=(?P<process>[^,]+))?(?=[,\s]|$)"
)
_SXID = re.compile(
    rf"(?:nvidia-nvswitch(?P<nvswitch>\d+): )?SXid {_PCI}: (?P<sxid>\d+)(?:, (?P<fatality>Fatal|Non-fatal))?"
    r"(?:, Link (?P<link>\d+))?"
)
_OFF_BUS = re.compile(rf"NVRM: .*?{_PCI}.*allen off the bus")
_EDAC = re.compile(
    r"EDAC (?:[\w ]+ )?MC(?P<mc>\d+): (?:(?P<count>\d+) )?(?P<class>CE|UE)\b(?P<rest>.*)", re.DOTALL
)
_DIMM = re.compile(
    r'\bon (?P<label>[\w#./-]*DIMM[\w#./-]*|[\w./-]*#[\w#./-]+)|label "(?P<quoted>[^"]+)"|"(?P<bare>[^"]*DIMM[^"]*)"'
)
_MCE = re.compile(r"[Mm]achine [Cc]heck|\[Hardware Error\]|HANDLING MCE|^(?:mce|MCE): ")
_NOT_MCE = re.compile(
    r"Machine check polling|using \d+ (?:MCE )?banks|mce: CPU supports|MCE banks|clock throttled|speed normal"
)
_CPU = re.compile(r"\bCPU ?(?P<cpu>\d+)")
_BANK = re.compile(r"\bBank (?P<bank>\d+)(?:: (?P<state>[0-9a-f]{12,16}))?")
_MCE_WORD = re.compile(
    r"event severity: (?P<apei>\w+)|(?P<corrected>\b[Cc]orrected error)"
    r"|(?P<fatal>Fatal|Processor context corrupt)|(?P<bad>[Uu]ncorrected|Exception)"
)
_PLAIN = (
    ("gpu-off-bus", re.compile(r"GPU.*allen off the bus")),
    ("kernel-panic", re.compile(r"Kernel panic")),
    ("hard-lockup", re.compile(r"hard LOCKUP")),
    ("soft-lockup", re.compile(r"soft lockup")),
    ("hung-task", re.compile(r"blocked for more than \d+ seconds")),
    ("oom-kill", re.compile(r"[Oo]ut of memory: Kill|oom-kill:|emory cgroup out of memory")),
    ("pcie-aer", re.compile(r"AER: |PCIe Bus Error")),
    ("cpu-thermal-throttle", re.compile(r"clock throttled")),
    ("kernel-oops", re.compile(r"BUG: |Oops|general protection fault")),
)


def pci_address(text: str) -> str:
    """One spelling: four-digit domain, lower case, function 0 left out.

    >>> pci_address("00000000:3B:00.0"), pci_address("3b:00")
    ('0000:3b:00', '0000:3b:00')
    """
    domain, _, rest = text.lower().removesuffix(".0").rpartition(":")[0].rpartition(":")
    device = text.lower().removesuffix(".0").rpartition(":")[2]
    return f"{domain[-4:] or '0000'}:{rest}:{device}"


def classify(message: str) -> Condition | None:
    """The condition `message` names, None for any other text."""
    if not HINT.search(message):
        return None
    if match := _XID.search(message):
        return Condition(f"xid-{int(match['xid'])}", _named(match, xid=str(int(match["xid"]))))
    if match := _SXID.search(message):
        return Condition(f"sxid-{int(match['sxid'])}", _named(match, sxid=str(int(match["sxid"]))))
    if match := _EDAC.search(message):
        return _edac(match)
    if match := _OFF_BUS.search(message):
        return Condition("gpu-off-bus", _named(match))
    if _MCE.search(message) and not _NOT_MCE.search(message):
        return Condition("mce", _mce_labels(message))
    return next((Condition(kind, _pci_in(message)) for kind, shape in _PLAIN if shape.search(message)), None)


def _named(match: re.Match[str], **more: str) -> dict[str, str]:
    """The named groups that matched, PCI address in one spelling."""
    found = {name: text for name, text in match.groupdict().items() if text and text != "<unknown>"}
    if "pci" in found:
        found["pci"] = pci_address(found["pci"])
    if "fatality" in found:
        found["fatal"] = "true" if found.pop("fatality") == "Fatal" else "false"
    return found | more


def _edac(match: re.Match[str]) -> Condition:
    labels = {"mc": match["mc"], "count": match["count"] or "1"}
    if place := _DIMM.search(match["rest"]):
        labels["dimm"] = next(text for text in place.groups() if text)
    return Condition("edac-ce" if match["class"] == "CE" else "edac-ue", labels)


def _mce_labels(message: str) -> dict[str, str]:
    """CPU, bank, and `mce_class`: corrected, uncorrected or fatal, from the status register where it is printed."""
    labels: dict[str, str] = {}
    if cpu := _CPU.search(message):
        labels["cpu"] = cpu["cpu"]
    bank = _BANK.search(message)
    if bank:
        labels["bank"] = bank["bank"]
    if bank and bank["state"]:
        state = int(bank["state"], 16)
        labels["mce_class"] = (
            "fatal" if state >> 57 & 1 else "uncorrected" if state >> 61 & 1 else "corrected"
        )
    elif word := _MCE_WORD.search(message):
        labels["mce_class"] = _mce_class(word)
    return labels


def _mce_class(word: re.Match[str]) -> str:
    if word["apei"]:
        return {"fatal": "fatal", "recoverable": "uncorrected"}.get(word["apei"], "corrected")
    return "corrected" if word["corrected"] else "fatal" if word["fatal"] else "uncorrected"


_ANY_PCI = re.compile(r"\b(?P<pci>[0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7])\b")


def _pci_in(message: str) -> dict[str, str]:
    match = _ANY_PCI.search(message)
    return {"pci": pci_address(match["pci"])} if match else {}
