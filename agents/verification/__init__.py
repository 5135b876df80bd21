"""Output must match input: nothing a model wrote is shown before it passed here.

`verify_answer` and `verify_words` look at words with unfilled slots, `verify_text` at finished text, `verify_citation` and
`verify_diagnosis` at what a root-cause analysis claims.
"""

from agents.verification.answers import verify_answer
from agents.verification.citation import verify_citation
from agents.verification.diagnosis import verify_diagnosis
from agents.verification.text import foreign_facts, verify_text
from agents.verification.words import Stance, verify_words

__all__ = [
    "Stance",
    "foreign_facts",
    "verify_answer",
    "verify_citation",
    "verify_diagnosis",
    "verify_text",
    "verify_words",
]
