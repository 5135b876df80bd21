"""Work is never lost with its worker, never done twice at once, and a storm of it is one job."""

from __future__ import annotations

import pytest

from setpoint.contracts.dispatch import JobRequest
from setpoint.ledger import Job, LeaseLost, Ledger
from tests.setpoint.ledger.builders import at, diagnosis, notice, review


def _claim(
    ledger: Ledger, seconds: float = 0, worker: str = "w1", kinds: tuple[str, ...] = ("slow",)
) -> Job | None:
    return ledger.claim(kinds, worker, lease_s=60, now=at(seconds))


def _must(job: Job | None) -> Job:
    assert job is not None
    return job


def test_orders_of_one_kind_and_key_are_one_job(ledger: Ledger) -> None:
    first = ledger.enqueue("slow", "INC-1", {"revision": 1, "event_ids": ["a"]}, not_before=at(5), now=at(0))
    second = ledger.enqueue("slow", "INC-1", {"revision": 2, "event_ids": ["a", "b"]}, urgency=0, now=at(9))
    ledger.enqueue("fast", "INC-1", now=at(0))

    assert first == second
    (job,) = ledger.list_jobs(kinds=("slow",))
    assert job.payload == {"revision": 2, "event_ids": ["a", "b"]}
    assert (job.urgency, job.not_before) == (0, at(5))


def test_what_arrives_while_it_runs_becomes_the_next_job(ledger: Ledger) -> None:
    ledger.enqueue("slow", "INC-1", {"revision": 1}, now=at(0))
    running = _must(_claim(ledger))
    ledger.enqueue("slow", "INC-1", {"revision": 2}, now=at(1))

    assert _claim(ledger, 2) is None  # never two at a time of one key
    assert ledger.finish(running, now=at(3))
    assert _must(_claim(ledger, 4)).payload == {"revision": 2}


def test_most_urgent_first_and_only_when_due(ledger: Ledger) -> None:
    ledger.enqueue("slow", "INC-1", urgency=2, now=at(0))
    ledger.enqueue("slow", "INC-2", urgency=1, now=at(0))
    ledger.enqueue("slow", "INC-3", urgency=0, not_before=at(60), now=at(0))

    assert [_must(_claim(ledger)).key, _must(_claim(ledger)).key, _claim(ledger)] == ["INC-2", "INC-1", None]
    assert _must(_claim(ledger, 60)).key == "INC-3"


def test_only_the_kinds_asked_for(ledger: Ledger) -> None:
    ledger.enqueue("act", "REV-1", now=at(0))

    assert _claim(ledger) is None
    assert _must(_claim(ledger, kinds=("slow", "act"))).kind == "act"


def test_a_job_whose_worker_died_is_taken_over_after_its_lease(ledger: Ledger) -> None:
    ledger.enqueue("slow", "INC-1", now=at(0))
    dead = _must(_claim(ledger, 0))
    assert _claim(ledger, 60, "w2") is None
    second = _must(_claim(ledger, 61, "w2"))

    assert (second.id, second.attempts) == (dead.id, 2)
    assert not ledger.finish(dead, now=at(62))
    assert not ledger.heartbeat(dead, now=at(62))
    assert ledger.fail(dead, "late", at(70), now=at(62)) == "lost"
    assert ledger.finish(second, now=at(63))
    assert [job.state for job in ledger.list_jobs()] == ["done"]


def test_the_same_worker_name_does_not_make_an_old_claim_good_again(ledger: Ledger) -> None:
    ledger.enqueue("slow", "INC-1", now=at(0))
    old = _must(_claim(ledger, 0, "w1"))
    _must(_claim(ledger, 61, "w1"))

    assert not ledger.finish(old, now=at(62))


def test_a_heartbeat_keeps_the_job(ledger: Ledger) -> None:
    ledger.enqueue("slow", "INC-1", now=at(0))
    job = _must(_claim(ledger, 0))
    assert ledger.heartbeat(job, lease_s=60, now=at(50))

    assert _claim(ledger, 100, "w2") is None


def test_failures_are_retried_and_then_dead(ledger: Ledger) -> None:
    ledger.enqueue("slow", "INC-1", max_attempts=2, now=at(0))
    first = ledger.fail(_must(_claim(ledger, 0)), "model too late", at(10), now=at(1))
    assert (first, _claim(ledger, 9)) == ("queued", None)
    second = ledger.fail(_must(_claim(ledger, 10)), "model too late", at(20), now=at(11))

    assert second == "dead"
    assert [(job.state, job.error, job.attempts) for job in ledger.list_jobs()] == [
        ("dead", "model too late", 2)
    ]


def test_a_failure_without_retry_is_dead(ledger: Ledger) -> None:
    ledger.enqueue("slow", "INC-1", now=at(0))

    assert ledger.fail(_must(_claim(ledger)), "no such incident", None, now=at(1)) == "dead"


def test_a_failed_job_leaves_its_work_to_the_newer_one(ledger: Ledger) -> None:
    ledger.enqueue("slow", "INC-1", {"event_ids": ["a"]}, urgency=0, now=at(0))
    running = _must(_claim(ledger))
    ledger.enqueue("slow", "INC-1", {"event_ids": ["b"]}, now=at(1))

    assert ledger.fail(running, "crash", at(30), now=at(2)) == "merged"
    (next_job,) = ledger.list_jobs(states=("queued",))
    assert next_job.urgency == 0
    assert set(next_job.payload["event_ids"]) == {"a", "b"}  # type: ignore[arg-type]


def test_a_job_that_kills_its_workers_is_buried(ledger: Ledger) -> None:
    ledger.enqueue("slow", "INC-1", max_attempts=3, now=at(0))
    for attempt in range(3):
        _must(_claim(ledger, attempt * 61))

    assert _claim(ledger, 3 * 61) is None
    assert [(job.state, job.error) for job in ledger.list_jobs()] == [
        ("dead", "the worker died or hung at each attempt")
    ]


def test_a_diagnosis_comes_with_all_that_follows_and_ends_its_job(ledger: Ledger) -> None:
    ledger.enqueue("slow", "INC-1", now=at(0))
    job = _must(_claim(ledger))
    ledger.record_diagnosis(
        diagnosis(),
        reviews=(review(),),
        notices=(notice(stage="update"),),
        jobs=(JobRequest(kind="review", key="REV-1", payload={"review_id": "REV-1"}),),
        finished_job=job,
        approvals_needed={"REV-1": 2},
        now=at(5),
    )

    assert ledger.get_diagnosis("INC-1") == diagnosis()
    assert ledger.approvals("REV-1") == ((), 2)
    assert [(j.kind, j.state) for j in ledger.list_jobs()] == [("slow", "done"), ("review", "queued")]
    assert [d.notice.stage for d in ledger.due(now=at(6))] == ["update"]


def test_a_diagnosis_after_the_lease_was_lost_writes_nothing(ledger: Ledger) -> None:
    ledger.enqueue("slow", "INC-1", now=at(0))
    late = _must(_claim(ledger, 0))
    _must(_claim(ledger, 61, "w2"))
    with pytest.raises(LeaseLost, match="belongs to another worker"):
        ledger.record_diagnosis(diagnosis(), reviews=(review(),), notices=(notice(),), finished_job=late)

    assert ledger.list_diagnoses() == []
    assert ledger.list_reviews() == []
    assert ledger.list_deliveries() == []


def test_the_latest_diagnosis_counts(ledger: Ledger) -> None:
    ledger.record_diagnosis(diagnosis())
    ledger.record_diagnosis(diagnosis(cause="psu_failure"))
    latest = ledger.get_diagnosis("INC-1")

    assert latest is not None
    assert latest.top.cause == "psu_failure"
    assert [item.top.cause for item in ledger.list_diagnoses("INC-1")] == ["gpu_off_bus", "psu_failure"]
    assert ledger.get_diagnosis("INC-2") is None


# ---- waiting for quiet --------------------------------------------------------------------------------------------


def _ask(
    ledger: Ledger, seconds: float, quiet_s: float = 5.0, longest_s: float = 12.0, urgency: int = 1
) -> None:
    order = JobRequest(kind="slow", key="INC-1", urgency=urgency, quiet_s=quiet_s, longest_s=longest_s)
    ledger.record_diagnosis(diagnosis("INC-9"), jobs=[order], now=at(seconds))


def test_it_is_taken_when_its_key_was_quiet_for_so_long(ledger: Ledger) -> None:
    _ask(ledger, 0)
    _ask(ledger, 4)

    assert _claim(ledger, 8) is None
    assert _must(_claim(ledger, 9)).key == "INC-1"


def test_it_waits_no_longer_than_its_limit(ledger: Ledger) -> None:
    for second in range(0, 14, 3):
        _ask(ledger, second)

    assert _claim(ledger, 11) is None
    assert _must(_claim(ledger, 12)).key == "INC-1"


def test_one_that_must_be_done_at_once_ends_the_wait(ledger: Ledger) -> None:
    _ask(ledger, 0)
    _ask(ledger, 1, quiet_s=0.0, urgency=0)

    assert _must(_claim(ledger, 1)).urgency == 0


def test_what_could_begin_already_is_not_put_off(ledger: Ledger) -> None:
    _ask(ledger, 0)
    _ask(ledger, 6)

    assert _must(_claim(ledger, 6)).key == "INC-1"


def test_where_no_more_comes_nothing_waits_for_quiet_but_a_failed_job_rests_on(ledger: Ledger) -> None:
    ledger.enqueue("slow", "INC-2", now=at(0))
    ledger.fail(_must(_claim(ledger)), "broke", at(500), now=at(1))
    _ask(ledger, 1)

    assert ledger.hasten_jobs(now=at(2)) == 1
    assert [_must(_claim(ledger, 2)).key, _claim(ledger, 2)] == ["INC-1", None]
