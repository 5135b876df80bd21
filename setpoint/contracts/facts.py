"""Facts: the only source of numbers, names, units and times in anything an operator reads.

A model never writes a fact. It writes words and *slots* (`{asset}`, `{value}`, `{limit}` ...); code fills the
slots from the fact sheet. Where the model decodes under a grammar, only the slots of this sheet can be produced.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from setpoint.contracts.event import Frozen

FactKind = Literal[
    "asset",
    "place",
    "metric",
    "quantity",
    "limit",
    "count",
    "time",
    "duration",
    "code",
    "quote",
    "tenant",
    "name",
    "phrase",
]
"""`phrase`: words given to a model beside the facts (what happened, why it matters); see `prompts.filling`."""


class Fact(Frozen):
    """One value copied from evidence. `text` carries its unit ("92.4 C")."""

    slot: str = Field(pattern=r"^[a-z]+[0-9]?$")
    """Role name within the sheet: "asset", "value", "limit", "count", "asset2" ..."""
    kind: FactKind
    text: str
    evidence_id: str
    required: bool = False
    """The text must use it."""


class FactSheet(Frozen):
    """What may be said about one subject."""

    condition: str
    """What happened, a short noun phrase without facts ("coolant pump failed")."""
    facts: tuple[Fact, ...] = ()

    def fill(self, words: str) -> str:
        """`words` with each slot replaced by its fact's text. Raises KeyError on an unknown slot."""
        return words.format_map({fact.slot: fact.text for fact in self.facts})

    @property
    def slots(self) -> tuple[str, ...]:
        return tuple(fact.slot for fact in self.facts)


class Evidence(Frozen):
    """One observed thing with an id that claims can name."""

    id: str = Field(pattern=r"^E[0-9]+$")
    kind: Literal["event", "metric", "topology", "change", "history", "absence"]
    text: str
    """One readable sentence, complete with values, made by code."""
    source: str
    """Where it was read: event id, tool name and arguments."""
    sheet: FactSheet
    """The same sentence's facts, for a model that words it."""


class Passage(Frozen):
    """One piece of the knowledge base."""

    id: str
    """`section#heading`, e.g. "gpu-xid-79#steps"."""
    section: str
    title: str
    heading: str
    text: str
    score: float = 0.0
    origin: str = "setpoint"
    """"setpoint" for our corpus, else the manual's file name."""
    version: str = "1"


class Citation(Frozen):
    """A quoted place in a passage. `quote` must stand in the passage verbatim."""

    passage_id: str
    quote: str


class Verification(Frozen):
    """What the verifier found in one text."""

    ok: bool
    problems: tuple[str, ...] = ()
