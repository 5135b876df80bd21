"""What tells most of a run: chosen by patterns that fit, and printed as the README has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evals.figures import rate, share
from evals.registry import SUITES
from evals.running.overview import headlines, markdown, slim
from evals.running.record import Asked, Made, Ran, Record, read, write

ROOT = Path(__file__).parents[2]
RECORDS = [ROOT / "evals" / "records" / name for name in ("suites.json", "suites-long.json")]
BEGIN, END = "<!-- evals: python -m evals.running.overview -->", "<!-- /evals -->"


def record(*ran: Ran) -> Record:
    return Record("one", Made(), Asked(("alert",)), {"bundled": {}, "rules": {}}, ran)


FAITHFUL = rate(
    "first notice", "faithful", [{"case": "a", "ok": True}, {"case": "b", "ok": False}], lambda row: row["ok"]
)


def test_a_headline_stands_for_each_contender_that_ran() -> None:
    found = list(headlines(record(Ran("alert", "bundled", (FAITHFUL, share("x", "y", 1, 2))))))
    assert [(one.suite, one.figures) for one in found] == [("alert", (FAITHFUL, None))]


def test_markdown_has_the_value_with_its_interval_and_a_blank_where_nobody_ran() -> None:
    lines = markdown([record(Ran("alert", "bundled", (FAITHFUL,)))]).splitlines()
    assert lines[0] == "| suite | figure | n | bundled | rules |"
    assert lines[2] == "| alert | first notice: faithful | 2 | 0.50 (0.09 to 0.91) |  |"


def test_a_slim_record_keeps_the_figures_and_can_be_read_again(tmp_path: Path) -> None:
    whole = record(Ran("alert", "bundled", (FAITHFUL,), log="somewhere"))
    again = read(write(slim(whole), tmp_path / "record.json"))
    assert again.ran[0].figures == (replace(FAITHFUL, cases={}),)
    assert again.ran[0].log == ""


def test_every_headline_fits_a_figure_of_a_committed_record() -> None:
    found = {(one.suite, one.named.key) for path in RECORDS for one in headlines(read(path))}
    wanted = {suite: len(known.headlines) for suite, known in SUITES.items()}
    assert {suite: sum(one == suite for one, _ in found) for suite in wanted} == wanted


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_a_committed_record_says_how_it_was_made(path: Path) -> None:
    made = read(path).made
    assert made.command
    assert made.date
    assert made.code


def test_the_readme_shows_the_committed_records() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    told = readme.split(BEGIN)[1].split(END)[0].strip()
    assert told == markdown([read(path) for path in RECORDS])
