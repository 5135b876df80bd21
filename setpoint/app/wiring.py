"""The one composition root: builds everything of a run from settings. Nothing else constructs a model or a graph.

What commands open without a run (`opening`), analyses (`analysing`) and actions (`acting`) have modules of their own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

# Checkpoints may hold plain values only: set before LangGraph is imported, which reads it once.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from rich.console import Console

from agents.alerter import Alerter, storm_notice
from agents.correlator import Correlator
from agents.dispatcher import Policy as DispatchPolicy
from agents.filter import TextRanker
from agents.symbolic_engine import SymbolicEngine
from graphs.fast_path import FastContext, build_fast_graph
from graphs.threads import run_to_stop
from graphs.triage import TriageContext, build_triage_graph
from plant.diagnosis.results import Rehearsal
from setpoint import __version__
from setpoint.app import adapters
from setpoint.app.acting import Acting
from setpoint.app.analysing import Analyses, AnalysisParts
from setpoint.app.causes import Grouper
from setpoint.app.deciding import decide_pending
from setpoint.app.engine import Course, Duty, Engine, EngineParts
from setpoint.app.histories import Reached, open_history
from setpoint.app.lanes import LaneParts
from setpoint.app.live import Live
from setpoint.app.loops import LANE, Loops, LoopsParts
from setpoint.app.memory import Memory
from setpoint.app.opening import (
    make_desk,
    next_escalation,
    once,
    open_adapter,
    open_index,
    open_ledger,
    open_site,
    utc_now,
    versions,
)
from setpoint.app.ownership import Ownership
from setpoint.app.policy import Policy
from setpoint.app.report import write_report
from setpoint.app.rules import accepted_rulebook
from setpoint.app.runfacts import RunFacts
from setpoint.app.sinks import Sink, make_sink
from setpoint.contracts import Action, Decision, Dispatch, Event, Incident, Notice, Priority, Review
from setpoint.contracts.sinks import sink_label
from setpoint.intake import sense
from setpoint.ledger.records import Job
from setpoint.llm import Registry, RoleModel, load_role
from setpoint.settings import Settings, flatten_settings
from tools.adapter import SimulatedSite, SiteAdapter
from tools.adapters.real_site import RealSite
from tools.loops.days_site import DaysSite
from tools.loops.ports import LoopPorts, no_jobs
from tools.telemetry import History

if TYPE_CHECKING:
    from knowledge.index import Index

NOTED = (
    "act.dry_run",
    "alerts.sinks",
    "review.actions",
    "models.heavy.kind",
    "models.light.kind",
    "site.file",
)
"""Settings a report's reader asks for."""


class Runtime:
    """Everything of one running Setpoint. Build with `build_runtime`; it belongs to one event loop."""

    def __init__(
        self,
        settings: Settings,
        live: IO[str] | None,
        rank_lines: bool = True,
        simulated: Reached | None = None,
        history: History | None = None,
        course: Course = "live",
        clock: Callable[[], datetime] = utc_now,
        looks_again: bool = False,
    ) -> None:
        self.settings, self.site, self._course = settings, open_site(settings), course
        self._looks_again = looks_again
        self._ownership = Ownership(settings.store.dir)
        self.ledger = open_ledger(settings)
        self.adapter = simulated or open_adapter(settings, self.site)
        self.history = history or open_history(settings, self.site, self.ledger, utc_now, self.adapter)
        self.index: Callable[[], Index] = once(lambda: open_index(settings))
        self.desk = replace(
            make_desk(settings, self.site, self.ledger, self.index, self.adapter),
            on_closed=lambda name: self._memory.closed(name),
            on_merged=lambda name, into: self._memory.merged(name, into),
        )
        self.alerter = Alerter(self.site)
        self.live = Live(Console(file=live), self.site, rank_lines=rank_lines) if live else None
        self.began = utc_now()
        self.inputs: tuple[str, ...] = ()
        """What was read, for the report."""
        self.decided_by = "ask"
        self.worst: Priority = "P3"
        registry = Registry.of(settings)
        self._light = load_role(settings.models.light, "light", registry)
        self._heavy = load_role(settings.models.heavy, "heavy", registry)
        self._committer = adapters.Committer(self.ledger, settings, self._storm)
        self._memory = self._remember()
        self._ranker = self._make_ranker()
        self._triage = build_triage_graph()
        self._saver_context: Any = None
        self._acting = Acting(
            settings, self.site, self.ledger, self.history, self.adapter, self._tell, self._follow_up,
            over=lambda subject: self.loops.touched(subject), clock=clock,
        )  # fmt: skip
        self.loops = self._make_loops(clock)
        self._analyses = self._make_analyses()
        self.engine = Engine(self._parts())

    # ---- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the engine."""
        if not self.settings.store.url:  # the store is ours alone: what was being worked on was cut off
            await asyncio.to_thread(self.ledger.release_jobs)
            await asyncio.to_thread(self.ledger.lose_turns)
        await self.engine.start()

    async def _open_graphs(self) -> None:
        """Checkpoints and what uses them live on the lanes' loop."""
        path = self.settings.store.dir / "checkpoints.db"
        self._saver_context = AsyncSqliteSaver.from_conn_string(str(path))
        saver = await self._saver_context.__aenter__()
        path.chmod(0o600)
        self._fast = build_fast_graph(saver)
        self._analyses.open(saver)
        self._acting.open(saver)
        self.loops.open(saver)

    async def _close_graphs(self) -> None:
        if self._saver_context is not None:
            await self._saver_context.__aexit__(None, None, None)

    async def close(self) -> None:
        await self.engine.stop()
        self._memory.write()
        self.ledger.close()
        if isinstance(self.adapter, RealSite):
            self.adapter.close()
        self._ownership.release()

    # ---- triage ---------------------------------------------------------------------------------------------------

    def _remember(self) -> Memory:
        """A correlator that knows what the ledger knows."""
        self._silences = self.ledger.list_silences()
        correlator = Correlator(self.site, self.settings.triage, self._silenced)
        return Memory(correlator, self.ledger, self.settings.store.dir / "correlation.json")

    def _make_ranker(self) -> SymbolicEngine:
        return SymbolicEngine(
            accepted_rulebook(self.settings, self.ledger, utc_now()), self.site, TextRanker.load()
        )

    def _silenced(self, event: Event, template: str) -> str:
        matching = (
            s.id for s in self._silences if s.matches(event.asset, event.kind, template, event.received)
        )
        return next(matching, "")

    async def _triage_batch(self, events: Sequence[Event]) -> Dispatch | None:
        self._memory.settle(calm=self.engine.calm)
        self._silences = self.ledger.list_silences()  # a small read; a hop to another thread costs more
        sensed = [sense(event, self.site, self.settings.triage) for event in events]
        context = TriageContext(
            sensor=adapters.Taken(sensed),
            correlator=self._memory,
            ranker=self._ranker,
            dispatcher=self._committer,
            notice=self.alerter,
            policy=replace(DispatchPolicy.of(self.settings), ended_too=self._course != "live"),
            checkpointed=False,
        )
        await self._triage.ainvoke({"limit": len(sensed)}, context=context)
        self._memory.committed(sensed)
        dispatch = self._committer.last
        if dispatch is not None:
            self.worst = min([self.worst, *(incident.priority for incident in dispatch.incidents)])
        return dispatch

    def _storm(self, incidents: Sequence[Incident]) -> Notice:
        return storm_notice(incidents, adapters.FLOOD_WINDOW, self.site)

    # ---- jobs -----------------------------------------------------------------------------------------------------

    async def _do_fast(self, job: Job) -> None:
        context = FastContext(self.ledger, self._light, self.alerter, self.settings.models.light.timeout_s)
        first = {"incident_id": job.key, "payload": dict(job.payload)}
        await run_to_stop(self._fast, f"fast:{job.key}:{job.id}", first, context)
        await asyncio.to_thread(self.ledger.finish, job)

    def _make_analyses(self) -> Analyses:
        return Analyses(
            AnalysisParts(
                settings=self.settings, site=self.site, ledger=self.ledger, adapter=self.adapter, index=self.index,
                heavy=self._heavy, trials=self._acting.trials, gate=self._acting.gate, grouper=self._grouper,
                tell=self._tell, looks_again=self._looks_again,
            )
        )  # fmt: skip

    def _make_loops(self, clock: Callable[[], datetime]) -> Loops:
        settings, site = self.settings, self.adapter
        adapter: SiteAdapter = site or adapters.NoSite()
        if isinstance(site, DaysSite):
            reach = site.ports()
        else:
            twin = site.twin if isinstance(site, SimulatedSite) else None
            jobs = site.jobs if isinstance(site, RealSite) else no_jobs
            reach = LoopPorts(self.site, adapter.read, self.history, clock, jobs=jobs, twin=twin)
        lived = isinstance(site, DaysSite)
        return Loops(
            LoopsParts(
                settings=settings, ledger=self.ledger, reach=reach, adapter=adapter, gate=self._acting.gate,
                trials=self._acting.trials, stop=self._acting.stop, wake=lambda: self.engine.wake("lanes", "triage"),
                tell=self._tell, writer=None if lived or settings.models.light.kind == "none" else self._light,
                expires=not lived,
            ),
            settings.loops.enabled,
        )  # fmt: skip

    def _follow_up(self, review: Review) -> None:
        """What a decision about input or rules leads to."""
        decision = review.decision
        if review.kind == "rule_change":
            self._ranker = self._make_ranker()
        if review.kind == "doubtful_input" and decision and decision.type == "reject":
            self._drop_doubtful(review.incident_id, decision)
            self._memory.closed(review.incident_id)

    def _drop_doubtful(self, incident_id: str, decision: Decision) -> None:
        """It was no real trouble: its incident is closed, unless something beyond doubt is in it too."""
        if all(triage.doubtful or triage.priority == "P3" for triage in self.ledger.triage_of(incident_id)):
            why = f"doubtful input rejected: {decision.reason or 'no reason given'}"
            self.ledger.set_state(incident_id, "closed", decision.who, why)

    @cached_property
    def _grouper(self) -> Grouper:
        """Incidents under their causes, and causes first in a flood."""
        limit = self.settings.alerts.flood_per_10min
        return Grouper(self.ledger, self.site, limit, self._tell)

    # ---- the clock's duties -----------------------------------------------------------------------------------------

    def _escalate(self, now: datetime) -> int:
        alerts = self.settings.alerts
        due = self.ledger.due_escalations(alerts.escalate_after_s, max_level=max(1, len(alerts.sinks) - 1))
        for one in due:
            notice, sink = next_escalation(one.incident, one.level, self.settings, self.ledger, self.site)
            self.ledger.escalate(one.incident.id, notice, sink, why="not acknowledged in time")
        return len(due)

    def _expire(self, now: datetime) -> int:
        return len(self.ledger.expire_reviews())

    def _tidy(self, now: datetime) -> int:
        self.ledger.tidy()
        return 0

    def _prune(self, now: datetime) -> int:
        self.ledger.prune(self.settings.store, checkpoints=self.settings.store.dir / "checkpoints.db")
        return 0

    # ---- decisions of a policy ----------------------------------------------------------------------------------------

    def decide(self, policy: Policy) -> int:
        """Decide what the policy has an opinion on. Returns how much it decided."""
        count = decide_pending(self.ledger, self.site, policy, versions(self.settings), self._tell)
        if count:
            self.engine.wake()
        return count

    def rehearse(self, action: Action, incident_id: str) -> Rehearsal | None:
        """An action on the plant model, from the site's state now, with the fault that the incident's analysis found. None
        where nothing of it can be shown."""
        return self._acting.rehearse_again(action, incident_id)

    def compare(self) -> int:
        """Hold the rehearsals that are due against readings. The clock does it too; simulated time may outrun it."""
        return self._acting.compare(utc_now())

    async def settle(self, policy: Policy) -> None:
        """Work until nothing is left but what waits for a person."""
        while True:
            await self.engine.drain()
            if not await asyncio.to_thread(self.decide, policy):
                return

    # ---- telling ------------------------------------------------------------------------------------------------------

    def facts(self) -> RunFacts:
        """How this run was made, for reports and outputs."""
        return RunFacts(
            version=__version__,
            started=self.began,
            finished=utc_now(),
            inputs=self.inputs,
            decide=self.decided_by,
            models={role: f"{model.name}, mode {model.mode}" for role, model in self.roles.items()},
            versions=versions(self.settings),
            settings={
                key: ", ".join(map(sink_label, value)) if key == "alerts.sinks" else str(value)
                for key, value in flatten_settings(self.settings).items()
                if key in NOTED
            },
        )

    @property
    def roles(self) -> dict[str, RoleModel]:
        """The models in service, by role."""
        return {"light": self._light, "heavy": self._heavy}

    def report(self, path: Path, title: str) -> None:
        write_report(self.ledger, self.site, path, title=title, run=self.facts())

    def _tell(self, kind: str, what: Any) -> None:
        self.engine.tell(kind, what)

    def _show(self, notice: Notice) -> None:
        if self.live:
            self.live.notice(notice)

    def _parts(self) -> EngineParts:
        sinks: dict[str, Sink] = {name: make_sink(name, self._show) for name in self.settings.alerts.sinks}
        return EngineParts(
            settings=self.settings,
            ledger=self.ledger,
            triage=self._triage_batch,
            sinks=sinks,
            lanes=LaneParts(
                ledger=self.ledger,
                lanes={**_looks(self._course), "action lane": ("review", "resume", "act"), LANE: ("loop",)},
                patient=frozenset({*_looks(self._course), LANE}),
                handlers={
                    "fast": self._do_fast, "slow": self._analyses.do, **self._acting.handlers, **self.loops.handlers,
                },
                open=self._open_graphs,
                close=self._close_graphs,
            ),
            duties=(
                Duty(1.0, self._escalate),
                Duty(1.0, self._expire),
                Duty(10.0, self._tidy),
                Duty(5.0, self._acting.compare),
                Duty(2.0, lambda _now: self._grouper(self._acting.site_clock())),
                Duty(60.0, self._acting.settle_abandoned),
                Duty(5.0, self.loops.turn),
                Duty(3600.0, self._prune),
            ),
            listeners=[self.live] if self.live else [],
            course=self._course,
        )  # fmt: skip


def build_runtime(
    settings: Settings,
    *,
    live: IO[str] | None = None,
    rank_lines: bool = True,
    simulated: Reached | None = None,
    history: History | None = None,
    course: Course = "live",
    clock: Callable[[], datetime] = utc_now,
    looks_again: bool = False,
) -> Runtime:
    """Everything of one running Setpoint. `live` is where a person watches; None for nobody. `rank_lines`: a line for
    each event worth a look, not for alerts and analyses only. `simulated` stands in for the plant of a simulated site,
    `history` for the readings that the settings name. `course`: how it takes what comes in. `clock`: what
    approvals, acts and control loops go by, where the simulated site has a time of its own. `looks_again`: time passes
    while it runs, so an open cause of something grave is looked at again as readings come."""
    return Runtime(settings, live, rank_lines, simulated, history, course, clock, looks_again)


def _looks(course: Course) -> dict[str, tuple[str, ...]]:
    """Lanes of what is written about incidents. Over files it is one lane: what one analysis found spares another, so
    which comes first must not be a matter of moments."""
    if course == "files":
        return {"slow lane": ("fast", "slow")}
    return {"fast lane": ("fast",), "slow lane": ("slow",)}
