"""Words to sparse vectors: BM25 weights on the document side, glossary expansion on the query side."""

from __future__ import annotations

import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

K1, B = 1.2, 0.75
"""BM25's usual constants (Robertson and Zaragoza, 2009)."""
SYNONYM_WEIGHT = 0.4
"""A glossary synonym counts less than a word the operator wrote."""
GLOSSARY = Path(__file__).parent / "glossary.yaml"
_WORD = re.compile(r"[a-z0-9]+")
_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "from",
        "has",
        "have",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "this",
        "to",
        "was",
        "were",
        "will",
        "with",
        "not",
        "no",
        "do",
        "does",
        "did",
        "we",
        "our",
        "you",
        "your",
        "i",
        "my",
        "why",
        "what",
        "when",
        "where",
        "which",
        "how",
        "who",
    ]
)


@dataclass(frozen=True)
class Sparse:
    """A sparse vector: term numbers and their weights."""

    indices: list[int]
    values: list[float]


def terms(text: str) -> list[str]:
    """Lower-case stems without stop words; `XID 79` also gives `xid79`, so that numbers keep their name.

    >>> terms("The pumps failed: XID 79")
    ['pump', 'fail', 'xid', '79', 'xid79']
    """
    words = [_stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP]
    joined = [a + b for a, b in itertools.pairwise(words) if a.isalpha() and b.isdigit()]
    return words + joined


def document_vector(text: str, mean_length: float) -> Sparse:
    """BM25 term weights without IDF, which the index applies."""
    counts = Counter(terms(text))
    norm = K1 * (1 - B + B * sum(counts.values()) / max(mean_length, 1.0))
    return _sparse({term: count * (K1 + 1) / (count + norm) for term, count in counts.items()})


def query_vector(text: str, glossary: Mapping[str, tuple[str, ...]]) -> Sparse:
    """Weight 1 for the asked terms; less for what the glossary adds."""
    asked = dict.fromkeys(terms(text), 1.0)
    weights = dict(asked)
    for term in terms(" ".join(_expansions(text, glossary))):
        weights.setdefault(term, SYNONYM_WEIGHT)
    return _sparse(weights)


@cache
def load_glossary(path: Path = GLOSSARY) -> dict[str, tuple[str, ...]]:
    """Canonical term to the other ways of saying it."""
    entries = yaml.safe_load(path.read_text("utf-8"))
    body = entries.get("terms", {key: value for key, value in entries.items() if key != "version"})
    return {str(term): tuple(str(word) for word in synonyms) for term, synonyms in body.items()}


def _expansions(text: str, glossary: Mapping[str, tuple[str, ...]]) -> Iterable[str]:
    said = set(terms(text))
    for canonical, synonyms in glossary.items():
        ways = (canonical, *synonyms)
        if any(_says(said, way) for way in ways):
            yield from ways


def _says(said: set[str], way: str) -> bool:
    """Every word of the phrase occurs: word order differs between people, and runs of stems are too strict."""
    words = set(terms(way))
    return bool(words) and words <= said


def _sparse(weights: Mapping[str, float]) -> Sparse:
    by_index: dict[int, float] = {}
    for term, weight in weights.items():
        index = zlib.crc32(term.encode())
        by_index[index] = max(weight, by_index.get(index, 0.0))
    return Sparse(list(by_index), list(by_index.values()))


def _stem(word: str) -> str:
    """A light stemmer: plural, -ing and -ed only, so that numbers and names stay whole."""
    if not word.isalpha() or len(word) < 5:
        return word[:-1] if len(word) == 4 and word.endswith("s") and not word.endswith("ss") else word
    for ending in ("ings", "ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            stem = word[: -len(ending)] + ("y" if ending == "ies" else "")
            return (
                stem[:-1]
                if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "lsaeiou"
                else stem.rstrip("e")
            )
    return word.rstrip("e") if len(word) > 4 else word
