"""Words to sparse vectors: BM25 weights on the document side, glossary expansion on the query side."""

from __future__ import annotations

import hashlib
import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import yaml

K1, B = 1.2, 0.75
"""BM25's usual constants (Robertson and Zaragoza, 2009)."""
SYNONYM_WEIGHT = 0.3
"""A glossary synonym counts less than a word the operator wrote."""
GLOSSARY = Path(__file__).parent / "glossary.yaml"
SAYINGS = Path(__file__).parent / "sayings.yaml"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where it is there: ten times faster, and a start must be quick."""
_WORD = re.compile(r"[a-z0-9]+")
_STOP = frozenset(
    re.findall(
        r"\w+",
        """
    a an and are as at be but by for from has have if in into is it its of on or that the their then there these this to
    was were will with not no do does did we our you your i my why what when where which how who
    """,
    )
)
_SEAM = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])|_")
"""Where one word of `LinkDowned` or `gpu_missing` ends and the next begins."""
_LETTERS = re.compile(r"[a-z]{2,}")


@dataclass(frozen=True)
class Sparse:
    """A sparse vector: term numbers and their weights."""

    indices: list[int]
    values: list[float]


@dataclass(frozen=True)
class Language:
    """How people and machines say what the runbooks say in other words."""

    glossary: Mapping[str, tuple[str, ...]]
    """Canonical term to the other ways of saying it; widens a query."""
    sayings: Mapping[str, str]
    """Section id to how people ask for it; counted with the section's passages."""

    @property
    def digest(self) -> str:
        told = repr((sorted(self.glossary.items()), sorted(self.sayings.items())))
        return hashlib.sha256(told.encode()).hexdigest()[:16]


PLAIN = Language({}, {})
"""The runbooks' own words alone."""


def terms(text: str) -> list[str]:
    """Lower-case stems without stop words. `XID 79` also gives `xid79`, so that numbers keep their name, and a name with
    digits or inner capitals also gives its words.

    >>> terms("The pumps failed: XID 79")
    ['pump', 'fail', 'xid', '79', 'xid79']
    >>> terms("PhysLinkState on gpu07")
    ['phy', 'link', 'stat', 'gpu07', 'gpu']
    """
    words = [_stem(word) for word in _WORD.findall(_SEAM.sub(" ", text).lower()) if word not in _STOP]
    joined = [a + b for a, b in itertools.pairwise(words) if a.isalpha() and b.isdigit()]
    mixed = [word for word in words if not word.isalpha() and not word.isdigit()]
    return words + joined + [_stem(part) for word in mixed for part in _LETTERS.findall(word)]


def document_vector(fields: Iterable[tuple[str, float]], mean_length: float) -> Sparse:
    """BM25 term weights without IDF, which the index applies. Terms of several fields are counted together before they
    saturate, each as often as its field weighs (BM25F; Robertson, Zaragoza and Taylor, 2004)."""
    counts: Counter[str] = Counter()
    for text, weight in fields:
        for term in terms(text):
            counts[term] += weight  # type: ignore[assignment]  # typeshed's Counter knows whole numbers only
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
def load_language() -> Language:
    """The shipped glossary and sayings."""
    return Language(load_glossary(), load_sayings())


@cache
def load_glossary(path: Path = GLOSSARY) -> dict[str, tuple[str, ...]]:
    """Canonical term to the other ways of saying it."""
    entries = yaml.load(path.read_text("utf-8"), Loader=_LOADER)["terms"]
    return {str(term): tuple(str(word) for word in synonyms) for term, synonyms in entries.items()}


@cache
def load_sayings(path: Path = SAYINGS) -> dict[str, str]:
    """Section id to how people ask for it, as one text."""
    entries = yaml.load(path.read_text("utf-8"), Loader=_LOADER)["sections"]
    return {str(section): ". ".join(map(str, said)) for section, said in entries.items()}


def _expansions(text: str, glossary: Mapping[str, tuple[str, ...]]) -> Iterable[str]:
    said = set(terms(text))
    for canonical, synonyms in glossary.items():
        ways = (canonical, *synonyms)
        if any(_says(said, way) for way in ways):
            yield from ways


def _says(said: set[str], way: str) -> bool:
    """Every word of the phrase occurs: word order differs between people, and runs of stems are too strict."""
    words = _stems(way)
    return bool(words) and words <= said


@lru_cache(maxsize=4096)
def _stems(way: str) -> frozenset[str]:
    return frozenset(terms(way))


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
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith(("ss", "eed")):
            stem = word[: -len(ending)] + ("y" if ending == "ies" else "")
            return (
                stem[:-1]
                if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "lsaeiou"
                else stem.rstrip("e")
            )
    return word.rstrip("e") if len(word) > 4 else word
