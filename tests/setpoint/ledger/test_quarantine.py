"""What could not be read is kept until it is mended or dropped."""

from __future__ import annotations

import pytest

from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import at, bad_item


def test_items_are_kept_whole(ledger: Ledger) -> None:
    ledger.accept([], [bad_item(1), bad_item(2)])

    assert [held.item for held in ledger.list_quarantine()] == [bad_item(1), bad_item(2)]
    assert ledger.get_quarantined("bad-2").item.raw == b"\xff{"


def test_replayed_once(ledger: Ledger) -> None:
    ledger.accept([], [bad_item(1)])

    assert ledger.mark_replayed("bad-1", now=at(5))
    assert not ledger.mark_replayed("bad-1")
    assert not ledger.remove_quarantined("bad-1")
    assert ledger.list_quarantine() == []
    assert [(held.item.raw, held.changed) for held in ledger.list_quarantine(state="replayed")] == [
        (b"\xff{", at(5))
    ]


def test_removed_gives_its_bytes_up(ledger: Ledger) -> None:
    ledger.accept([], [bad_item(1)])

    assert ledger.remove_quarantined("bad-1")
    assert ledger.get_quarantined("bad-1").item.raw == b""
    assert ledger.get_quarantined("bad-1").state == "removed"


def test_an_unknown_item(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="nothing in quarantine has the id 'bad-9'"):
        ledger.get_quarantined("bad-9")
