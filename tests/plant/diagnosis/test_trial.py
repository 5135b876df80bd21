from datetime import timedelta

import numpy as np
import pytest

from plant.diagnosis import fit as fitting
from plant.diagnosis.observed import Sign
from plant.diagnosis.onset import first_bent_s, first_sign_s
from plant.diagnosis.trial import try_causes
from tests.plant.diagnosis.conftest import ONSET_S

OPEN = {"unknown": 2.5, "no_fault": -1.0}


def sign(asset, at_s, hints=(), priority="P1"):
    return Sign(
        id=f"{asset}-{at_s}", at_s=at_s, asset=asset, priority=priority, hints=hints, condition="trouble"
    )


PUMP = (
    sign("cdu-1-pump-a", ONSET_S + 1, ("coolant_pump_failure",)),
    sign("cdu-1", ONSET_S + 20, priority="P0"),
)


@pytest.fixture(scope="module")
def pump(site, window):
    observed = window("pump_trip", "cdu-1-pump-a", signs=PUMP)
    scores = {
        **OPEN,
        "coolant_pump_failure": 2.0,
        "cdu_failure": 2.0,
        "coolant_leak": 1.0,
        "chiller_failure": 0.5,
    }
    return try_causes(site, observed, scores)


def test_the_plant_tells_alike_causes_apart(pump):
    first = pump.trial.verdicts[0]
    assert (first.cause, first.asset, first.tried) == ("coolant_pump_failure", "cdu-1-pump-a", True)
    assert first.share > 0.5
    assert abs((first.onset - pump_start(pump)).total_seconds() - ONSET_S) < 120.0


def pump_start(tried):
    return tried.trial.state.as_of - timedelta(seconds=tried.estimate.at_s)


def test_shares_are_a_distribution_and_lie_in_their_intervals(pump):
    verdicts = pump.trial.verdicts
    assert sum(v.share for v in verdicts) == pytest.approx(1.0)
    assert all(v.low <= v.share <= v.high for v in verdicts)
    assert {"unknown", "no_fault"} <= {v.cause for v in verdicts}
    assert [v.share for v in verdicts] == sorted((v.share for v in verdicts), reverse=True)


def test_it_shows_what_it_compared(pump):
    first = pump.trial.verdicts[0]
    flow = next(c for c in first.curves if (c.asset, c.metric) == ("cdu-1", "flow_lpm"))
    assert flow.evidence > 0
    assert len(flow.times_s) == len(flow.observed) == len(flow.healthy) == len(flow.simulated)
    assert flow.healthy[-1] > 100 > flow.simulated[-1]
    assert any("cdu-1 flow went from" in sentence for sentence in first.supports)


def test_other_causes_have_something_against_them(pump):
    others = [v for v in pump.trial.verdicts if v.tried and v.cause != "coolant_pump_failure"]
    assert any(v.against for v in others)


def test_the_plant_overrules_the_signatures(site, window):
    """The events name no more than heat; what the loop does names the pump."""
    observed = window("pump_trip", "cdu-1-pump-a", signs=(sign("cdu-1", ONSET_S + 20, priority="P0"),))
    scores = {**OPEN, "coolant_flow_restricted": 2.5, "coolant_pump_failure": 1.5}
    assert try_causes(site, observed, scores).trial.verdicts[0].cause == "coolant_pump_failure"


def test_words_that_every_reading_refutes_are_not_believed(site, window):
    """A pump is said to have stopped, and every reading stays put: it has not; what else was meant stays open."""
    observed = window(signs=PUMP)
    trial = try_causes(site, observed, {**OPEN, "coolant_pump_failure": 4.5}).trial
    stopped = next(v for v in trial.verdicts if (v.mechanism, v.asset) == ("pump_stopped", "cdu-1-pump-a"))
    assert stopped.from_signals < -20
    assert stopped.share < 0.05
    assert trial.verdicts[0].cause in ("unknown", "no_fault")


def test_a_harmless_alarm_over_a_calm_site_is_no_fault(site, window):
    observed = window(signs=(sign("temp-r-03", ONSET_S + 20, priority="P2"),))
    trial = try_causes(site, observed, {"unknown": 2.5, "no_fault": 0.5, "supply_temp_high": 1.5}).trial
    assert trial.verdicts[0].cause == "no_fault"


def test_a_cause_that_cannot_run_stops_no_other(site, window, monkeypatch):
    real = fitting.inject

    def diverging(plant, mechanism, asset, severity, ramp_s=0.0):
        if mechanism.cause == "cdu_failure":
            raise ArithmeticError("diverged")
        return real(plant, mechanism, asset, severity, ramp_s)

    monkeypatch.setattr(fitting, "inject", diverging)
    observed = window("pump_trip", "cdu-1-pump-a", signs=PUMP)
    trial = try_causes(site, observed, {**OPEN, "coolant_pump_failure": 2.0, "cdu_failure": 2.0}).trial
    assert any("cdu_failure" in problem and "diverged" in problem for problem in trial.problems)
    assert trial.verdicts[0].cause == "coolant_pump_failure"


def test_two_faults_at_once_are_found_together(site, window):
    one = window("pump_trip", "cdu-1-pump-a", signs=(*PUMP, sign("r-08", ONSET_S + 60)))
    other = window("power_cap_mistake", "r-08")
    quiet = window()
    both = dict(one.series)
    for key, values in other.series.items():
        change = values - quiet.series[key]
        if np.nanmax(np.abs(change), initial=0.0) > 0 and key[0] in site.downstream("r-08"):
            both[key] = one.series[key] + change
    observed = type(one)(one.start, one.times_s, both, one.signs)
    scores = {**OPEN, "coolant_pump_failure": 3.0, "config_error": 2.0}
    trial = try_causes(site, observed, scores).trial
    assert any(v.also.startswith("config_error@") for v in trial.verdicts[:4])


def test_the_first_trouble_may_be_a_reading(site, window):
    observed = window("clogged_filter", "cdu-1", after_s=1500.0, signs=(sign("cdu-1", ONSET_S + 1400),))
    assert first_sign_s(observed) == ONSET_S + 1400
    assert first_bent_s(site, observed, ONSET_S + 1400) < ONSET_S + 1200
