"""Texts to search with, each with the runbook sections that answer it, written by another hand (evals/texts)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from evals.registry import Split
from knowledge.runbooks import load_corpus
from setpoint.errors import ConfigError

TEXTS = Path(__file__).parents[2] / "texts"
_FILES = {"question": ("questions", "question"), "event text": ("event-texts", "text")}
"""By kind: file and the field that holds the text."""


@dataclass(frozen=True)
class Text:
    """One text and what answers it."""

    id: str
    kind: str
    text: str
    sections: tuple[str, ...]
    """Accepted ones, best first; none where nothing in the runbooks answers."""


def read_texts(split: Split | Literal["fresh"]) -> list[Text]:
    """Questions and event texts of one half, or those written after the glossary was frozen. Raises ConfigError for a section that is not in the corpus."""
    return [text for kind in _FILES for text in _read(kind, split)]


def _read(kind: str, split: str) -> Iterator[Text]:
    name, field = _FILES[kind]
    path = TEXTS / f"{name}-{split}.yaml"
    for item in yaml.safe_load(path.read_text("utf-8")):
        if unknown := set(item["sections"]) - load_corpus().keys():
            raise ConfigError(f"{item['id']}: no such section: {', '.join(sorted(unknown))}", where=path.name)
        yield Text(item["id"], kind, item[field], tuple(item["sections"]))
