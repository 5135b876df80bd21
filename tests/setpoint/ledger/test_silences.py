"""Silences match, end, and are never total."""

from __future__ import annotations

from typing import Any

import pytest

from setpoint.errors import UsageError
from setpoint.ledger import Ledger, Silence
from tests.setpoint.ledger.builders import at


def _add(ledger: Ledger, **changes: Any) -> Silence:
    values: dict[str, Any] = {"until": at(3600), "who": "ada", "why": "cable work", "now": at(0)}
    return ledger.add_silence(**values | changes)


def test_all_globs_must_match_while_it_lasts(ledger: Ledger) -> None:
    silence = _add(ledger, asset="gpu-0*", kind="link-*")

    assert ledger.matching_silence("gpu-01", "link-down", now=at(10)) == silence
    assert ledger.matching_silence("gpu-11", "link-down", now=at(10)) is None
    assert ledger.matching_silence("gpu-01", "xid-79", now=at(10)) is None
    assert ledger.matching_silence("gpu-01", "link-down", now=at(3600)) is None
    assert ledger.matching_silence("gpu-01", "link-down", now=at(-1)) is None


def test_template_globs(ledger: Ledger) -> None:
    _add(ledger, template="link <*> is down")

    assert ledger.matching_silence("sw-1", "", "link <*> is down", now=at(1))
    assert ledger.matching_silence("sw-1", "", "link eth7 is down", now=at(1)) is None


def test_listed_until_removed(ledger: Ledger) -> None:
    first, second = _add(ledger, asset="a"), _add(ledger, asset="b", until=at(60))

    assert {s.id for s in ledger.list_silences()} == {first.id, second.id}
    assert ledger.list_silences(active_at=at(60)) == [first]
    assert ledger.remove_silence(first.id, "bob")
    assert not ledger.remove_silence(first.id, "bob")
    assert ledger.list_silences() == [second]
    assert [row.what for row in ledger.list_audit(subject=first.id)] == ["silence-added", "silence-removed"]


def test_refused(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="would silence everything"):
        _add(ledger, asset="*", kind="")
    with pytest.raises(UsageError, match="which is over already"):
        _add(ledger, asset="a", until=at(0))
