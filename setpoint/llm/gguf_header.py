"""What a GGUF file says of itself, read without loading it: metadata, size and how its weights are stored."""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from setpoint.errors import ModelMissing

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_PROMPT_HASH = "setpoint.prompt_hash."
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9
_STORED_AS = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K",
              12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 30: "BF16"}  # fmt: skip
"""Names of tensor types by their number in the file."""


@dataclass(frozen=True)
class Header:
    """The readable part of a file."""

    metadata: Mapping[str, Any]
    """Scalars and texts by key; of a list, its length."""
    parameters: int
    stored_as: str
    """How most weights are stored ("Q8_0")."""

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    @property
    def name(self) -> str:
        return str(self.metadata.get("general.name", ""))

    @property
    def context_tokens(self) -> int:
        """What it was trained for; 0 where the file does not say."""
        return int(self.metadata.get(f"{self.architecture}.context_length", 0))

    @property
    def prompt_hashes(self) -> dict[str, str]:
        """Of each task a model of ours was trained on, the hash of its prompt; empty for models of other makers."""
        return {
            key.removeprefix(_PROMPT_HASH): str(value)
            for key, value in self.metadata.items()
            if key.startswith(_PROMPT_HASH)
        }


def read_header(path: Path) -> Header:
    """Raises ModelMissing where the file is absent, no GGUF, or cut off."""
    try:
        with path.open("rb") as file:
            if file.read(4) != MAGIC:
                raise ModelMissing("this file is not a GGUF model", where=str(path))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _Reader(content).header()
    except OSError as error:
        raise ModelMissing(f"cannot read the model file: {error.strerror}", where=str(path)) from error
    except (struct.error, UnicodeDecodeError, KeyError, ValueError) as error:
        raise ModelMissing("this GGUF file is damaged or cut off", where=str(path)) from error


class _Reader:
    """Walks the head of a file once, front to back. A wrong length ends it in struct.error or ValueError."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content, self._at = content, len(MAGIC)

    def header(self) -> Header:
        if self._scalar("<I") not in VERSIONS:
            raise ValueError("a version of the format that is not known")
        tensors, pairs = self._scalar("<Q"), self._scalar("<Q")
        metadata = {self._text(): self._value(self._scalar("<I")) for _ in range(pairs)}
        sizes = Counter[str]()
        for _ in range(tensors):
            kind, size = self._tensor()
            sizes[kind] += size
        stored_as = sizes.most_common(1)[0][0] if sizes else ""
        return Header(metadata, sizes.total(), stored_as)

    def _tensor(self) -> tuple[str, int]:
        self._text()
        size = prod(self._scalar("<Q") for _ in range(self._scalar("<I")))
        kind = self._scalar("<I")
        self._scalar("<Q")  # where its data begins
        return _STORED_AS.get(kind, f"type {kind}"), size

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        return self._list() if kind == _ARRAY else self._scalar(_SCALARS[kind])

    def _list(self) -> int:
        """Its length; the items are passed over."""
        kind, length = self._scalar("<I"), int(self._scalar("<Q"))
        if kind == _ARRAY:
            raise ValueError("a list of lists")
        if kind == _STRING:
            for _ in range(length):
                self._skip(self._scalar("<Q"))
        else:
            self._skip(length * struct.calcsize(_SCALARS[kind]))
        return length

    def _text(self) -> str:
        begin = self._at + 8
        self._skip(self._scalar("<Q"))
        return self._content[begin : self._at].decode()

    def _skip(self, count: int) -> None:
        self._at += count
        if self._at > len(self._content):
            raise ValueError("past the end")

    def _scalar(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._content, self._at)
        self._at += struct.calcsize(form)
        return value
