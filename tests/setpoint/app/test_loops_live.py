"""Control loops in a running Setpoint: on the clock, beside incidents, in one queue with them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from setpoint.app import loops
from setpoint.app.policy import Policy
from setpoint.app.wiring import Runtime, build_runtime
from setpoint.contracts.loops import Trouble
from setpoint.errors import ConfigError
from setpoint.settings import load_settings
from tests.graphs.turning import NAME, SteadyFlow
from tests.setpoint.app.terminal import DEMO
from tools.loops.ports import Loop, LoopPorts

STALE = Trouble(
    kind="stale", asset="cdu-1", metric="flow_lpm", what="The flow of cdu-1 was read 20 min ago.",
    instead="Every setpoint is held.", remedy="Restore the sensor.",
)  # fmt: skip


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setitem(sys.modules, "tools.loops.cooling_loop", SimpleNamespace(make=SteadyFlow))
    flags = {
        "site.file": DEMO, "store.dir": tmp_path / "store", "act.dry_run": False, "loops.enabled": [NAME],
        "models.light.kind": "none", "models.heavy.kind": "none", "alerts.sinks": ["console"],
    }  # fmt: skip
    return build_runtime(load_settings(flags, env={}, files=()).settings)


async def test_an_enabled_loop_turns_when_it_is_due_and_not_before(runtime: Runtime) -> None:
    await runtime.start()
    try:
        assert runtime.loops.turn(datetime.now(UTC)) + len(runtime.ledger.list_jobs(kinds=("loop",))) >= 1
        await runtime.engine.drain()
        (review,) = runtime.ledger.list_reviews(states=("pending",))
        assert review.expires is not None  # people's time is the wall's here
        assert runtime.loops.turn(datetime.now(UTC)) == 0
        await runtime.settle(Policy(name="--decide approve", default="approve"))
        (act,) = runtime.ledger.list_actions()
        assert (act.state, act.incident_id) == ("done", review.incident_id)
        assert runtime.ledger.get_cycle(review.incident_id).state == "recorded"
        assert runtime.loops.turn(datetime.now(UTC)) == 0
        assert len(runtime.ledger.list_cycles()) == 1
    finally:
        await runtime.close()


async def test_a_held_loop_is_an_incident_for_the_shift(runtime: Runtime) -> None:
    await runtime.start()
    try:
        loop = runtime.loops.loop(NAME)
        assert isinstance(loop, SteadyFlow)
        loop.troubles = (STALE,)
        runtime.loops.turn(datetime.now(UTC))
        await runtime.engine.drain()
        (incident,) = runtime.ledger.list_incidents()
        assert (incident.priority, incident.assets) == ("P2", ("cdu-1",))
        (triage,) = runtime.ledger.triage_of(incident.id)
        assert (triage.condition, triage.decided_by[0]) == ("control loop held", "loop.held@1")
        asked = {review.incident_id for review in runtime.ledger.list_reviews()}
        assert asked <= {incident.id}  # the loop itself proposes nothing
    finally:
        await runtime.close()


async def test_a_loop_that_the_site_cannot_have_does_not_stop_the_others(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(_ports: LoopPorts) -> Loop:
        raise ConfigError("the site has no battery", remedy="Leave it out of loops.enabled")

    monkeypatch.setitem(sys.modules, "tools.loops.peak_loop", SimpleNamespace(make=impossible))
    said: list[str] = []
    monkeypatch.setattr(loops._LOG, "warning", lambda text, *parts: said.append(text % parts))
    runtime.loops.names = ("peak", NAME)
    try:
        assert runtime.loops.turn(datetime.now(UTC)) == 1
        runtime.loops.turn(datetime.now(UTC))
        assert [job.key.split("-")[1] for job in runtime.ledger.list_jobs(kinds=("loop",))] == [NAME]
        assert said == ["the peak loop does not turn: the site has no battery. Leave it out of loops.enabled"]
    finally:
        await runtime.close()
