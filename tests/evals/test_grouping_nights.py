"""The measure of grouping: on one small night, with the true causes and with those of the signatures."""

from __future__ import annotations

import pytest

from evals.grouping_nights import NightFigures, figures, measure
from plant.faults.night import Night, compose
from plant.site import load_site, site_file_of


@pytest.fixture(scope="module")
def night() -> Night:
    site = load_site(site_file_of("demo"))
    return compose(site, 5, hours=5.0, faults=["driver_mismatch", "condensation_risk"])


def test_with_the_true_causes_effects_go_under_them_and_nothing_is_hidden(night: Night) -> None:
    found = measure(night, "truth")
    assert found.top + found.grouped == found.incidents
    assert found.top < found.incidents
    assert (found.hidden, found.grouped_wrong, found.faults_lost) == (0, 0, 0)
    assert found.whole_after >= found.whole_before
    assert found.mattered <= found.alarms


def test_a_wrong_group_is_seen_by_the_measure() -> None:
    """Two of ten alarms that mattered hidden, and a fault that nothing stands for."""
    one = NightFigures(
        alarms=12, incidents=4, top=2, purity_before=1.0, purity_after=0.8, whole_before=1.0, whole_after=1.0, grouped=2,
        grouped_wrong=1, mattered=10, hidden=2, faults=4, faults_lost=1,
    )  # fmt: skip
    by_name = {figure.name: figure.value for figure in figures([one, one], "truth")}
    assert by_name["alarms hidden that mattered"] == 0.2
    assert by_name["faults without an incident at the top"] == 0.25
    assert by_name["grouped under a wrong cause"] == 0.5
    assert (by_name["alarms per incident before"], by_name["alarms per incident after"]) == (3.0, 6.0)
