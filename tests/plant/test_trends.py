"""The eras: growth recomputed from the source's figures, and a site's place among them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.trends import ERAS, HOURS_A_YEAR, growth, notes, place, rows
from setpoint.errors import UsageError

SEEDS = (
    Path(os.environ.get("SETPOINT_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")).parent
    / "seeds"
)


@pytest.mark.skipif(not SEEDS.is_dir(), reason="../shared/seeds is not here")
def test_the_eras_are_those_of_the_mission() -> None:
    text = next(
        t
        for file in sorted(SEEDS.glob("*.txt"))
        if "terawatt-hours" in (t := file.read_text(encoding="utf-8"))
    )
    assert [float(twh) for twh in re.findall(r"• (\d+)\+? TWh", text)] == [era.energy_twh for era in ERAS]
    assert [float(pb.replace(",", "")) for pb in re.findall(r"• ([\d,]+) PB/day", text)] == [
        era.data_pb_per_day for era in ERAS
    ]
    assert [1e3 * float(k) for k in re.findall(r"• (\d+)K DC", text)] == [era.data_centers for era in ERAS]
    assert [float(pue) for pue in re.findall(r"• PUE ([\d.]+)", text)] == [era.pue for era in ERAS]


def test_growth_is_computed_and_wrong_factors_are_named() -> None:
    by = {(g.era, g.figure): g for g in growth()}
    assert by["mobile and cloud", "energy_twh"].follows
    assert by["mobile and cloud", "data_pb_per_day"].since_previous == 10_000
    assert by["AI", "energy_twh"].since_previous == 2
    assert by["AI", "data_pb_per_day"].since_previous == 50_000
    assert by["AI", "data_pb_per_day"].since_first == 500_000_000
    assert by["AI", "pue"].since_first == pytest.approx(1.4 / 3.0)
    assert len(notes()) == 3
    assert "neither" in next(note for note in notes() if "data_pb" in note)


def test_mean_data_centers() -> None:
    """10 TWh over 1,000; 200 over 4,000; 400 over 12,000: in GWh a year."""
    assert [era.mean_gwh for era in ERAS] == pytest.approx([10.0, 50.0, 100 / 3])
    assert ERAS[1].mean_mw * HOURS_A_YEAR == pytest.approx(50_000)


def test_a_site_among_the_eras() -> None:
    site = place(0.05, 1.8)
    assert (site.nearest_by_energy, site.nearest_by_pue) == ("mobile and cloud", "mobile and cloud")
    assert site.against[1].energy_ratio == pytest.approx(1.0)
    assert site.against[2].saving_pu == pytest.approx(1 - 1.4 / 1.8)
    assert "22.2%" in site.remarks[0]
    assert place(mean_kw=1000.0, pue=1.15).remarks == ()
    assert "check the meters" in " ".join(place(0.05, 3.4).remarks)
    assert "check the scale" in " ".join(place(5.0, 1.2).remarks)


@settings(deadline=None, max_examples=60)
@given(twh=st.floats(1e-6, 10.0), pue=st.floats(1.0, 4.0))
def test_energy_is_kept(twh: float, pue: float) -> None:
    site = place(twh, pue)
    assert site.it_gwh * pue == pytest.approx(1000 * twh)
    for one in site.against:
        at_era_pue = site.it_gwh * one.era.pue
        assert site.annual_gwh * (1 - one.saving_pu) == pytest.approx(at_era_pue)
    assert place(mean_kw=site.mean_mw * 1000, pue=pue).annual_gwh == pytest.approx(site.annual_gwh)


@pytest.mark.parametrize(
    ("twh", "pue", "kw", "said"),
    [(0.0, 1.4, None, "energy of a site"), (-1.0, 1.4, None, "energy of a site"), (float("nan"), 1.4, None, "energy of a site"),
     (1.0, 0.9, None, "impossible"), (1.0, float("nan"), None, "impossible"), (None, 1.4, None, "once"), (1.0, 1.4, 5.0, "once")],
)  # fmt: skip
def test_impossible_sites_are_refused(twh: float | None, pue: float, kw: float | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        place(twh, pue, mean_kw=kw)


def test_the_table_has_the_site_below_the_eras() -> None:
    told = rows(place(0.05, 1.8))
    assert {len(row) for row in told} == {7}
    assert [row[0] for row in told] == ["era", "internet", "mobile and cloud", "AI", "this site"]
    assert told[3][1] == "400+"
    assert len(rows()) == 4
