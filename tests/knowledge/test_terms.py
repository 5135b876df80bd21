"""Words to vectors: stems, numbers that keep their name, the glossary as lesser words."""

from __future__ import annotations

import pytest

from knowledge.runbooks import load_corpus
from knowledge.terms import (
    PLAIN,
    SYNONYM_WEIGHT,
    Language,
    document_vector,
    load_glossary,
    load_language,
    load_sayings,
    query_vector,
    terms,
)

GLOSSARY = {"gpu": ("card", "accelerator"), "fallen off the bus": ("vanished",)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The pumps failed", ["pump", "fail"]),
        ("XID 79", ["xid", "79", "xid79"]),
        ("is it not", []),
        ("batteries leaking", ["battery", "leak"]),
        ("class pass", ["class", "pass"]),
        ("gpu0307", ["gpu0307", "gpu"]),
        ("LinkDowned fan_speed", ["link", "down", "fan", "speed"]),
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
    short, long = (
        document_vector([("pump", 1.0)], 10.0),
        document_vector([("pump " + "valve " * 30, 1.0)], 10.0),
    )
    assert short.values[0] > long.values[0]


def test_a_lesser_field_counts_less_and_adds_to_the_text() -> None:
    def weight(*fields: tuple[str, float]) -> float:
        return document_vector(fields, 10.0).values[0]

    assert weight(("pump", 0.3)) < weight(("pump", 1.0)) < weight(("pump", 1.0), ("pump", 0.3))


def test_nothing_asked_is_nothing() -> None:
    assert query_vector("the of and", GLOSSARY).indices == []
    assert document_vector([("", 1.0)], 0.0).values == []


def test_the_shipped_glossary_is_words_for_words() -> None:
    glossary = load_glossary()
    assert len(glossary) >= 20
    assert all(way.strip() for ways in glossary.values() for way in ways)


def test_every_section_has_sayings_of_its_own() -> None:
    sayings = load_sayings()
    assert set(sayings) == set(load_corpus())
    assert all(said.count(".") >= 5 for said in sayings.values())
    assert len(set(sayings.values())) == len(sayings)


def test_another_language_has_another_digest() -> None:
    more = Language(PLAIN.glossary, {"pump-failure": "circulator dead"})
    assert len({PLAIN.digest, more.digest, load_language().digest}) == 3
