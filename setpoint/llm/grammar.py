"""GBNF that lets a model write plain words and this sheet's slots, and nothing else.

No digit and no foreign slot can be decoded. Which slots are *required* is left to the verifier on purpose: a
grammar that withholds the end until a slot has come makes a small model attach it anywhere.
"""

from __future__ import annotations

from setpoint.contracts import FactSheet

MAX_WORDS = 45
"""Words and slots in one sentence; the verifier bounds the whole text."""

_RULES = """\
root ::= sentence (" " sentence)? (" " sentence)?
sentence ::= item (joint item){{0,{words}}} "."
joint ::= [,;:]? " " | " - "
item ::= {items}
word ::= [A-Za-z] [A-Za-z]{{0,19}} (['-] [A-Za-z] [A-Za-z]{{0,19}}){{0,3}}
"""


def words_grammar(sheet: FactSheet, *, max_words: int = MAX_WORDS) -> str:
    """One to three sentences of words and `sheet`'s slots, rooted at `root`. Phrases are slots too: see
    `prompts.filling.whole_sheet`."""
    slots = [f'"{{{slot}}}"' for slot in dict.fromkeys(sheet.slots)]
    return _RULES.format(words=max_words - 1, items=" | ".join(["word", *slots]))
