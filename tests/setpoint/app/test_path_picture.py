"""The picture of a causal path and its tree of lines: well-formed, complete, harmless whatever an event says."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from plant.diagnosis.results import CausalPath, Link
from setpoint.app.path_picture import path_lines, svg_path

ZONE = ZoneInfo("Europe/Berlin")
ONSET = datetime(2026, 3, 14, 23, 0, tzinfo=UTC)


def link(source: str, target: str, **more: Any) -> Link:
    return Link(source=source, target=target, medium=more.pop("medium", "coolant"), effect=more.pop("effect", "it warms up"), **more)  # fmt: skip


PATH = CausalPath(
    cause="coolant_pump_failure", root="cdu-1-pump-a", onset=ONSET, seen="P1 coolant pump failed", seen_after_s=0.0,
    links=(
        link("cdu-1-pump-a", "cdu-1", effect="the loop's flow falls", after_s=4.0, events=("e2",),
             seen="P0 coolant flow lost", seen_after_s=12.0),
        link("cdu-1", "r-01, r-02", assets=("r-01", "r-02")),
        link("r-01, r-02", "gpu-[01-08]", events=("e3",), seen="P1 GPU throttled, and 7 more", seen_after_s=75.0),
        link("cdu-1-pump-a", "cdu-1-pump-b", effect="the other pump takes over"),
    ),
    explained=("e1", "e2", "e3"), unexplained=("e9",), more=2,
)  # fmt: skip


def test_the_tree_puts_each_asset_under_the_one_its_trouble_came_from() -> None:
    assert path_lines(PATH) == [
        "cdu-1-pump-a: P1 coolant pump failed, at the onset",
        "  -> cdu-1 (coolant): the loop's flow falls, after 4 s",
        "     seen: P0 coolant flow lost, 12 s after the onset",
        "     -> r-01, r-02 (coolant): it warms up",
        "        -> gpu-[01-08] (coolant): it warms up",
        "           seen: P1 GPU throttled, and 7 more, 75 s after the onset",
        "  -> cdu-1-pump-b (coolant): the other pump takes over",
        "  and 2 more steps, not shown",
        "not explained by it: 1 event",
    ]


def test_the_picture_has_a_box_for_each_asset_from_left_to_right_and_none_overlap() -> None:
    picture = ElementTree.fromstring(svg_path(PATH, ZONE))
    boxes = [
        (float(r.get("x", 0)), float(r.get("y", 0)), float(r.get("height", 0))) for r in picture.iter("rect")
    ]
    assert len(boxes) == 5
    assert sorted({x for x, _, _ in boxes}) == [2.0, 250.0, 498.0, 746.0]
    for x in {x for x, _, _ in boxes}:
        column = sorted((y, height) for at, y, height in boxes if at == x)
        assert all(a[0] + a[1] <= b[0] for a, b in itertools.pairwise(column))
    bottom = max(y + height for _, y, height in boxes)
    assert bottom <= float(picture.get("height", 0))
    words = [text.text for text in picture.iter("text")]
    assert "00:00:12, 12 s after" in words  # the site's clock
    assert "cdu-1-pump-a: P1 coolant pump failed" in (picture.get("aria-label") or "")


def test_a_hostile_name_stays_text() -> None:
    hostile = PATH.model_copy(
        update={"seen": 'P1 <script>alert("x")</script>\u202e', "links": (link("cdu-1-pump-a", '"><b>&'),)}
    )
    text = str(svg_path(hostile, ZONE))
    ElementTree.fromstring(text)
    assert "<script" not in text
    assert "\u202e" not in text
    assert "style=" not in text  # the page's content policy forbids it


def test_nothing_reached_and_nothing_seen_is_no_picture() -> None:
    assert svg_path(CausalPath(cause="unknown", root=""), ZONE) == ""
