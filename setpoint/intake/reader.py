"""The door: raw bytes in, events and quarantined items out. Nothing that comes in raises."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO
from zoneinfo import ZoneInfo

from setpoint.contracts.event import Event, Quarantined
from setpoint.errors import InputError, UsageError
from setpoint.intake import syslog, table
from setpoint.intake.documents import OpenDocument, OpenFrame
from setpoint.intake.draft import Draft
from setpoint.intake.fields import checked_overrides
from setpoint.intake.finish import Duplicate, finish
from setpoint.intake.folding import Folder
from setpoint.intake.identity import Identities, digest
from setpoint.intake.jsontext import open_depth, parse
from setpoint.intake.limits import DEFAULT_LIMITS, KIB, Limits
from setpoint.intake.plain import PlainText
from setpoint.intake.recognise import Recogniser
from setpoint.intake.stream import Line, lines
from setpoint.intake.text import decode

Read = Event | Quarantined

_FORMATS = "Alertmanager, CloudEvents, Redfish, syslog, JSON Lines, or CSV with a header"


@dataclass(slots=True)
class Tally:
    """What one input held."""

    events: int = 0
    quarantined: int = 0
    duplicates: int = 0
    """Items dropped because an identical one with the same id came before."""
    by_format: Counter[str] = field(default_factory=Counter)


def read(
    source: bytes | BinaryIO,
    *,
    origin: str,
    zone: ZoneInfo,
    received: datetime,
    fields: Mapping[str, str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    tally: Tally | None = None,
) -> Iterator[Read]:
    """Every item of `source` as an event or as quarantined, in order, in bounded memory for line formats.

    `origin` is a file name or address, for messages only. `zone` is the site's, for times without one. `received`
    must carry a zone. `fields` maps a field of an event to the key or column it is in ("host": "machine"); an empty
    key switches a field off. `tally` is counted up as items come out. Raises UsageError at once for wrong arguments,
    and nothing later: a source that cannot be read further ends with a quarantined item.
    """
    if received.tzinfo is None:
        raise UsageError("the time of receipt has no zone", remedy="Pass datetime.now(UTC)")
    overrides = checked_overrides(fields)
    reader = _Reader(
        origin, zone, received.astimezone(UTC), overrides, limits, tally if tally is not None else Tally()
    )
    return reader.run(source)


class _Reader:
    """The state of reading one input: the table it opened, the document it is within, what it saw before."""

    def __init__(
        self,
        origin: str,
        zone: ZoneInfo,
        received: datetime,
        overrides: Mapping[str, str],
        limits: Limits,
        tally: Tally,
    ) -> None:
        self.origin, self.zone, self.received = origin, zone, received
        self.overrides, self.limits, self.tally = overrides, limits, tally
        self.recogniser = Recogniser(overrides)
        self.folder = Folder(limits)
        self.plain = PlainText()
        self.seen = Identities(limits.identities)
        self.table: table.Table | None = None
        self.document: OpenDocument | None = None
        self.row: list[Line] = []
        self.frame: OpenFrame | None = None
        self.documents_allowed = self.frames_allowed = True
        self.unrecognised = 0
        self.began = self.said = False

    def run(self, source: bytes | BinaryIO) -> Iterator[Read]:
        try:
            for line in lines(source, self.limits):
                if line.number == 0:
                    yield from self._drain()
                else:
                    yield from self._line(line)
                if self.unrecognised >= self.limits.unrecognised_lines and not self.tally.events:
                    raise InputError(
                        f"none of the first {self.unrecognised} lines is an event; the rest was not read",
                        remedy=f"Send {_FORMATS}",
                    )
            yield from self._end()
        except InputError as error:
            yield from self._drain()
            yield self._quarantine(error, b"", self.origin)
        else:
            if not self.said:
                yield self._quarantine(_nothing(self.began), b"", self.origin)

    # Lines

    def _line(self, line: Line) -> Iterator[Read]:
        if self.document:
            yield from self._document_line(self.document, line)
        elif self.frame:
            if self.frame.add(line) or not (line.ended and line.whole):
                yield from self._frame_line(self.frame, line)
        elif self.row:
            yield from self._row_line(line)
        else:
            yield from self._fresh_line(line)

    def _fresh_line(self, line: Line) -> Iterator[Read]:
        """A line that begins something."""
        raw = line.raw.strip(b" \t\r\0\x0b\x0c")
        if not raw:
            return
        self.began = True
        if not line.whole:
            yield self._too_long(line)
        elif raw[0] in b"{[" and not _CONSOLE.match(raw):
            yield from self._json_line(line, raw)
        elif OpenFrame.begins(raw):
            if self.frames_allowed:
                yield from self._frame_line(OpenFrame(line), line)
            else:
                yield from self._text_line(line._replace(raw=OpenFrame.without_length(line.raw)))
        elif self.table is None or raw[0] == 0x3C:  # "<"
            yield from self._text_line(line)
        else:
            yield from self._row_line(line)

    def _text_line(self, line: Line) -> Iterator[Read]:
        """A line that is neither JSON nor a row: syslog, or a header."""
        text, repaired = decode(line.raw.strip(b"\r\0"))
        try:
            draft = syslog.parse(text.strip())
        except InputError as error:
            yield self._quarantine(error, line.raw, self._at(line))
            return
        if draft is not None:
            for complete in self.folder.feed(_flagged(draft, repaired)):
                yield from self._finish(complete, line.raw, self._at(line))
        elif opened := None if self.table else table.header(text, self.overrides):
            self.table = opened
        elif self.table is not None:
            yield from self._row_line(line)
        elif self.folder.continue_headless(text):
            return
        elif (plain := self.plain.read(text)) is not None:
            for complete in self.folder.feed(_flagged(plain, repaired)):
                yield from self._finish(complete, line.raw, self._at(line))
        else:
            self.unrecognised += 1
            yield self._quarantine(_unknown_format(), line.raw, self._at(line))

    # Rows of CSV

    def _row_line(self, line: Line) -> Iterator[Read]:
        """A row, or the next line of one whose quoted cell is still open."""
        self.row.append(line)
        assert self.table is not None  # only a table brings rows here
        text, repaired = decode(b"\n".join(part.raw.strip(b"\r\0") for part in self.row))
        if table.is_open(text, self.table.delimiter) and line.whole:
            too_much = len(text) > self.limits.line or len(self.row) > self.limits.joined_lines
            if too_much or not line.ended:
                yield from self._unclosed_row()
            return
        rows, self.row = self.row, []
        yield from self._table_row(text, repaired, rows)

    def _table_row(self, text: str, repaired: bool, rows: list[Line]) -> Iterator[Read]:
        assert self.table is not None  # only a table brings rows here
        raw, place = b"\n".join(part.raw for part in rows), self._at(rows[0])
        if not all(part.whole for part in rows):
            yield self._too_long(rows[-1])
            return
        try:
            if opened := table.looks_like_header(text, self.table, self.overrides):
                self.table = opened
                return
            draft = self.table.row(text)
        except InputError as error:
            yield self._quarantine(error if rows[-1].ended else _cut_off(error), raw, place)
            return
        yield from self._finish(_flagged(draft, repaired), raw, place)

    def _unclosed_row(self) -> Iterator[Read]:
        """A quote that never closes costs its own line only: the lines after it are read again as rows."""
        first, *rest = self.row
        self.row = []
        error = InputError(
            "a quoted cell that does not close", remedy="Double the quotes inside quoted cells"
        )
        yield self._quarantine(error, first.raw, self._at(first))
        for line in rest:
            text, repaired = decode(line.raw.strip(b"\r\0"))
            if text.strip():
                yield from self._table_row(text, repaired, [line])

    # JSON

    def _json_line(self, line: Line, raw: bytes) -> Iterator[Read]:
        text, repaired = decode(raw)
        try:
            values = parse(text, self.limits)
        except InputError as error:
            if _BRACKETED.match(raw):
                yield from self._text_line(line)
                return
            depth = open_depth(text)
            may_go_on = depth is not None and 0 < depth <= self.limits.json_depth
            if depth and may_go_on and line.ended and self.documents_allowed:
                self.document = OpenDocument(line, depth, self.limits)
            else:
                self.unrecognised += 1
                cut = not line.ended and (depth is None or may_go_on)
                yield self._quarantine(_cut_off(error) if cut else error, line.raw, self._at(line))
            return
        yield from self._values(values, raw, self._at(line), repaired)

    def _document_line(self, document: OpenDocument, line: Line) -> Iterator[Read]:
        """A line of a JSON document that spans lines."""
        if document.broken_off_before(line):
            yield from self._broken_document(document, _unclosed())
            yield from self._fresh_line(line)
            return
        try:
            complete = document.add(line)
        except InputError:
            self.document = None
            raise
        if complete:
            yield from self._close_document(document)

    def _close_document(self, document: OpenDocument) -> Iterator[Read]:
        text, repaired = decode(document.raw)
        try:
            values = parse(text, self.limits)
        except InputError as error:
            yield from self._broken_document(document, error)
            return
        self.document = None
        yield from self._values(values, document.raw, self._at(document.lines[0]), repaired)

    def _broken_document(self, document: OpenDocument, error: InputError) -> Iterator[Read]:
        """A document that never closed, or closed wrong. Whole items on lines of their own are saved from it."""
        self.document = None
        first, *rest = document.lines
        if not document.holds_whole_items():
            yield self._quarantine(error, document.raw, self._at(first))
            return
        yield self._quarantine(error, first.raw, self._at(first))
        self.documents_allowed = False
        for line in rest:
            yield from self._line(line)
        self.documents_allowed = True

    def _values(self, values: list[object], raw: bytes, place: str, repaired: bool) -> Iterator[Read]:
        for value in values:
            for item in self.recogniser.items(value):
                where = f"{place}, {item.place}" if item.place else place
                whole = item.raw is value and len(values) == 1
                if len(raw) > self.limits.line and len(source := _source_of(item.raw)) > self.limits.line:
                    yield self._quarantine(_long(self.limits), source, where)
                    continue
                try:
                    draft = _flagged(item.read(), repaired)
                except InputError as error:
                    yield self._quarantine(error, raw if whole else _source_of(item.raw), where)
                    continue
                yield from self._finish(draft, raw if whole else item.raw, where)

    # Syslog messages that state their length

    def _frame_line(self, frame: OpenFrame, line: Line) -> Iterator[Read]:
        """What is complete of it. A length that fits nothing shows that the input has none after all."""
        self.frame = None
        messages, rest = frame.take(self.limits)
        for message in messages:
            yield from self._text_line(frame.first._replace(raw=message))
        if rest is None and line.ended and line.whole:
            self.frame = frame
        elif rest is None:
            yield self._quarantine(_short_frame(), line.raw, self._at(line))
        elif rest:
            self.frames_allowed = False
            for later in rest.split(b"\n"):
                yield from self._line(line._replace(raw=later))

    # Ends

    def _drain(self) -> Iterator[Read]:
        for draft in self.folder.flush():
            yield from self._finish(draft, draft.message, self.origin)

    def _end(self) -> Iterator[Read]:
        if self.document:
            yield from self._broken_document(self.document, _unclosed())
        if self.row:
            yield from self._unclosed_row()
        if self.frame:
            first = self.frame.first
            yield self._quarantine(_short_frame(), first.raw, self._at(first))
        yield from self._drain()

    def _finish(self, draft: Draft, raw: object, place: str) -> Iterator[Read]:
        self.said = True
        try:
            event = finish(draft, self.zone, self.received, self.limits, self.seen)
        except Duplicate:
            self.tally.duplicates += 1
            return
        except InputError as error:
            yield self._quarantine(error, _source_of(raw), place)
            return
        self.tally.events += 1
        self.tally.by_format[event.format] += 1
        if event.format != "text":
            self.plain.note_event()
        yield event

    def _at(self, line: Line) -> str:
        return f"{self.origin}, line {line.number}"

    def _too_long(self, line: Line) -> Quarantined:
        return self._quarantine(_long(self.limits), line.raw, self._at(line))

    def _quarantine(self, error: InputError, raw: bytes, place: str) -> Quarantined:
        self.tally.quarantined += 1
        self.said = True
        name, _ = self.seen.numbered(digest((error.what, raw)))
        return Quarantined(
            id=f"q-{name}",
            received=self.received,
            origin=place,
            reason=error.what,
            remedy=error.remedy,
            raw=raw[: self.limits.raw_kept],
        )


_CONSOLE = re.compile(rb"\[ *\d+\.\d{3,9}\] |\[(?:[A-Z][a-z]{2} [A-Z][a-z]{2} |\d{4}-\d\d-\d\d)")
"""A raw kernel log line opens with its time in brackets, as a JSON array would."""


_BRACKETED = re.compile(rb"\[[\w .:,/+-]{1,64}\][: |]*\[?[^\s\[\]{},]")
"""A plain line may open with a level, a rank or a time in brackets: `[ERR] ...`."""


def _flagged(draft: Draft, repaired: bool) -> Draft:
    if repaired:
        draft.flags.append("encoding-repaired")
    return draft


def _source_of(raw: object) -> bytes:
    """Bytes that can be read again as this item."""
    if isinstance(raw, bytes):
        return raw
    text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=True)
    return text.encode("utf-8", "replace")


def _cut_off(error: InputError) -> InputError:
    return InputError(
        f"the last line is cut off ({error.what})",
        remedy="It was still being written: read it again when complete",
    )


def _unclosed() -> InputError:
    return InputError("a JSON document that does not close", remedy="Send it again when it is complete")


def _short_frame() -> InputError:
    return InputError("a syslog message shorter than it says", remedy="Send it again when it is complete")


def _nothing(began: bool) -> InputError:
    what = "the input holds no events" if began else "the input is empty"
    return InputError(what, remedy="Check that its writer has written something")


def _unknown_format() -> InputError:
    return InputError(
        "a line in no known format", remedy=f"Send {_FORMATS}; or begin the line with its time and its host"
    )


def _long(limits: Limits) -> InputError:
    return InputError(
        f"longer than {limits.line // KIB} KiB; only its start was kept",
        remedy="Send shorter items, or split them",
    )
