"""The words grammar: it compiles for any sheet and lets nothing through but words and this sheet's slots."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompts import AlertInput, whole_sheet
from setpoint.contracts import Fact, FactSheet
from setpoint.llm import BUNDLED, words_grammar
from setpoint.llm.chat_model import LlamaChat

SLOTS = ("asset", "asset2", "value", "limit", "count", "time", "code", "place", "x")


def sheet_of(condition: str, slots: list[str]) -> FactSheet:
    facts = tuple(Fact(slot=slot, kind="name", text="x", evidence_id="e") for slot in slots)
    return FactSheet(condition=condition, facts=facts)


sheets = st.builds(
    sheet_of,
    # Conditions are words of rule files: any letters and signs, but no control or unassigned code points.
    st.text(st.characters(exclude_categories=("C",)), max_size=60)
    | st.sampled_from(["coolant pump failed", 'XID 79 "off the bus"', "a\\b [x] ::= {y}\n"]),
    st.lists(st.sampled_from(SLOTS), max_size=6, unique=True),
)


def foreign(text: str, sheet: FactSheet, *, cut: bool = False) -> str:
    """What is left of `text` when slots and plain words are taken out. A reply that was `cut` at its token limit may end
    inside a slot."""
    slots = [f"{{{slot}}}" for slot in sheet.slots]
    for slot in slots:
        text = text.replace(slot, "")
    if cut:
        begun = {slot[:length] for slot in slots for length in range(1, len(slot))}
        end = max((part for part in begun if text.endswith(part)), key=len, default="")
        text = text[: len(text) - len(end)]
    return re.sub(r"[A-Za-z ,.;:'-]", "", text)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sheet=sheets, seed=st.integers(0, 2**16))
def test_every_sheet_compiles_and_only_its_slots_come_out(
    tiny: LlamaChat, sheet: FactSheet, seed: int
) -> None:
    reply = tiny.invoke("hello", grammar=words_grammar(sheet), temperature=1.5, seed=seed, max_tokens=120)
    assert foreign(str(reply.content), sheet, cut=reply.response_metadata["finish_reason"] == "length") == ""


def test_the_end_is_a_full_stop_and_sentences_are_bounded(tiny: LlamaChat) -> None:
    grammar = words_grammar(sheet_of("pump failed", ["asset"]), max_words=6)
    for seed in range(10):
        reply = tiny.invoke("hello", grammar=grammar, temperature=1.5, seed=seed, max_tokens=450)
        text = str(reply.content)
        if reply.response_metadata["finish_reason"] == "stop":
            assert text.endswith(".")
        assert all(len(sentence.split()) <= 6 for sentence in text.split(". "))


def test_phrases_are_slots_and_never_spelled() -> None:
    inputs = AlertInput("P1", sheet_of('GPU lost (XID 79) "now".', ["asset"]), todo="Drain the node.")
    grammar = words_grammar(whole_sheet(inputs))
    assert all(f'"{{{slot}}}"' in grammar for slot in ("what", "first", "asset"))
    assert "GPU" not in grammar
    assert "rain" not in grammar


@pytest.mark.skipif(not BUNDLED.is_file(), reason="the bundled model is not in this checkout")
def test_the_bundled_model_stays_inside(tmp_path: Path) -> None:
    chat = LlamaChat(path=BUNDLED, max_tokens=80)
    sheet = sheet_of("coolant pump failed", ["asset", "value", "limit"])
    for seed in range(5):
        text = str(chat.invoke("alert", grammar=words_grammar(sheet), temperature=1.0, seed=seed).content)
        assert foreign(text, sheet) == ""
    chat.close()
