"""What people type, made readable by rules: letters swapped in haste, numbers and units written out."""

from __future__ import annotations

import re
from functools import cache

_VOCABULARY = frozenset(
    """about above after alarm alarms alert alerts approve approved asset assets battery batteries because broken burning
    busy capped cause causes chiller clock clocked clocks close cooling coolant cordon could current cycle decision degrees
    drain drained draining draw energy event events fails failed failing feeds fire flow flush from going gpus guide
    hanging hangs actually happen happened happening happens headroom hottest idle incident incidents indeed inlet instead jobs
    last latency latest leak limit list load lower many maximum means metric migrate minute minutes move moved
    needed node nodes older open overview pause pending power pressure procedure propose pump pumps raise readings reboot
    reset restart resume return review reviews runbook runbooks runtime second seconds serve service should show shut since
    size sizing status stop storage summary supply switch telemetry temp temps temperature temperatures that the there
    they think this throttle throttled throttling ticket tickets tonight topology total touched training trend trends trip
    tripped ttft tpot turn unit urgent waiting water what which while with without worst would wrong""".split()  # noqa: SIM905  # some hundred quoted words read worse
)
"""Words that understanding a question looks for, and common ones near them."""
_TOKEN = re.compile(r"(?<![\w./=:-])[a-zA-Z]{3,}(?![\w./=:])")
_LEAST_LETTERS = 5
"""Of a word that is known again with one letter missing."""


def plainly(question: str) -> str:
    """The question with swapped letters set right, and numbers with units in figures.

    >>> plainly("waht if the clcok goes to twelve hundred megahertz")
    'what if the clock goes to 1200 MHz'
    """
    mended = _TOKEN.sub(lambda found: mended_word(found[0]), question)
    return _units(_numbers(mended))


def mended_word(word: str) -> str:
    """The known word that it was meant for: the same letters in another order, or one letter left out. Else itself.

    >>> mended_word("tciket"), mended_word("cappd"), mended_word("pump"), mended_word("even")
    ('ticket', 'capped', 'pump', 'even')
    """
    lower = word.lower()
    if lower in _known_words():
        return word
    return _anagrams().get(_letters(lower)) or _without_one().get(lower) or word


def _known_words() -> frozenset[str]:
    """Number words stay what they are."""
    return _VOCABULARY | {*_SMALL, *_TENS}


def _letters(word: str) -> tuple[str, str]:
    """Its first letter, and all of them in order."""
    return word[0], "".join(sorted(word))


@cache
def _anagrams() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for word in sorted(_VOCABULARY):
        found.setdefault(_letters(word), word)
    return found


@cache
def _without_one() -> dict[str, str]:
    """Each known word with an inner letter left out, where only one word can be meant."""
    found: dict[str, str] = {}
    doubtful: set[str] = set()
    for word in _VOCABULARY:
        if len(word) <= _LEAST_LETTERS:
            continue
        for place in range(1, len(word) - 1):
            short = word[:place] + word[place + 1 :]
            if found.setdefault(short, word) != word:
                doubtful.add(short)
    return {short: word for short, word in found.items() if short not in doubtful | _VOCABULARY}


# ---- numbers and units -------------------------------------------------------------------------------------------

_SMALL = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)  # noqa: SIM905  # as above
}
_NUMBER_WORD = "|".join((*_SMALL, *_TENS, "hundred", "thousand"))
_UNITS = (
    (r"milli\s?seconds?|msecs?", "ms"), (r"kilo\s?watts?", "kW"), (r"mega\s?watts?", "MW"), (r"watts?", "W"),
    (r"mega\s?hertz", "MHz"), (r"giga\s?hertz", "GHz"), (r"(?:l|lit(?:er|re)s?)\s?(?:per|a|/)\s?min(?:ute)?", "LPM"),
    (r"degrees?(?:\s?(?:celsius|c))?|deg(?:\s?c)?", "C"), (r"per\s?cent", "%"),
    (r"req(?:uest)?s?\s*(?:/\s*s(?:ec)?|per second|a second|each second|every second)", "rps"),
)  # fmt: skip
_SPELLED = re.compile(
    rf"\b((?:{_NUMBER_WORD})(?:[\s-](?:and\s)?(?:{_NUMBER_WORD}))*)[\s-]+"
    rf"(?={'|'.join(words for words, _ in _UNITS)}|(?:seconds?|secs?|minutes?|mins?|hours?|days?|tokens?|gpus?|nodes?|lpm|mhz|kw|w|rps|ms|%)\b)",
    re.IGNORECASE,
)
_MEASURED = tuple(
    (re.compile(rf"(?<![\w.])(\d+(?:\.\d+)?)\s*(?:{words})(?!\w)", re.IGNORECASE), unit)
    for words, unit in _UNITS
)


def _numbers(text: str) -> str:
    return _SPELLED.sub(lambda found: f"{_value(found[1])} ", text)


def _value(words: str) -> int:
    """
    >>> _value("thirty-two"), _value("twelve hundred")
    (32, 1200)
    """
    total = part = 0
    for word in re.findall(r"[a-z]+", words.lower()):
        if word == "hundred":
            part = 100 * max(part, 1)
        elif word == "thousand":
            total, part = total + 1000 * max(part, 1), 0
        else:
            part += _SMALL.get(word, _TENS.get(word, 0))
    return total + part


def _units(text: str) -> str:
    for pattern, unit in _MEASURED:
        text = pattern.sub(rf"\1 {unit}", text)
    return text
