"""A person says one of an incident's texts better: at the desk, on the command line, up to a signed set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from setpoint.app.desk import DESK
from setpoint.app.opening import make_desk
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from setpoint.settings import Settings
from tests.setpoint.app.terminal import Terminal
from tests.setpoint.learning.corrected import better, open_ledger, put_incident, site

ONE = "INC-0000"
GOOD = "cdu-1-pump-a: coolant pump failed since 03:14:07 CET, coolant flow 40 lpm against 60 lpm."


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path, 2) as made:
        yield made


@pytest.fixture
def call(ledger: Ledger, tmp_path: Path) -> Any:
    settings = Settings.model_validate(
        {"store": {"dir": tmp_path}, "models": {"light": {"kind": "none"}, "heavy": {"kind": "none"}}}
    )
    desk = make_desk(settings, site(), ledger)

    def run(name: str, **arguments: Any) -> Any:
        result = DESK[name](desk, **arguments)
        json.dumps(result)
        return result

    return run


def correct(call: Any, text: str, part: str = "alert", **more: Any) -> Any:
    return call(
        "incidents_correct", id=ONE, field="text", value=text, who="ada", why="place first", part=part, **more
    )


def test_the_better_text_stands_where_the_old_one_stood(call: Any) -> None:
    assert correct(call, GOOD)["field"] == "wording"
    texts = {one["part"]: one for one in call("incidents_texts_list", id=ONE)}
    assert texts["alert"] == {"part": "alert", "text": GOOD, "written_by": "corrected by ada"}
    assert texts["summary"]["written_by"] == "setpoint-small"


def test_what_to_do_first_stays_the_runbooks(call: Any, ledger: Ledger) -> None:
    plain = put_incident(ledger, 7, model=False)
    before = ledger.last_notice(plain)
    call(
        "incidents_correct",
        id=plain,
        field="text",
        value="coolant pump failed on cdu-1-pump-a.",
        who="ada",
        why="short",
        part="alert",
    )
    after = ledger.last_notice(plain)
    assert before is not None
    assert after is not None
    assert after.text.startswith("coolant pump failed on cdu-1-pump-a.")
    assert after.text.partition("\nFirst: ")[2] == before.text.partition("\nFirst: ")[2]
    (item,) = ledger.list_feedback(subject=plain)
    assert isinstance(item.proposed, dict)
    inputs: Any = item.proposed["inputs"]
    assert inputs["sheet"]["condition"] == "coolant pump failed", (
        "what the template said is known to learn from"
    )


def test_a_template_corrected_twice_keeps_what_it_was_written_from(call: Any, ledger: Ledger) -> None:
    plain = put_incident(ledger, 8, model=False)
    for text in ("cdu-1-pump-a: coolant pump failed since 11:14.", "cdu-1-pump-a, coolant pump failed."):
        call("incidents_correct", id=plain, field="text", value=text, who="ada", why="short", part="alert")
    first, second = (one.proposed for one in ledger.list_feedback(subject=plain))
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["inputs"] == second["inputs"] != {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cdu-1-pmp-a: coolant pump failed.", "'cdu-1-pmp-a'"),
        ("cdu-1-pump-a: coolant pump failed, flow 44 lpm.", "'44 lpm'"),
        ("cdu-1-pump-a: coolant pump failed at 03:15.", "'03:15'"),
        ("cdu-1-pump-a: coolant pump failed, three racks are hot.", "'three'"),
        ("cdu-1-pump-a: coolant pump failed, like feed-b.", "'feed-b'"),
        ("cdu-1-pump-a: coolant pump failed, 40 kW lost.", "'40 kW'"),
    ],
)
def test_a_fact_that_the_incident_has_not_is_refused_by_name(
    call: Any, ledger: Ledger, text: str, names: str
) -> None:
    with pytest.raises(UsageError, match="does not know") as refused:
        correct(call, text)
    assert names in str(refused.value)
    assert ledger.list_feedback(subject=ONE) == []


@pytest.mark.parametrize(
    ("text", "part", "words"),
    [
        (GOOD, "", "say which text"),
        (GOOD, "title", "no text is called 'title'"),
        (GOOD, "step-9", "has no step 9"),
        ("word " * 200, "alert", "at most 600"),
        ("coolant \u202epump failed.", "alert", "nobody sees"),
    ],
)
def test_what_cannot_be_corrected_is_told(call: Any, text: str, part: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        correct(call, text, part)


def test_the_same_words_again_are_no_correction(call: Any, ledger: Ledger) -> None:
    now = next(one for one in ledger.list_texts(ONE) if one.part == "alert")
    with pytest.raises(UsageError, match="reads already"):
        correct(call, f" {now.text} ")


def test_other_fields_have_no_parts_and_a_correction_needs_a_reason(call: Any) -> None:
    with pytest.raises(UsageError, match="has no parts"):
        call("incidents_correct", id=ONE, field="priority", value="P1", who="ada", why="x", part="alert")
    with pytest.raises(UsageError, match="needs a reason"):
        call("incidents_correct", id=ONE, field="text", value=GOOD, who="ada", why=" ", part="alert")


def test_from_a_correction_to_a_signed_set_and_the_record(call: Any, ledger: Ledger, tmp_path: Path) -> None:
    correct(call, better(ledger, ONE))
    ledger.set_state("INC-0001", "closed", "bob", "done")
    told = call("learning_prepare", who="mira")
    assert [(one["kind"], one["task"]) for one in told["lessons"]] == [
        ("edit", "alert"), ("approve", "summary"), ("approve", "step"),
    ]  # fmt: skip
    assert told["proposals"] == []
    assert call("learning_sign", who="mira", why="read all")["state"] == "signed"
    shown = call("learning_show")
    assert shown["set"]["signature"]["who"] == "mira"
    assert shown["waiting"] == {"edited": 1, "unchanged": 3, "rejected": 0}
    kinds = {row["kind"]: row for row in shown["kinds"]}
    alert = kinds["alert"]
    assert (alert["shown"], alert["unchanged"], alert["edited"], alert["share"]) == (2, 1, 1, 0.5)
    assert 0.0 < alert["low"] < 0.5 < alert["high"] < 1.0
    assert kinds["summary"]["unchanged"] == 1
    assert kinds["priority"]["unchanged"] == 1
    assert shown["models"]["in_service"]["name"] == "bundled"


def test_the_command_line_does_the_whole_of_it(terminal: Terminal) -> None:
    store = terminal.folder / "store"
    store.mkdir()
    with open_ledger(store, 1) as made:
        text = better(made, ONE)
    kept = ("--store", str(store))
    done = terminal(
        "incidents", "correct", ONE, "text", text, "--part", "alert", "--why", "place first", *kept
    )
    assert done.code == 0, done.err
    assert "corrected by ana" in terminal("incidents", "show", ONE, *kept).out
    wrong = terminal(
        "incidents", "correct", ONE, "text", text.replace("40", "41"), "--part", "alert", "--why", "x", *kept
    )
    assert wrong.code == 2
    assert "41 lpm" in wrong.err
    assert terminal("learn", "prepare", "--sign", "--why", "x", *kept).code == 2, (
        "there is nothing to sign yet"
    )
    told = terminal("learn", "prepare", *kept)
    assert "1 lesson in" in told.out
    assert "nobody has signed it" in told.out
    signed = terminal("learn", "prepare", "--sign", "--as", "mira", "--why", "read it", *kept)
    assert "signed by mira" in signed.out
    status = terminal("learn", "status", *kept)
    assert "signed by mira" in status.out
    data = terminal("learn", "status", "--json", *kept).data
    assert data["set"]["state"] == "signed"
    assert data["kinds"][0]["edited"] == 1
