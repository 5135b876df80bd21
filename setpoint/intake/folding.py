"""Kernel messages that span lines, joined to one event: call traces, machine-check records, SXid details.

Only lines whose own header says they belong together are joined: same host, kernel as the program, and a shape that
continues what was opened. Everything else passes at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from setpoint.intake.draft import Draft
from setpoint.intake.limits import Limits

_OPENS = re.compile(
    r"-{4,}\[ cut here \]-{4,}|BUG: |Oops|Kernel panic|general protection fault|soft lockup|hard LOCKUP"
    r"|blocked for more than \d+ seconds|Call Trace:|invoked oom-killer"
    r"|\{\d+\}\[Hardware Error\]: Hardware error from|\[Hardware Error\]: (?:CPU \d+: )?Machine [Cc]heck"
    r"|SXid \("
)
_TRACE = re.compile(
    r"^\s*(?:\? )?[\w.$]+\+0x[0-9a-f]+/0x[0-9a-f]+|^\s*</?(?:TASK|IRQ|NMI|#\w+)>|^\s*\[<[0-9a-f]{8,16}>\]"
    r"|^\s*(?:Call [Tt]race:|RIP: |RSP: |RAX: |RDX: |RBP: |R\d\d: |FS: |CS: |CR2: |DR[03]: |PKRU: |Code: |Modules linked in"
    r"|CPU: \d+ (?:UID: \d+ )?PID: |Hardware name: |Workqueue: |task:|\"echo 0 > |Not tainted|Tainted: |Mem-Info:"
    r"|Kernel Offset: |Rebooting in |---\[ end |note: |#\d+ #\d+|PC is at|LR is at|pstate: |x\d+ ?: |WARNING: |BUG: |Oops"
    r"|Kernel panic|invalid opcode|unable to handle|#PF: |PGD )"
)
_END = re.compile(r"---\[ end (?:trace|Kernel panic)|</TASK>|PROCESSOR \d+:\w+ TIME")
_APEI = re.compile(r"^\{(\d+)\}\[Hardware Error\]")
_MCE_MORE = re.compile(
    r"\[Hardware Error\]: (?:TSC |RIP|PROCESSOR |ADDR |MISC |SYND |IPID |cache level|Error Status|\[\w|Corrected|Uncorrected|MC\d+_)"
)
_SXID_MORE = re.compile(r"SXid \((?:PCI:)?([^)]+)\): (\d+), (?:Severity \d|Data \{)")
_SXID_OPEN = re.compile(r"SXid \((?:PCI:)?([^)]+)\): (\d+), ")
_FRESH = re.compile(r"^-{4,}\[ cut here |Hardware error from APEI|Machine check events logged")


class Folder:
    """Holds at most one open message a host, and at most `hosts` of them."""

    def __init__(self, limits: Limits, hosts: int = 256) -> None:
        self._limits, self._hosts = limits, hosts
        self._open: dict[str, list[Draft]] = {}

    def feed(self, draft: Draft) -> Iterator[Draft]:
        """`draft`, and what it closes, each once it is complete."""
        held = self._open.get(draft.asset)
        if held is not None and draft.source == "kernel":
            if len(held) < self._limits.joined_lines and continues(held, draft.message):
                held.append(draft)
                if _END.search(draft.message) and not _SXID_OPEN.search(draft.message):
                    yield self._close(draft.asset)
                return
            yield self._close(draft.asset)
        if draft.source == "kernel" and _OPENS.search(draft.message):
            self._open[draft.asset] = [draft]
            if len(self._open) > self._hosts:
                yield self._close(next(iter(self._open)))
        else:
            yield draft

    def continue_headless(self, text: str) -> bool:
        """Take an indented line without header into the one open message, if there is exactly one."""
        if len(self._open) != 1 or not text[:1].isspace():
            return False
        held = next(iter(self._open.values()))
        if len(held) >= self._limits.joined_lines:
            return False
        held.append(Draft(format="syslog", message=text.rstrip()))
        return True

    def flush(self) -> Iterator[Draft]:
        """Everything still open."""
        for host in list(self._open):
            yield self._close(host)

    def _close(self, host: str) -> Draft:
        first, *rest = self._open.pop(host)
        if rest:
            budget = self._limits.message_chars * 2
            first.message = "\n".join((first.message, *(draft.message for draft in rest)))[:budget]
            first.labels["lines"] = str(len(rest) + 1)
        return first


def continues(held: list[Draft], message: str) -> bool:
    """Does `message` carry on what the held lines began?"""
    first = held[0].message
    if _FRESH.search(message):
        return False
    if apei := _APEI.match(first):
        again = _APEI.match(message)
        return again is not None and again[1] == apei[1]
    if opened := _SXID_OPEN.search(first):
        more = _SXID_MORE.search(message)
        return more is not None and more.groups() == opened.groups()
    if "[Hardware Error]" in first:
        return _MCE_MORE.search(message) is not None
    return _TRACE.match(message) is not None or message.startswith((" ", "\t"))
