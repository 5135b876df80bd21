"""How hard a text is to read."""

from __future__ import annotations

import re

_SENTENCE = re.compile(r"[.!?;:]+(?:\s|$)|\n")
_WORD = re.compile(r"[A-Za-z][A-Za-z']*")
_VOWELS = re.compile(r"[aeiouy]+")
_QUOTED = re.compile(r'"[^"]*"')


def reading_ease(text: str) -> float:
    """Flesch's reading ease (1948), 0 hard to 100 easy; what a source is quoted with is left out, as are names with
    digits.

    >>> reading_ease("The pump has stopped. Start the spare one.") > reading_ease("Insufficient infrastructural redundancy.")
    True
    """
    own = _QUOTED.sub("", text)
    sentences = [part for part in _SENTENCE.split(own) if _WORD.search(part)]
    words = [
        word for token in own.split() if not re.search(r"\d|_|/", token) for word in _WORD.findall(token)
    ]
    if not words or not sentences:
        return 100.0
    heard = sum(syllables(word) for word in words)
    return 206.835 - 1.015 * len(words) / len(sentences) - 84.6 * heard / len(words)


def syllables(word: str) -> int:
    """By groups of vowels, without a silent e.

    >>> [syllables(word) for word in ("pump", "coolant", "temperature", "table")]
    [1, 2, 4, 2]
    """
    lower = word.lower()
    groups = len(_VOWELS.findall(lower))
    silent = lower.endswith("e") and not lower.endswith(("le", "ee")) and groups > 1
    return max(1, groups - silent)
