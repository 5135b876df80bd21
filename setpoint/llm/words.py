"""What goes into a model call and what comes out, apart from any runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class PromptText(Protocol):
    """The two texts of a rendered prompt."""

    @property
    def system(self) -> str: ...

    @property
    def user(self) -> str: ...


@dataclass(frozen=True)
class Words:
    """Raw words of a model, slots unfilled and unverified."""

    text: str
    tokens: int
    """Prompt and answer together: what a token budget counts."""
    seconds: float
    """Wall time, waiting for the model's turn included."""
