"""Composed nights through Setpoint: the figures are counts of what truly happened."""

from __future__ import annotations

from evals.fault_nights import run
from plant import load_site


def test_the_counts_hang_together() -> None:
    found = run(load_site("demo"), seeds=(3,), faults=6, hours=4.0)
    assert found.nights == 1
    assert 1 <= found.faults <= 6
    assert found.right <= found.in_top3 <= found.faults
    assert found.right + sum(times for *_, times in found.wrong) == found.faults
    assert 0.0 < found.ranking.macro_f1 < 1.0
    assert found.events == found.ranking.texts > 100
