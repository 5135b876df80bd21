"""What words of operations are about: answers and evidence that use different words for one thing become comparable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

import yaml

from knowledge.causes import CATALOGS

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SPLIT = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ENDING = re.compile(r"(?:ings?|ed|es|s|ation|ions?)$")
LEAST_LETTERS = 3


@dataclass(frozen=True)
class Concepts:
    """The thesaurus."""

    concepts: tuple[tuple[str, re.Pattern[str]], ...]
    calm: re.Pattern[str]
    untold: re.Pattern[str]
    plain: frozenset[str]


@cache
def load_concepts() -> Concepts:
    """The catalog, compiled."""
    content = yaml.load((CATALOGS / "service_concepts.yaml").read_text("utf-8"), Loader=_LOADER)
    concepts = tuple((item["id"], _words(item["words"])) for item in content["concepts"])
    return Concepts(concepts, _words(content["calm"]), _words(content["untold"]), frozenset(content["plain"]))


def _words(words: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(rf"\b(?:{one})(?:\d\w*)?\b" for one in words))


@lru_cache(maxsize=8192)
def spaced(text: str) -> str:
    """Lower-case words with single spaces.

    >>> spaced("EngineCPUUtilization"), spaced("under-replicated: kfk-03")
    ('engine cpu utilization', 'under replicated kfk 03')
    """
    return " ".join(re.sub(r"[^a-z0-9]+", " ", _SPLIT.sub(" ", text).lower()).split())


@lru_cache(maxsize=8192)
def features(text: str) -> frozenset[str]:
    """What a text is about: concepts by their name, and its own words as `=stem`.

    >>> sorted(features("log disk is slow"))
    ['=disk', '=log', '=slow', 'disk', 'slow']
    """
    known, words = load_concepts(), spaced(text)
    named = {name for name, pattern in known.concepts if pattern.search(words)}
    own = {
        f"={stem(word)}"
        for word in words.split()
        if len(word) >= LEAST_LETTERS and word not in known.plain and not word.isdigit()
    }
    return frozenset(named | own)


def stem(word: str) -> str:
    """A word without its usual endings.

    >>> stem("writes"), stem("caching"), stem("disk")
    ('writ', 'cach', 'disk')
    """
    cut = _ENDING.sub("", word)
    return (cut if len(cut) >= LEAST_LETTERS else word).rstrip("e")
