"""What becomes of proposed actions: put to people or let through by the gate, rehearsed again, carried out, looked at
afterwards. One object a run; the composition root builds it and gives its jobs to the action lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from graphs.act import ActPorts, build_act_graph, run_act
from graphs.review import ReviewPorts, build_review_graph, open_review, resume_review
from plant.diagnosis.results import Rehearsal
from setpoint.app.adapters import NoSite
from setpoint.app.histories import Reached
from setpoint.app.lanes import Handler
from setpoint.app.opening import utc_now
from setpoint.app.trials import PlantTrials
from setpoint.autonomy.gate import Gate
from setpoint.contracts import Action, Review
from setpoint.contracts.site import Site
from setpoint.ledger import Ledger
from setpoint.ledger.records import Job
from setpoint.settings import Settings
from tools.actions import kind_of
from tools.adapter import SiteAdapter
from tools.executor import Executor
from tools.loops.days_site import DaysSite
from tools.night_site import NightSite
from tools.rehearsal import compare_due
from tools.stop import StopSwitch
from tools.telemetry import History
from tools.tokens import Signer

MOST_ACTS = 200
"""Of the last actions that a trial looks at."""


class Acting:
    """Gate, reviews, rehearsals and executor over one site. `tell` hears of reviews and outcomes, `decided` of every
    review that came to an end."""

    def __init__(
        self,
        settings: Settings,
        site: Site,
        ledger: Ledger,
        history: History,
        adapter: Reached | None,
        tell: Callable[[str, Any], None],
        decided: Callable[[Review], None],
        over: Callable[[str], None] = lambda _subject: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`over` hears of the incident or cycle of each review and act that no worker has to come back to; `clock` is the
        site's, where its time is not the wall's."""
        self._settings, self._site, self._ledger, self._history = settings, site, ledger, history
        self._adapter, self._tell, self._decided = adapter, tell, decided
        self._over, self._clock = over, clock

    def open(self, saver: BaseCheckpointSaver[Any]) -> None:
        """Call it on the loop of the lanes, before the first job."""
        self._review, self._act = build_review_graph(saver), build_act_graph(saver)

    # ---- jobs -----------------------------------------------------------------------------------------------------

    @property
    def handlers(self) -> dict[str, Handler]:
        """By job kind."""
        return {"review": self._do_review, "resume": self._do_resume, "act": self._do_act}

    async def _do_review(self, job: Job) -> None:
        await open_review(self._review, self._review_ports, job.key)
        review = await asyncio.to_thread(self._ledger.get_review, job.key)
        await asyncio.to_thread(self._ledger.finish, job)
        if review.state == "pending":
            self._tell("review", review)

    async def _do_resume(self, job: Job) -> None:
        await resume_review(self._review, self._review_ports, job.key)
        review = await asyncio.to_thread(self._ledger.get_review, job.key)
        await asyncio.to_thread(self._decided, review)
        await asyncio.to_thread(self._ledger.finish, job)
        await asyncio.to_thread(self._over, review.incident_id)

    async def _do_act(self, job: Job) -> None:
        outcome = await run_act(self._act, ActPorts(self._executor), job.payload)
        await asyncio.to_thread(self._ledger.finish, job)
        review = self._ledger.get_review(str(job.payload["review_id"]))
        self._tell("outcome", (review, outcome))
        await asyncio.to_thread(self._over, review.incident_id)

    # ---- duties of the clock --------------------------------------------------------------------------------------

    def compare(self, now: datetime) -> int:
        """What was foreseen of actions against what came."""
        return compare_due(self._ledger, self._history, self._site, self.site_clock())

    def settle_abandoned(self, now: datetime) -> int:
        """Actions that no worker came back to end here; it only looks at the site."""
        if not self._ledger.unfinished_actions():
            return 0
        return len(self._executor.settle_abandoned())

    def site_clock(self) -> datetime:
        """The clock of the readings: a played night has its own."""
        return self._adapter.now if isinstance(self._adapter, NightSite) else self._clock()

    # ---- parts ----------------------------------------------------------------------------------------------------

    @cached_property
    def gate(self) -> Gate:
        """What may run without being asked."""
        return Gate(
            ledger=self._ledger, settings=self._settings.autonomy, kind_of=kind_of, clock=self._clock,
            people_for=self._settings.review.people_for,
            stopped=self.stop.reason, around=self._site.upstream,
        )  # fmt: skip

    @cached_property
    def trials(self) -> PlantTrials:
        """Causes and actions on the plant model, from the readings of the site."""
        return PlantTrials(self._site, self._history, self.site_clock, self._acts)

    @cached_property
    def _executor(self) -> Executor:
        adapter: SiteAdapter = self._adapter or NoSite()
        return Executor(
            site=self._site, adapter=adapter, ledger=self._ledger, signer=self._signer, stop=self.stop,
            settings=self._settings.act, clock=self._clock, rehearse=self.rehearse_again, against_alone=self.gate.refusals,
        )  # fmt: skip

    @cached_property
    def _review_ports(self) -> ReviewPorts:
        return ReviewPorts(self._ledger, self._site, self._signer, self._settings.review, self._clock)

    @cached_property
    def _signer(self) -> Signer:
        return Signer.open(self._settings.store.dir)

    @cached_property
    def stop(self) -> StopSwitch:
        """The switch that stops every action."""
        return StopSwitch(self._settings.store.dir / "STOP")

    def rehearse_again(self, action: Action, incident_id: str) -> Rehearsal | None:
        """Right before an act: from the present state, with the fault that the incident's last analysis found."""
        last = self._ledger.get_diagnosis(incident_id)
        return self.trials.rehearse_now(action, last.top.tested if last else None)

    def _acts(self) -> list[tuple[datetime, Action]]:
        """What was done on the site, by the clock of its readings."""
        if isinstance(self._adapter, NightSite | DaysSite):
            return list(self._adapter.acts)
        records = self._ledger.list_actions(limit=10_000)[-MOST_ACTS:]
        return [(one.begun, one.action) for one in records if one.state == "done" and not one.dry_run]
