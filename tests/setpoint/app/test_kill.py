"""The real process, killed for real: a small version of `python -m evals.bench kill`."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals import bench_kill


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_done_unasked_under_kill_9(tmp_path: Path) -> None:
    figures = bench_kill.run(60, 8, folder=tmp_path, seed=3)
    assert bench_kill.broken(figures) == []
    assert figures["kills"] == 8
    assert figures["acknowledged"] == 60
    assert figures["notices"] > 0, "a trial that alerts nobody shows nothing"
    assert figures["actions_moved"] > 0, "a trial that moves nothing shows nothing"
