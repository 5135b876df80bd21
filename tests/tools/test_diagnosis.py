from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from plant import load_site
from setpoint.contracts import Event
from tests.tools.pump_night import ONSET_S, pump_night
from tools.diagnosis import clock_doubts, diagnose, observe
from tools.telemetry import Kept
from tools.windows import Gridded

SITE = load_site("demo")


@pytest.fixture(scope="module")
def pump():
    return pump_night()


def test_a_window_reaches_back_before_the_first_event_and_never_past_now(pump):
    case, history = pump
    as_of = case.events[0].time + timedelta(minutes=8)
    observed = observe(SITE, history, case.events, case.triages, as_of)
    assert (as_of - observed.end).total_seconds() < 31
    assert observed.end <= as_of
    assert all(sign.at_s <= (as_of - observed.start).total_seconds() for sign in observed.signs)
    assert len(observed.series) > 500


def test_readings_name_the_cause_and_its_place(pump):
    case, history = pump
    scores = {"coolant_pump_failure": 1.0, "cdu_failure": 1.0, "unknown": 2.5, "no_fault": -2.0}
    as_of = history.start + timedelta(seconds=ONSET_S + 600.0)
    tried = diagnose(SITE, history, case.events, case.triages, scores, as_of)
    first = tried.trial.verdicts[0]
    assert (first.cause, first.asset) == ("coolant_pump_failure", "cdu-1-pump-a")


def test_without_readings_before_it_nothing_is_tried(pump):
    case, history = pump
    as_of = case.events[0].time + timedelta(minutes=10)
    assert diagnose(SITE, Kept({}), case.events, case.triages, {}, as_of) is None
    late = Gridded(history.start, history.times_s, {k: np.where(history.times_s > ONSET_S, v, np.nan) for k, v in history.values.items()})  # fmt: skip
    assert observe(SITE, late, case.events, case.triages, as_of) is None
    assert observe(SITE, history, [], {}, as_of) is None


def event(asset, at_s, lag_s=1.0, time=None):
    moment = datetime(2026, 3, 14, 22, tzinfo=UTC) + timedelta(seconds=at_s)
    return Event(id=f"{asset}-{at_s}", time=time or moment, received=moment + timedelta(seconds=lag_s), source="test", asset=asset, kind="", message="x")  # fmt: skip


def test_a_frozen_clock_and_a_wrong_one_are_told():
    sound = [event(f"gpu-{n:02d}", 10.0 * n) for n in range(1, 30)]
    still = datetime(2026, 3, 14, 21, 50, tzinfo=UTC)
    frozen = [event("gpu-31", 60.0 * n, time=still) for n in range(5)]
    behind = [event("gpu-32", 20.0 * n, lag_s=400.0) for n in range(5)]
    told = {doubt.asset: doubt.text for doubt in clock_doubts([*sound, *frozen, *behind])}
    assert set(told) == {"gpu-31", "gpu-32"}
    assert "carry the time 21:50:00Z" in told["gpu-31"]
    assert "behind" in told["gpu-32"]
    assert clock_doubts(sound) == []
