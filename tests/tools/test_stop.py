"""One file stops everything."""

from __future__ import annotations

from pathlib import Path

from tools.stop import StopSwitch


def test_engage_and_release(tmp_path: Path) -> None:
    switch = StopSwitch(tmp_path / "var" / "STOP")
    assert switch.reason() == ""
    switch.engage("alice", "smoke in hall 1")
    assert StopSwitch(switch.path).reason() == "by alice: smoke in hall 1"
    switch.release()
    switch.release()
    assert switch.reason() == ""


def test_an_empty_file_made_by_hand_stops_too(tmp_path: Path) -> None:
    (tmp_path / "STOP").touch()
    assert "exists" in StopSwitch(tmp_path / "STOP").reason()


def test_what_cannot_be_read_stops_too(tmp_path: Path) -> None:
    (tmp_path / "STOP").mkdir()
    assert "cannot be read" in StopSwitch(tmp_path / "STOP").reason()
