"""Charts: every extreme survives thinning, holes stay holes, and the picture is well-formed."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from setpoint.app.charts import LONGEST_NAME, MOST_POINTS, Chart, Line, Mark, draw, thinned


def test_a_short_spike_survives_thinning() -> None:
    values = np.zeros(100_000)
    values[54_321] = 9.0
    times, kept = thinned(np.arange(100_000.0), values)
    assert len(kept) <= MOST_POINTS
    assert kept.max() == 9.0
    assert times[kept.argmax()] == 54_321.0


def test_a_hole_splits_the_line_and_the_picture_parses() -> None:
    time_s = np.arange(10.0)
    values = np.array([1.0, 2, 3, np.nan, np.nan, 4, 5, 6, 7, 8])
    chart = Chart("Power <b>", "kW", (Line("rack & hall", values),), limits=(("limit", 5.0),))
    picture = ElementTree.fromstring(draw(chart, time_s, [Mark(4.0, "pump stopped")]))
    assert len(picture.findall("polyline")) == 2
    assert picture.get("aria-label") == "Power <b> in kW: rack & hall from 1 to 8, last 8"
    assert picture.findtext("g[@class='chart-flag']/title") == "0:04 pump stopped"


def test_a_constant_line_is_drawn_inside_the_frame() -> None:
    picture = ElementTree.fromstring(
        draw(Chart("Flow", "lpm", (Line("a", np.full(5, 150.0)),)), np.arange(5.0))
    )
    line = picture.find("polyline")
    assert line is not None
    heights = [float(point.split(",")[1]) for point in (line.get("points") or "").split()]
    assert all(26.0 <= y <= 184.0 for y in heights)


def test_names_stay_in_the_picture_and_flags_do_not_touch_the_title() -> None:
    lines = (Line("a-pool-with-a-name-that-has-no-end", np.full(5, 21_222.0)), Line("short", np.full(5, 3.0)))
    picture = ElementTree.fromstring(draw(Chart("Waiting", "", lines), np.arange(5.0), [Mark(0.0, "starts")]))
    names = [
        text.text or "" for text in picture.iter("text") if (text.get("class") or "").startswith("name-")
    ]
    assert any(name.endswith(" 21,222") for name in names)
    assert max(map(len, names)) <= LONGEST_NAME + 8
    flag, title = picture.find("g/rect"), picture.find("text[@class='chart-title']")
    assert flag is not None
    assert title is not None
    assert float(flag.get("y") or 0) > float(title.get("y") or 0) + 3
