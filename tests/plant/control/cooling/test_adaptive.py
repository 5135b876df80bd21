"""Least squares that forgets, and intervals that keep their level."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from plant.control.cooling.adaptive import Band, LeastSquares, Shares


def test_each_model_finds_its_own_weights() -> None:
    rng, truth = np.random.default_rng(1), np.array([[1.0, -2.0], [0.3, 0.7]])
    learner = LeastSquares(np.zeros((2, 2)), np.array([10.0, 10.0]), noise=0.01)
    for _ in range(400):
        features = rng.standard_normal((2, 2))
        learner.learn(features, (features * truth).sum(axis=1) + 0.1 * rng.standard_normal(2))
    assert learner.weights == pytest.approx(truth, abs=0.05)


def test_samples_together_are_as_good_as_one_by_one() -> None:
    rng = np.random.default_rng(2)
    features, noise = rng.standard_normal((6, 3)), rng.standard_normal(6)
    values = features @ np.array([1.0, 2.0, 3.0]) + 0.1 * noise
    together = LeastSquares(np.zeros(3), np.ones(3), keep=1.0)
    single = LeastSquares(np.zeros(3), np.ones(3), keep=1.0)
    together.learn_together(features, values)
    for row, value in zip(features, values, strict=True):
        single.learn(row[None, :], np.array([value]))
    assert together.weights == pytest.approx(single.weights)
    assert together.covariance == pytest.approx(single.covariance)


def test_what_is_not_read_teaches_nothing() -> None:
    learner = LeastSquares(np.ones((2, 1)), np.array([1.0]))
    learner.learn(np.ones((2, 1)), np.array([np.nan, 3.0]))
    assert learner.weights[0, 0] == 1.0
    assert learner.weights[1, 0] > 1.5
    learner.learn_together(np.full((2, 1), np.nan), np.ones(2))
    assert learner.weights[0, 0] == 1.0


def test_it_follows_a_change_and_does_not_wind_up() -> None:
    learner = LeastSquares(np.zeros((1, 1)), np.array([1.0]), keep=0.99, noise=0.1)
    for k in range(5000):
        learner.learn(np.array([[0.0 if k < 4000 else 1.0]]), np.array([5.0]))
    assert float(learner.covariance.max()) <= 10.0
    assert learner.weights[0, 0] == pytest.approx(5.0, abs=0.05)


def test_coverage_holds_though_errors_grow_threefold() -> None:
    rng, band = np.random.default_rng(3), Band(0.9)
    for k in range(6000):
        band.score([float(rng.standard_normal() * (1.0 if k < 3000 else 3.0))], band.half())
    assert band.coverage == pytest.approx(0.9, abs=0.015)
    assert band.half() == pytest.approx(3 * 1.645, rel=0.25)


def test_the_bound_above_is_passed_as_rarely_as_asked() -> None:
    rng, band = np.random.default_rng(4), Band(0.9)
    for _ in range(2000):
        band.score([float(rng.standard_normal())], band.half())
    fresh = rng.standard_normal(20000)
    assert float((fresh > band.above(0.02)).mean()) == pytest.approx(0.02, abs=0.008)


def test_without_errors_the_prior_speaks_and_state_travels() -> None:
    band = Band(0.9, prior=2.0)
    assert (band.half(), band.above(0.01)) == (2.0, 4.0)
    assert math.isnan(band.coverage)
    for k in range(100):
        band.score([k / 10.0], band.half())
    other = Band(0.9, prior=2.0)
    other.restore(band.state())
    assert other.half() == band.half()
    other.restore({"errors": "nonsense", "aim": None})
    assert other.half() == band.half()


def test_each_column_holds_the_level_by_itself() -> None:
    """One column is ten times as rough as the other: with one width for both, one would always hold and one never."""
    rng, shares = np.random.default_rng(4), Shares(0.9, np.ones(2))
    hits = []
    for step in range(3000):
        errors, half = rng.normal(0.0, [0.1, 1.0]), 0.6 * shares.values
        shares.learn(errors, half)
        if step > 500:
            hits.append(np.abs(errors) <= half)
    assert np.mean(hits, axis=0) == pytest.approx([0.9, 0.9], abs=0.02)
    shares.learn(np.array([np.nan, 0.0]), np.ones(2))
    other = Shares(0.9, np.ones(2))
    other.restore(json.loads(json.dumps(shares.state())))
    assert other.values == pytest.approx(shares.values)
    other.restore({"shares": [1.0, 2.0, 3.0]})
    assert other.values == pytest.approx(shares.values)
