"""The report of a run: one file that needs nothing else, with every figure it was given and no hole in its words."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from plant import Run, Site, load_of, load_site, plan_run, read_changes, simulate
from plant.faults.place import parse_fault
from setpoint.app.plant_report import SECTIONS, compared, moved, number, pool_rows, render, write_report
from setpoint.errors import BackendError

MINUTES = 1 / 60


@pytest.fixture(scope="module")
def demo() -> Site:
    return load_site("demo")


@pytest.fixture(scope="module")
def pair(demo: Site) -> tuple[Run, Run]:
    """With and without a change, both with a fault."""
    trace = load_of(demo, None, hours=3 * MINUTES, rate=0.3)
    faults = [parse_fault("crah_trip:crah-1@1m", demo)]
    without, with_it = (
        simulate(plan_run(demo, trace, hours=3 * MINUTES, faults=faults, changes=changes))
        for changes in ((), read_changes("clock=1200MHz", demo))
    )
    return with_it, without


class Well(HTMLParser):
    """Every tag that opens is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(demo: Site, pair: tuple[Run, Run]) -> None:
    page = render(pair[0], demo.limits)
    reader = Well()
    reader.feed(page)
    assert reader.open == []
    assert "script" not in reader.seen
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert "default-src &#39;none&#39;" in page
    assert "nan" not in re.sub(r"[a-z]*nan[a-z]+|[a-z]+nan", "", page.lower())
    for name, _, _ in SECTIONS:
        assert f">{name}</h2>" in page
    assert page.count("<svg") >= 20


def test_faults_are_marked_with_the_number_they_have_in_the_list(demo: Site, pair: tuple[Run, Run]) -> None:
    page = render(pair[0], demo.limits)
    assert '<ol class="happened"><li>1:00 Air handler trips crah-1</li></ol>' in page
    assert page.count("<title>1:00 Air handler trips crah-1</title>") == page.count("<svg")


def test_two_runs_stand_side_by_side(demo: Site, pair: tuple[Run, Run]) -> None:
    page = render(pair[0], demo.limits, pair[1])
    assert "What if clock 1200 MHz on 32 assets" in page
    rows = {what: (old, new) for what, _, old, new in compared(*pair)}
    old, new = rows["IT energy"]
    assert new < old
    assert moved(old, new) in page
    assert rows["pool-chat: requests completed"][0] > 0
    assert rows["hottest GPU, last quarter"][1] <= rows["hottest GPU, last quarter"][0]


def test_pools_read_downwards_with_units(pair: tuple[Run, Run]) -> None:
    rows = {what: (unit, cells) for what, unit, cells in pool_rows(pair[0])}
    assert rows["accelerator"][1] == ["H100-SXM"] * 3
    assert rows["both SLOs met"][0] == "%"
    assert all(len(cells) == 3 for _, cells in rows.values())


def test_numbers_are_four_figures_and_never_an_exponent() -> None:
    assert number(2.1222e4) == "21,222"
    assert number(-0.0) == "0"
    assert number(float("inf")) == "none"
    assert moved(float("nan"), 1.0) == ""
    assert moved(-4.0, -2.0) == "+50.0 %"


def test_a_place_that_cannot_be_written_is_said(demo: Site, pair: tuple[Run, Run], tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="cannot write the report"):
        write_report(tmp_path, pair[0], demo.limits)
    write_report(tmp_path / "new" / "run.html", pair[0], demo.limits)
    assert (tmp_path / "new" / "run.html").read_text().startswith("<!doctype html>")
