"""Time to failure: what is learned, what is said, and that it comes true."""

from __future__ import annotations

import numpy as np
import pytest

from plant.control.maintenance import survival
from plant.control.maintenance.fit import fit_kind, kaplan_meier, looks
from plant.control.maintenance.judge import concordance, held_out, ici
from plant.control.maintenance.lives import SHIFTED, fleet
from plant.control.maintenance.parts import PARTS
from plant.control.maintenance.survival import GRID_DAYS, Stratum, fitted, heard, outlook
from plant.control.maintenance.trend import Trend
from setpoint.errors import ConfigError

PUMP = PARTS["pump_bearing"]
SIGN = Trend("vibration_mm_s", 0.4, 0.01, 30.0, 0.3, 12.0, 30, 3.8, growing=True)
QUIET = Trend("vibration_mm_s", 0.0, 0.0, 6000.0, 2.0, 0.5, 30, 1.6)


@pytest.mark.parametrize("name", list(PARTS))
def test_every_kind_has_a_model_whose_chances_rise_to_one(name: str) -> None:
    for found in (None, QUIET, SIGN):
        chance = outlook(PARTS[name], fitted()[name], found, age_days=400.0).failed_by
        assert chance[0] == pytest.approx(0.0, abs=1e-6)
        assert (np.diff(chance) >= 0.0).all()
        assert chance[-1] <= 1.0


def test_a_sign_narrows_the_forecast_and_the_nearer_end_comes_first() -> None:
    model = fitted()["pump_bearing"]
    near, far = (
        outlook(PUMP, model, Trend("wear_pu", 0.5, 0.01, rul, 0.3, 9.0, 20, 0.2)) for rul in (10.0, 60.0)
    )
    quiet = outlook(PUMP, model, QUIET, age_days=800.0)
    assert near.within(30.0) > far.within(30.0) > quiet.within(30.0)
    low, high = near.interval_days(0.9)
    assert low < near.quantile_days(0.5) < high
    assert high - low < quiet.interval_days(0.9)[1]
    assert near.sign
    assert not quiet.sign


def test_unknown_age_is_an_average_over_ages() -> None:
    model = fitted()["coolant_filter"]
    kind = PARTS["coolant_filter"]
    unknown = outlook(kind, model, None).within(90.0)
    young, old = (outlook(kind, model, None, age_days=age).within(90.0) for age in (5.0, kind.fixed_days))
    assert young < unknown < old


def test_the_first_of_eight_fails_sooner() -> None:
    kind, model = PARTS["gpu_memory"], fitted()["gpu_memory"]
    one, eight = (outlook(kind, model, QUIET, 300.0, count=count).within(90.0) for count in (1, 8))
    assert eight == pytest.approx(1.0 - (1.0 - one) ** 8, rel=1e-3)


def test_a_stratum_is_a_weibull_until_it_is_calibrated() -> None:
    bare = Stratum(
        scale={"one": np.log(100.0)}, shape={"one": np.log(2.0)}, said=(0, 1), came=(0, 1), rows=0, failures=0
    )
    assert bare.chance(np.array([100.0]), {"one": 1.0})[0] == pytest.approx(1.0 - np.exp(-1.0))
    bent = bare.model_copy(update={"said": (0.0, 0.5, 1.0), "came": (0.0, 0.2, 1.0)})
    assert bent.chance(np.array([83.2555]), {"one": 1.0})[0] == pytest.approx(0.2, abs=1e-4)


def test_a_file_that_does_not_fit_is_told(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    path = survival.FITTED.with_name("nowhere.yaml")
    monkeypatch.setattr(survival, "FITTED", path)
    fitted.cache_clear()
    with pytest.raises(ConfigError, match="cannot be read"):
        fitted()
    monkeypatch.undo()
    fitted.cache_clear()
    assert fitted()


def test_kaplan_meier_leaves_censored_ones_at_risk() -> None:
    _, share = kaplan_meier(np.array([2.0, 3.0, 1.0]), np.array([False, True, True]))
    assert share.tolist() == pytest.approx([1 / 3, 1.0])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::lifelines.exceptions.ConvergenceWarning")
def test_learned_from_records_it_orders_and_covers_other_lives() -> None:
    """Small on purpose; the bench has the figures. Chance alone gives a concordance of 0.5."""
    kind = PARTS["coolant_filter"]
    model = fit_kind(kind, fleet(kind, 80, 21))
    verdict = held_out(kind, model, 60, 22)
    assert verdict.concordance.low > 0.7 > verdict.age_concordance.value
    assert verdict.coverage_90 > 0.75
    assert verdict.skill[90] > 0.2


def test_the_shipped_models_hold_on_a_harder_site() -> None:
    kind = PARTS["condenser"]
    verdict = held_out(kind, fitted()["condenser"], 40, 33, SHIFTED)
    assert verdict.concordance.value > 0.7
    assert verdict.coverage_90 > 0.75
    assert verdict.soon_auc > verdict.age_soon_auc


def test_looks_see_nothing_of_what_comes() -> None:
    """Cutting a record off after a look changes nothing of the look."""
    kind = PARTS["coolant_filter"]
    model = fitted()[kind.name]
    life = max(fleet(kind, 10, 8), key=lambda one: one.ended_days - one.from_days)
    look = looks(kind, [life], model.prior)[2]
    assert look.trend
    upto = int(np.searchsorted(life.days, look.age_days, side="right"))
    record = {metric: (life.days[:upto], values[:upto]) for metric, values in life.readings.items()}
    assert heard(kind, record, model.prior) == look.trend


def test_concordance_and_calibration_know_right_from_wrong() -> None:
    rng = np.random.default_rng(0)
    came = rng.exponential(10.0, 200)
    assert concordance(came, came, rng).value == 1.0
    assert concordance(-came, came, rng).value == 0.0
    assert concordance(rng.permutation(came), came, rng).value == pytest.approx(0.5, abs=0.06)
    chance = rng.uniform(0.0, 1.0, 20_000)
    event = rng.uniform(0.0, 1.0, 20_000) < chance
    assert ici(chance, event) < 0.02
    assert ici(np.clip(chance + 0.2, 0, 1), event) > 0.1
    assert len(GRID_DAYS) == 241
