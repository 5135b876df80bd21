"""The index on real embedded Qdrant: found by words, manuals added and removed, one opener, rebuilt when stale."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from knowledge.index import Embed, Index
from knowledge.runbooks import load_corpus
from knowledge.terms import PLAIN, Language
from setpoint.errors import InputError, UsageError

REPOSITORY = Path(__file__).parents[2]
MANUAL = "# Quibble valve\nTurn the quibble valve clockwise before you bleed the loop.\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the index of the corpus. Building it takes seconds, so tests copy it."""
    folder = tmp_path_factory.mktemp("built")
    Index.open(folder).close()
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "index"))


@pytest.fixture(scope="module")
def shipped(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """The corpus alone. Tests only read it."""
    index = Index.open(Path(shutil.copytree(built, tmp_path_factory.mktemp("shipped") / "index")))
    yield index
    index.close()


@pytest.mark.parametrize(
    ("question", "section"),
    [
        ("GPU has fallen off the bus", "gpu-off-bus"),
        ("XID 79", "gpu-off-bus"),
        ("the card vanished", "gpu-off-bus"),
        ("coolant pump tripped", "pump-failure"),
        ("leak rope wet in a rack", "leak-rack"),
        ("KV cache nearly full, preemptions", "kv-cache-pressure"),
        ("link goes up and down all the time", "ib-link-flap"),
        ("smoke alarm in the hall", "fire-smoke"),
    ],
)
def test_an_operators_words_find_the_runbook(shipped: Index, question: str, section: str) -> None:
    assert section in [passage.section for passage in shipped.search(question, 6)]


def test_results_come_best_first_and_no_more_than_asked(shipped: Index) -> None:
    found = shipped.search("coolant pump failed", 3)
    assert len(found) == 3
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_a_search_can_be_held_to_sections(shipped: Index) -> None:
    found = shipped.search("coolant pump failed", 6, sections=["leak-rack"])
    assert {passage.section for passage in found} == {"leak-rack"}


@pytest.mark.parametrize(
    "question",
    ["what is for lunch in the canteen", "recommend a film for the weekend", "who won the match yesterday"],
)
def test_what_no_runbook_answers_finds_nothing(shipped: Index, question: str) -> None:
    assert shipped.search(question) == []
    assert len(shipped.search(f"{question}, or a film about pumps", 3, nearest=True)) == 3


@pytest.mark.parametrize("word", ["pump", "smoke", "UPS", "coolant leak"])
def test_one_common_word_is_enough_where_it_is_all_that_was_asked(shipped: Index, word: str) -> None:
    assert shipped.search(word) != []


def test_nothing_asked_finds_nothing(shipped: Index) -> None:
    assert shipped.search("of the", 6) == []


def test_a_step_is_found_in_its_passage(shipped: Index) -> None:
    passage = shipped.passage("pump-failure#steps/2")
    assert passage is not None
    assert "Start the standby pump" in passage.text
    assert shipped.passage("no-such#steps/1") is None


def test_every_section_is_listed(shipped: Index) -> None:
    assert {document.id for document in shipped.documents()} == set(load_corpus())
    assert all(document.origin == "setpoint" for document in shipped.documents())


def test_a_manual_is_found_after_a_restart_and_gone_after_removal(folder: Path, tmp_path: Path) -> None:
    manual = tmp_path / "valves.md"
    manual.write_text(MANUAL)
    index = Index.open(folder)
    assert index.add(manual) == 1
    index.close()
    manual.unlink()
    index = Index.open(folder)
    assert index.search("quibble valve")[0].origin == "valves.md"
    assert "gpu-off-bus" in [passage.section for passage in index.search("XID 79")]
    index.remove("valves.md")
    assert "valves.md" not in [passage.origin for passage in index.search("quibble valve")]
    index.close()


def test_a_mended_manual_takes_the_place_of_the_old(folder: Path, tmp_path: Path) -> None:
    """Of the same length, too: the content counts."""
    manual = tmp_path / "valves.md"
    index = Index.open(folder)
    for word in ("quibble", "quabble"):
        manual.write_text(MANUAL.replace("quibble", word))
        index.add(manual)
    assert "valves.md" in [passage.origin for passage in index.search("quabble")]
    assert index.search("quibble valve clockwise")[0].text.startswith("Turn the quabble")
    index.close()


def test_a_manual_named_like_a_section_leaves_the_section_alone(folder: Path, tmp_path: Path) -> None:
    manual = tmp_path / "pump-failure.md"
    manual.write_text("# Steps\nHit it.\n")
    index = Index.open(folder)
    index.add(manual)
    passage = index.passage("pump-failure#steps/2")
    assert passage is not None
    assert passage.origin == "setpoint"
    index.close()


def test_a_bad_manual_changes_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.pdf").write_bytes(b"nothing of a pdf")
    index = Index.open(folder)
    with pytest.raises(InputError, match=r"bad\.pdf"):
        index.add(tmp_path / "bad.pdf")
    with pytest.raises(UsageError, match="no manual named"):
        index.remove("bad.pdf")
    assert len(index.documents()) == len(load_corpus())
    index.close()


def test_a_name_with_a_path_cannot_leave_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.md").write_text("keep")
    index = Index.open(folder)
    with pytest.raises(UsageError):
        index.remove("../../precious.md")
    assert (tmp_path / "precious.md").exists()
    index.close()


def test_the_embedded_index_has_one_opener(folder: Path) -> None:
    """A second process is told who may talk to it. In a process of its own: the client leaves its lock file open."""
    index = Index.open(folder)
    code = "import sys; from pathlib import Path; from knowledge.index import Index; Index.open(Path(sys.argv[1]))"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, cwd=REPOSITORY
    )
    index.close()
    assert ran.returncode != 0
    assert "StoreLocked" in ran.stderr
    assert "Talk to the running `setpoint serve`" in ran.stderr


def test_sayings_lead_to_their_section_and_a_changed_language_builds_the_index_anew(folder: Path) -> None:
    said = Language({}, {"pump-failure": "the gurgler went quiet"})
    for language, found in ((PLAIN, False), (said, True), (PLAIN, False)):
        index = Index.open(folder, language=language)
        sections = [passage.section for passage in index.search("gurgler quiet")]
        index.close()
        assert ("pump-failure" in sections) == found


def test_a_retriever_can_be_asked_alone(tmp_path: Path) -> None:
    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] if "leak" in text.lower() else [0.0, 1.0] for text in texts]

    index = Index.open(tmp_path, embed=embed)
    by_words = index.search("pump leak", 4, retriever="words")
    by_meaning = index.search("pump leak", 4, retriever="meaning")
    index.close()
    assert any("leak" not in f"{one.title} {one.text}".lower() for one in by_words)
    assert all("leak" in f"{one.title} {one.text}".lower() for one in by_meaning)


def test_an_embedding_does_not_make_the_index_answer_what_nothing_answers(tmp_path: Path) -> None:
    index = Index.open(tmp_path, embed=lambda texts: [[1.0, 0.0] for _ in texts])
    lunch, pump = (
        index.search(text, 4) for text in ("what is for lunch in the canteen", "coolant pump failed")
    )
    index.close()
    assert lunch == []
    assert pump


def test_another_embedding_model_has_all_vectors_made_anew(tmp_path: Path) -> None:
    """Another size, too: what the first model left could not even be searched."""
    asked: list[int] = []

    def embed(size: int) -> Embed:
        def vectors(texts: Sequence[str]) -> list[list[float]]:
            asked.append(len(texts))
            return [[1.0] * size for _ in texts]

        return vectors

    for size in (2, 2, 3):
        index = Index.open(tmp_path, embed=embed(size))
        assert index.search("coolant pump failed", 4, retriever="meaning")
        index.close()
    assert sum(texts > 100 for texts in asked) == 2


def test_meaning_joins_words_where_an_embedding_is_given(tmp_path: Path) -> None:
    """A stand-in embedding of two directions: everything about condensation, and the rest."""

    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] if "ondensation" in text or "dripping" in text else [0.0, 1.0] for text in texts]

    index = Index.open(tmp_path, embed=embed)
    found = index.search("dripping", 4)
    index.close()
    assert any("ondensation" in f"{passage.title} {passage.text}" for passage in found)
