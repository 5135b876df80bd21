"""The jobs of a site's days: what is announced, what comes of it, and pausing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from plant.control.days_jobs import JobDays
from plant.site import Site, load_site, site_file_of
from setpoint.errors import UsageError

START = datetime(2026, 3, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def hall() -> Site:
    return load_site(site_file_of("hall-1024"))


def days(site: Site, hours: float, seed: int = 7) -> JobDays:
    made = JobDays(site, START, seed)
    made.pass_to(START + hours * HOUR)
    return made


def flexible_node(made: JobDays) -> str:
    """A node that a job which may be paused runs on."""
    while True:
        for span in made.spans(made.now, made.now + timedelta(minutes=1)):
            if span.flexible and span.start <= made.now and not span.paused:
                return span.nodes[0]
        made.pass_to(made.now + HOUR)


def test_big_jobs_start_and_stop_and_small_ones_come_and_go(hall: Site) -> None:
    made = days(hall, 14 * 24)
    spans = [span for span in made.spans(START, made.now) if span.end <= made.now]
    big = [span for span in spans if len(span.nodes) == 64]
    assert 5 <= len(big) <= 30
    assert len([span for span in spans if span.flexible]) >= 20
    assert made.scheduler.metrics().completed >= 30
    assert all(hall.pool_of(node) is None for span in spans for node in span.nodes)


def test_the_same_seed_gives_the_same_jobs_however_time_passes(hall: Site) -> None:
    at_once, in_steps = days(hall, 100), JobDays(hall, START, 7)
    for hour in range(101):
        in_steps.pass_to(START + hour * HOUR)
    assert at_once.spans(START, at_once.now) == in_steps.spans(START, in_steps.now)
    other = days(hall, 100, seed=8)
    assert other.spans(START, other.now) != at_once.spans(START, at_once.now)


def test_the_schedule_knows_what_is_announced_and_nothing_else(hall: Site) -> None:
    """Each hour of a fortnight: what it shows ahead was announced; some of what came it had not shown."""
    made, shown, surprises, early = JobDays(hall, START, 7), set[str](), 0, 0
    for hour in range(14 * 24):
        now = START + hour * HOUR
        before = set(made.scheduler.tasks)
        made.pass_to(now)
        fresh = [
            name for name in set(made.scheduler.tasks) - before if not made.scheduler.tasks[name].work.service
        ]
        surprises += len([name for name in fresh if name not in shown and hour > 0])
        for span in made.spans(now, now + 24 * HOUR):
            shown.add(span.name)
            if not made.scheduler.tasks.get(span.name):
                assert made.jobs[span.name].announced <= now
    early = sum(job.work.duration_s < 0.95 * job.work.limit_s for job in made.jobs.values())
    assert surprises >= 3
    assert 0.05 < early / len(made.jobs) < 0.3
    assert len(shown) > 30


def test_looking_ahead_changes_nothing(hall: Site) -> None:
    looked, blind = days(hall, 30), days(hall, 30)
    looked.spans(looked.now, looked.now + 48 * HOUR)
    for made in (looked, blind):
        made.pass_to(START + 90 * HOUR)
    assert looked.on_nodes() == blind.on_nodes()
    assert looked.scheduler.decisions == blind.scheduler.decisions


def test_a_paused_job_stands_on_all_its_nodes_and_keeps_them(hall: Site) -> None:
    made = days(hall, 30)
    node = flexible_node(made)
    name = made.pause(node)
    nodes = made.held[name]
    assert node in nodes
    assert {made.on_nodes()[one][2] for one in nodes} == {False}
    made.pass_to(made.now + 2 * HOUR)
    assert {made.on_nodes()[one][2] for one in nodes} == {False}, "nobody else took them"
    assert [
        span.paused
        for span in made.spans(made.now, made.now + HOUR)
        if span.name == name and span.end > made.now
    ] == [True]
    done_s = made.scheduler.tasks[name].done_s(made.scheduler.now_s)
    assert made.resume(node) == name
    assert set(made.scheduler.tasks[name].nodes) == set(nodes)
    made.pass_to(made.now + timedelta(minutes=30))
    assert (
        made.scheduler.tasks[name].done_s(made.scheduler.now_s) > done_s
        or made.scheduler.tasks[name].state == "done"
    )


def test_what_cannot_be_paused_is_refused_and_nothing_changes(hall: Site) -> None:
    made = days(hall, 30)
    rigid = next(s for s in made.spans(made.now, made.now + HOUR) if not s.flexible and s.start <= made.now)
    before = made.on_nodes()
    with pytest.raises(UsageError, match="may not be stopped"):
        made.pause(rigid.nodes[0])
    idle = next(n.name for n in hall.of_kind("gpu_node") if not hall.pool_of(n.name) and n.name not in before)
    with pytest.raises(UsageError, match="no job runs on"):
        made.pause(idle)
    with pytest.raises(UsageError, match="no paused job on"):
        made.resume(idle)
    assert made.on_nodes() == before


def test_a_pause_past_its_time_makes_a_job_late(hall: Site) -> None:
    made = days(hall, 30)
    name = made.pause(flexible_node(made))
    due = made.jobs[name].due
    assert due is not None
    made.pass_to(due + HOUR)
    assert name in made.late(made.now)


def test_a_lost_node_cuts_its_job_off_and_comes_back(hall: Site) -> None:
    made = days(hall, 30)
    span = next(s for s in made.spans(made.now, made.now + HOUR) if s.start <= made.now)
    made.lose(span.nodes[0])
    assert span.nodes[0] not in made.on_nodes()
    assert made.scheduler.tasks[span.name].interruptions == 1
    made.bring_back(span.nodes[0])


def test_a_site_whose_nodes_all_serve_has_no_jobs() -> None:
    lab = load_site(site_file_of("lab-16"))
    assert days(lab, 100).spans(START, START + 200 * HOUR) == []
