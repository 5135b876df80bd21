"""The knowledge index in Qdrant: our corpus and the site's own manuals, found by words (and by meaning where an
embedding model is configured).

Embedded Qdrant admits one opener of a folder; a server (by URL) admits many.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from qdrant_client import QdrantClient, models

from knowledge.manuals import read_manual
from knowledge.runbooks import Section, corpus_hash, load_corpus
from knowledge.terms import Sparse, document_vector, load_glossary, query_vector
from setpoint.contracts import Passage
from setpoint.errors import BackendError, StoreLocked, UsageError

COLLECTION = "knowledge"
LEXICAL, DENSE = "words", "meaning"
LAYOUT = 2
"""Of points and payload: an index of another layout is built anew."""
OURS = "setpoint"
"""Origin of the passages of our own corpus."""
MEAN_TERMS = 47.0
"""Terms of a usual passage with its title twice, which BM25 measures length by. Fixed, so that a manual that comes or
goes changes no other passage's weights."""
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

    def __init__(self, client: QdrantClient, folder: Path, embed: Embed | None) -> None:
        self._client, self._folder, self._embed = client, folder, embed
        self._passages: dict[str, Passage] = {}

    @classmethod
    def open(
        cls, folder: Path, *, url: str = "", api_key: str | None = None, embed: Embed | None = None
    ) -> Index:
        """Open (and fill, where the corpus changed) the index. `folder` keeps the site's manuals too.

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
        index = cls(client, folder, embed)
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

    def search(self, query: str, limit: int = 6, sections: Sequence[str] = ()) -> list[Passage]:
        """The passages nearest to the query, best first; `sections` limits it to those."""
        words = query_vector(query, load_glossary())
        if not words.indices:
            return []
        wanted = _only(sections)
        if self._embed is None:
            found = self._client.query_points(
                COLLECTION, query=_vector(words), using=LEXICAL, query_filter=wanted, limit=limit
            )
        else:
            prefetch = [
                models.Prefetch(query=_vector(words), using=LEXICAL, filter=wanted, limit=4 * limit),
                models.Prefetch(query=self._embed([query])[0], using=DENSE, filter=wanted, limit=4 * limit),
            ]
            fusion = models.FusionQuery(fusion=models.Fusion.RRF)
            found = self._client.query_points(COLLECTION, prefetch=prefetch, query=fusion, limit=limit)
        return [self._passage(point) for point in found.points]

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
        self._passages = {passage.id: passage for passage in (*ours, *theirs)}
        corpus = {"layout": LAYOUT, "corpus": corpus_hash(sections), "dense": self._embed is not None}
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
        for number, (passage, text) in enumerate(zip(passages, texts, strict=True)):
            vector: dict[str, object] = {LEXICAL: _vector(document_vector(text, MEAN_TERMS))}
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
