"""Readings of the site as small plots, and what the desk tells for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from setpoint.app.desk import DESK, Desk
from setpoint.app.opening import make_desk
from setpoint.app.terminal.braille import dot_row, line_chart, stretched
from setpoint.app.terminal.panels import grid
from setpoint.app.terminal.words import plot_text, until_words
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from setpoint.settings import Settings, load_settings
from tests.setpoint.app.terminal import DEMO
from tests.setpoint.app.terminal_console.conftest import HIGH, LOW
from tools.adapter import SimulatedSite

NOW = datetime(2026, 3, 15, 1, 0, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")


def desk_of(folder: Path, rows: str) -> Desk:
    """A desk over a recording."""
    recording = folder / "readings.csv"
    recording.write_text("time,asset,metric,value\n" + rows)
    settings = load_settings(
        {"store.dir": folder, "site.file": DEMO, "site.telemetry": recording}, files=()
    ).settings
    from setpoint.app.opening import open_site

    return make_desk(settings, open_site(settings), Ledger.open(folder / "ledger.db"))


def plots_of(desk: Desk, **asked: Any) -> dict[str, Any]:
    found: Any = DESK["site_plots_list"](desk, **asked)
    return {plot["metric"]: plot for plot in found}


def test_a_recording_is_shown_up_to_its_last_reading(tmp_path: Path) -> None:
    lines = []
    for k in range(31):
        at = (NOW - timedelta(seconds=60 * (30 - k))).isoformat()
        lines += [f"{at},feed-a,load_kw,{200 + k}", f"{at},feed-b,load_kw,100", f"{at},gpu-01,gpu_temp_c,{60 + k}", f"{at},gpu-02,gpu_temp_c,70",
                  f"{at},pool-vip,ttft_ms,390", f"{at},pool-chat,ttft_ms,450"]  # fmt: skip
    plots = plots_of(desk_of(tmp_path, "\n".join(lines)), minutes=30, points=31)
    power = plots["load_kw"]
    assert (power["values"][0], power["values"][-1], power["unit"], power["limit"]) == (
        300.0,
        330.0,
        "kW",
        430.0,
    )
    assert power["times"][-1] == "2026-03-15T01:00:00+00:00"
    hot = plots["gpu_temp_c"]
    assert (hot["values"][0], hot["values"][-1], hot["of"]) == (70.0, 90.0, "gpu-01")
    # 390 ms of an objective of 400 is nearer to it than 450 of 500.
    assert (plots["ttft_ms"]["of"], plots["ttft_ms"]["limit"]) == ("pool-vip", 400.0)
    assert set(plots["soc_pct"]["values"]) == {None}


def test_a_sum_with_a_feed_that_is_not_read_is_no_sum(tmp_path: Path) -> None:
    at = NOW.isoformat()
    late = (NOW - timedelta(minutes=20)).isoformat()
    plots = plots_of(
        desk_of(tmp_path, f"{late},feed-a,load_kw,200\n{late},feed-b,load_kw,90\n{at},feed-a,load_kw,210\n"),
        points=60,
    )
    assert plots["load_kw"]["values"][-1] is None
    assert 290.0 in plots["load_kw"]["values"]


def test_the_simulated_plant_is_read_now(settings: Settings) -> None:
    from setpoint.app.opening import open_site, utc_now

    site = open_site(settings)
    desk = make_desk(
        settings, site, Ledger.open(settings.store.dir / "ledger.db"), simulated=SimulatedSite(site, utc_now)
    )
    plots = plots_of(desk)
    assert 100 < plots["load_kw"]["values"][-1] < 430
    assert plots["soc_pct"]["values"][-1] == 60.0
    assert plots["soc_pct"]["limit_is"] == "least"
    desk.ledger.close()


@pytest.mark.parametrize(
    "asked", [{"minutes": 0}, {"minutes": float("nan")}, {"minutes": 1e9}, {"points": 1}, {"points": 10**9}]
)
def test_no_span_no_plot(tmp_path: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no span to plot"):
        plots_of(desk_of(tmp_path, ""), **asked)


def test_the_fields_of_an_action_have_the_bounds_of_the_site(settings: Settings, ledger: Ledger) -> None:
    from setpoint.app.opening import open_site

    desk = make_desk(settings, open_site(settings), ledger)
    (field,) = DESK["review_fields_list"](desk, id=LOW)  # type: ignore[misc]  # a JSON value: a list of one
    assert field == {
        "name": "cap_w", "type": "number", "unit": "W", "doc": "Limit of each GPU", "value": 500.0, "choices": [], "least": 200.0,
        "most": 700.0,
    }  # fmt: skip
    assert DESK["review_fields_list"](desk, id=HIGH) == []
    assert DESK["review_fields_list"](desk, id="REV-doubt1") == []


# ---- drawing ------------------------------------------------------------------------------------------------------------


def plot(
    values: list[float | None], limit: float | None = 430.0, side: str = "most", end: datetime = NOW
) -> dict[str, Any]:
    times = [(end - timedelta(minutes=len(values) - 1 - k)).isoformat() for k in range(len(values))]
    return {"name": "power drawn", "metric": "load_kw", "unit": "kW", "of": "feed-a", "times": times, "values": values,
            "limit": limit, "limit_is": side}  # fmt: skip


def test_a_plot_tells_value_limit_and_axis() -> None:
    text = plot_text(plot([300.0, 310.0, 330.0]), 50, 6, ZONE).plain.split("\n")
    assert text[0] == "power drawn (feed-a)  330 kW, at most 430"
    assert text[1].startswith("   430 ---")
    assert text[4].lstrip().startswith("29")
    assert text[5].split() == ["01:58", "02:00"]
    assert len(text) == 6
    assert all(len(line) <= 50 for line in text)


@pytest.mark.parametrize(
    ("shown", "said"),
    [(plot([440.0]), "440 kW, over its limit 430"), (plot([20.0], 30.0, "least"), "20 kW, under its limit 30"),
     (plot([20.0], None), "20 kW, no limit set"), (plot([None, None]), "power drawn  not read")],
)  # fmt: skip
def test_a_limit_is_said_in_words(shown: dict[str, Any], said: str) -> None:
    assert said in plot_text(shown, 60, 4, ZONE).plain


@pytest.mark.parametrize(("width", "height"), [(10, 1), (34, 8), (70, 8), (200, 40)])
def test_plots_fit_whatever_room_there_is(width: int, height: int) -> None:
    lines = grid([plot([1.0, 5.0])] * 4, width, height, ZONE).plain.rstrip("\n").split("\n")
    assert len(lines) <= max(height, 4)
    assert all(len(line) <= width for line in lines)


def test_old_readings_say_so() -> None:
    assert until_words([plot([300.0])], NOW + timedelta(seconds=30), ZONE) == ""
    assert (
        until_words([plot([300.0])], NOW + timedelta(hours=3), ZONE) == "last read 2026-03-15 02:00, 3 h ago"
    )
    assert until_words([plot([None])], NOW, ZONE) == "not read"


def test_a_gap_stays_a_gap_and_a_jump_is_joined() -> None:
    (row,) = line_chart([0.0, 0.0, None, None, 9.0, 9.0], 0.0, 9.0, 3, 1)
    assert row == "\u28c0\u2800\u2809"
    (joined,) = line_chart([0.0, 9.0], 0.0, 9.0, 1, 1)
    assert joined == "\u2878"
    assert dot_row(1e9, 0.0, 1.0, 2) == 0
    assert stretched([], 2) == [None, None]
    assert stretched([float("nan")], 1) == [None]
