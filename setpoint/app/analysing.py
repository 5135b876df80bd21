"""Analyses: the slow path composed over one run's stores, models and plant, and what of it a storm takes away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from agents.evidence import Case
from agents.explainer import Budget
from graphs.slow_path import SlowPorts, build_slow_path
from graphs.threads import run_to_stop
from knowledge.causes import load_causes
from knowledge.runbooks import load_corpus
from setpoint.app import adapters
from setpoint.app.asked import read_asked
from setpoint.app.causes import Grouper, explains
from setpoint.app.formatting import counted
from setpoint.app.opening import utc_now
from setpoint.app.relook import already_known, look_again
from setpoint.app.trials import PlantTrials, as_proposed, no_trial
from setpoint.autonomy.gate import Gate
from setpoint.contracts import ActionProposal, Diagnosis, Incident, Notice
from setpoint.contracts.action import Withheld
from setpoint.contracts.site import Site
from setpoint.ledger import Ledger
from setpoint.ledger.records import Job
from setpoint.llm.roles import RoleModel
from setpoint.settings import Settings
from tools.actions import CATALOG
from tools.adapter import SiteAdapter

if TYPE_CHECKING:
    from knowledge.index import Index


@dataclass(frozen=True)
class AnalysisParts:
    """What an analysis reads and asks."""

    settings: Settings
    site: Site
    ledger: Ledger
    adapter: SiteAdapter | None
    index: Callable[[], Index]
    heavy: RoleModel
    trials: PlantTrials
    gate: Gate
    grouper: Grouper
    tell: Callable[[str, Any], None]
    looks_again: bool = False
    """Readings go on coming: an open cause of something grave is looked at again."""


class Analyses:
    """Does the jobs of the slow lane."""

    def __init__(self, parts: AnalysisParts) -> None:
        self._parts, self._ledger = parts, parts.ledger
        self._like: dict[frozenset[tuple[str, tuple[str, ...]]], str] = {}
        """What was said, to the incident whose analysis stands for it while a storm lasts."""

    def open(self, saver: BaseCheckpointSaver[Any]) -> None:
        """Call it on the loop of the lanes, before the first job."""
        self._slow = build_slow_path(saver)

    async def do(self, job: Job) -> None:
        """One analysis, from evidence to what is recorded."""
        incident = await asyncio.to_thread(self._ledger.get_incident, job.key)
        storming = await asyncio.to_thread(self._storming, job)
        if storming and await asyncio.to_thread(self._shares_analysis, incident, job):
            return
        if why := await asyncio.to_thread(self._known, incident, job):
            self._parts.tell("known", (incident, why))
            return
        done: list[Diagnosis] = []

        def record(found: Diagnosis) -> None:
            done.append(self._record(found, incident, job))

        first = {"incident_id": job.key, "revision": incident.revision}
        await run_to_stop(self._slow, f"slow:{job.key}:{job.id}", first, self._ports(record, storming))
        for diagnosis in done:
            self._parts.tell("diagnosed", diagnosis)
        if not done:  # a run before this one recorded it and died before the job was closed
            await asyncio.to_thread(self._ledger.finish, job)

    def _known(self, incident: Incident, job: Job) -> str:
        """Why no analysis is needed; the job is closed then, and the audit says so."""
        why = already_known(self._ledger, self._parts.site, incident, job)
        if why:
            self._ledger.audit("setpoint", "analysis-not-needed", incident.id, {"why": why})
            self._ledger.finish(job)
        return why

    def _record(self, found: Diagnosis, incident: Incident, job: Job) -> Diagnosis:
        parts = self._parts
        diagnosis = found.model_copy(update={"explains": explains(self._ledger, parts.site, found)})
        notice = self._cause_notice(incident, diagnosis)
        after_s = parts.settings.models.look_again_s if parts.looks_again else ()
        again = look_again(incident, diagnosis, job, after_s)
        adapters.record_diagnosis(self._ledger, parts.settings, diagnosis, job, notice, parts.gate, again)
        parts.grouper.diagnosed()
        return diagnosis

    def _ports(self, record: Callable[[Diagnosis], None], storming: bool) -> SlowPorts:
        parts, limits = self._parts, self._parts.settings.models
        heavy = parts.heavy if limits.heavy.kind != "none" and not storming else None

        def propose(name: str, case: Case, evidence: Sequence[str]) -> ActionProposal | Withheld | None:
            asked = read_asked(self._ledger, case.incident.id, utc_now())
            return adapters.propose(name, case, evidence, parts.adapter, asked)

        return SlowPorts(
            load_case=lambda key: adapters.load_case(self._ledger, parts.site, parts.adapter, key),
            library=_Library(parts.index),
            causes=load_causes(),
            sections=load_corpus(),
            writer=heavy,
            decider=heavy if limits.heavy.mode != "facts" else None,
            mode=limits.heavy.mode,
            action_names=frozenset(CATALOG),
            asset_names=frozenset(asset.name for asset in parts.site.assets),
            propose=propose,
            try_causes=no_trial if storming else parts.trials.try_causes,
            explain_service=parts.trials.explain_service,
            rehearse=as_proposed if storming else parts.trials.rehearse,
            record=record,
            new_budget=lambda: Budget(
                limits.tokens_per_incident, limits.calls_per_incident, limits.seconds_per_incident
            ),
            passages=parts.settings.knowledge.passages,
        )

    # ---- a storm --------------------------------------------------------------------------------------------------

    def _storming(self, job: Job) -> bool:
        """Whether so many analyses wait, at least as urgent as this one, that none may take a model's time: many small
        troubles do not cost a great one its full look."""
        most = self._parts.settings.models.storm_queue
        queued = self._ledger.list_jobs(kinds=("slow",), states=("queued",), limit=most * 4)
        due = (one for one in queued if one.not_before <= utc_now())
        storming = sum(one.urgency <= job.urgency for one in due) > most
        if not storming:
            self._like.clear()
        return storming

    def _shares_analysis(self, incident: Incident, job: Job) -> bool:
        """In a storm one analysis stands for all incidents whose events say the same; the audit names it."""
        triages = self._ledger.triage_of(incident.id)
        kinds = frozenset((one.condition, one.cause_hints) for one in triages if one.priority != "P3")
        like = self._like.setdefault(kinds, incident.id)
        if like == incident.id:
            return False
        self._ledger.audit("setpoint", "analysis-shared", incident.id, {"like": like})
        return self._ledger.finish(job)

    # ---- telling --------------------------------------------------------------------------------------------------

    def _cause_notice(self, incident: Incident, diagnosis: Diagnosis) -> Notice | None:
        """An update of the same notification with the cause, for incidents somebody was told of."""
        last = self._ledger.last_notice(incident.id)
        if last is None or incident.priority not in self._parts.settings.alerts.priorities:
            return None
        waiting = sum(self._parts.gate.look(proposal, diagnosis).asks for proposal in diagnosis.proposals)
        lines = [diagnosis.summary]
        if waiting:
            lines.append(
                f"{counted(waiting, 'action')} wait{'' if waiting > 1 else 's'} for a decision: setpoint review list"
            )
        title, text = f"Cause: {diagnosis.top.title}", "\n".join(lines)
        said = (one.notice for one in self._ledger.list_deliveries(incident_id=incident.id))
        if any((one.title, one.text) == (title, text) for one in said):  # another look that came to the same
            return None
        return Notice(
            incident_id=incident.id, dedup_key=last.dedup_key, version=last.version + 1, stage="update",
            priority=incident.priority, title=title, text=text,
            written_by=diagnosis.written_by,
        )  # fmt: skip


@dataclass(frozen=True)
class _Library:
    """The index, opened at the first search."""

    index: Callable[[], Index]

    def search(self, query: str, limit: int) -> list[Any]:
        return list(self.index().search(query, limit, nearest=True))
