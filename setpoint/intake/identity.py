"""Ids that are the same whenever the same content is read, and the tally of what was seen before in one input."""

from __future__ import annotations

import hashlib
from typing import Literal

Verdict = Literal["new", "duplicate", "conflict"]


def digest(content: object) -> bytes:
    """20 hex digits' worth of the content's representation."""
    return hashlib.blake2b(repr(content).encode("utf-8", "backslashreplace"), digest_size=10).digest()


_ENOUGH_CONFLICTS = 20


class Identities:
    """What one input held so far, in bounded memory.

    Of identical items without an id of their own, each is an event: the first has the content's hash as its id, the
    next ones their number hashed in. After `limit` items memory starts afresh and the new round's number is hashed
    in too, so that a late repeat still gets an id of its own.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[bytes, int] = {}
        self._owned: dict[bytes, bytes] = {}
        self._round = 0
        self._conflicts = 0

    def numbered(self, content: bytes) -> tuple[str, int]:
        """Id of this occurrence, and how many identical ones came before it in this round."""
        self._bound()
        before = self._counts.get(content, 0)
        self._counts[content] = before + 1
        if before == 0 and self._round == 0:
            return content.hex(), before
        return digest((content, before, self._round)).hex(), before

    def claim(self, scope: str, own_id: str, content: bytes) -> Verdict:
        """Is an item with an id of its own new, the same again, or another one under a used id?"""
        self._bound()
        key = digest((scope, own_id))
        held = self._owned.setdefault(key, content)
        if held is content:
            return "new"
        if held == content:
            return "duplicate"
        self._conflicts += 1
        return "conflict"

    @property
    def ids_are_none(self) -> bool:
        """Do the ids of this input repeat so often that they name something else than the single event?"""
        return self._conflicts > _ENOUGH_CONFLICTS and self._conflicts > len(self._owned)

    def _bound(self) -> None:
        if len(self._counts) + len(self._owned) >= self._limit:
            self._counts.clear()
            self._owned.clear()
            self._round += 1
