"""The retrievers that the suite `retrieval` compares, each on a real index in a folder of its own for this process."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from evals.triage_data import data_dir
from knowledge.index import Embed, Index, Retriever
from knowledge.terms import PLAIN, Language, load_glossary, load_language, load_sayings
from setpoint.contracts import Passage
from setpoint.errors import SetpointError
from setpoint.llm.embedding import load_embedding
from setpoint.settings import load_settings

Way = Callable[[str, int], Sequence[Passage]]
"""From a text and how many passages to the passages found, best first."""
PRODUCT = "as shipped"
"""What Setpoint does without settings: BM25 of the runbooks' words, glossary and sayings."""
FOREIGN = "as shipped, beside foreign manuals"
MEANING, FUSED = "meaning alone", "words and meaning fused"
LANGUAGES: Mapping[str, Callable[[], Language]] = {
    "own words": lambda: PLAIN,
    "own words, glossary": lambda: Language(load_glossary(), {}),
    "own words, sayings": lambda: Language({}, load_sayings()),
    PRODUCT: load_language,
}
"""Lexical retrievers by what they know beside the runbooks' own words."""


def ways_of(data: Path | None) -> tuple[dict[str, Way], list[str]]:
    """Every retriever there is here, by name, and what is left out with its reason."""
    ways: dict[str, Way] = {name: partial(_by_words, name) for name in LANGUAGES}
    skipped: list[str] = []
    try:
        ways[FOREIGN] = partial(_among, _foreign_manuals(data))
    except SetpointError as error:
        skipped.append(f"{FOREIGN}: {error}")
    embedding = load_settings().settings.knowledge.embedding
    if embedding is None:
        skipped.append(
            f"{MEANING}, {FUSED}: no embedding model is set (knowledge.embedding); none is bundled"
        )
        return ways, skipped
    try:
        embed = load_embedding(embedding)
    except SetpointError as error:
        return ways, [*skipped, f"{MEANING}, {FUSED}: {error}"]
    return ways | with_meaning(embed), skipped


def shipped_index() -> Index:
    """The index as shipped, one for this process."""
    return _lexical(PRODUCT)


def with_meaning(embed: Embed) -> dict[str, Way]:
    """Retrieval by dense vectors, alone and fused with words."""
    index = _opened(_folder(), embed=embed)
    names: Mapping[str, Retriever] = {MEANING: "meaning", FUSED: "fused"}
    return {name: partial(_asked, index, retriever) for name, retriever in names.items()}


def _asked(index: Index, retriever: Retriever, text: str, limit: int) -> Sequence[Passage]:
    return index.search(text, limit, retriever=retriever)


def _by_words(name: str, text: str, limit: int) -> Sequence[Passage]:
    return _lexical(name).search(text, limit)


def _among(manuals: Path, text: str, limit: int) -> Sequence[Passage]:
    return _with_manuals(manuals).search(text, limit)


@cache
def _lexical(name: str) -> Index:
    return _opened(_folder(), language=LANGUAGES[name]())


@cache
def _with_manuals(manuals: Path) -> Index:
    """Ours and every manual of that folder, taken in as `setpoint knowledge add` does."""
    folder = _folder()
    shutil.copytree(manuals, folder / "manuals", ignore=shutil.ignore_patterns(".*"))
    return _opened(folder)


def _foreign_manuals(data: Path | None) -> Path:
    """Raises UsageError where the public data is not at hand."""
    return data_dir(data) / "runbooks"


def _opened(folder: Path, *, embed: Embed | None = None, language: Language | None = None) -> Index:
    index = Index.open(folder, embed=embed, language=language)
    atexit.register(index.close)
    return index


def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="setpoint-retrieval-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
