"""The bound holds whenever one looks, and rises soon enough to be of use."""

from __future__ import annotations

import doctest
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import setpoint.autonomy.bound
import setpoint.autonomy.rules
from setpoint.autonomy.bound import count, exceeds, log_evidence, lower_bound, needed
from setpoint.autonomy.rules import ALPHA, alpha_of
from setpoint.contracts.autonomy import Count

few = st.integers(0, 300)
alphas = st.floats(1e-4, 0.2)


@pytest.mark.parametrize("module", [setpoint.autonomy.bound, setpoint.autonomy.rules])
def test_the_examples_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


@given(good=few, bad=few, alpha=alphas)
def test_the_bound_is_below_the_share_that_was_seen(good: int, bad: int, alpha: float) -> None:
    bound = lower_bound(good, bad, alpha)
    assert 0.0 <= bound <= (good / (good + bad) if good else 0.0)


@given(good=st.integers(1, 300), bad=few, alpha=alphas)
def test_a_good_one_raises_it_and_a_bad_one_lowers_it(good: int, bad: int, alpha: float) -> None:
    here = lower_bound(good, bad, alpha)
    assert lower_bound(good + 1, bad, alpha) >= here - 1e-9
    assert lower_bound(good, bad + 1, alpha) <= here + 1e-9


@given(good=st.integers(1, 300), bad=few, alpha=alphas, share=st.floats(0.05, 0.99))
def test_the_bound_is_what_the_evidence_refutes(good: int, bad: int, alpha: float, share: float) -> None:
    bound = lower_bound(good, bad, alpha)
    if abs(bound - share) > 1e-6:
        assert exceeds(good, bad, share, alpha) == (bound > share)


@given(bad=st.integers(0, 20), share=st.sampled_from([0.8, 0.9, 0.95]), alpha=st.sampled_from([0.01, 0.002]))
@settings(deadline=None)
def test_what_is_needed_is_the_fewest_that_do(bad: int, share: float, alpha: float) -> None:
    good = needed(bad, share, alpha)
    assert exceeds(good, bad, share, alpha)
    assert not exceeds(good - 1, bad, share, alpha)
    assert count(good, bad, share, alpha).holds
    assert count(good - 3, bad, share, alpha).more == 3


def _boundary(longest: int, share: float, alpha: float) -> np.ndarray:
    """Good ones needed at each number of bad ones."""
    return np.array([needed(bad, share, alpha) for bad in range(longest)])


@pytest.mark.parametrize("claimed", [0.80, 0.95])
def test_looking_after_each_decision_and_stopping_at_the_best_moment_is_paid_for(claimed: float) -> None:
    """4,000 records of 1,500 decisions whose true share is exactly the claim, looked at after each: the share that
    ever passes is at most alpha, but for chance. A fixed-size interval passes for several times that."""
    alpha, rng = 0.05, np.random.default_rng(4)
    good = np.cumsum(rng.random((4000, 1500)) < claimed, axis=1)
    bad = np.arange(1, 1501) - good
    passed = (good >= _boundary(int(bad.max()) + 1, claimed, alpha)[bad]).any(axis=1).mean()
    assert 0.0 < passed <= alpha + 3 * (alpha * (1 - alpha) / 4000) ** 0.5
    naive = ((good - claimed * (good + bad)) / np.sqrt((good + bad) * claimed * (1 - claimed)) > 1.645)[
        :, 30:
    ]
    assert naive.any(axis=1).mean() > 3 * alpha


def test_an_adversary_who_moves_the_share_below_the_claim_gains_nothing() -> None:
    """Each next share is chosen from what was seen so far, to look best now; it is never above the claim."""
    alpha, claimed, rng, passed = 0.05, 0.9, np.random.default_rng(5), 0
    limits = _boundary(400, claimed, alpha)
    for _ in range(1500):
        good = bad = 0
        for _ in range(600):
            # Careful near the line, careless far from it.
            share = claimed if good >= 0.7 * limits[bad] else claimed - 0.1
            hit = rng.random() < share
            good, bad = good + hit, bad + (not hit)
            if good >= limits[bad]:
                passed += 1
                break
    assert passed / 1500 <= alpha + 3 * (alpha * (1 - alpha) / 1500) ** 0.5


def test_all_tries_together_stay_below_alpha() -> None:
    assert sum(alpha_of(tries) for tries in range(60)) <= ALPHA * (1 + 1e-12)
    assert alpha_of(0) > alpha_of(1) > alpha_of(2) > 0


def test_it_rises_within_a_season_of_nights() -> None:
    """How many plain yeses in a row it takes, for the first try and after one fall."""
    assert needed(0, 0.95, alpha_of(0)) == 114
    assert needed(0, 0.95, alpha_of(1)) == 148
    assert needed(0, 0.80, alpha_of(0)) == 26


def test_evidence_that_underflows_is_evidence_against() -> None:
    assert log_evidence(3, 5000, 0.95) == -np.inf
    assert lower_bound(0, 5000, 0.01) == 0.0


def test_a_count_says_whether_it_holds() -> None:
    assert Count(good=1, bad=0, lower=0.2, required=0.1, alpha=0.01, more=0).holds
