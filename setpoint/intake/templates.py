"""Log templates: which part of a message is its wording and which part varies.

`mask` is a pure function that hides identifiers and numbers. `TemplateMiner` goes further: it learns which words
vary too, with the fixed-depth tree of Drain (He et al., ICWS 2017) over masked messages: word count, then the
first word, then the best of the few templates found there.

>>> mask("gpu-03: NVRM: Xid (PCI:0000:3b:00): 79, pid=4021, GPU has fallen off the bus")
'gpu-<*>: NVRM: Xid (PCI:<*>): <*>, pid=<*>, GPU has fallen off the bus'
>>> mask("inlet 41.5C on c21-5c0s7n2 gpu_serial=0323712023238")
'inlet <*>C on <*> gpu_serial=<*>'
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

WILDCARD = "<*>"
_LONGEST = 600
"""Characters of a message that count. What follows is payload (stack traces, dumps)."""
_MASKS = (
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",  # UUID
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?",  # time
    r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b",  # MAC address
    r"\b[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(?:\.[0-9a-fA-F])?\b",  # PCI address
    r"\b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{1,4}\b",  # IPv6 address, GUID
    r"\b\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?\b",  # IPv4 address, port or prefix
    r"\b0x[0-9a-fA-F]+\b",
    r"(?<=serial=)\S+|(?<=serial )\w*\d\w*|(?<=serial: )\w+|(?<=S/N )\w+|(?<=SN: )\w+",
    r"\b(?=[0-9a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{8,}\b",  # bare hex
    r"\b[A-Za-z]{0,6}\d+(?:[A-Za-z_-]{1,6}\d+)+\b",  # a name of several numbered parts: c21-5c0s7n2
    r"\b\d+(?:[.,:]\d+)*(?=[A-Za-z%]{0,4}(?![A-Za-z0-9]))",  # number; a unit after it stays
)
_MASK = re.compile("|".join(_MASKS))
_TURNING_WORDS = """
up down on off open opened close closed start started stop stopped lost restored recovered failed failure succeeded
success ok above below high low critical warning normal cleared raised asserted deasserted enabled disabled online
offline connected disconnected added removed inserted degraded healthy correctable uncorrectable corrected
uncorrected fatal non-fatal not no
"""
_MEANING = frozenset(_TURNING_WORDS.split())
"""Words that turn a message's meaning: where they differ, the templates differ."""


def mask(message: str) -> str:
    """The message with identifiers, addresses, serials, times and numbers as `<*>`, spaces made single."""
    return " ".join(_MASK.sub(WILDCARD, message[:_LONGEST]).split())


@dataclass(slots=True)
class Template:
    """One mined template."""

    id: int
    kind: str
    """Kind of its events; templates of different kinds never mix."""
    tokens: list[str]
    count: int = 0

    @property
    def text(self) -> str:
        """The wording with `<*>` for what varies."""
        return " ".join(self.tokens)


class TemplateMiner:
    """Learns templates from a stream in bounded memory. Not thread-safe.

    The same messages in the same order make the same templates. Beyond `limit` templates the one that has not
    been seen for longest is forgotten.
    """

    def __init__(self, similarity: float = 0.6, limit: int = 20_000, cache: int = 20_000) -> None:
        self._similarity = similarity
        self._limit = limit
        self._cache_limit = cache
        self._leaves: dict[tuple[str, int, str], list[int]] = {}
        self._templates: OrderedDict[int, Template] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._next = 1

    def __len__(self) -> int:
        return len(self._templates)

    def add(self, message: str, kind: str = "") -> Template:
        """The template this message belongs to, counted up by one."""
        return self.add_masked(mask(message), kind)

    def add_masked(self, masked: str, kind: str = "") -> Template:
        """The same for a message that went through `mask` already."""
        key = (kind, masked)
        found = self._known.get(key)
        template = self._templates.get(found) if found is not None else None
        if template is None:
            template = self._match(kind, masked.split(" "))
            self._remember(key, template.id)
        self._templates.move_to_end(template.id)
        template.count += 1
        return template

    def snapshot(self) -> list[tuple[int, str, str, int]]:
        """Every template as (id, kind, text, count), least recently seen first."""
        return [(t.id, t.kind, t.text, t.count) for t in self._templates.values()]

    def restore(self, rows: Iterable[tuple[int, str, str, int]]) -> None:
        """Put back what `snapshot` gave. What was learned before is dropped."""
        self._leaves.clear()
        self._templates.clear()
        self._known.clear()
        for number, kind, text, count in rows:
            self._insert(Template(number, kind, text.split(" "), count))
        self._next = max(self._templates, default=0) + 1
        for ids in self._leaves.values():
            ids.sort()

    def _match(self, kind: str, tokens: list[str]) -> Template:
        leaf = self._leaves.get(_leaf_key(kind, tokens), ())
        best, best_score = None, 0.0
        for number in leaf:
            score = _similarity(self._templates[number].tokens, tokens)
            if score > best_score:
                best, best_score = self._templates[number], score
        if best is None or best_score < self._similarity:
            return self._create(kind, tokens)
        if best_score < 1.0:
            best.tokens = [a if a == b else WILDCARD for a, b in zip(best.tokens, tokens, strict=True)]
        return best

    def _create(self, kind: str, tokens: list[str]) -> Template:
        if len(self._templates) >= self._limit:
            self._drop_oldest()
        template = Template(self._next, kind, tokens)
        self._next += 1
        self._insert(template)
        return template

    def _insert(self, template: Template) -> None:
        self._templates[template.id] = template
        self._leaves.setdefault(_leaf_key(template.kind, template.tokens), []).append(template.id)

    def _drop_oldest(self) -> None:
        _, old = self._templates.popitem(last=False)
        key = _leaf_key(old.kind, old.tokens)
        self._leaves[key].remove(old.id)
        if not self._leaves[key]:
            del self._leaves[key]

    def _remember(self, key: tuple[str, str], number: int) -> None:
        self._known[key] = number
        if len(self._known) > self._cache_limit:
            self._known.popitem(last=False)


def _leaf_key(kind: str, tokens: list[str]) -> tuple[str, int, str]:
    """The first word is never generalised, since it names the speaker: it chooses the leaf."""
    return kind, len(tokens), tokens[0]


def _similarity(template: list[str], tokens: list[str]) -> float:
    """Share of equal words; 0 where the first word differs or a word that turns the meaning."""
    if template[0] != tokens[0]:
        return 0.0
    same = 0
    for a, b in zip(template, tokens, strict=True):
        if a == b:
            same += 1
        elif _turns(a) or _turns(b):
            return 0.0
    return same / len(tokens)


def _turns(word: str) -> bool:
    return word.strip(".,;:!()'\"").lower() in _MEANING
