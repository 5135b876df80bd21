"""Tariffs with holes are mended and told; prices go by the site's clock."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from plant.control.peak.terms import checked, month_end, month_start, prices_ahead
from plant.specs import Tariff, TariffBand

EVENING = TariffBand(from_hour=17, to_hour=21, price_per_kwh=0.3)
BERLIN = ZoneInfo("Europe/Berlin")


def broken(**changes: object) -> Tariff:
    """A tariff as it may come from elsewhere than a site file, unchecked."""
    return Tariff.model_construct(**(Tariff(bands=(EVENING,), price_per_kwh=0.1).__dict__ | changes))


def test_a_sound_tariff_stays_as_it_is() -> None:
    tariff = Tariff(bands=(EVENING,), price_per_kwh=0.1)
    assert checked(tariff) == (tariff, ())


@pytest.mark.parametrize("price", [float("nan"), -0.2, float("inf")])
def test_a_base_price_that_is_none_is_replaced_by_the_mean_of_the_bands(price: float) -> None:
    mended, troubles = checked(broken(price_per_kwh=price))
    assert mended.price_per_kwh == pytest.approx(0.3)
    assert [one.kind for one in troubles] == ["tariff_gap"]
    assert "20 of 24 hours" in troubles[0].what
    assert not troubles[0].blocks


def test_a_negative_band_is_replaced_by_the_mean_of_the_rest() -> None:
    negative = TariffBand.model_construct(from_hour=2, to_hour=4, price_per_kwh=-1.0)
    mended, troubles = checked(broken(bands=(negative, EVENING)))
    assert mended.price_at(3) == pytest.approx((0.3 * 4 + 0.1 * 18) / 22)
    assert "from 2 to 4" in troubles[0].what


def test_no_price_at_all_still_leaves_a_worth_for_peaks() -> None:
    mended, troubles = checked(Tariff(price_per_kwh=0.0, demand_per_kw_month=0.0))
    assert mended.demand_per_kw_month > 0.0
    assert "neither an energy price nor a demand charge" in troubles[0].what


def test_free_nights_that_the_file_states_are_no_gap() -> None:
    night = TariffBand(from_hour=0, to_hour=6, price_per_kwh=0.0)
    assert checked(Tariff(bands=(night,), price_per_kwh=0.1))[1] == ()


def test_prices_go_by_the_sites_clock_over_the_change_to_summer_time() -> None:
    """On 29 March 2026 the hour from 2 to 3 is left out in Berlin."""
    tariff = Tariff(bands=(TariffBand(from_hour=3, to_hour=4, price_per_kwh=0.5),), price_per_kwh=0.1)
    start = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)
    assert prices_ahead(tariff, start, 3, 3600.0, BERLIN).tolist() == [0.1, 0.5, 0.1]


def test_the_billing_month_is_the_sites() -> None:
    now = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
    assert month_start(now, BERLIN) == datetime(2026, 4, 1, tzinfo=BERLIN)
    assert month_end(now, BERLIN) == datetime(2026, 5, 1, tzinfo=BERLIN)
