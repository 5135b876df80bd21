"""Syslog lines: RFC 5424, RFC 3164 with its many relatives, and raw kernel logs."""

from __future__ import annotations

import re

from setpoint.errors import InputError
from setpoint.intake.draft import Draft
from setpoint.intake.severity import SYSLOG, severity_of

_PRI = re.compile(r"<(\d{1,3})>")
_RFC5424 = re.compile(r"1 (\S+) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) ?")
_SD_ELEMENT = re.compile(r'\[([^ =\]"]{1,64})((?: [^ =\]"]{1,64}="(?:[^"\\\]]|\\.)*")*)\]')
_SD_PARAM = re.compile(r'([^ =\]"]{1,64})="((?:[^"\\\]]|\\.)*)"')
_SD_ESCAPE = re.compile(r'\\(["\\\]])')
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
_STAMP = re.compile(
    r"(?:\d{1,10}: )?(?:\S{1,128}: )?[*.]?(?P<stamp>"  # a sequence number and a name, as some switches put first
    rf"[A-Z][a-z]{{2}} [ \d]\d (?:\d{{4}} )?{_CLOCK}"
    rf"|\d{{4}}-\d\d-\d\d[T ]{_CLOCK}(?:Z| ?[+-]\d\d:?\d\d)?)(?::? (?:UTC: |GMT: )?)"
)
_TAG = re.compile(r"(?P<program>[^\s:\[\]]{1,64}|\S{1,64}?)(?:\[(?P<pid>[^\]\s]{1,32})\])?: ?")
_HOST = re.compile(r"(?P<host>[A-Za-z0-9_][\w.:-]{0,254}|-) ")
_SELECTOR = re.compile(
    r"(?P<facility>[a-z]{3,8}\d?)\.(?P<level>emerg|alert|crit|err|warn|warning|notice|info|debug) "
)
_LEVEL = re.compile(r"\[?(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|CRITICAL|CRIT|FATAL|SEVERE)\]?:? +")
_DMESG = re.compile(
    r"(?:<(?P<pri>\d{1,3})>)?\[ *(?P<uptime>\d+\.\d{3,9})\] (?P<rest>.*)"
    r"|\[(?P<stamp>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}|\d{4}-\d\d-\d\d[T ][\d:.,]{8,18}(?:Z|[+-]\d\d:?\d\d)?)\]"
    r"(?: ?\[ *\d+\.\d+\])? ?(?P<stamped>.*)",
    re.DOTALL,
)
_UPTIME = re.compile(r"\[ *\d+\.\d{3,9}\] ")
_CISCO = re.compile(r"%(?P<code>[A-Z][A-Z0-9_]*(?:-[A-Z0-9_]+)*-(?P<level>[0-7])-[A-Z0-9_]+): ?")
_KERNEL_WORDS = re.compile(
    r"NVRM: |nvidia-nvswitch\d|EDAC |mce: |\[Hardware Error\]|Kernel panic|Call Trace:|pcieport "
)
_FACILITIES = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "audit",
    "alert",
    "clock",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
]


def parse(line: str) -> Draft | None:
    """The draft of one line; None where the line is no syslog. Raises InputError where it is, but broken."""
    if match := _PRI.match(line):
        priority = int(match[1])
        if priority > 191:
            raise InputError(
                f"syslog priority <{priority}> is above 191", remedy="Check what the sender writes"
            )
        rest = line[match.end() :]
        draft = _rfc5424(rest) or _rfc3164(rest) or _dmesg(rest) or _bare(rest)
        if draft.severity == "unknown":
            draft.severity = SYSLOG[priority % 8]
        draft.labels["facility"] = _FACILITIES[priority // 8]
        return draft
    return _rfc3164(line) or _dmesg(line)


def _rfc5424(text: str) -> Draft | None:
    match = _RFC5424.match(text)
    if not match:
        return None
    stamp, host, app, process, message_id = ("" if part == "-" else part for part in match.groups())
    labels, rest = _structured_data(text[match.end() :])
    if process:
        labels["pid"] = process
    draft = Draft(
        "syslog", time=stamp or None, asset=host, source=app, kind=message_id, message=rest, labels=labels
    )
    return refined(draft)


def _structured_data(text: str) -> tuple[dict[str, str], str]:
    """Parameters as `element.name`, and the message after them. Raises InputError where an element is broken."""
    if text.startswith("-"):
        return {}, text[1:].lstrip(" ").removeprefix("\ufeff")
    labels: dict[str, str] = {}
    position = 0
    while match := _SD_ELEMENT.match(text, position):
        element = match[1].partition("@")[0]
        for name, value in _SD_PARAM.findall(match[2]):
            labels[f"{element}.{name}"] = _SD_ESCAPE.sub(r"\1", value)
        position = match.end()
    if text.startswith("[", position) and position == 0:
        raise InputError(
            "RFC 5424 structured data that does not close", remedy='Escape ", \\ and ] in its values'
        )
    return labels, text[position:].lstrip(" ").removeprefix("\ufeff")


def _rfc3164(text: str) -> Draft | None:
    stamp = _STAMP.match(text)
    if not stamp:
        return None
    rest = text[stamp.end() :]
    host = ""
    draft = Draft("syslog", time=stamp["stamp"])
    rest = _without_selector(draft, rest)
    if level := _LEVEL.match(rest):  # an application's log: time, level, text, and no host
        draft.severity, rest = severity_of(level[1])[0], rest[level.end() :]
    elif (found := _HOST.match(rest)) and not rest[: found.end() - 1].endswith(":"):
        host, rest = found["host"].strip("-"), _without_selector(draft, rest[found.end() :])
    elif text[: stamp.start("stamp")].strip(" *."):
        host = text[: stamp.start("stamp")].rstrip(" *.").rstrip(":").rpartition(" ")[2].strip()
    draft.asset = "" if host.isdigit() else host
    return refined(_tagged(draft, rest))


def _without_selector(draft: Draft, rest: str) -> str:
    """Some daemons write facility and level (`daemon.notice`) before the host or behind it."""
    if "." not in rest[:16] or not (match := _SELECTOR.match(rest)):
        return rest
    draft.labels["facility"] = match["facility"]
    draft.severity = severity_of(match["level"])[0]
    return rest[match.end() :]


def _tagged(draft: Draft, rest: str) -> Draft:
    tag = _TAG.match(rest)
    if tag and not rest.startswith("%"):
        draft.source, draft.message = tag["program"], rest[tag.end() :]
        if tag["pid"]:
            draft.labels["pid"] = tag["pid"]
    else:
        draft.message = rest
    return draft


def _dmesg(text: str) -> Draft | None:
    match = _DMESG.match(text)
    if not match:
        return None
    if match["uptime"]:
        draft = Draft("syslog", source="kernel", message=match["rest"], labels={"uptime_s": match["uptime"]})
        if match["pri"]:
            draft.severity = SYSLOG[int(match["pri"]) % 8]
        return draft
    return Draft("syslog", time=match["stamp"], source="kernel", message=match["stamped"])


def _bare(text: str) -> Draft:
    """A priority and nothing else that is standard: the text is the message."""
    return refined(_tagged(Draft("syslog"), text.strip()))


def refined(draft: Draft) -> Draft:
    """`draft`, with program and kind where the message itself says them."""
    if draft.source == "kernel" or _KERNEL_WORDS.search(draft.message, 0, 200):
        draft.source = draft.source if draft.source not in ("", "-") else "kernel"
        if uptime := _UPTIME.match(draft.message):
            draft.message = draft.message[uptime.end() :]
    elif cisco := _CISCO.search(draft.message, 0, 300):
        draft.kind, draft.severity = cisco["code"], SYSLOG[int(cisco["level"])]
    return draft
