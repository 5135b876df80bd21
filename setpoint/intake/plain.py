"""The last resort: a line in no known format, as equipment and programs write them without a date or a frame.

A line is taken for an event where it has at least three words and shows a sign that a machine reports something. A date
at its front or a host before a program's tag is proof enough. The other signs (a severity word in its place, a
device's name, `key=value`, a reading with its unit, a word of alarm) also stand in prose, so they count only while two
thirds of the input so far are events or lines with a sign: a README is no event stream.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from setpoint.contracts.event import Severity
from setpoint.intake.draft import Draft
from setpoint.intake.jsontext import open_depth
from setpoint.intake.severity import severity_of
from setpoint.intake.syslog import refined
from setpoint.intake.text import without_colour
from setpoint.intake.units import unit_of
from setpoint.intake.urgency import alarming

_LEAST_WORDS = 3
_HEAD_WORDS = 4
"""Words at the front among which a severity or the name of what reports is looked for."""
_LOOKED_AT = 600
"""Characters at the front that signs are looked for in."""

_WORD = re.compile(r"[^\W\d_]{2,}")
_MARKUP = re.compile(
    r"(?:[-+*>|#=]|#{2,}|```|//|--|/\*|[=!]=|\.\.|[-=*_#]{3,}$)(?:\s|$)|</?[A-Za-z!?]|```|\"\"\"|\'\'\'"
)
"""How lines of documents, programs and XML begin; no device writes so."""

_CLOCK = r"\d\d?:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?[AP]M\b)?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)(?![\w]))?"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_STAMP = re.compile(
    r"(?:[0-9a-fA-F]{1,6} ?[|;] ?)?"  # the number of a record, as event logs of servers put it first
    r"(?P<before>[A-Za-z]{3,13}:? )?[\[(]?"
    r"(?:(?P<date>"
    r"\d{4}[-/.]\d\d?[-/.]\d\d?|\d\d?[/.]\d\d?[/.]\d{4}"
    rf"|\d\d?[- /]{_MONTH}[- /]\d{{4}}|{_MONTH} +\d\d?(?:,? \d{{4}})?"
    rf"|\d\d-\d\d)(?:[T,]? ?| ?[|;] ?)(?P<clock>{_CLOCK}{_ZONE})"
    rf"|(?P<letter>[IWEF])(?P<month>\d\d)(?P<day>\d\d) +(?P<time>\d\d:\d\d:\d\d(?:\.\d{{1,9}})?)"
    r"|(?P<epoch>1\d{9}(?:\.\d{1,9}|\d{3})?)(?![\d.:/-]))"
    r"[\])]?[:,]?(?:\s*[|;-])?(?:\s+|$)"
)
_LETTERS: dict[str, Severity] = {"I": "info", "W": "warning", "E": "error", "F": "critical"}
"""How Google's loggers open a line: one letter, month and day."""

_TAG = re.compile(
    r"(?:(?P<host>[A-Za-z][\w.-]{0,254}) )?(?:(?:kern|user|daemon|auth|authpriv|local\d|syslog|cron)\.(?P<level>[a-z]+) )?"
    r"(?P<program>[A-Za-z][\w./@-]{0,64})(?:\[(?P<pid>\d{1,10})\])?(?P<colon>:)?(?: |$)"
)
_LEVEL_WORDS = """
emergency emerg fatal critical crit severe error err major warning warn wrn minor notice info inf informational
information debug trace normal
"""
_LEVELS = frozenset(_LEVEL_WORDS.split())
_NAMED_LEVEL = re.compile(
    r"\b(?:log_?level|level|lvl|severity|sev|priority)[ =:]+[\"']?([A-Za-z]+)", re.IGNORECASE
)
_FRAMED_LEVEL = re.compile(r"[\[(<|;]\s*([A-Za-z]{3,13})\s*(?=[\])>|;])")
_NAMED_HOST = re.compile(
    r"\b(?:host|hostname|node|nodename|device|instance|asset)[=/]\"?([A-Za-z0-9][\w.-]*\w)", re.IGNORECASE
)
_DEVICE = re.compile(r"[A-Za-z][A-Za-z0-9_.]*-[\w.-]*\w")
_PAIR = re.compile(r"(?:^|[\s,{(])[A-Za-z_][\w.]*=[^\s=]")
_READING = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)? ?([A-Za-z%°][\w%°/.]{0,9})")
_SPACES = {ord("\t"): "  ", 0xA0: " "}
_TRAILING = "\"'`:,;.()[]"


class _Said(NamedTuple):
    """A line taken apart."""

    draft: Draft
    proven: bool
    """A date at the front, or a host before a program's tag."""
    hinted: bool
    """Any other sign."""


class PlainText:
    """Reads the plain lines of one input, and remembers what of the input was an event or showed a sign of one."""

    def __init__(self) -> None:
        self._with_sign = self._without = 0

    def note_event(self) -> None:
        """The input held an event in a known format."""
        self._with_sign += 1

    def read(self, text: str) -> Draft | None:
        """The draft of one line; None where it is rather no event."""
        said = _taken_apart(text)
        if said is None or not (said.proven or said.hinted):
            self._without += 1
            return None
        self._with_sign += 1
        return said.draft if said.proven or self._with_sign > 2 * self._without else None


def _taken_apart(text: str) -> _Said | None:
    """None where the line cannot be an event whatever its words."""
    line = without_colour(text).translate(_SPACES).strip()
    if not line or not line.isprintable() or "\ufffd" in line or _MARKUP.match(line) or _is_json_piece(line):
        return None
    draft = Draft("text")
    rest = _take_time(draft, line)
    dated = draft.time is not None
    tagged = _take_tag(draft, rest)
    draft.message = tagged if tagged is not None else rest
    head = line[:_LOOKED_AT]
    named = _take_names(draft, head, rest[:_LOOKED_AT]) or _likeness(line.partition(" ")[0]) > 0
    levelled = _take_level(draft, head, rest[:_LOOKED_AT])
    alarm = alarming(head)
    hinted = named or levelled or alarm or _PAIR.search(head) is not None or _has_reading(head)
    if len(_WORD.findall(head)) < _LEAST_WORDS and not (draft.asset and alarm):
        return None
    proven = dated or tagged is not None
    return _Said(refined(draft), proven, hinted and not text[:1].isspace())


def _is_json_piece(line: str) -> bool:
    """Half of a JSON document: it looks like one, and its brackets do not match."""
    looks = line[0] in "}],:" or line[-1] in "{[," or '":' in line[:_LOOKED_AT] or '" :' in line[:_LOOKED_AT]
    return looks and open_depth(line) != 0


def _take_time(draft: Draft, line: str) -> str:
    """The line behind its time."""
    match = _STAMP.match(line)
    if match is None or (match["before"] and match["before"].strip(" :").lower() not in _LEVELS):
        return line
    if match["letter"]:
        draft.severity = _LETTERS[match["letter"]]
        draft.time = f"{match['month']}-{match['day']} {match['time']}"
    else:
        draft.time = match["epoch"] or f"{match['date']} {match['clock']}"
    return f"{match['before'] or ''}{line[match.end() :]}"


def _take_tag(draft: Draft, rest: str) -> str | None:
    """The message behind `host program[pid]:`, None where there is no such tag."""
    match = _TAG.match(rest)
    if match is None or not (match["colon"] or (match["pid"] and match["host"])):
        return None
    host, program = match["host"] or "", match["program"]
    if program.lower() in _LEVELS:
        return None
    if not (match["pid"] or (host and max(_likeness(host), _likeness(program)) > 0)):
        return None
    if _likeness(program) > _likeness(host) and not match["pid"]:  # a maker's model before the device's name
        host, program = program, host
    draft.asset, draft.source = host, program
    if match["pid"]:
        draft.labels["pid"] = match["pid"]
    if match["level"]:
        draft.severity = severity_of(match["level"])[0]
    return rest[match.end() :].strip() or None


def _take_names(draft: Draft, head: str, rest: str) -> bool:
    """Does the line name a device? Its own name where no tag gave one: said outright, or among its first words."""
    words = [word.strip(_TRAILING).partition("/")[0] for word in rest.split()]
    devices = [word for word in words if _likeness(word) == 2]
    if not draft.asset:
        outright = _NAMED_HOST.search(head)
        ahead = next((word for word in words[:_HEAD_WORDS] if word in devices), "")
        draft.asset = outright[1] if outright else ahead
    return bool(devices)


def _likeness(name: str) -> int:
    """How like a device's name: 2 with a digit and a hyphen (`ups-a1`), 1 with a digit (`gpu0004`), 0 else."""
    digits = any(char.isdigit() for char in name)
    return 2 if digits and _DEVICE.fullmatch(name) else int(digits and name[:1].isalpha())


def _take_level(draft: Draft, head: str, rest: str) -> bool:
    """Is there a severity word in its place: named, framed, or among the first words in capitals or before a colon?"""
    words = [found[1] for found in (*_NAMED_LEVEL.finditer(head), *_FRAMED_LEVEL.finditer(head))]
    words += [
        word.strip(_TRAILING).rpartition("_")[2]
        for word in rest.split()[:_HEAD_WORDS]
        if word[:1].isupper() or word[-1:] == ":"
    ]
    word = next((word for word in words if word.lower() in _LEVELS), "")
    if word and draft.severity == "unknown":
        draft.severity = severity_of(word)[0]
    return bool(word)


def _has_reading(head: str) -> bool:
    return any(unit_of(found[1]) for found in _READING.finditer(head))
