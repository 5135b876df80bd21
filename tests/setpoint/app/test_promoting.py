"""Into service and back: what promotes, what is refused, and what stands in the audit chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import JsonValue

from setpoint.app.promoting import HELD, PROMOTED, ROLLED_BACK, TRAINED, Workshop
from setpoint.errors import ActionRefused, UsageError
from setpoint.learning.gate import Gate, write_gate
from setpoint.ledger import Ledger
from setpoint.llm import BUNDLED, Registry
from tests.setpoint.app.terminal import Terminal

pytestmark = pytest.mark.skipif(not BUNDLED.is_file(), reason="the bundled model is not in this checkout")
NAME = "autumn"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    """With one candidate that differs from the shipped file in its last bytes only."""
    registry = Registry(tmp_path / "models")
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(BUNDLED.read_bytes() + b"candidate")
    registry.add(NAME, copy, {})
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield Workshop(registry, ledger, tmp_path / "learning", tmp_path / "work")


def train(shop: Workshop, *, signed: bool = True) -> None:
    """The row that training leaves."""
    origin: JsonValue = {"signed_by": "ada"} if signed else {"trial": "lessons.jsonl"}
    shop.ledger.audit(
        "ada", TRAINED, f"model:{NAME}", {"sha256": shop.registry.entry(NAME).sha256, "origin": origin}
    )


def hold(shop: Workshop, *refused: str, row: bool = True) -> None:
    """What the gate leaves: its file, and its row."""
    other = shop.in_service
    gate = Gate(
        NAME,
        shop.registry.entry(NAME).sha256,
        other.name,
        other.sha256,
        datetime.now(UTC).isoformat(),
        (),
        refused,
    )
    write_gate(shop.registry.folder_of(NAME), gate)
    if row:
        data: JsonValue = {"sha256": gate.sha256, "against": gate.against_sha256, "passed": gate.passed}
        shop.ledger.audit("ada", HELD, f"model:{NAME}", data)


def words_of(shop: Workshop) -> list[str]:
    return [row.what for row in shop.ledger.list_audit()]


def test_in_service_and_back(shop: Workshop) -> None:
    train(shop)
    hold(shop)
    made = shop.promote(NAME, "ada", "reads as we write")
    assert (made.name, made.sha256) == (NAME, shop.registry.entry(NAME).sha256)
    assert shop.in_service.name == NAME
    assert shop.rollback("ben", "garbles rack names").name == "bundled"
    assert words_of(shop) == [TRAINED, HELD, PROMOTED, ROLLED_BACK]
    last = shop.ledger.list_audit()[-1]
    assert isinstance(last.data, dict)
    assert (last.who, last.data["before_name"], last.data["why"]) == ("ben", NAME, "garbles rack names")


def test_nothing_is_promoted_without_the_gate(shop: Workshop) -> None:
    train(shop)
    with pytest.raises(ActionRefused, match="has not looked at this candidate"):
        shop.promote(NAME, "ada", "why not")
    assert shop.in_service.name == "bundled"


def test_what_the_gate_refused_stays_out(shop: Workshop) -> None:
    train(shop)
    hold(shop, "alerts fall")
    with pytest.raises(ActionRefused, match="the gate refuses it: alerts fall"):
        shop.promote(NAME, "ada", "why not")


def test_a_gate_file_written_by_hand_promotes_nothing(shop: Workshop) -> None:
    train(shop)
    hold(shop, row=False)
    with pytest.raises(ActionRefused, match="the audit chain does not know"):
        shop.promote(NAME, "ada", "why not")


def test_a_refusal_turned_into_a_pass_by_hand_promotes_nothing(shop: Workshop) -> None:
    train(shop)
    hold(shop, "alerts fall")
    path = shop.registry.folder_of(NAME) / "gate.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"passed": True, "refused": []}))
    with pytest.raises(ActionRefused, match="the audit chain does not know"):
        shop.promote(NAME, "ada", "why not")


def test_a_trial_is_never_promoted(shop: Workshop) -> None:
    train(shop, signed=False)
    hold(shop)
    with pytest.raises(ActionRefused, match="a trial is never promoted"):
        shop.promote(NAME, "ada", "why not")


def test_one_changed_byte_after_the_gate_is_refused(shop: Workshop) -> None:
    train(shop)
    hold(shop)
    path = shop.registry.entry(NAME).path
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(ActionRefused, match="not the one that the gate looked at"):
        shop.promote(NAME, "ada", "why not")


def test_the_gate_must_have_held_it_against_what_is_in_service_now(shop: Workshop, tmp_path: Path) -> None:
    train(shop)
    hold(shop)
    copy = tmp_path / "winter.gguf"
    copy.write_bytes(BUNDLED.read_bytes() + b"winter")
    shop.registry.add("winter", copy, {})
    shop.registry.promote("winter", "ada", "sooner")
    with pytest.raises(ActionRefused, match="winter is in service now"):
        shop.promote(NAME, "ada", "why not")


def test_an_unsigned_set_is_not_trained_on(shop: Workshop) -> None:
    pytest.importorskip("torch", reason="torch is installed only where models are trained")
    shop.lessons.mkdir()
    (shop.lessons / "lessons.jsonl").write_text("")
    with pytest.raises(ActionRefused, match="nobody has signed these lessons"):
        shop.train("new", "ada", None, "", 1, lambda what, share: None)


def test_commands_say_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = Terminal(monkeypatch, capsys, tmp_path)
    nothing = run("learn", "rollback", "--why", "to see", "--store", str(tmp_path / "store"))
    assert nothing.code == 2
    assert "no model was promoted" in nothing.err
    unheld = run("learn", "promote", "autumn", "--why", "to see", "--store", str(tmp_path / "store"))
    assert unheld.code == 2
    assert "there is no model 'autumn'" in unheld.err
    assert run("learn", "promote", "autumn", "--why", " ").code == 2


def test_rolling_back_needs_something_promoted(shop: Workshop) -> None:
    with pytest.raises(UsageError, match="no model was promoted"):
        shop.rollback("ada", "why not")
