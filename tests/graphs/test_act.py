"""From a signed order to a recorded outcome, killed anywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langgraph.errors import GraphInterrupt
from syrupy.assertion import SnapshotAssertion

from graphs.act import ActPorts, build_act_graph, run_act
from setpoint.contracts import Outcome
from setpoint.errors import ConfigError
from setpoint.ledger.records import Job
from setpoint.settings import ActSettings
from tests.graphs.desk import Desk, open_desk
from tests.tools.bench import INCIDENT, action
from tools.executor import Busy, Executor

PAGE = action("page", "gpu-20", team="hardware")


async def approved(desk: Desk, wanted: Any = PAGE) -> Job:
    await desk.ask(wanted)
    desk.decide("approve")
    await desk.resume()
    job = desk.job("act")
    assert job is not None
    return job


async def test_an_approved_action_is_done_and_recorded(desk: Desk) -> None:
    outcome = await desk.act(await approved(desk, action("cap_gpu_power", "gpu-20", cap_w=400.0)))
    assert (outcome.state, outcome.after["power_cap_w"]) == ("done", 400.0)
    (row,) = desk.ledger.list_actions(incident_id=INCIDENT)
    assert (row.state, row.approvers, row.review_id) == ("done", ("alice",), "REV-1")


async def test_dry_run(desk: Desk) -> None:
    outcome = await desk.act(await approved(desk), settings=ActSettings())
    assert (outcome.state, desk.bench.plant.state["gpu-20"].get("pages")) == ("dry_run", None)


async def test_the_job_delivered_twice_moves_once(desk: Desk) -> None:
    job = await approved(desk)
    assert await desk.act(job) == await desk.act(job)
    assert desk.bench.reading("gpu-20", "pages") == 1


async def test_a_refusal_is_an_outcome(desk: Desk) -> None:
    job = await approved(desk)
    desk.bench.stop.engage("bob", "drill")
    outcome = await desk.act(job)
    assert (outcome.state, "by bob: drill" in outcome.message) == ("refused", True)


async def test_a_job_without_a_fitting_token_moves_nothing(desk: Desk) -> None:
    job = await approved(desk)
    for token in ("", "approve", "e30.e30"):
        forged = job.model_copy(update={"payload": job.payload | {"token": token, "review_id": f"X{token}"}})
        assert (await desk.act(forged)).state == "refused"
    assert desk.bench.plant.state["gpu-20"].get("pages") is None


async def test_busy_is_tried_again_later_and_then_done(desk: Desk) -> None:
    job = await approved(desk, action("cap_gpu_power", "gpu-20", cap_w=400.0))
    other = action("lock_gpu_clock", "gpu-20", clock_mhz=1410.0)
    desk.ledger.begin_action("other", other, incident_id=INCIDENT, dry_run=False, now=desk.bench.clock())
    with pytest.raises(Busy):
        await desk.act(job)
    ended = Outcome(action_id="other", state="done", message="ended", dry_run=False)
    desk.ledger.finish_action("other", ended, now=desk.bench.clock())
    assert (await desk.act(job)).state == "done"


@pytest.mark.parametrize("step", ["check", "execute", "observe", "record"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_exception_at_any_step_and_a_second_run(desk: Desk, step: str, when: str) -> None:
    job = await approved(desk)

    class Failing(Executor):
        pass

    def fail(self: Executor, *args: Any) -> Any:
        if when == "after":
            getattr(Executor, step)(self, *args)
        raise OSError("killed here")

    setattr(Failing, step, fail)
    bench = desk.bench
    failing = Failing(site=bench.site, adapter=bench.adapter, ledger=bench.ledger, signer=bench.signer, stop=bench.stop,
                      settings=bench.settings, clock=bench.clock)  # fmt: skip
    with pytest.raises(OSError, match="killed here"):
        await run_act(desk.act_graph, ActPorts(failing), job.payload)
    assert (await desk.act(job)).state == "done"
    assert bench.reading("gpu-20", "pages") == 1
    assert [row.state for row in desk.ledger.list_actions()] == ["done"]


_CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from graphs.act import ActPorts, run_act
from tests.graphs.desk import open_desk
from tests.tools.bench import action
from tools.adapter import SimulatedSite
from setpoint.ledger import Ledger

folder, where = Path(sys.argv[1]), sys.argv[2]

def dying(cls, name, before):
    real = getattr(cls, name)
    def call(self, *args, **values):
        if before:
            os.kill(os.getpid(), signal.SIGKILL)
        real(self, *args, **values)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(cls, name, call)

async def main():
    async with open_desk(folder) as desk:
        await desk.ask(action("page", "gpu-20", team="hardware"))
        desk.decide("approve")
        await desk.resume()
        name, side = where.split("-")
        cls = SimulatedSite if name in ("apply", "settle") else Ledger
        dying(cls, name, side == "before")
        await desk.act(desk.job("act"))

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "where",
    ["begin_action-before", "begin_action-after", "apply-before", "apply-after", "finish_action-before",
     "finish_action-after"],
)  # fmt: skip
async def test_kill_9_around_every_write(tmp_path: Path, where: str) -> None:
    root = Path(__file__).parents[2]
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path), where], cwd=root, timeout=120, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(root)}, check=False,
    )  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr
    async with open_desk(tmp_path) as desk:
        desk.bench.clock.forward(61)
        job = desk.job("act")
        assert job is not None, "the lease of the dead worker ran out"
        assert (await desk.act(job)).state == "done"
        assert desk.bench.reading("gpu-20", "pages") == 1
        assert [row.state for row in desk.ledger.list_actions()] == ["done"]


def test_no_checkpointer_is_an_error_at_build() -> None:
    with pytest.raises(ConfigError, match="needs a checkpointer"):
        build_act_graph(None)


def test_the_graph(desk: Desk, snapshot: SnapshotAssertion) -> None:
    assert desk.act_graph.get_graph().draw_mermaid() == snapshot


async def test_acting_never_asks(desk: Desk) -> None:
    job = await approved(desk)
    try:
        outcome = await desk.act(job)
    except GraphInterrupt:  # pragma: no cover
        pytest.fail("the act graph must not wait for anybody")
    assert outcome.state == "done"
