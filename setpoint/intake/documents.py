"""What spans lines and is known to: JSON documents, and syslog messages that state their length."""

from __future__ import annotations

import re

from setpoint.errors import InputError
from setpoint.intake.jsontext import open_depth, parse
from setpoint.intake.limits import DEFAULT_LIMITS, KIB, Limits
from setpoint.intake.stream import Line
from setpoint.intake.text import decode

_FRAME = re.compile(rb"\s*(\d{1,6}) (?=<\d{1,3}>)")
_NEXT = re.compile(rb"\s*(?:$|\d{1,6}(?:$| (?:$|<)))")
"""What may follow a message: the end, or the length of the next one."""
_PRIORITY = re.compile(rb"<\d{1,3}>")


class OpenDocument:
    """A JSON document from its first line on."""

    def __init__(self, first: Line, depth: int, limits: Limits) -> None:
        self.lines = [first]
        self._depth, self._limits = depth, limits
        self._size = len(first.raw)

    def add(self, line: Line) -> bool:
        """Take one more line; True once the document is complete. Raises InputError where it grows too large."""
        self.lines.append(line)
        self._size += len(line.raw) + 1
        if not line.whole or self._size > self._limits.document:
            raise InputError(
                f"a JSON document of more than {self._limits.document // KIB} KiB",
                remedy="Send it as JSON Lines",
            )
        depth = open_depth(decode(line.raw)[0])
        self._depth = 0 if depth is None else self._depth + depth
        return self._depth <= 0

    def broken_off_before(self, line: Line) -> bool:
        """Was the first line rather half of a JSON line, since a whole one follows?

        A document opened on purpose ends its first line with a bracket.
        """
        opened = self.lines[0].raw.rstrip().endswith((b"{", b"["))
        return len(self.lines) == 1 and not opened and is_object(line.raw.strip())

    @property
    def raw(self) -> bytes:
        return b"\n".join(line.raw for line in self.lines)

    def holds_whole_items(self) -> bool:
        """Are there lines after the first that stand for themselves?"""
        return any(is_object(line.raw.strip()) or _PRIORITY.match(line.raw) for line in self.lines[1:])


def is_object(raw: bytes) -> bool:
    """Is the line one complete JSON object?"""
    if not (raw.startswith(b"{") and raw.endswith(b"}")):
        return False
    try:
        return isinstance(parse(decode(raw)[0], DEFAULT_LIMITS)[0], dict)
    except InputError:
        return False


class OpenFrame:
    """Syslog messages behind their length in bytes (RFC 6587, octet counting); a message may hold line feeds."""

    def __init__(self, first: Line) -> None:
        self.first = first
        self._data = bytearray(first.raw.lstrip())
        self._needed = 0

    @staticmethod
    def begins(raw: bytes) -> bool:
        return _FRAME.match(raw) is not None

    def add(self, line: Line) -> bool:
        """Take one more line; True once the message that was open is complete."""
        self._data += b"\n" + line.raw
        return len(self._data) >= self._needed

    def take(self, limits: Limits) -> tuple[list[bytes], bytes | None]:
        """The complete messages. Then None where the next is awaited, else what follows and is no frame.

        A message's last line feed may count and still be on its way.
        """
        data, position = bytes(self._data), 0
        messages: list[bytes] = []
        while match := _FRAME.match(data, position):
            length, start = int(match[1]), match.end()
            if not 0 < length <= limits.line:
                break
            if len(data) - start < length - 1:
                self._data = bytearray(data[position:])
                self._needed = start - position + length - 1
                return messages, None
            if not _NEXT.match(data, start + length):
                break
            messages.append(data[start : start + length])
            position = start + length
            while data[position : position + 1].isspace():
                position += 1
        return messages, data[position:]

    @staticmethod
    def without_length(raw: bytes) -> bytes:
        """A line whose number turned out to be no length."""
        return _FRAME.sub(b"", raw, count=1)
