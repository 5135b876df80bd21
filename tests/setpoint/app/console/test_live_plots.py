"""The live plots and the readings behind them."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from setpoint.app.console.plots import Drawn, acts_of, plots
from setpoint.app.console.readings import SHORTEST, Past, Readings, Remembered
from setpoint.contracts import Action
from setpoint.contracts.site import load_site
from setpoint.errors import BackendError
from setpoint.ledger.records import ActionRecord
from tests.setpoint.app.served import serving
from tools.telemetry import Kept

SITE = load_site(Path(__file__).parents[4] / "plant" / "sites" / "demo.yaml")
END = datetime(2026, 3, 14, 22, tzinfo=UTC)
START = END - timedelta(hours=2)
TIMES: NDArray[np.float64] = START.timestamp() + np.arange(241.0) * 30.0


def past(acts: tuple[ActionRecord, ...] = (), **lines: NDArray[np.float64]) -> Past:
    """Keys as `asset__metric`, with _ for -."""
    named = {
        (key.split("__")[0].replace("_", "-"), key.split("__")[1]): values for key, values in lines.items()
    }
    return Past(START, END, TIMES, named, acts)


def svg_of(drawn: Drawn) -> ElementTree.Element:
    return ElementTree.fromstring(drawn.picture)


def test_power_is_summed_by_what_draws_it() -> None:
    flat = np.ones(241)
    (made,) = plots(SITE, past(feed_a__load_kw=200 * flat, feed_b__load_kw=100 * flat, r_01__power_kw=30 * flat, r_02__power_kw=12 * flat,
                               gpu_01__power_kw=9 * flat, chiller_1__power_kw=20 * flat, cdu_1__pump_kw=flat))  # fmt: skip
    assert "grid <b>300 kW" in made.legend
    assert "IT <b>42 kW" in made.legend
    assert "cooling <b>21 kW" in made.legend


def test_the_hottest_is_the_greatest_at_each_moment_and_is_named() -> None:
    rising, falling = np.linspace(40, 90, 241), np.linspace(80, 30, 241)
    falling[:10] = np.nan
    (made,) = plots(SITE, past(gpu_01__gpu_temp_c=rising, gpu_02__gpu_temp_c=falling))
    line = svg_of(made).find("polyline")
    assert line is not None
    assert line.get("data-name") == "gpu-01"
    assert "limit 87" in made.picture, "the limit is near, so it is drawn"


def test_a_hole_stays_a_hole_and_the_edges_lead_back_to_values() -> None:
    values = np.linspace(40.0, 60.0, 241)
    values[100:120] = np.nan
    (made,) = plots(SITE, past(ess_1__soc_pct=values))
    picture = svg_of(made)
    assert len(picture.findall("polyline")) == 2
    x0, x1, t0, t1, y0, y1, v0, v1 = map(float, picture.get("data-plot", "").split())
    x, y = map(float, (picture.findall("polyline")[1].get("points") or "").split()[-1].split(","))
    assert t0 + (x - x0) / (x1 - x0) * (t1 - t0) == pytest.approx(END.timestamp(), abs=20)
    assert v0 + (y - y0) / (y1 - y0) * (v1 - v0) == pytest.approx(60.0, abs=0.2)


def test_flags_that_would_touch_share_one_and_keep_their_numbers() -> None:
    acts = tuple(act(START + timedelta(minutes=m)) for m in (10, 10.5, 11, 60))
    shown = past(acts, ess_1__soc_pct=np.full(241, 50.0))
    labels = [text.text for text in svg_of(plots(SITE, shown)[0]).findall("g[@class='chart-flag']/text")]
    assert labels == ["1-3", "4"]
    assert [one.number for one in acts_of(SITE, shown)] == [1, 2, 3, 4]


def act(begun: datetime) -> ActionRecord:
    action = Action(name="set_coolant_flow", asset="cdu-1", args={"flow_lpm": 200.0})
    return ActionRecord(
        key=f"K-{begun}", incident_id="INC-1", action=action, review_id="REV-1", state="done", approvers=("mira",), dry_run=False, begun=begun
    )  # fmt: skip


def test_nothing_read_draws_nothing() -> None:
    assert plots(SITE, past()) == []
    assert plots(SITE, past(gpu_01__gpu_temp_c=np.full(241, np.nan))) == []


# ---- readings -------------------------------------------------------------------------------------------------------


def test_many_who_look_at_once_read_once() -> None:
    made: list[int] = []

    def read() -> int:
        time.sleep(0.05)
        made.append(1)
        return len(made)

    kept = Remembered(read)
    people = [threading.Thread(target=kept.get) for _ in range(20)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert kept.get() == 1
    assert len(made) == 1


def test_a_slow_site_is_not_waited_for() -> None:
    go = threading.Event()
    kept = Remembered(lambda: go.wait(5))
    began = time.monotonic()
    assert kept.get(patience_s=0.05) is None
    assert time.monotonic() - began < 2
    go.set()
    assert kept.get(patience_s=5) is True


def test_a_site_that_fails_keeps_what_was_read_before() -> None:
    answers = iter([7])

    def read() -> int:
        try:
            return next(answers)
        except StopIteration:
            raise BackendError("the gateway is away") from None

    kept = Remembered(read, fresh_s=0.0)
    assert kept.get() == 7
    assert kept.get() == 7


async def test_a_recording_is_shown_from_its_first_reading_and_its_last_values_are_now(
    tmp_path: Path,
) -> None:
    now = datetime.now(UTC)
    with serving(tmp_path) as served:
        served.runtime.adapter = None
        moments = [now - timedelta(minutes=20) + timedelta(seconds=30 * k) for k in range(40)]
        served.runtime.history = Kept.of(
            [("ess-1", "soc_pct", at, 50.0 + k / 10) for k, at in enumerate(moments)]
            + [("feed-a", "load_kw", now - timedelta(hours=5), 99.0)]
        )
        readings = Readings(served.runtime)
        shown, last = readings.past(2.0), readings.now()
    assert shown is not None
    assert last is not None
    assert shown.short
    assert timedelta(minutes=19) < shown.end - shown.start < timedelta(minutes=22)
    assert last.values == {"ess-1": {"soc_pct": 53.9}}, "a value five hours old says nothing of now"


async def test_a_site_that_has_just_begun_shows_the_shortest_span(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        shown = Readings(served.runtime).past(24.0)
    assert shown is not None
    assert shown.short
    assert shown.end - shown.start == SHORTEST
