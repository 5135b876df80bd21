"""Words to vectors: stems, numbers that keep their name, the glossary as lesser words."""

from __future__ import annotations

import pytest

from knowledge.terms import SYNONYM_WEIGHT, document_vector, load_glossary, query_vector, terms

GLOSSARY = {"gpu": ("card", "accelerator"), "fallen off the bus": ("vanished",)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The pumps failed", ["pump", "fail"]),
        ("XID 79", ["xid", "79", "xid79"]),
        ("is it not", []),
        ("batteries leaking", ["battery", "leak"]),
        ("class pass", ["class", "pass"]),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_one_word_in_all_its_forms_is_one_term() -> None:
    assert len({terms(word)[0] for word in ("throttle", "throttled", "throttling", "throttles")}) == 1


def test_a_synonym_counts_less_than_what_was_asked() -> None:
    asked = query_vector("card", GLOSSARY)
    assert sorted(asked.values) == [SYNONYM_WEIGHT, SYNONYM_WEIGHT, 1.0]
    assert len(query_vector("pump", GLOSSARY).indices) == 1


def test_a_phrase_of_the_glossary_needs_all_its_words() -> None:
    assert len(query_vector("off the bus it has fallen", GLOSSARY).indices) > 3
    assert len(query_vector("bus", GLOSSARY).indices) == 1


def test_a_rarer_word_of_a_shorter_text_weighs_more() -> None:
    short, long = document_vector("pump", 10.0), document_vector("pump " + "valve " * 30, 10.0)
    assert short.values[0] > long.values[0]


def test_nothing_asked_is_nothing() -> None:
    assert query_vector("the of and", GLOSSARY).indices == []
    assert document_vector("", 0.0).values == []


def test_the_shipped_glossary_is_words_for_words() -> None:
    glossary = load_glossary()
    assert len(glossary) >= 20
    assert all(way.strip() for ways in glossary.values() for way in ways)
