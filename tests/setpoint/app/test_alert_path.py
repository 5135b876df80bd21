"""The pieces of the alert path, each with a real ledger: nothing is acknowledged early, taken twice or held up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agents.correlator import Correlator
from setpoint.app.arrivals import FILL, Door, Handover
from setpoint.app.delivery import Deliverer
from setpoint.app.memory import Memory
from setpoint.app.ownership import Ownership
from setpoint.app.pressure import Pressure
from setpoint.app.sinks import SinkFailed
from setpoint.contracts import Event, Notice
from setpoint.errors import StoreLocked, UsageError
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import at, dispatch, event, incident, notice, one_incident, ranked

ROUTINE = {"severity": "info", "message": "rotating logs", "kind": ""}


# ---- the door -------------------------------------------------------------------------------------------------------


async def test_arrivals_that_come_together_share_a_transaction_and_each_gets_its_own_answer(
    empty: Ledger,
) -> None:
    handover = Handover()
    door = Door(empty, handover)
    batches = [[event(1)], [event(2), event(1)], [event(3)]]
    answers = await asyncio.gather(*(door.accept(batch, (), "test") for batch in batches))
    assert [(one.new, one.duplicates) for one in answers] == [(1, 0), (1, 1), (1, 0)]
    assert empty.pending_count() == 3, "acknowledged is on disk"
    assert [one.id for one in handover.take(10)] == ["ev-1", "ev-2", "ev-3"], "duplicates are not handed over"


async def test_one_arrival_that_cannot_be_stored_does_not_refuse_the_others(empty: Ledger) -> None:
    door = Door(empty, Handover())
    unstorable = event(2).model_copy(update={"message": "\ud800"})
    good, bad, late = await asyncio.gather(
        door.accept([event(1)], (), "a"), door.accept([unstorable], (), "b"), door.accept([event(3)], (), "c"),
        return_exceptions=True,
    )  # fmt: skip
    assert isinstance(bad, Exception)
    assert [one.new for one in (good, late) if not isinstance(one, BaseException)] == [1, 1]


def test_what_may_be_critical_is_taken_before_the_routine_and_the_routine_still_moves() -> None:
    handover = Handover()
    handover.put([event(f"r{n}", **ROUTINE) for n in range(300)])
    handover.put([event("hot")])
    assert handover.urgent
    taken = handover.take(200)
    assert taken[0].id == "ev-hot"
    assert len(taken) == 1 + FILL
    assert len(handover.take(200)) == 200, "without urgent ones a batch is full"


def test_an_event_that_the_ledger_gave_out_is_not_taken_again() -> None:
    handover = Handover()
    handover.put([event(1), event(2)])
    handover.given_out([event(1), event(3)])
    handover.put([event(3)])  # its commit and its handing over were overtaken by a read of the ledger
    assert [one.id for one in handover.take(10)] == ["ev-2"]


# ---- delivery -------------------------------------------------------------------------------------------------------


class Sink:
    """Remembers what it got; may hang or refuse."""

    def __init__(self, name: str, *, hangs: bool = False, refuses: bool = False) -> None:
        self.name, self.got = name, []
        self._hangs, self._refuses = hangs, refuses

    got: list[str]

    async def send(self, notice: Notice, key: str) -> None:
        if self._hangs:
            await asyncio.Event().wait()
        if self._refuses:
            raise SinkFailed("answered 503", where=self.name)
        self.got.append(key)

    async def close(self) -> None:
        return None


def queue(ledger: Ledger, count: int, sinks: list[str]) -> None:
    for number in range(count):
        ledger.queue_notice(notice(f"INC-{number}"), sinks=sinks)


async def until_idle(deliverer: Deliverer, ledger: Ledger, turns: int = 200) -> None:
    for _ in range(turns):
        await deliverer.turn()
        await asyncio.sleep(0.01)
        if not deliverer.busy and not ledger.due(1):
            return


async def test_a_sink_that_hangs_holds_up_its_own_notices_only(empty: Ledger) -> None:
    good, stuck = Sink("good"), Sink("stuck", hangs=True)
    deliverer = Deliverer(empty, {"good": good, "stuck": stuck}, Pressure(), lambda *_: None, lambda: None)
    queue(empty, 100, ["stuck", "good"])
    for _ in range(100):
        await deliverer.turn()
        await asyncio.sleep(0.01)
        if len(good.got) == 100:
            break
    assert len(good.got) == len(set(good.got)) == 100
    await deliverer.stop()
    assert {one.sink for one in empty.due(500)} == {"stuck"}, "what was under way stays due"


async def test_what_a_sink_refused_is_put_off_and_what_no_sink_has_is_given_up(empty: Ledger) -> None:
    told: list[str] = []
    deliverer = Deliverer(
        empty, {"down": Sink("down", refuses=True)}, Pressure(), lambda what, _: told.append(what), lambda: None
    )  # fmt: skip
    queue(empty, 1, ["down", "removed"])
    await until_idle(deliverer, empty)
    states = {one.sink: (one.state, one.error) for one in empty.list_deliveries()}
    assert states["down"] == ("failed", "down: answered 503")
    assert states["removed"][0] == "dead"
    assert told == ["delivery-failed"] * 2


class LockedOnce(Ledger):
    """A ledger whose first marking finds the store locked."""

    locked = 1

    def mark_sent(self, *args: object, **more: object) -> int:
        if self.locked:
            self.locked -= 1
            raise StoreLocked("locked", where="test")
        return super().mark_sent(*args, **more)  # type: ignore[arg-type]


async def test_a_locked_store_makes_no_notice_go_out_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("setpoint.app.delivery.MARK_AGAIN_S", 0.02)
    with LockedOnce.open(tmp_path / "ledger.db") as ledger:
        sink = Sink("good")
        deliverer = Deliverer(ledger, {"good": sink}, Pressure(), lambda *_: None, lambda: None)
        queue(ledger, 3, ["good"])
        await until_idle(deliverer, ledger)
        assert len(sink.got) == 3
        assert {one.state for one in ledger.list_deliveries()} == {"sent"}


# ---- memory and ownership -------------------------------------------------------------------------------------------


def leak(number: int, seconds: float) -> Event:
    return event(number, "leak-r-01", time=at(seconds), received=at(seconds), kind="leak", message="Leak rope wet",
                 dedup_key="leak-r-01|leak")  # fmt: skip


def test_a_restart_goes_on_from_the_file_and_what_the_ledger_has_beyond_it(
    tmp_path: Path, empty: Ledger
) -> None:
    memory = Memory(Correlator(), empty, tmp_path / "correlation.json")
    placed = memory.observe([leak(1, 0)])
    empty.accept([leak(1, 0)])
    group = placed[0].incident_id
    told = ranked(leak(1, 0), group, group_key=placed[0].group_key)
    empty.commit_triage(
        dispatch([told], [incident(group, group_key=placed[0].group_key)], new_incidents=(group,))
    )
    memory.committed([leak(1, 0)])
    memory.write()
    again = Memory(Correlator(), empty, tmp_path / "correlation.json")
    (second,) = again.observe([leak(2, 5)])
    assert (second.incident_id, second.repeat) == (group, True)
    assert second.context.repeats == 1, "the first was not learnt twice"


def test_events_that_are_not_committed_are_never_written_down(tmp_path: Path, empty: Ledger) -> None:
    memory = Memory(Correlator(), empty, tmp_path / "correlation.json")
    memory.observe([leak(1, 0)])
    memory.write()
    (first,) = Memory(Correlator(), empty, tmp_path / "correlation.json").observe([leak(1, 0)])
    assert not first.repeat, "it would come back as a repeat, and nobody would be told"


def test_a_file_that_cannot_be_read_costs_nothing_but_time(tmp_path: Path, empty: Ledger) -> None:
    path = tmp_path / "correlation.json"
    path.write_bytes(b'{"at": "2026-11-01T00:00:00+00:00"}\n{"events": "not a number"')
    (first,) = Memory(Correlator(), empty, path).observe([leak(1, 0)])
    assert not first.repeat


def test_what_a_person_closed_or_merged_counts_from_the_next_batch(tmp_path: Path, empty: Ledger) -> None:
    memory = Memory(Correlator(), empty, tmp_path / "correlation.json")
    (first,) = memory.observe([leak(1, 0)])
    memory.closed(first.incident_id)
    memory.settle(calm=False)
    (second,) = memory.observe([leak(2, 1)])
    assert second.incident_id != first.incident_id
    assert not second.repeat


def test_one_process_owns_a_store(tmp_path: Path) -> None:
    first = Ownership(tmp_path / "var")
    with pytest.raises(UsageError, match="another Setpoint process"):
        Ownership(tmp_path / "var")
    first.release()
    Ownership(tmp_path / "var").release()


# ---- the ledger's part ----------------------------------------------------------------------------------------------


def test_work_of_a_process_that_died_is_queued_again_and_rests_if_it_keeps_dying(empty: Ledger) -> None:
    empty.enqueue("slow", "INC-1", now=at(0))
    for death in range(4):
        assert empty.claim(["slow"], "w", now=at(100 * death)) is not None
        assert empty.release_jobs(now=at(100 * death)) == 1
    (job,) = empty.list_jobs()
    assert (job.state, job.attempts) == ("queued", 4)
    assert job.not_before == at(300 + 4), "a job that kills its process does not do so at each start"


def test_released_work_folds_into_what_was_queued_meanwhile(empty: Ledger) -> None:
    empty.enqueue("slow", "INC-1", {"event_ids": ["a"]}, now=at(0))
    assert empty.claim(["slow"], "w", now=at(1)) is not None
    empty.enqueue("slow", "INC-1", {"event_ids": ["b"]}, now=at(2))
    empty.release_jobs(now=at(3))
    assert [(job.state, job.payload) for job in empty.list_jobs()] == [
        ("merged", {"event_ids": ["a"]}),
        ("queued", {"event_ids": ["a", "b"]}),
    ]


def test_updates_of_one_incident_keep_their_distance_and_the_newest_stands(empty: Ledger) -> None:
    empty.accept([event(1), event(2), event(3)])
    empty.commit_triage(one_incident(event(1)), updates_apart_s=60, now=at(0))
    (first,) = empty.due(now=at(1))
    empty.mark_sent(first.key, now=at(1))
    for number in (2, 3):
        said = notice(stage="update", text=f"state {number}")
        batch = dispatch([ranked(event(number))], [incident(event_count=number)], notices=(said,))
        empty.commit_triage(batch, updates_apart_s=60, now=at(number))
    assert empty.due(now=at(60)) == []
    assert [one.notice.text for one in empty.due(now=at(62))] == ["state 3"]


def test_what_is_due_leaves_out_the_sinks_that_are_full(empty: Ledger) -> None:
    queue(empty, 2, ["a", "b"])
    assert {one.sink for one in empty.due(10, without=["a"])} == {"b"}
