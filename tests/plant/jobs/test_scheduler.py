"""The scheduler against hand-worked schedules, and its promises under random loads."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.jobs.places import Place
from plant.jobs.scheduler import Scheduler
from plant.jobs.work import Work
from setpoint.errors import UsageError


def work(name: str, nodes: int, seconds: float, **more: object) -> Work:
    return Work.model_validate(
        {"name": name, "nodes": nodes, "duration_s": seconds, "limit_s": seconds} | more
    )


def ten() -> Scheduler:
    return Scheduler([f"n{i}" for i in range(10)])


def states(scheduler: Scheduler) -> dict[str, str]:
    return {name: task.state for name, task in scheduler.tasks.items()}


def starts(scheduler: Scheduler) -> dict[str, float]:
    return {
        name: task.first_start_s for name, task in scheduler.tasks.items() if task.first_start_s is not None
    }


# ---- hand-worked schedules ---------------------------------------------------------------------------------------


def test_easy_backfill_by_hand() -> None:
    """Ten nodes. A holds 6 until 10. B wants 8: reserved at 10, with 2 nodes to spare. C (2 nodes, long) fits in
    those 2; D (2 nodes, 10 s) ends at 10; E (2 nodes, 11 s) would hold B up, so it waits until B is over at 15."""
    scheduler = ten()
    for one in (work("A", 6, 10), work("B", 8, 5), work("C", 2, 50), work("D", 2, 10), work("E", 2, 11)):
        scheduler.submit(one)
    scheduler.advance(100)
    assert starts(scheduler) == {"A": 0, "B": 10, "C": 0, "D": 0, "E": 15}
    done = scheduler.metrics()
    assert (done.completed, done.longest_wait_s, done.mean_wait_s) == (5, 15, 5)
    node_seconds = 6 * 10 + 8 * 5 + 2 * 50 + 2 * 10 + 2 * 11
    assert done.useful_node_s == node_seconds
    assert done.utilisation_pu == pytest.approx(node_seconds / 1000)


def test_without_backfill_the_short_job_would_have_waited() -> None:
    """First come, first served would start D at 15; the test above must not pass by accident."""
    scheduler = ten()
    for one in (work("A", 6, 10), work("B", 8, 5)):
        scheduler.submit(one)
    scheduler.advance(10)
    scheduler.submit(work("D", 3, 10))
    scheduler.advance(40)
    assert starts(scheduler)["D"] == 15


def test_reservations_go_by_limits_and_starts_by_what_happens() -> None:
    scheduler = ten()
    scheduler.submit(work("A", 10, 5, limit_s=20))
    scheduler.submit(work("B", 10, 5))
    assert scheduler.reservation_s(scheduler.tasks["B"]) == 20
    scheduler.advance(30)
    assert starts(scheduler)["B"] == 5


def test_priority_goes_before_arrival() -> None:
    scheduler = ten()
    scheduler.submit(work("A", 10, 10))
    scheduler.submit(work("low", 10, 10, priority=1))
    scheduler.submit(work("high", 10, 10, priority=2), at_s=5)
    scheduler.advance(100)
    assert starts(scheduler) == {"A": 0, "high": 10, "low": 20}


def test_preemption_takes_as_little_as_is_enough() -> None:
    """4 nodes are wanted: neither `small` alone is enough; `mid` alone is, so the smalls are spared."""
    scheduler = ten()
    scheduler.submit(work("fixed", 4, 100))
    scheduler.submit(work("small", 2, 100, priority=1, preemptible=True))
    scheduler.submit(work("mid", 4, 100, priority=2, preemptible=True))
    scheduler.advance(7)
    scheduler.submit(work("urgent", 4, 10, priority=9))
    assert states(scheduler) == {
        "fixed": "running",
        "small": "running",
        "mid": "waiting",
        "urgent": "running",
    }
    scheduler.advance(500)
    mid = scheduler.tasks["mid"]
    assert (mid.preemptions, mid.lost_node_s, mid.ended_s) == (1, 0, 7 + 10 + 93)


def test_a_service_gets_its_node_back_before_training() -> None:
    scheduler = Scheduler(["n0", "n1", "n2"])
    scheduler.submit(Work(name="chat/0", nodes=1, priority=100, service=True, home=("n1",)))
    scheduler.submit(work("tune", 2, 100, preemptible=True))
    assert scheduler.tasks["chat/0"].nodes == ("n1",)
    scheduler.node_lost("n1", "XID 79")
    assert states(scheduler) == {"chat/0": "running", "tune": "waiting"}
    scheduler.node_back("n1")
    assert states(scheduler) == {"chat/0": "running", "tune": "running"}
    assert scheduler.node_load() == dict.fromkeys(scheduler.tasks["tune"].nodes, 0.92)


def test_a_service_scales_and_takes_nodes_from_lower_work() -> None:
    scheduler = ten()
    scheduler.submit(work("tune", 8, 100, preemptible=True))
    chat = Work(name="chat", nodes=1, priority=9, service=True)
    scheduler.scale(chat, 2)
    assert states(scheduler) == {"tune": "running", "chat/0": "running", "chat/1": "running"}
    scheduler.scale(chat, 4)
    assert states(scheduler)["tune"] == "waiting"
    scheduler.scale(chat, 1)
    assert [name for name, state in states(scheduler).items() if state == "running"] == ["tune", "chat/0"]
    scheduler.scale(chat, 2)
    assert states(scheduler)["chat/4"] == "running"
    with pytest.raises(UsageError, match="cannot scale"):
        scheduler.scale(chat, -1)


# ---- interruptions -----------------------------------------------------------------------------------------------


def test_a_lost_node_costs_what_was_done_since_the_checkpoint() -> None:
    """Lost at 2,500 s with checkpoints every 1,000 s: 500 s on 4 nodes are lost, 300 s of loading follow."""
    scheduler = Scheduler([f"n{i}" for i in range(5)], restart_s=300)
    scheduler.submit(work("train", 4, 10_000, checkpoint_s=1000))
    scheduler.advance(2500)
    scheduler.node_lost("n0")
    scheduler.advance(20_000)
    train = scheduler.tasks["train"]
    assert train.lost_node_s == 500 * 4
    assert train.ended_s == 2500 + 300 + 8000
    assert "n0" not in train.runs[1][2]


def test_without_checkpoints_all_is_lost() -> None:
    scheduler = ten()
    scheduler.submit(work("train", 10, 1000, checkpointed=False))
    scheduler.advance(999)
    scheduler.node_lost("n3")
    scheduler.node_back("n3")
    scheduler.advance(5000)
    assert scheduler.tasks["train"].ended_s == 1999
    assert scheduler.metrics().lost_node_s == 9990


def test_pause_keeps_the_work_and_resume_goes_on() -> None:
    scheduler = ten()
    scheduler.submit(work("train", 4, 100, preemptible=True))
    scheduler.advance(40)
    scheduler.pause("train", "peak shaving")
    assert scheduler.node_load() == {}
    assert scheduler.node_load(39.0) == dict.fromkeys(("n0", "n1", "n2", "n3"), 0.92)
    scheduler.advance(60)
    scheduler.resume("train")
    scheduler.advance(200)
    assert scheduler.tasks["train"].ended_s == 120
    assert scheduler.metrics().lost_node_s == 0


def test_relocate_leaves_the_rack_that_is_named() -> None:
    places = [Place(f"n{i}", rack=f"r{i // 2}") for i in range(6)]
    scheduler = Scheduler(places)
    scheduler.submit(work("train", 2, 100, preemptible=True))
    assert scheduler.tasks["train"].nodes == ("n0", "n1")
    assert scheduler.relocate("train", away_from=["r0"], reason="hot rack") == ("n2", "n3")
    scheduler.submit(work("rest", 4, 100))
    with pytest.raises(UsageError, match="no room for train away from"):
        scheduler.relocate("train")
    assert scheduler.tasks["train"].nodes == ("n2", "n3")


def test_drain_moves_what_may_move_and_says_what_stays() -> None:
    scheduler = ten()
    scheduler.submit(work("fixed", 2, 100))
    scheduler.submit(work("soft", 2, 100, preemptible=True))
    soft_node = scheduler.tasks["soft"].nodes[0]
    assert scheduler.drain(soft_node) == ()
    assert soft_node not in scheduler.tasks["soft"].nodes
    assert scheduler.drain(scheduler.tasks["fixed"].nodes[0]) == ("fixed",)
    assert scheduler.tasks["fixed"].state == "running"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (lambda s: s.submit(work("huge", 11, 1)), "wants 11 nodes; there are 10"),
        (lambda s: s.submit(work("fixed", 1, 1)), "already known"),
        (lambda s: s.submit(work("late", 1, 1), at_s=math.nan), "submitted at nan s"),
        (lambda s: s.pause("fixed"), "may not be stopped"),
        (lambda s: s.pause("none"), "no work 'none'"),
        (lambda s: s.resume("fixed"), "not paused"),
        (lambda s: s.advance(math.inf), "cannot advance"),
        (lambda s: s.node_load(5.0), "has not come yet"),
        (lambda s: s.node_lost("n99"), "no node 'n99'"),
    ],
)
def test_what_cannot_be_done_is_said(request_: object, said: str) -> None:
    scheduler = ten()
    scheduler.submit(work("fixed", 1, 100))
    with pytest.raises(UsageError, match=said):
        request_(scheduler)  # type: ignore[operator]


# ---- promises under random loads ---------------------------------------------------------------------------------

JOBS = st.lists(
    st.tuples(
        st.integers(1, 8),
        st.integers(1, 60),
        st.integers(0, 40),
        st.integers(0, 2),
        st.booleans(),
        st.floats(1.0, 2.0),
    ),
    min_size=1,
    max_size=14,
)


def loaded(jobs: list[tuple[int, int, int, int, bool, float]], *, flat: bool) -> Scheduler:
    """Eight nodes in four racks; with `flat` all jobs are alike in rank and none may be preempted."""
    scheduler = Scheduler(Place(f"n{i}", rack=f"r{i // 2}", leaf=f"l{i // 4}") for i in range(8))
    for number, (nodes, seconds, at_s, priority, soft, slack) in enumerate(jobs):
        more = {} if flat else {"priority": priority, "preemptible": soft, "checkpoint_s": 7.0}
        scheduler.submit(
            work(f"j{number}", nodes, seconds, **({"limit_s": seconds * slack} | more)), at_s=float(at_s)
        )
    return scheduler


@settings(max_examples=60, deadline=None)
@given(JOBS)
def test_no_node_is_held_twice_and_the_first_in_line_could_not_run(
    jobs: list[tuple[int, int, int, int, bool, float]],
) -> None:
    scheduler = loaded(jobs, flat=False)
    while math.isfinite(scheduler.next_event_s()):
        scheduler.advance(scheduler.next_event_s())
        running = [task for task in scheduler.tasks.values() if task.state == "running"]
        held = [node for task in running for node in task.nodes]
        assert len(held) == len(set(held))
        for first in scheduler.queue()[:1]:
            below = [t for t in running if t.work.preemptible and t.work.priority < first.work.priority]
            assert 8 - len(held) + sum(t.work.nodes for t in below) < first.work.nodes
    done = scheduler.metrics()
    assert done.completed == len(jobs)
    assert done.useful_node_s == pytest.approx(sum(nodes * seconds for nodes, seconds, *_ in jobs))
    assert done.utilisation_pu * scheduler.now_s * 8 == pytest.approx(done.useful_node_s + done.lost_node_s)


@settings(max_examples=60, deadline=None)
@given(JOBS)
def test_a_reservation_is_never_put_off(jobs: list[tuple[int, int, int, int, bool, float]]) -> None:
    scheduler = loaded(jobs, flat=True)
    promised: dict[str, float] = {}
    while math.isfinite(scheduler.next_event_s()):
        scheduler.advance(scheduler.next_event_s())
        for first in scheduler.queue()[:1]:
            at_s = scheduler.reservation_s(first)
            assert at_s <= promised.get(first.work.name, math.inf) + 1e-6
            promised[first.work.name] = at_s
    for name, at_s in promised.items():
        assert starts(scheduler)[name] <= at_s + 1e-6


@settings(max_examples=20, deadline=None)
@given(JOBS)
def test_the_same_load_gives_the_same_decisions(jobs: list[tuple[int, int, int, int, bool, float]]) -> None:
    one, other = loaded(jobs, flat=False), loaded(jobs, flat=False)
    one.advance(1000)
    for until_s in range(0, 1001, 50):
        other.advance(until_s)
    assert one.decisions == other.decisions


@settings(max_examples=40, deadline=None)
@given(JOBS, st.lists(st.tuples(st.integers(0, 7), st.integers(1, 80)), max_size=6))
def test_nothing_runs_on_a_lost_node(
    jobs: list[tuple[int, int, int, int, bool, float]], losses: list[tuple[int, int]]
) -> None:
    scheduler = loaded(jobs, flat=False)
    gone: set[str] = set()
    for node, at_s in sorted(losses, key=lambda loss: loss[1]):
        scheduler.advance(float(at_s))
        scheduler.node_lost(f"n{node}")
        gone.add(f"n{node}")
        assert not gone & {n for task in scheduler.tasks.values() for n in task.nodes}
    for name in gone:
        scheduler.node_back(name)
    scheduler.advance(5000)
    done = scheduler.metrics()
    assert done.completed == len(jobs)
    assert done.utilisation_pu * 5000 * 8 == pytest.approx(done.useful_node_s + done.lost_node_s)
