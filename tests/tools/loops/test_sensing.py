"""What loops read: trusted numbers, even series, and a trouble for everything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from plant.jobs.schedule import ScheduledJob
from plant.site import Site, load_site, site_file_of
from tools.loops.ports import LoopPorts
from tools.loops.sensing import ANNOUNCED_S, Sensing, node_loads
from tools.readings import Reading
from tools.telemetry import Kept

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def demo() -> Site:
    return load_site(site_file_of("demo"))


def sensing(
    site: Site,
    values: Mapping[str, Mapping[str, float]] | None = None,
    *,
    old_s: float = 10.0,
    history: Iterable[tuple[str, str, datetime, float]] = (),
    jobs: tuple[ScheduledJob, ...] = (),
) -> Sensing:
    def read(asset: str) -> Reading | None:
        found = (values or {}).get(asset)
        return None if found is None else Reading(asset, NOW - timedelta(seconds=old_s), found)

    ports = LoopPorts(site, read, Kept.of(history), lambda: NOW, lambda _start, _end: jobs)
    return Sensing(ports, NOW)


def minutes(asset: str, metric: str, count: int, value: float) -> list[tuple[str, str, datetime, float]]:
    return [(asset, metric, NOW - timedelta(minutes=k), value + 0.1 * (k % 7)) for k in range(count)]


def test_a_sound_number_is_read_and_kept(demo: Site) -> None:
    reads = sensing(demo, {"ess-1": {"soc_pct": 61.0}})
    assert reads.number("ess-1", "soc_pct") == 61.0
    assert reads.readings == {"ess-1.soc_pct": 61.0}
    assert reads.troubles == ()
    assert reads.watch("peak").readings == {"ess-1.soc_pct": 61.0}


@pytest.mark.parametrize(
    ("values", "old_s", "kind", "says"),
    [
        ({}, 10.0, "missing", "ess-1 soc_pct is not read"),
        ({"ess-1": {"power_kw": 0.0}}, 10.0, "missing", "is not read"),
        ({"ess-1": {"soc_pct": 61.0}}, 900.0, "stale", "was last read 15 min ago"),
        ({"ess-1": {"soc_pct": 61.0}}, -60.0, "clock_jump", "is stamped 60 s ahead of now"),
        ({"ess-1": {"soc_pct": 250.0}}, 10.0, "impossible", "reads 250, possible is -0.5 to 100.5"),
        ({"ess-1": {"soc_pct": float("nan")}}, 10.0, "impossible", "reads nan"),
    ],
)
def test_a_number_that_is_not_to_be_trusted_is_none_and_a_trouble(
    demo: Site, values: dict[str, dict[str, float]], old_s: float, kind: str, says: str
) -> None:
    reads = sensing(demo, values, old_s=old_s)
    assert reads.number("ess-1", "soc_pct") is None
    assert reads.readings == {}
    (trouble,) = reads.troubles
    assert (trouble.kind, trouble.asset, trouble.metric, trouble.blocks) == (kind, "ess-1", "soc_pct", True)
    assert says in trouble.what
    assert trouble.remedy


def test_what_an_asset_is_rated_for_bounds_its_readings(demo: Site) -> None:
    reads = sensing(demo, {"feed-a": {"load_kw": 207_653.0}})
    assert reads.number("feed-a", "load_kw", blocks=False) is None
    assert "possible is -1290 to 1290" in reads.troubles[0].what
    assert not reads.troubles[0].blocks


def test_a_trouble_is_told_once_and_blocks_if_one_who_asked_needs_it(demo: Site) -> None:
    reads = sensing(demo)
    for blocks in (False, True, False):
        reads.number("cdu-1", "flow_lpm", blocks=blocks)
    assert [trouble.blocks for trouble in reads.troubles] == [True]


def test_series_end_now_and_gaps_are_nan(demo: Site) -> None:
    reads = sensing(demo, history=minutes("feed-a", "load_kw", 60, 200.0))
    found = reads.series("feed-a", "load_kw", 2.0, 600.0)
    assert found.shape == (12,)
    assert np.isfinite(found[-6:]).all()
    assert np.isnan(found[:5]).all()
    assert [trouble.kind for trouble in reads.troubles] == ["missing"]


def test_the_site_draws_the_sum_of_its_feeds_and_of_what_storage_gives(demo: Site) -> None:
    history = [
        *minutes("feed-a", "load_kw", 200, 200.0), *minutes("feed-b", "load_kw", 200, 150.0),
        *minutes("ess-1", "power_kw", 200, 40.0),
    ]  # fmt: skip
    reads = sensing(demo, history=history)
    site = reads.site_kw(3.0, 900.0)
    np.testing.assert_allclose(site.grid, 350.5, atol=0.5)
    np.testing.assert_allclose(site.own, site.grid + 40.2, atol=0.5)
    assert site.start == NOW - timedelta(hours=3)
    assert reads.troubles == ()


def test_without_one_feed_the_draw_is_not_known_and_without_storage_readings_it_rests(demo: Site) -> None:
    reads = sensing(demo, history=minutes("feed-a", "load_kw", 200, 200.0))
    site = reads.site_kw(1.0, 900.0)
    assert np.isnan(site.grid).all()
    assert (site.storage == 0.0).all()
    assert {(trouble.asset, trouble.kind) for trouble in reads.troubles} == {
        ("feed-b", "missing"),
        ("ess-1", "missing"),
    }


def test_jobs_count_by_the_share_of_each_step_they_run_and_only_as_far_as_announced(demo: Site) -> None:
    jobs = (
        ScheduledJob("train", ("gpu-01", "gpu-02"), NOW - timedelta(minutes=15), NOW + timedelta(hours=48), 0.9, flexible=False),
        ScheduledJob("batch", ("gpu-03",), NOW, NOW + timedelta(hours=1), 1.0, flexible=True, paused=True),
    )  # fmt: skip
    assert node_loads(jobs, NOW - timedelta(minutes=30), 4, 600.0).tolist() == pytest.approx(
        [0.0, 0.9, 1.8, 1.8]
    )
    past, ahead = sensing(demo, jobs=jobs).scheduled_nodes(1.0, 600.0, 144)
    known = round(ANNOUNCED_S / 600.0)
    assert past.tolist() == pytest.approx([0.0] * 4 + [0.9, 1.8])
    assert (ahead[:known] == 1.8).all()
    assert np.isnan(ahead[known:]).all()
