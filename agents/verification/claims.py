"""What finished text claims: numbers with their units, times, identifiers, quotations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from agents.verification import lexicon
from agents.verification.lexicon import stem

ClaimKind = Literal["number", "time", "name", "digit"]
_UNITS = "|".join(re.escape(unit) for unit in sorted(lexicon.UNIT_SYMBOLS, key=len, reverse=True))
_SPELLED = "|".join(sorted(lexicon.UNIT_WORDS, key=len, reverse=True))
_QUOTED = re.compile("\"([^\"]+)\"|\u201c([^\u201d]+)\u201d|(?<!\\w)'([^']{3,})'(?!\\w)")
_TOKEN = re.compile(
    r"(?P<time>(?<![\w:])\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?!\w|:\w))"
    r"|(?P<date>(?<![\w-])\d{4}-\d{2}-\d{2}(?![\w-]))"
    rf"|(?P<number>(?<![\w./:#-])[-+]?\d+(?:,\d{{3}})*(?:\.\d+)?)(?:[ ]?(?P<unit>\u00b0?(?:{_UNITS})|{_SPELLED})(?![\w/-])"
    r"|(?![\w:-]|[./]\w)(?:[ -](?P<noun>[A-Za-z]+))?)"
    r"|(?P<name>\w[\w./:#-]*\w|\w)"
)
_NOUNS = lexicon.stems(lexicon.THINGS) | lexicon.stems(
    frozenset(("asset", "event", "alert", "time", "incident"))
)
_SAME_UNIT = {
    "percent": "%", "pct": "%", "percentage": "%", "degrees": "C", "celsius": "C", "watts": "W", "watt": "W",
    "kilowatt": "kW", "kilowatts": "kW", "megawatts": "MW", "megawatt": "MW", "volts": "V", "amps": "A",
    "seconds": "s", "minute": "min", "minutes": "min", "hour": "h", "hours": "h", "day": "d", "days": "d",
    "milliseconds": "ms", "RPM": "rpm", "LPM": "lpm", "l/min": "lpm", "L/min": "lpm", "bars": "bar",
}  # fmt: skip


@dataclass(frozen=True)
class Claim:
    kind: ClaimKind
    text: str
    """Normalised: numbers without trailing zeros, names in lower case."""
    unit: str = ""
    """Unit symbol, or the stem of a counted noun."""
    at: int = 0
    """Where in the text it stands."""

    @property
    def said(self) -> str:
        return f"{self.text} {self.unit}".strip()


def quotations(text: str) -> list[str]:
    """Everything in quotation marks."""
    return [next(filter(None, found)) for found in _QUOTED.findall(text)]


def without_quotations(text: str) -> str:
    """What stands outside quotation marks. A quotation with markup in it may be the seam between two strings of a
    hostile text rather than a quotation, so it stays."""
    return _QUOTED.sub(lambda found: found[0] if re.search(r"[{}\[\]<>]", found[0]) else " ", text)


def claims_of(text: str) -> list[Claim]:
    """In the order in which they stand."""
    return list(_claims(unicodedata.normalize("NFC", text)))


def _claims(text: str) -> Iterator[Claim]:
    for char in text:
        if not char.isascii() and unicodedata.category(char).startswith("N"):
            yield Claim("digit", char)
    for found in _TOKEN.finditer(text):
        at = found.start()
        if found["time"] or found["date"]:
            yield Claim("time", found[0], at=at)
        elif found["number"]:
            yield Claim("number", _plain(found["number"]), _unit(found), at)
        elif _is_name(found["name"]):
            yield Claim("name", found["name"].lower(), at=at)


def _plain(number: str) -> str:
    """
    >>> _plain("+1,200.50"), _plain("-0.0")
    ('1200.5', '0')
    """
    value = Decimal(number.replace(",", ""))
    return "0" if value == 0 else format(value.normalize(), "f")


def _unit(found: re.Match[str]) -> str:
    if found["unit"]:
        unit = found["unit"].removeprefix("\u00b0")
        return _SAME_UNIT.get(unit, unit)
    noun = stem(found["noun"] or "")
    return noun if noun in _NOUNS else ""


def _is_name(token: str) -> bool:
    """Something that points at one thing: digits in it, an underscore, a path, inner capitals."""
    if token in lexicon.FIELD_TERMS or token.rstrip("s") in lexicon.FIELD_TERMS:
        return False
    if re.search(r"\d", token) or "_" in token or re.search(r"\w[./:#]\w", token):
        return True
    bare = [part for part in token.split("-") if part not in lexicon.FIELD_TERMS]
    return any(re.search(r"[a-z][A-Z]|[A-Z]{2}", part) for part in bare) or (
        len(bare) > 1 and any(len(part) == 1 for part in bare)
    )
