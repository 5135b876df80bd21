"""GBNF that lets a model write plain words and this sheet's slots, and nothing else.

No digit and no foreign slot can be decoded. Which slots are *required* is left to the verifier on purpose: a
grammar that withholds the end until a slot has come makes a small model attach it anywhere.
"""

from __future__ import annotations

import re

from setpoint.contracts import FactSheet

MAX_WORDS = 45
"""Words and slots in one sentence; the verifier bounds the whole text."""
_PLAIN = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*(?:[,;:]? [A-Za-z]+(?:['-][A-Za-z]+)*)*")

_RULES = """\
root ::= sentence (" " sentence)?
sentence ::= item ([,;:]? " " item){{2,{words}}} "."
item ::= {items}
word ::= [A-Za-z] [A-Za-z]{{0,19}} (['-] [A-Za-z] [A-Za-z]{{0,19}}){{0,3}}
"""


def words_grammar(sheet: FactSheet, *, max_words: int = MAX_WORDS) -> str:
    """One or two sentences of words and `sheet`'s slots, rooted at `root`.

    A condition that holds more than plain words ("GPU fell off the bus (XID 79)") may be copied as a whole.
    """
    literals = [f"{{{slot}}}" for slot in dict.fromkeys(sheet.slots)] + _odd_forms(sheet.condition)
    items = " | ".join(["word", *map(_literal, literals)])
    return _RULES.format(words=max_words - 1, items=items)


def _odd_forms(condition: str) -> list[str]:
    clean = " ".join(condition.split()).rstrip(".;:,!")
    if not clean or _PLAIN.fullmatch(clean):
        return []
    return list(dict.fromkeys((clean, clean[:1].upper() + clean[1:], clean[:1].lower() + clean[1:])))


def _literal(text: str) -> str:
    """`text` as a GBNF string: printable ASCII stands, all else is escaped by code point.

    >>> _literal('say "hi" {a}')
    '"say \\\\"hi\\\\" {a}"'
    """
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if " " <= char <= "~":
        return char
    return f"\\U{ord(char):08X}"
