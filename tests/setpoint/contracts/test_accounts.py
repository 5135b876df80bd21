"""Names of people, whatever anybody types."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.contracts.accounts import (
    HOLDS,
    LONGEST_NAME,
    NO_PERSON,
    ROLES,
    account_name,
    holds,
    same_person,
)
from setpoint.contracts.autonomy import is_person, plain_name
from setpoint.errors import UsageError

ANY = st.text(max_size=LONGEST_NAME * 2)
LETTERS = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ\u00e9\u00fc\u0141 .-'", min_size=1, max_size=40
)


def taken(name: str) -> str:
    try:
        return account_name(name)
    except UsageError:
        return ""


@given(ANY)
def test_any_text_is_a_name_or_refused_in_words(text: str) -> None:
    name = taken(text)
    if name:
        assert is_person(name)
        assert len(name) <= LONGEST_NAME
        assert name.isprintable()
        assert account_name(name) == name, "a kept name is taken as it is"
        assert same_person(name, text)
        assert plain_name(name) not in NO_PERSON


@given(
    LETTERS, st.sampled_from(["\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e"]), st.integers(0, 40)
)
def test_what_nobody_sees_makes_no_second_person(name: str, unseen: str, at: int) -> None:
    """Either it is refused, or it is the same person."""
    hidden = name[:at] + unseen + name[at:]
    assert taken(hidden) == "" or same_person(taken(hidden), name)


@given(LETTERS)
def test_case_width_and_blanks_make_no_second_person(name: str) -> None:
    if kept := taken(name):
        wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in kept)
        for spelling in (
            kept.upper(),
            f"  {kept} ",
            kept.replace(" ", "  "),
            wide,
            unicodedata.normalize("NFD", kept),
        ):
            assert same_person(spelling, kept)


@pytest.mark.parametrize("name", ["Ad\u0430 Lovelace", "\u0391da", "\u0410lan Turing"])
def test_letters_of_another_alphabet_that_look_alike_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="look alike"):
        account_name(name)


@pytest.mark.parametrize("name", ["\u0410\u0434\u0430 \u041b\u0430\u0432\u043b\u0435\u0439\u0441", "\u041c\u0430\u0440\u0438\u044f", "J\u00fcrgen M\u00fcller", "O'Neil, no", "\u5c71\u7530\u592a\u90ce", "\u3084\u307e\u3060 \u592a\u90ce"])  # fmt: skip
def test_names_of_every_script_are_taken(name: str) -> None:
    assert account_name(name.replace(",", "")) == name.replace(",", "")


@pytest.mark.parametrize("name", ["<b>Ada</b>", "Ada\nLovelace\x00", "a\u3164", "Ada\u034f", "x" * 65, "Ada; rm -rf", "ada\U0001f600"])  # fmt: skip
def test_what_is_no_letter_is_refused(name: str) -> None:
    assert taken(name) == ""


def test_an_admin_holds_neither_operator_nor_approver() -> None:
    assert HOLDS["admin"] == {"viewer", "admin"}
    assert [role for role in ROLES if holds(["approver"], role)] == ["viewer", "operator", "approver"]
    assert not any(holds([], role) for role in ROLES)
