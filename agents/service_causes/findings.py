"""What comes out: the answer on two levels, with evidence, order in time, and what was ruled out."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from setpoint.contracts.event import Frozen

Role = Literal["cause", "effect", "symptom", "change", "recovery", "unrelated", "context"]
Certainty = Literal["clear", "likely", "open"]
Standing = Literal["cause", "second cause", "effect", "possible", "eliminated"]


class Cited(Frozen):
    """One piece of evidence, with where it stands."""

    file: str
    place: str
    """Field path or line in the file."""
    quote: str
    """Name, numbers or words as the file has them."""
    text: str
    """One sentence for the operator."""
    time: datetime | None = None
    role: Role = "context"


class Candidate(Frozen):
    """One answer of the closed list and how it fared."""

    mode: str
    title: str
    category: str
    share: float = Field(ge=0.0, le=1.0)
    standing: Standing
    reason: str
    """Why it stands where it stands, in one sentence."""
    supports: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


class AnswerShare(Frozen):
    """One answer of the closed list that the case set, and how it fared."""

    answer: str
    meaning: str
    share: float = Field(ge=0.0, le=1.0)
    mode: str
    """The mode of our own list that speaks for it most; "unknown" where none does."""


class ServiceFindings(Frozen):
    """The conclusion on one case."""

    case: str
    alert: str
    question: str
    category: str
    """Broad answer, in the words of the closed list that was set."""
    mode: str
    """Specific answer, id of our own list."""
    title: str
    answer: str
    """The entry of the case's own closed list; the category where none was given."""
    share: float = Field(ge=0.0, le=1.0)
    certainty: Certainty
    conclusion: str
    """Some plain sentences: what, why, since when, how certain."""
    answers: tuple[AnswerShare, ...] = ()
    """The case's own closed list, most likely first; empty where its answers are those of our own list."""
    evidence: tuple[Cited, ...]
    order: tuple[Cited, ...]
    """What happened, oldest first."""
    candidates: tuple[Candidate, ...]
    """Most likely first."""
    second: str = ""
    """Mode of a further, independent cause."""
    missing: tuple[str, ...] = ()
    """What one would want to see and is not in the evidence."""
    quiet: tuple[str, ...] = ()
    """Series that stayed within their usual band."""
    check: str = ""
    """What to look at next."""
    problems: tuple[str, ...] = ()
    """Input that could not be used; it lowers confidence."""
    files: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    """Files and fields left unread because they state the answer."""

    @property
    def eliminated(self) -> tuple[Candidate, ...]:
        return tuple(c for c in self.candidates if c.standing in ("eliminated", "effect"))

    @property
    def cited_files(self) -> tuple[str, ...]:
        """Files that evidence or order of events quote."""
        return tuple(dict.fromkeys(cited.file for cited in (*self.evidence, *self.order)))
