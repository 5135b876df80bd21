"""A control loop at work for tests: real ledger, checkpoints on disk, real graphs, gate, executor and simulated site; only
the loop itself is a small one, whose plan the test chooses."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from setpoint.app.acting import Acting
from setpoint.app.loops import Loops, LoopsParts
from setpoint.contracts import Decision, Review
from setpoint.contracts.loops import (
    Forecast,
    Foreseen,
    LoopName,
    LoopPlan,
    Move,
    Observed,
    Saving,
    Trouble,
    Watch,
)
from setpoint.settings import Settings
from tests.tools.bench import DEMO, Bench
from tools.loops.ports import Loop, LoopPorts

NAME: LoopName = "cooling"


class SteadyFlow:
    """Brings the coolant flow of loops to wanted values, one proposal each; it foresees that they stay there."""

    name: LoopName = NAME
    cycle_s = 900.0
    horizon_s = 3600.0

    def __init__(self, ports: LoopPorts) -> None:
        self.ports = ports
        self.wanted: dict[str, float] = {"cdu-1": 142.0}
        self.troubles: tuple[Trouble, ...] = ()
        self.plans = 0
        self.seen: list[bool | None] = []

    def monitor(self, now: datetime) -> Watch:
        readings = {f"{cdu}.flow_lpm": self._flow(cdu) for cdu in self.wanted}
        return Watch(loop=self.name, at=now, readings=readings)

    def predict(self, watch: Watch) -> tuple[Forecast, ...]:
        return tuple(
            Forecast(
                name=name, title=f"Flow of {name.split('.')[0]}", unit="L/min", start=watch.at, step_s=900.0,
                expected=(flow,) * 4, low=(0.95 * flow,) * 4, high=(1.05 * flow,) * 4, method="it stays as it is",
            )
            for name, flow in watch.readings.items()
        )  # fmt: skip

    def optimise(self, watch: Watch, forecasts: Sequence[Forecast]) -> LoopPlan:
        self.plans += 1
        moves = tuple(
            Move(at=watch.at, action="set_coolant_flow", asset=cdu, args={"flow_lpm": flow}, why=f"{cdu} needs less.")
            for cdu, flow in self.wanted.items()
            if abs(watch.readings[f"{cdu}.flow_lpm"] - flow) > 0.5
        )  # fmt: skip
        return LoopPlan(
            loop=self.name, site=self.ports.site.name, made=watch.at, horizon_s=self.horizon_s,
            headline=f"{len(moves)} flows are brought to what they should be.", forecasts=tuple(forecasts), moves=moves,
            savings=(Saving(what="pump energy", unit="kWh", planned=4.0, baseline=5.0, baseline_name="fixed flow"),),
            troubles=self.troubles,
        )  # fmt: skip

    def foresee(self, plan: LoopPlan) -> tuple[Foreseen, ...]:
        due = plan.made + timedelta(seconds=self.cycle_s)
        return tuple(
            Foreseen(loop=self.name, at=plan.made, due=due, name=f"{cdu}.flow_lpm", expected=flow, low=flow - 3.0,
                     high=flow + 3.0, unit="L/min")
            for cdu, flow in self.wanted.items()
        )  # fmt: skip

    def learn(self, observed: Sequence[Observed]) -> None:
        self.seen += [one.inside for one in observed]

    def state(self) -> dict[str, object]:
        return {"plans": self.plans, "seen": list(self.seen)}

    def restore(self, state: Mapping[str, object]) -> None:
        seen = state.get("seen")
        self.plans, self.seen = int(str(state.get("plans", 0))), list(seen) if isinstance(seen, list) else []

    def _flow(self, cdu: str) -> float:
        found = self.ports.read(cdu)
        assert found is not None
        return found.values["flow_lpm"]


class Turning:
    """The loop, the queue, and the workers that the app's lanes would be."""

    def __init__(self, bench: Bench, saver: AsyncSqliteSaver, **sections: Any) -> None:
        self.bench, self.ledger, self.told = bench, bench.ledger, list[tuple[str, Any]]()
        values = {
            "store": {"dir": bench.folder},
            "site": {"file": DEMO},
            "act": {"dry_run": False},
        } | sections
        self.settings = Settings.model_validate(values)
        acting = Acting(
            self.settings, bench.site, bench.ledger, bench.adapter.history, bench.adapter, self._tell,
            lambda _review: None, over=lambda subject: self.loops.touched(subject), clock=bench.clock,
        )  # fmt: skip
        self.gate = acting.gate
        reach = LoopPorts(bench.site, bench.adapter.read, bench.adapter.history, bench.clock)
        self.loops = Loops(
            LoopsParts(
                settings=self.settings, ledger=bench.ledger, reach=reach, adapter=bench.adapter, gate=acting.gate,
                trials=acting.trials, stop=acting.stop, wake=lambda: None, tell=self._tell, make=_make,
            ),
            (NAME,),
        )  # fmt: skip
        acting.open(saver)
        self.loops.open(saver)
        self._handlers = {**acting.handlers, **self.loops.handlers}

    @property
    def loop(self) -> SteadyFlow:
        made = self.loops.loop(NAME)
        assert isinstance(made, SteadyFlow)
        return made

    def _tell(self, what: str, value: Any) -> None:
        self.told.append((what, value))

    async def work(self) -> None:
        """Do every job there is, one after another."""
        while job := self.ledger.claim(tuple(self._handlers), "test"):
            await self._handlers[job.kind](job)

    async def turn(self) -> str:
        """One cycle of this moment, as far as it goes without people. Returns its id."""
        made = self.loops.begin(NAME)
        await self.work()
        return made

    def pending(self) -> list[Review]:
        return self.ledger.list_reviews(states=("pending",))

    async def decide(self, type: str, who: str = "ana", **more: Any) -> None:
        """Every open question, and what follows from it."""
        for review in self.pending():
            decision = Decision.model_validate({"type": type, "who": who, **more})
            self.ledger.decide(review.id, review.digest, decision, now=self.bench.clock())
        await self.work()


def _make(_name: LoopName, ports: LoopPorts) -> Loop:
    return SteadyFlow(ports)


@dataclass
class Death:
    """When the process ends as kill -9 ends it: at its nth checkpoint, before it is written or right after."""

    at: int = 0
    after: bool = False
    written: int = 0


class KillingSaver(AsyncSqliteSaver):
    """Counts checkpoints, and dies at one. Each graph makes a copy of its saver, so the count is shared."""

    death: Death

    async def aput(self, *args: Any, **more: Any) -> Any:
        self.death.written += 1
        if self.death.written == self.death.at and not self.death.after:
            os._exit(9)
        made = await super().aput(*args, **more)
        if self.death.written == self.death.at:
            os._exit(9)
        return made


@asynccontextmanager
async def turning(folder: Path, death: Death | None = None, **sections: Any) -> AsyncIterator[Turning]:
    bench = Bench(folder)
    async with KillingSaver.from_conn_string(str(folder / "checkpoints.db")) as saver:
        assert isinstance(saver, KillingSaver)
        saver.death = death or Death()
        yield Turning(bench, saver, **sections)
    bench.ledger.close()
