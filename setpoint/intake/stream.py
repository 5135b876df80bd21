"""From a source of bytes to lines of UTF-8: unpacked, transcoded, bounded."""

from __future__ import annotations

import codecs
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from setpoint.errors import InputError
from setpoint.intake.limits import MIB, Limits

_CHUNK = 64 * 1024
_GZIP = b"\x1f\x8b"
_KNOWN_BINARY = (
    (b"PK\x03\x04", "a ZIP archive"), (b"\x7fELF", "a program"), (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ", "xz data"), (b"\x28\xb5\x2f\xfd", "Zstandard data"), (b"SQLite format 3\x00", "an SQLite database"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture"), (b"PAR1", "a Parquet file"),
)  # fmt: skip
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_ALL_BOMS = (codecs.BOM_UTF8, *(bom for bom, _ in _BOMS))
_CONTROL = bytes(set(range(32)) - {9, 10, 12, 13, 27})


class Line(NamedTuple):
    raw: bytes
    """Without its line end; cut where it is too long."""
    number: int
    """1 for the first; a pause has 0."""
    whole: bool = True
    """False: longer than the limit, cut."""
    ended: bool = True
    """False: the input stops within it."""


PAUSE = Line(b"", 0)
"""The source has nothing more just now: what is being held back can go out."""


def lines(source: bytes | BinaryIO, limits: Limits) -> Iterator[Line]:
    """The lines of `source`. Raises InputError where it is not text, unpacks to too much, or breaks off."""
    yield from _split(_as_utf8(_unpacked(_chunks(source), limits)), limits)


def _chunks(source: bytes | BinaryIO) -> Iterator[bytes]:
    """Pieces as they come; b"" after a short piece of a stream, which tells that it may wait."""
    at_hand = isinstance(source, bytes | bytearray | memoryview)
    stream = io.BytesIO(source) if isinstance(source, bytes | bytearray | memoryview) else source
    read = getattr(stream, "read1", stream.read)
    try:
        while chunk := read(_CHUNK):
            yield chunk
            if len(chunk) < _CHUNK and not at_hand:
                yield b""
    except OSError as error:
        raise InputError(f"reading stopped: {error}", remedy="Check the source and read it again") from error


def _unpacked(chunks: Iterator[bytes], limits: Limits) -> Iterator[bytes]:
    first = next(chunks, b"")
    while 0 < len(first) < len(_GZIP) and (more := next(chunks, None)) is not None:
        first += more
    if not first.startswith(_GZIP):
        yield first
        yield from chunks
        return
    total = 0
    for piece in _gunzip(first, chunks):
        total += len(piece)
        if total > limits.unpacked:
            raise InputError(
                f"the gzip data unpacks to more than {limits.unpacked // MIB} MiB",
                remedy="Unpack it and send it in parts",
            )
        yield piece


def _gunzip(data: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """All members of a gzip stream, a bounded piece at a time."""
    inflate = zlib.decompressobj(wbits=31)
    while True:
        try:
            piece = inflate.decompress(data, _CHUNK)
        except zlib.error as error:
            raise InputError(f"broken gzip data: {error}", remedy="Pack it again") from error
        if piece:
            yield piece
        data = inflate.unconsumed_tail
        if inflate.eof and inflate.unused_data.strip(b"\0"):
            data, inflate = inflate.unused_data, zlib.decompressobj(wbits=31)
        if data or len(piece) == _CHUNK:
            continue
        more = next((chunk for chunk in chunks if chunk), None)
        if more is None:
            break
        data = (b"" if not inflate.eof else inflate.unused_data) + more
        if inflate.eof:
            inflate = zlib.decompressobj(wbits=31)
    if not inflate.eof:
        raise InputError("the gzip data breaks off", remedy="Send the whole file again")


def _as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Text by its byte order mark; without one, bytes as they are. Raises InputError where it is not text."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 4 or not any(bom.startswith(head) for bom in _ALL_BOMS):
            break
    name = next((name for bom, name in _BOMS if head.startswith(bom)), None)
    if name is None:
        head = head.removeprefix(codecs.BOM_UTF8)
        _refuse_binary(head)
        yield head
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(name)("replace")
    yield decoder.decode(head).removeprefix("\ufeff").encode()
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()


def _refuse_binary(head: bytes) -> None:
    sample = head[:_CHUNK]
    what = next((what for magic, what in _KNOWN_BINARY if sample.startswith(magic)), "")
    controls = len(sample) - len(sample.translate(None, _CONTROL))
    if not what and controls * 10 > len(sample):
        wide = sample[1::2].count(0) * 3 > len(sample) or sample[::2].count(0) * 3 > len(sample)
        what = "UTF-16 without a byte order mark" if wide else "binary data"
    if what:
        raise InputError(f"this is {what}, not text", remedy="Send text in UTF-8, plain or gzip")


def _split(chunks: Iterator[bytes], limits: Limits) -> Iterator[Line]:
    gathered = _Gathered(limits)
    number = 0
    for chunk in chunks:
        if not chunk:
            yield PAUSE
            continue
        *complete, tail = chunk.split(b"\n")
        for part in complete:
            number += 1
            yield gathered.take(part, number, ended=True) if gathered.size else _line(part, number, limits)
        gathered.add(tail)
    if gathered.size:
        yield gathered.take(b"", number + 1, ended=False)


def _line(part: bytes, number: int, limits: Limits) -> Line:
    if len(part) <= limits.line:
        return Line(part, number)
    gathered = _Gathered(limits)
    return gathered.take(part, number, ended=True)


class _Gathered:
    """The pieces of one line, kept up to the limit: that of a document where it opens like JSON, else of a line."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> None:
        if not piece:
            return
        if self.size <= self._limit(piece):
            self._pieces.append(piece)
        self.size += len(piece)

    def _limit(self, piece: bytes) -> int:
        first = self._pieces[0] if self._pieces else piece
        return self._limits.document if first.lstrip()[:1] in (b"{", b"[") else self._limits.line

    def take(self, piece: bytes, number: int, *, ended: bool) -> Line:
        """The line with its last piece; starts afresh."""
        self.add(piece)
        raw = b"".join(self._pieces)
        limit = self._limit(b"")
        whole = self.size <= limit
        self._pieces, self.size = [], 0
        return Line(raw if whole else raw[: self._limits.raw_kept], number, whole, ended)
