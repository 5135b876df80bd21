"""The chain shows each tampering, at its row."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import at


@pytest.fixture
def chained(ledger: Ledger) -> Ledger:
    for n in range(1, 11):
        ledger.audit("ada", "noted", f"subject-{n}", {"n": n, "text": "ü"}, now=at(n))
    return ledger


def _tamper(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(statement)


def test_an_untouched_chain_is_whole(chained: Ledger) -> None:
    report = chained.verify_chain()

    assert (report.ok, report.rows, report.broken_at) == (True, 10, None)
    assert report.head == chained.list_audit()[-1].digest


def test_an_empty_chain_is_whole(ledger: Ledger) -> None:
    assert ledger.verify_chain().ok


@pytest.mark.parametrize(
    ("statement", "broken_at", "problem"),
    [
        ("UPDATE audit SET who = 'eve' WHERE number = 4", 4, "its content was changed"),
        ("UPDATE audit SET data = '{}' WHERE number = 1", 1, "its content was changed"),
        ("UPDATE audit SET time = time + 1 WHERE number = 10", 10, "its content was changed"),
        ("UPDATE audit SET digest = previous WHERE number = 7", 7, "its content was changed"),
        ("DELETE FROM audit WHERE number = 5", 5, "it is missing"),
        ("DELETE FROM audit WHERE number > 8", 9, "rows after it were removed"),
        ("DELETE FROM audit", 1, "rows after it were removed"),
        ("UPDATE audit SET number = 11 WHERE number = 3", 3, "it is missing"),
        ("DELETE FROM audit_head", 11, "the head was changed"),
        (
            "INSERT INTO audit SELECT 11, time, who, what, subject, data, digest, digest FROM audit WHERE number = 10",
            11,
            "its content was changed",
        ),
    ],
)
def test_tampering_is_found_at_its_row(
    chained: Ledger, path: Path, statement: str, broken_at: int, problem: str
) -> None:
    _tamper(path, statement)
    report = chained.verify_chain()

    assert not report.ok
    assert report.broken_at == broken_at
    assert problem in report.problem


def test_rows_are_listed_by_subject_and_after_a_number(chained: Ledger) -> None:
    assert [row.number for row in chained.list_audit(after=8)] == [9, 10]
    (row,) = chained.list_audit(subject="subject-3")
    assert (row.who, row.what, row.data, row.time) == ("ada", "noted", {"n": 3, "text": "ü"}, at(3))


_APPEND = """
import sys
from setpoint.ledger import Ledger
with Ledger.open(sys.argv[1]) as ledger:
    for n in range(50):
        ledger.audit(sys.argv[2], "noted", "x", n)
"""


def test_two_processes_append_to_one_chain(ledger: Ledger, path: Path) -> None:
    children = [subprocess.Popen([sys.executable, "-c", _APPEND, str(path), who]) for who in ("ada", "bob")]
    codes = [child.wait() for child in children]
    report = ledger.verify_chain()

    assert codes == [0, 0]
    assert (report.ok, report.rows) == (True, 100)
