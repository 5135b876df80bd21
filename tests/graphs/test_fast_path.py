"""The fast path on a real ledger and a real checkpointer: words come or do not, the incident always goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from pydantic import JsonValue
from syrupy.assertion import SnapshotAssertion

from agents.alerter import Alerter
from graphs.fast_path import FastContext, FastLedger, FastState, build_fast_graph
from graphs.threads import config_of, run_to_stop
from setpoint.contracts import Dispatch, Notice
from setpoint.errors import ModelFailed, ModelMissing
from setpoint.ledger import Ledger
from setpoint.testing import ScriptedChat, scripted_role
from tests.agents.alerts import NOW, PUMP_STEP, SITE, event, incident, told, triage

GOOD = (
    "Coolant pump failed on {asset}, reading {value} against a limit of {limit}. "
    "Act now: the racks on this loop lose cooling without it."
)
WRONG = "Coolant pump failed on {asset}, but it is fixed."
ALERTER = Alerter(SITE, {"coolant_pump_failure": PUMP_STEP})
FIRST_LINE = "First: Keep hands off couplings. Start the standby pump. (runbook pump-failure)"


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    """A ledger in which triage has just raised a P0 and queued its first notice."""
    with Ledger.open(tmp_path / "ledger.db") as opened:
        made = told()
        opened.accept(made.events)
        opened.commit_triage(
            Dispatch(
                batch_id="B-1",
                time=NOW,
                ranked=tuple(made.ranked),
                incidents=(made.incident,),
                new_incidents=(made.incident.id,),
                notices=(ALERTER("first", made.incident, made.ranked),),
            )
        )
        yield opened


def grown(ledger: Ledger, *, notify: bool = True) -> None:
    """A second event arrives; triage counts it and, where `notify`, says so."""
    more = replace(
        told(), incident=incident(event_count=2), events=[event(2, value=5.0)], triages=[triage("ev-2")]
    )
    ledger.accept(more.events)
    ledger.commit_triage(
        Dispatch(
            batch_id="B-2",
            time=NOW,
            ranked=tuple(more.ranked),
            incidents=(more.incident,),
            notices=(ALERTER("update", more.incident, more.ranked),) if notify else (),
        )
    )


def context(ledger: FastLedger, *answers: str | Exception, **changes: Any) -> FastContext:
    return FastContext(ledger=ledger, model=scripted_role(*answers), alerter=ALERTER, **changes)


def first(**payload: JsonValue) -> dict[str, Any]:
    return {"incident_id": "INC-0042", "payload": {"incident_id": "INC-0042", "revision": 0, **payload}}


async def run(ports: FastContext, **payload: JsonValue) -> FastState:
    output = await build_fast_graph().ainvoke(cast(Any, first(**payload)), context=ports, version="v2")
    return cast(FastState, output.value)


def notices(ledger: Ledger) -> list[Notice]:
    return [delivery.notice for delivery in ledger.list_deliveries(incident_id="INC-0042")]


def slow_jobs(ledger: Ledger) -> list[Mapping[str, JsonValue]]:
    return [job.payload for job in ledger.list_jobs(kinds=("slow",))]


async def test_plain_words_update_the_same_notification(ledger: Ledger) -> None:
    state = await run(context(ledger, GOOD), event_ids=["ev-1"])
    assert (state["outcome"], state["reason"], state["status"]) == ("plain", "", "done")
    old, new = sorted(notices(ledger), key=lambda one: one.version)
    assert (old.stage, new.stage) == ("first", "plain")
    assert (new.version, new.dedup_key) == (old.version + 1, old.dedup_key)
    assert new.text.splitlines() == [
        "Coolant pump failed on pump-a, reading 0 rpm against a limit of 1200 rpm. "
        "Act now: the racks on this loop lose cooling without it.",
        FIRST_LINE,
    ]
    assert new.written_by == "scripted"


async def test_the_slow_path_gets_the_job_with_its_payload(ledger: Ledger) -> None:
    await run(context(ledger, GOOD), event_ids=["ev-1"])
    (job,) = ledger.list_jobs(kinds=("slow",))
    assert (job.key, job.urgency) == ("INC-0042", 0)
    assert job.payload == {"incident_id": "INC-0042", "revision": 0, "event_ids": ["ev-1"]}


async def test_refused_words_are_asked_for_once_more(ledger: Ledger) -> None:
    state = await run(context(ledger, WRONG, GOOD))
    assert (state["outcome"], state["attempts"]) == ("plain", 2)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (
            (WRONG, WRONG),
            "the model's words were refused: misses the required slot 'why'; misses the required slot 'value'",
        ),
        ((ModelMissing("no model file", where="m.gguf"),), "m.gguf: no model file"),
        ((ModelFailed("the model did not answer within 5 s"),), "did not answer within 5 s"),
        ((WRONG, ModelFailed("broke")), "broke"),
    ],
)
async def test_without_good_words_the_first_notice_stands_and_the_reason_is_told(
    ledger: Ledger, answers: tuple[str | Exception, ...], reason: str
) -> None:
    told_reasons: list[str] = []
    state = await run(context(ledger, *answers, progress=told_reasons.append))
    assert state["outcome"] == "kept"
    assert reason in state["reason"]
    assert reason in told_reasons[-1]
    assert [notice.stage for notice in notices(ledger)] == ["first"]
    assert len(slow_jobs(ledger)) == 1


async def test_a_resolved_incident_is_left_alone(ledger: Ledger) -> None:
    ledger.set_state("INC-0042", "resolved", who="lead", why="over")
    state = await run(context(ledger))
    assert (state["outcome"], state["reason"]) == ("kept", "the incident is resolved")
    assert len(slow_jobs(ledger)) == 1


async def test_an_escalation_is_not_overwritten(ledger: Ledger) -> None:
    last = ledger.last_notice("INC-0042")
    assert last is not None
    ledger.queue_notice(last.model_copy(update={"stage": "escalation", "version": last.version + 1}))
    state = await run(context(ledger))
    assert state["reason"] == "a newer notice stands (escalation)"


async def test_plain_words_follow_an_update_with_the_newest_facts(ledger: Ledger) -> None:
    grown(ledger)
    words = GOOD.replace(". Act", "; {count} so far. Act")
    assert (await run(context(ledger, words)))["outcome"] == "plain"
    newest = ledger.last_notice("INC-0042")
    assert newest is not None
    assert newest.stage == "plain"
    assert "2 events so far" in newest.text


class Rushed:
    """A ledger to which something happens just before a notice is queued."""

    def __init__(self, ledger: Ledger, happens: Any) -> None:
        self._ledger, self._happens = ledger, happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def queue_notice(self, notice: Notice) -> int:
        happens, self._happens = self._happens, lambda: None
        happens()
        return self._ledger.queue_notice(notice)


async def test_an_update_that_comes_in_between_is_followed_and_not_lost(ledger: Ledger) -> None:
    rushed = Rushed(ledger, lambda: grown(ledger))
    assert (await run(context(cast(FastLedger, rushed), GOOD)))["outcome"] == "plain"
    stages = [notice.stage for notice in sorted(notices(ledger), key=lambda one: one.version)]
    assert stages == ["first", "update", "plain"]


async def test_words_that_no_longer_fit_are_dropped(ledger: Ledger) -> None:
    words = GOOD.replace("reading {value} against a limit", "reading {value} below the limit")
    hotter = replace(
        told(),
        incident=incident(event_count=2),
        events=[event(2, value=5000.0, time=NOW - timedelta(minutes=1))],
        triages=[triage("ev-2")],
    )

    def worse() -> None:
        ledger.accept(hotter.events)
        ledger.commit_triage(
            Dispatch(
                batch_id="B-2", time=NOW, ranked=tuple(hotter.ranked), incidents=(hotter.incident,),
                notices=(ALERTER("update", hotter.incident, hotter.ranked),),
            )
        )  # fmt: skip

    larger = replace(
        context(cast(FastLedger, Rushed(ledger, worse)), words), model=scripted_role(words, terse=False)
    )
    state = await run(larger)
    assert (state["outcome"], state["reason"]) == ("kept", "the incident changed while the model wrote")


@asynccontextmanager
async def saver(path: Path) -> AsyncIterator[AsyncSqliteSaver]:
    async with AsyncSqliteSaver.from_conn_string(str(path)) as opened:
        yield opened


class Killed(BaseException):
    """Nothing catches it, as nothing catches kill -9."""


class Dies:
    """A ledger whose process dies at one call, once."""

    def __init__(self, ledger: Ledger, call: str, *, after: bool) -> None:
        self._ledger, self._call, self._after = ledger, call, after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._ledger, name)
        if name != self._call:
            return real

        def dying(*args: Any, **options: Any) -> Any:
            self._call = ""
            if self._after:
                real(*args, **options)
            raise Killed

        return dying


@pytest.mark.parametrize("call", ["queue_notice", "enqueue"])
@pytest.mark.parametrize("after", [False, True])
async def test_a_killed_run_goes_on_and_says_nothing_twice(
    ledger: Ledger, tmp_path: Path, call: str, after: bool
) -> None:
    role = scripted_role(GOOD)
    chat = cast(ScriptedChat, role.chat)
    ports = FastContext(ledger=cast(FastLedger, Dies(ledger, call, after=after)), model=role, alerter=ALERTER)
    async with saver(tmp_path / "checkpoints.db") as checkpointer:
        graph = build_fast_graph(checkpointer)
        with pytest.raises(Killed):
            await run_to_stop(graph, "fast-1", first(), ports)
    async with saver(tmp_path / "checkpoints.db") as checkpointer:
        graph = build_fast_graph(checkpointer)
        state = await run_to_stop(graph, "fast-1", first(), ports)
        again = await run_to_stop(graph, "fast-1", first(), ports)
        assert (await graph.aget_state(config_of("fast-1"))).next == ()
    assert (state["outcome"], state["status"]) == ("plain", "done")
    assert again == state
    assert len(chat.calls) == 1, "the model is not asked again for words that are there"
    assert sorted(notice.stage for notice in notices(ledger)) == ["first", "plain"]
    assert len(slow_jobs(ledger)) == 1


def test_the_ledger_fits_its_port(ledger: Ledger) -> None:
    port: FastLedger = ledger
    assert port.last_notice("INC-0042") is not None


def test_the_graph(snapshot: SnapshotAssertion) -> None:
    assert build_fast_graph().get_graph().draw_mermaid() == snapshot


async def test_the_words_are_kept_with_what_they_were_written_from(ledger: Ledger) -> None:
    await run(context(ledger, GOOD), event_ids=["ev-1"])
    plain = next(one for one in notices(ledger) if one.stage == "plain")
    assert plain.origin is not None
    assert (plain.origin.task, plain.origin.words) == ("alert", GOOD)


async def test_a_persons_words_are_not_replaced_by_a_models(ledger: Ledger) -> None:
    ledger.correct("INC-0042", "wording", {"part": "alert", "text": "pump-a is dead."}, "ada", "short")
    state = await run(context(ledger, GOOD), event_ids=["ev-1"])
    assert (state["outcome"], state["reason"]) == ("kept", "it was corrected by ada")
    (only,) = notices(ledger)
    assert only.text.startswith("pump-a is dead.")
