"""The one composition root: builds everything from settings. Nothing else constructs a store, a model or a graph."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any

# Checkpoints may hold plain values only: set before LangGraph is imported, which reads it once.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from pydantic import JsonValue
from rich.console import Console

from agents.alerter import Alerter, escalation_notice, storm_notice
from agents.correlator import Correlator
from agents.dispatcher import Policy as DispatchPolicy
from agents.explainer import Budget
from agents.filter import TextRanker
from agents.symbolic_engine import SymbolicEngine
from graphs.act import ActPorts, build_act_graph, run_act
from graphs.fast_path import FastContext, build_fast_graph
from graphs.review import ReviewPorts, build_review_graph, check_edit, open_review, resume_review
from graphs.slow_path import SlowPorts, build_slow_path
from graphs.threads import run_to_stop
from graphs.triage import TriageContext, build_triage_graph
from knowledge.causes import catalog_version, load_causes
from knowledge.rulebook import RuleBook
from knowledge.runbooks import load_corpus
from plant.diagnosis.results import Rehearsal
from setpoint import __version__
from setpoint.app import adapters
from setpoint.app.causes import Grouper, explains
from setpoint.app.desk import DESK, Desk
from setpoint.app.engine import Duty, Engine, EngineParts
from setpoint.app.formatting import counted
from setpoint.app.histories import open_history
from setpoint.app.lanes import LaneParts
from setpoint.app.live import Live
from setpoint.app.memory import Memory
from setpoint.app.ownership import Ownership
from setpoint.app.policy import Policy
from setpoint.app.report import write_report
from setpoint.app.rules import accepted_rulebook
from setpoint.app.runfacts import RunFacts
from setpoint.app.sinks import Sink, make_sink
from setpoint.app.trials import PlantTrials, as_proposed, no_trial
from setpoint.autonomy.gate import Gate
from setpoint.contracts import (
    Action,
    Decision,
    Diagnosis,
    Dispatch,
    Event,
    Incident,
    Notice,
    Priority,
    Quarantined,
    Review,
    Triage,
)
from setpoint.contracts.sinks import sink_label
from setpoint.contracts.site import Site, load_site
from setpoint.errors import NotDecidable
from setpoint.intake import read, sense
from setpoint.ledger import Ledger
from setpoint.ledger.records import Job
from setpoint.llm import load_role
from setpoint.settings import Settings, flatten_settings
from tools.actions import CATALOG, kind_of
from tools.adapter import SimulatedSite, SiteAdapter
from tools.executor import Executor
from tools.night_site import NightSite
from tools.rehearsal import compare_due
from tools.stop import StopSwitch
from tools.tokens import Signer

if TYPE_CHECKING:
    from knowledge.index import Index

MOST_ACTS = 200
"""Of the last actions that a trial looks at."""
NOTED = (
    "act.dry_run",
    "alerts.sinks",
    "review.actions",
    "models.heavy.kind",
    "models.light.kind",
    "site.file",
)
"""Settings a report's reader asks for."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def open_site(settings: Settings) -> Site:
    """The site file, or a site without known assets."""
    return load_site(settings.site.file) if settings.site.file else Site(name="site")


def open_ledger(settings: Settings) -> Ledger:
    """The ledger that the settings name; first notices go to the first sink."""
    settings.store.dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    target: str | Path = settings.store.url or settings.store.dir / "ledger.db"
    return Ledger.open(target, sinks=settings.alerts.sinks[:1])


def open_index(settings: Settings) -> Index:
    """The knowledge index, with dense vectors where an embedding model is set."""
    from knowledge.index import Index  # Qdrant takes half a second to load, and a start must be quick

    knowledge = settings.knowledge
    embed = None
    if knowledge.embedding:
        from setpoint.llm.embedding import load_embedding

        embed = load_embedding(knowledge.embedding)
    key = os.environ.get(knowledge.api_key_env)
    return Index.open(settings.store.dir / "knowledge", url=knowledge.url, api_key=key, embed=embed)


def load_ranking(settings: Settings) -> Callable[[Sequence[Event]], Iterator[tuple[Event, Triage]]]:
    """Sense, correlate and rank without a store, for `setpoint triage`."""
    site = open_site(settings)
    correlator = Correlator(site, settings.triage)
    engine = SymbolicEngine(RuleBook.load(settings.triage.rules), site, TextRanker.load())

    def ranked(events: Sequence[Event]) -> Iterator[tuple[Event, Triage]]:
        for one in correlator.observe([sense(event, site, settings.triage) for event in events]):
            yield one.event, engine.rank(one.event, one.context)

    return ranked


def local_desk(settings: Settings) -> Callable[[str, dict[str, Any]], JsonValue]:
    """Desk calls in this process."""
    site = open_site(settings)
    desk = make_desk(settings, site, open_ledger(settings))
    return lambda name, arguments: DESK[name](desk, **arguments)


def make_desk(
    settings: Settings,
    site: Site,
    ledger: Ledger,
    index: Callable[[], Index] | None = None,
    simulated: SimulatedSite | NightSite | None = None,
) -> Desk:
    """The operator's functions over these stores, and over the simulated site of a running server."""
    opened = index or _once(lambda: open_index(settings))
    adapter = _once(lambda: simulated or open_adapter(settings, site))
    return Desk(
        ledger=ledger,
        site=site,
        open_index=opened,
        read_items=lambda raw, origin: read_items(raw, origin, site),
        escalation=lambda incident: next_escalation(incident, 0, settings, ledger, site),
        versions=lambda: versions(settings),
        autonomy=settings.autonomy,
        ask=lambda question: _chat(settings, site, ledger, opened, adapter(), question),
        flood_per_10min=settings.alerts.flood_per_10min,
    )


def _chat(
    settings: Settings,
    site: Site,
    ledger: Ledger,
    index: Callable[[], Index],
    simulated: SimulatedSite | NightSite | None,
    question: str,
) -> dict[str, JsonValue]:
    from setpoint.app.talk import make_operator

    answer: dict[str, JsonValue] = make_operator(settings, site, ledger, index, simulated)(question)
    return answer


def read_items(raw: bytes, origin: str, site: Site) -> tuple[list[Event], list[Quarantined]]:
    """Events and unreadable items of one input."""
    items = list(read(raw, origin=origin, zone=site.zone, received=utc_now()))
    return [i for i in items if isinstance(i, Event)], [i for i in items if isinstance(i, Quarantined)]


def open_adapter(settings: Settings, site: Site) -> SimulatedSite | None:
    """The simulated plant of a simulated site. Adapters of real sites plug in here."""
    if not site.simulated:
        return None
    return SimulatedSite(site, utc_now, settings.store.dir / "plant.json")


def versions(settings: Settings) -> dict[str, str]:
    """What made a proposal: kept with every human judgement."""
    light, heavy = load_role(settings.models.light, "light"), load_role(settings.models.heavy, "heavy")
    return {
        "setpoint": __version__,
        "causes": catalog_version(),
        "light": f"{light.name}@{light.sha256[:12]}",
        "heavy": f"{heavy.name}@{heavy.sha256[:12]}",
        "mode": settings.models.heavy.mode,
    }


def next_escalation(
    incident: Incident, level: int, settings: Settings, ledger: Ledger, site: Site
) -> tuple[Notice, str]:
    """What to say and to whom, when nobody answered `level` escalations."""
    sinks = settings.alerts.sinks
    told = sink_label(sinks[min(level, len(sinks) - 1)])
    last = ledger.last_notice(incident.id)
    notice = escalation_notice(incident, last, site, utc_now(), told, ledger.first_told(incident.id))
    return notice.model_copy(update={"version": (last.version + 1) if last else 1}), sinks[
        min(level + 1, len(sinks) - 1)
    ]


def _once(make: Callable[[], Any]) -> Callable[[], Any]:
    made: list[Any] = []
    turn = Lock()

    def get() -> Any:
        with turn:
            if not made:
                made.append(make())
            return made[0]

    return get


class Runtime:
    """Everything of one running Setpoint. Build with `build_runtime`; it belongs to one event loop."""

    def __init__(
        self,
        settings: Settings,
        live: IO[str] | None,
        rank_lines: bool = True,
        simulated: SimulatedSite | NightSite | None = None,
    ) -> None:
        self.settings, self.site = settings, open_site(settings)
        self._ownership = Ownership(settings.store.dir)
        self.ledger = open_ledger(settings)
        self.simulated = simulated or open_adapter(settings, self.site)
        self.history = open_history(settings, self.site, self.ledger, utc_now, self.simulated)
        self.index: Callable[[], Index] = _once(lambda: open_index(settings))
        self.desk = replace(
            make_desk(settings, self.site, self.ledger, self.index, self.simulated),
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
        self._storm_analyses: dict[frozenset[tuple[str, tuple[str, ...]]], str] = {}
        """What was said, to the incident whose analysis stands for it while a storm lasts."""
        self._light = load_role(settings.models.light, "light")
        self._heavy = load_role(settings.models.heavy, "heavy")
        self._committer = adapters.Committer(self.ledger, settings, self._storm)
        self._memory = self._remember()
        self._ranker = self._make_ranker()
        self._triage = build_triage_graph()
        self._saver_context: Any = None
        self.engine = Engine(self._parts())

    # ---- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the engine."""
        if not self.settings.store.url:  # the store is ours alone: what was being worked on was cut off
            await asyncio.to_thread(self.ledger.release_jobs)
        await self.engine.start()

    async def _open_graphs(self) -> None:
        """Checkpoints and what uses them live on the lanes' loop."""
        path = self.settings.store.dir / "checkpoints.db"
        self._saver_context = AsyncSqliteSaver.from_conn_string(str(path))
        saver = await self._saver_context.__aenter__()
        path.chmod(0o600)
        self._fast, self._slow = build_fast_graph(saver), build_slow_path(saver)
        self._review, self._act = build_review_graph(saver), build_act_graph(saver)

    async def _close_graphs(self) -> None:
        if self._saver_context is not None:
            await self._saver_context.__aexit__(None, None, None)

    async def close(self) -> None:
        await self.engine.stop()
        self._memory.write()
        self.ledger.close()
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
            policy=DispatchPolicy.of(self.settings),
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

    async def _do_slow(self, job: Job) -> None:
        incident = await asyncio.to_thread(self.ledger.get_incident, job.key)
        storming = await asyncio.to_thread(self._storming)
        if storming and await asyncio.to_thread(self._shares_analysis, incident, job):
            return
        first = {"incident_id": job.key, "revision": incident.revision}
        done: list[tuple[Diagnosis, list[Review]]] = []

        def record(found: Diagnosis) -> None:
            diagnosis = found.model_copy(update={"explains": explains(self.ledger, self.site, found)})
            notice = self._cause_notice(incident, diagnosis)
            reviews = adapters.record_diagnosis(
                self.ledger, self.settings, diagnosis, job, notice, self._gate
            )
            self._grouper.diagnosed()
            done.append((diagnosis, reviews))

        await run_to_stop(
            self._slow,
            f"slow:{job.key}:{job.id}",
            first,
            self._slow_ports(record, storming),
        )
        for diagnosis, _ in done:
            self.engine.tell("diagnosed", diagnosis)
        if not done:  # a run before this one recorded it and died before the job was closed
            await asyncio.to_thread(self.ledger.finish, job)

    def _storming(self) -> bool:
        """Whether so many analyses wait that none of them may take a model's time."""
        most = self.settings.models.storm_queue
        storming = len(self.ledger.list_jobs(kinds=("slow",), states=("queued",), limit=most + 1)) > most
        if not storming:
            self._storm_analyses.clear()
        return storming

    def _shares_analysis(self, incident: Incident, job: Job) -> bool:
        """In a storm one analysis stands for all incidents whose events say the same; the audit names it."""
        triages = self.ledger.triage_of(incident.id)
        kinds = frozenset((one.condition, one.cause_hints) for one in triages if one.priority != "P3")
        like = self._storm_analyses.setdefault(kinds, incident.id)
        if like == incident.id:
            return False
        self.ledger.audit("setpoint", "analysis-shared", incident.id, {"like": like})
        return self.ledger.finish(job)

    def _slow_ports(self, record: Callable[[Diagnosis], None], storming: bool) -> SlowPorts:
        heavy, limits = self.settings.models.heavy, self.settings.models
        wants_model = heavy.kind != "none" and not storming
        return SlowPorts(
            load_case=lambda key: adapters.load_case(self.ledger, self.site, self.simulated, key),
            library=_Library(self.index),
            causes=load_causes(),
            sections=load_corpus(),
            writer=self._heavy if wants_model else None,
            decider=self._heavy if wants_model and heavy.mode != "facts" else None,
            mode=heavy.mode,
            action_names=frozenset(CATALOG),
            asset_names=frozenset(asset.name for asset in self.site.assets),
            propose=lambda name, case, evidence: adapters.propose(name, case, evidence, self.simulated),
            try_causes=self._trials.try_causes if not storming else no_trial,
            rehearse=self._trials.rehearse if not storming else as_proposed,
            record=record,
            new_budget=lambda: Budget(
                limits.tokens_per_incident, limits.calls_per_incident, limits.seconds_per_incident
            ),
            passages=self.settings.knowledge.passages,
        )

    def _cause_notice(self, incident: Incident, diagnosis: Diagnosis) -> Notice | None:
        """An update of the same notification with the cause, for incidents somebody was told of."""
        last = self.ledger.last_notice(incident.id)
        if last is None or incident.priority not in self.settings.alerts.priorities:
            return None
        waiting = sum(self._gate.look(proposal, diagnosis).asks for proposal in diagnosis.proposals)
        lines = [diagnosis.summary]
        if waiting:
            lines.append(
                f"{counted(waiting, 'action')} wait{'' if waiting > 1 else 's'} for a decision: setpoint review list"
            )
        title, text = f"Cause: {diagnosis.top.title}", "\n".join(lines)
        said = (one.notice for one in self.ledger.list_deliveries(incident_id=incident.id))
        if any((one.title, one.text) == (title, text) for one in said):  # another look that came to the same
            return None
        return Notice(
            incident_id=incident.id, dedup_key=last.dedup_key, version=last.version + 1, stage="update",
            priority=incident.priority, title=title, text=text,
            written_by=diagnosis.written_by,
        )  # fmt: skip

    async def _do_review(self, job: Job) -> None:
        await open_review(self._review, self._review_ports, job.key)
        review = await asyncio.to_thread(self.ledger.get_review, job.key)
        await asyncio.to_thread(self.ledger.finish, job)
        if review.state == "pending":
            self.engine.tell("review", review)

    async def _do_resume(self, job: Job) -> None:
        await resume_review(self._review, self._review_ports, job.key)
        review = await asyncio.to_thread(self.ledger.get_review, job.key)
        await asyncio.to_thread(self._follow_up, review)
        await asyncio.to_thread(self.ledger.finish, job)

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

    async def _do_act(self, job: Job) -> None:
        outcome = await run_act(self._act, ActPorts(self._executor), job.payload)
        await asyncio.to_thread(self.ledger.finish, job)
        review = self.ledger.get_review(str(job.payload["review_id"]))
        self.engine.tell("outcome", (review, outcome))

    @cached_property
    def _review_ports(self) -> ReviewPorts:
        signer = Signer.open(self.settings.store.dir)
        return ReviewPorts(self.ledger, self.site, signer, self.settings.review, utc_now)

    @cached_property
    def _executor(self) -> Executor:
        adapter: SiteAdapter = self.simulated or adapters.NoSite()
        return Executor(
            site=self.site, adapter=adapter, ledger=self.ledger, signer=Signer.open(self.settings.store.dir),
            stop=self.stop_switch, settings=self.settings.act, clock=utc_now, rehearse=self._rehearse_again,
            against_alone=self._gate.refusals,
        )  # fmt: skip

    def _rehearse_again(self, action: Action, incident_id: str) -> Rehearsal | None:
        """Right before an act: from the present state, with the fault that the incident's last analysis found."""
        last = self.ledger.get_diagnosis(incident_id)
        return self._trials.rehearse_now(action, last.top.tested if last else None)

    @cached_property
    def _trials(self) -> PlantTrials:
        return PlantTrials(self.site, self.history, self._site_clock, self._acts)

    def _acts(self) -> list[tuple[datetime, Action]]:
        """What was done on the site, by the clock of its readings."""
        if isinstance(self.simulated, NightSite):
            return list(self.simulated.acts)
        records = self.ledger.list_actions(limit=10_000)[-MOST_ACTS:]
        return [(one.begun, one.action) for one in records if one.state == "done" and not one.dry_run]

    def _site_clock(self) -> datetime:
        """The clock of the readings: a played night has its own."""
        return self.simulated.now if isinstance(self.simulated, NightSite) else utc_now()

    @cached_property
    def _grouper(self) -> Grouper:
        """Incidents under their causes, and causes first in a flood."""
        limit = self.settings.alerts.flood_per_10min
        return Grouper(self.ledger, self.site, limit, lambda kind, what: self.engine.tell(kind, what))

    @cached_property
    def _gate(self) -> Gate:
        """What may run without being asked."""
        return Gate(
            ledger=self.ledger, settings=self.settings.autonomy, kind_of=kind_of, clock=utc_now,
            people_for=lambda risk: 2 if risk in self.settings.review.two_people_for else 1,
            stopped=lambda: self.stop_switch.reason(), around=self.site.upstream,
        )  # fmt: skip

    @cached_property
    def stop_switch(self) -> StopSwitch:
        return StopSwitch(self.settings.store.dir / "STOP")

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

    def _compare(self, now: datetime) -> int:
        """What was foreseen of actions against what came."""
        return compare_due(self.ledger, self.history, self.site, self._site_clock())

    def _tidy(self, now: datetime) -> int:
        self.ledger.tidy()
        return 0

    def _settle_abandoned(self, now: datetime) -> int:
        """Actions that no worker came back to end here; it only looks at the site."""
        if not self.ledger.unfinished_actions():
            return 0
        return len(self._executor.settle_abandoned())

    def _prune(self, now: datetime) -> int:
        self.ledger.prune(self.settings.store, checkpoints=self.settings.store.dir / "checkpoints.db")
        return 0

    # ---- decisions of a policy ----------------------------------------------------------------------------------------

    def decide(self, policy: Policy, *, older_than_s: float = 0.0) -> int:
        """Decide what the policy has an opinion on. Returns how much it decided."""
        count, now = 0, utc_now()
        for review in self.ledger.list_reviews(states=("pending",)):
            rule = policy.verdict(review)
            if rule.decide == "ask" or (now - review.created).total_seconds() < older_than_s:
                continue
            count += self._decide_one(policy, review, rule.decide, rule.reason, dict(rule.args))
        if count:
            self.engine.wake()
        return count

    def _decide_one(
        self, policy: Policy, review: Review, verdict: str, reason: str, args: dict[str, Any]
    ) -> bool:
        """High risk needs two people: the policy stands in for both."""
        action = review.proposal.action if review.proposal else None
        applicable = action is not None and set(args) <= set(action.args)
        for who in (policy.name, f"{policy.name}, second person"):
            kind = verdict if verdict != "edit" or applicable else "approve"
            if kind == "edit" and action is not None:
                edited = check_edit(review, action.model_copy(update={"args": action.args | args}), self.site)
                decision = Decision(type="edit", who=who, reason=reason, edited=edited, simulated=True)
            else:
                decision = Decision.model_validate(
                    {"type": kind, "who": who, "reason": reason, "simulated": True}
                )
            try:
                digest = self.ledger.get_review(review.id).digest
                decided = self.ledger.decide(review.id, digest, decision, versions=versions(self.settings))
            except NotDecidable:
                return False
            verdict, args = ("approve", {}) if verdict == "edit" else (verdict, args)
            if decided.final:
                self.engine.tell("decided", decided)
                return True
        return True

    async def keep_deciding(self, policy: Policy, *, after_s: float) -> None:
        """A simulated shift: decides each review some seconds after it was asked."""
        while True:
            await asyncio.to_thread(self.decide, policy, older_than_s=after_s)
            await asyncio.sleep(0.3)

    async def settle(self, policy: Policy) -> None:
        """Work until nothing is left but what waits for a person."""
        while True:
            await self.engine.drain()
            if not await asyncio.to_thread(self.decide, policy):
                return

    # ---- telling ------------------------------------------------------------------------------------------------------

    def facts(self) -> RunFacts:
        """How this run was made, for reports and outputs."""
        models = self.settings.models
        roles = {"light": (self._light, models.light), "heavy": (self._heavy, models.heavy)}
        return RunFacts(
            version=__version__,
            started=self.began,
            finished=utc_now(),
            inputs=self.inputs,
            decide=self.decided_by,
            models={role: f"{model.name}, mode {settings.mode}" for role, (model, settings) in roles.items()},
            versions=versions(self.settings),
            settings={
                key: ", ".join(map(sink_label, value)) if key == "alerts.sinks" else str(value)
                for key, value in flatten_settings(self.settings).items()
                if key in NOTED
            },
        )

    def report(self, path: Path, title: str) -> None:
        write_report(self.ledger, self.site, path, title=title, run=self.facts())

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
                lanes={"fast lane": ("fast",), "slow lane": ("slow",), "action lane": ("review", "resume", "act")},
                patient=frozenset({"fast lane", "slow lane"}),
                handlers={
                    "fast": self._do_fast, "slow": self._do_slow, "review": self._do_review,
                    "resume": self._do_resume, "act": self._do_act,
                },
                open=self._open_graphs,
                close=self._close_graphs,
            ),
            duties=(
                Duty(1.0, self._escalate),
                Duty(1.0, self._expire),
                Duty(10.0, self._tidy),
                Duty(5.0, self._compare),
                Duty(2.0, lambda _now: self._grouper(self._site_clock())),
                Duty(60.0, self._settle_abandoned),
                Duty(3600.0, self._prune),
            ),
            listeners=[self.live] if self.live else [],
        )  # fmt: skip


@dataclass(frozen=True)
class _Library:
    """The index, opened at the first search."""

    index: Callable[[], Index]

    def search(self, query: str, limit: int) -> list[Any]:
        return list(self.index().search(query, limit))


def build_runtime(
    settings: Settings,
    *,
    live: IO[str] | None = None,
    rank_lines: bool = True,
    simulated: SimulatedSite | NightSite | None = None,
) -> Runtime:
    """Everything of one running Setpoint. `live` is where a person watches; None for nobody. `rank_lines`: a line for
    each event worth a look, not for alerts and analyses only. `simulated` stands in for the plant of a simulated site."""
    return Runtime(settings, live, rank_lines, simulated)
