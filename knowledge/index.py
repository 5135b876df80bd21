"""The knowledge index in Qdrant: our corpus and the site's own manuals, found by words (and by meaning where an
embedding model is configured). A search that nothing answers finds nothing.

Embedded Qdrant admits one opener of a folder; a server (by URL) admits many.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qdrant_client import QdrantClient, models

from knowledge.causes import load_causes
from knowledge.manuals import read_manual
from knowledge.runbooks import Section, corpus_hash, load_corpus
from knowledge.terms import Language, Sparse, document_vector, load_language, query_vector, terms
from setpoint.contracts import Passage
from setpoint.errors import BackendError, StoreLocked, UsageError

COLLECTION = "knowledge"
LEXICAL, DENSE = "words", "meaning"
LAYOUT = 3
"""Of points and payload: an index of another layout is built anew."""
OURS = "setpoint"
"""Origin of the passages of our own corpus."""
MEAN_TERMS, MEAN_MANUAL_TERMS = 135.0, 47.0
"""Weighted terms of a usual passage of ours and of a manual, which BM25 measures length by. Fixed, so that a manual that
comes or goes changes no other passage's weights."""
TITLE, TAGS, SAID, CAUSE, REST = 2.0, 1.0, 1.0, 0.5, 0.3
"""How much a word counts outside the passage's own text (1.0): in the title and tags of its section, in the ways people
ask for it, in the causes it is the first guide to, and in the other passages of the section."""
KNOWN_SHARE = 0.75
"""Where the runbooks use more than this share of the words asked, a passage answers however low its score."""
Retriever = Literal["fused", "words", "meaning"]
"""fused: by words, and by meaning where there is an embedding model."""
_NOT_OURS = models.Filter(must_not=[models.FieldCondition(key="origin", match=models.MatchValue(value=OURS))])
Embed = Callable[[Sequence[str]], list[list[float]]]


_ROOM = "Free some space, and check owner and mode of the folder; what it holds is built again"


@dataclass(frozen=True)
class Document:
    """One entry of `setpoint knowledge list`."""

    id: str
    title: str
    origin: str
    passages: int


class Index:
    """Search over passages. Build it with `Index.open`."""

    def __init__(self, client: QdrantClient, folder: Path, embed: Embed | None, language: Language) -> None:
        self._client, self._folder, self._embed, self._language = client, folder, embed, language
        self._passages: dict[str, Passage] = {}
        self._known: frozenset[str] | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        url: str = "",
        api_key: str | None = None,
        embed: Embed | None = None,
        language: Language | None = None,
    ) -> Index:
        """Open (and fill, where the corpus changed) the index. `folder` keeps the site's manuals too;
        `language` is the shipped one where none is given.

        Raises StoreLocked where another process has the embedded index, BackendError where a server is not reached.
        """
        folder.mkdir(parents=True, exist_ok=True)
        try:
            client = (
                QdrantClient(url=url, api_key=api_key) if url else QdrantClient(path=str(folder / "qdrant"))
            )
        except RuntimeError as error:
            remedy = "Talk to the running `setpoint serve`, or set knowledge.url to a Qdrant server"
            raise StoreLocked(
                "the index is open in another process", where=str(folder), remedy=remedy
            ) from error
        index = cls(client, folder, embed, language or load_language())
        try:
            index._refresh()
        except sqlite3.Error as error:  # the embedded index keeps its points in SQLite
            index.close()
            raise BackendError(
                f"the index cannot be written: {error}", where=str(folder), remedy=_ROOM
            ) from error
        except (OSError, models_errors()) as error:
            index.close()
            raise BackendError(
                f"the Qdrant server does not answer: {error}", where=url or str(folder)
            ) from error
        return index

    def close(self) -> None:
        self._client.close()

    def search(
        self,
        query: str,
        limit: int = 6,
        sections: Sequence[str] = (),
        *,
        nearest: bool = False,
        retriever: Retriever = "fused",
    ) -> list[Passage]:
        """The passages nearest to the query, best first, or none where nothing answers it. `sections` limits it to
        those; with them, or with `nearest`, there is no asking whether they answer. That is told by words alone: scores
        of embedding models have no common scale; `meaning` alone therefore always finds something."""
        words = query_vector(query, self._language.glossary)
        if not words.indices:
            return []
        wanted = _only(sections)
        if self._embed is not None and retriever == "meaning":
            return self._query(self._embed([query])[0], limit, wanted, using=DENSE)
        points = self._query(_vector(words), limit, wanted, using=LEXICAL)
        if not (sections or nearest or (points and self._answers(query, points[0]))):
            return []
        if self._embed is None or retriever == "words":
            return points
        meaning = self._embed([query])[0]
        by_words = models.Prefetch(query=_vector(words), using=LEXICAL, filter=wanted, limit=4 * limit)
        by_meaning = models.Prefetch(query=meaning, using=DENSE, filter=wanted, limit=4 * limit)
        found = self._client.query_points(
            COLLECTION,
            prefetch=[by_words, by_meaning],
            query=models.FusionQuery(fusion=models.Fusion.RRF),
            limit=limit,
        )
        return [self._passage(point) for point in found.points]

    def _query(
        self,
        query: models.SparseVector | list[float],
        limit: int,
        wanted: models.Filter | None,
        *,
        using: str,
    ) -> list[Passage]:
        found = self._client.query_points(
            COLLECTION, query=query, using=using, query_filter=wanted, limit=limit
        )
        return [self._passage(point) for point in found.points]

    def _answers(self, query: str, best: Passage) -> bool:
        """Whether the best passage is about what was asked: it scores as much as a word that stands in one passage
        alone, or the question is in the runbooks' words. Set on everyday questions, of which one in six still finds something,
        and on the dev half of evals/texts."""
        if best.score >= math.log(1 + len(self._passages)):
            return True
        asked = set(terms(query))
        return len(asked & self._vocabulary()) > KNOWN_SHARE * len(asked)

    def _vocabulary(self) -> frozenset[str]:
        """Every word that a passage is found by; made when it is first needed, and again after a manual came or went."""
        if self._known is None:
            fields = (text for passage in self._passages.values() for text, _ in self._fields(passage))
            self._known = frozenset(term for text in set(fields) for term in terms(text))
        return self._known

    def passage(self, passage_id: str) -> Passage | None:
        """A passage by id; a step's id (`x#steps/3`) finds the passage it stands in."""
        return self._passages.get(passage_id.split("/")[0])

    def documents(self) -> list[Document]:
        """Every section and manual."""
        by_section: dict[str, list[Passage]] = {}
        for passage in self._passages.values():
            by_section.setdefault(passage.section, []).append(passage)
        return [Document(key, ps[0].title, ps[0].origin, len(ps)) for key, ps in sorted(by_section.items())]

    def add(self, path: Path) -> int:
        """Take a manual (Markdown, HTML, PDF) into the index. Returns how many passages it gave."""
        passages = read_manual(path)
        manuals = self._folder / "manuals"
        manuals.mkdir(exist_ok=True)
        if path.resolve().parent != manuals.resolve():
            shutil.copyfile(path, manuals / path.name)
        self._refresh()
        return len(passages)

    def remove(self, name: str) -> None:
        """Drop a manual by its file name. Raises UsageError where there is none."""
        path = self._folder / "manuals" / Path(name).name
        if not path.is_file():
            raise UsageError(
                f"no manual named {name!r}", remedy="`setpoint knowledge list` shows what there is"
            )
        path.unlink()
        self._refresh()

    def _refresh(self) -> None:
        """Read what should be in the index, and put in what it does not hold yet: all of it where the corpus changed,
        the manuals alone where only they did."""
        sections = load_corpus()
        manuals = sorted(path for path in (self._folder / "manuals").glob("*") if path.is_file())
        ours = _corpus_passages(sections.values())
        theirs = [passage for path in manuals for passage in read_manual(path)]
        self._passages, self._known = {passage.id: passage for passage in (*ours, *theirs)}, None
        corpus = {
            "layout": LAYOUT,
            "corpus": corpus_hash(sections),
            "language": self._language.digest,
            "dense": self._embedding(),
        }
        stamp = corpus | {
            "manuals": [[path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in manuals]
        }
        marker = self._folder / "index.json"
        known = json.loads(marker.read_text()) if marker.is_file() else {}
        if known == stamp and self._client.collection_exists(COLLECTION):
            return
        if known | corpus != known or not self._client.collection_exists(COLLECTION):
            self._create(ours)
            self._put(ours)
        else:
            self._client.delete(COLLECTION, models.FilterSelector(filter=_NOT_OURS))
        self._put(theirs)
        marker.write_text(json.dumps(stamp))

    def _embedding(self) -> str:
        """Which embedding model made the vectors, told by what it makes of one text; "" without one. Vectors of another
        model would have other directions, and often another size."""
        if self._embed is None:
            return ""
        vector = [round(value, 3) for value in self._embed(["coolant pump failed"])[0]]
        return hashlib.sha256(repr(vector).encode()).hexdigest()[:16]

    def _create(self, passages: Sequence[Passage]) -> None:
        """An empty collection in place of whatever there was."""
        if self._client.collection_exists(COLLECTION):
            self._client.delete_collection(COLLECTION)
        size = len(self._embed([_searchable(passages[0])])[0]) if self._embed else 0
        self._client.create_collection(
            COLLECTION,
            vectors_config={DENSE: models.VectorParams(size=size, distance=models.Distance.COSINE)}
            if size
            else {},
            sparse_vectors_config={LEXICAL: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )

    def _put(self, passages: Sequence[Passage]) -> None:
        texts = [_searchable(passage) for passage in passages]
        dense = self._embed(texts) if self._embed and texts else []
        points = []
        for number, passage in enumerate(passages):
            mean = MEAN_TERMS if passage.origin == OURS else MEAN_MANUAL_TERMS
            vector: dict[str, object] = {LEXICAL: _vector(document_vector(self._fields(passage), mean))}
            if dense:
                vector[DENSE] = dense[number]
            payload = {"id": passage.id, "section": passage.section, "origin": passage.origin}
            key = str(uuid.uuid5(uuid.NAMESPACE_URL, passage.id))
            points.append(models.PointStruct(id=key, vector=vector, payload=payload))
        # Embedded, each point is a transaction of its own: only the last one waits for the disk, and it takes the
        # others with it. What a power cut spoils before that has no marker yet and is built again.
        self._wait_for_disk(False)
        self._client.upload_points(COLLECTION, points[:-1], batch_size=256, wait=True)
        self._wait_for_disk(True)
        self._client.upload_points(COLLECTION, points[-1:], wait=True)

    def _fields(self, passage: Passage) -> list[tuple[str, float]]:
        """What a passage is found by, and how much each text counts."""
        fields = [(passage.text, 1.0), (passage.title, TITLE)]
        if passage.origin != OURS:
            return fields
        section = load_corpus()[passage.section]
        rest = " ".join(text for heading, text in section.parts.items() if heading != passage.heading)
        first_guide_to = [
            f"{cause.title}. {cause.meaning}"
            for cause in load_causes().values()
            if cause.sections[:1] == (section.id,)
        ]
        said = self._language.sayings.get(section.id, "")
        return [
            *fields,
            (" ".join(section.tags), TAGS),
            (said, SAID),
            (" ".join(first_guide_to), CAUSE),
            (rest, REST),
        ]

    def _wait_for_disk(self, wait: bool) -> None:
        """SQLite's `synchronous` of an embedded collection; a server has no such thing."""
        collections = getattr(getattr(self._client, "_client", None), "collections", {})
        storage = getattr(getattr(collections.get(COLLECTION), "storage", None), "storage", None)
        if isinstance(storage, sqlite3.Connection):
            storage.execute(f"PRAGMA synchronous = {'FULL' if wait else 'OFF'}")

    def _passage(self, point: models.ScoredPoint) -> Passage:
        found = self._passages[(point.payload or {})["id"]]
        return found.model_copy(update={"score": round(float(point.score), 4)})


def models_errors() -> type[Exception]:
    """What the client raises where a server is not reached."""
    from qdrant_client.http.exceptions import ResponseHandlingException

    return ResponseHandlingException


def _corpus_passages(sections: Iterable[Section]) -> list[Passage]:
    return [passage for section in sections for passage in section.passages()]


def _searchable(passage: Passage) -> str:
    """The title counts with every passage of its section."""
    return f"{passage.title}\n{passage.title}\n{passage.text}"


def _vector(sparse: Sparse) -> models.SparseVector:
    return models.SparseVector(indices=sparse.indices, values=sparse.values)


def _only(sections: Sequence[str]) -> models.Filter | None:
    if not sections:
        return None
    return models.Filter(
        must=[models.FieldCondition(key="section", match=models.MatchAny(any=list(sections)))]
    )
