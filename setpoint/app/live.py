"""What a person sees while events stream through: ranks with reasons, alerts, analyses, decisions, outcomes.

Events worth a look get a line each; routine ones are counted. Colour follows NO_COLOR and the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from agents.alert_facts import clock
from agents.flood import Flood, flood_line
from setpoint.app.formatting import one_line, visible
from setpoint.app.live_analysis import analysis, headline
from setpoint.app.trial_words import in_brief
from setpoint.contracts import Diagnosis, Incident, Notice, Outcome, Quarantined, Review
from setpoint.contracts.dispatch import Dispatch, Ranked
from setpoint.contracts.sinks import sink_label
from setpoint.contracts.site import Site
from setpoint.ledger.records import Accepted, Decided

COLOUR = {"P0": "bold white on red", "P1": "bold red", "P2": "yellow", "P3": "dim"}
STAGE = {"first": "ALERT", "plain": "ALERT in plain words", "update": "UPDATE", "escalation": "ESCALATION",
         "resolved": "RESOLVED", "storm": "ALERT FLOOD"}  # fmt: skip
INDENT = 4
MOST_CAUSES = 8
"""Rows of a flood; of more only P0 are shown."""
MOST_UNREADABLE = 20
"""Unreadable items told one by one."""


class Live:
    """Listens to the engine and prints. One instance a run."""

    def __init__(self, console: Console, site: Site, *, rank_lines: bool = True) -> None:
        self._console, self._site, self._rank_lines = console, site, rank_lines
        self._routine = self._unreadable = 0
        self._analysed: dict[str, Diagnosis] = {}
        """The last analysis shown, by incident."""

    def __call__(self, what: str, value: Any) -> None:
        show = getattr(self, f"_on_{what.replace('-', '_')}", None)
        if show is not None:
            show(value)

    def rule(self, title: str) -> None:
        self._console.rule(f"[bold]{escape(title)}")

    def flush(self) -> None:
        """Say how many routine events passed since the last line."""
        if self._routine and self._rank_lines:
            self._console.print(f"[dim]  ... {self._routine} routine events recorded (P3)")
        self._routine = 0

    def notice(self, notice: Notice) -> None:
        """The console sink."""
        self.flush()
        head = Text.assemble((f" {notice.priority} ", COLOUR[notice.priority]), f" {STAGE[notice.stage]}  ",
                             (notice.incident_id, "bold"), "  ", (one_line(notice.title), "bold"))  # fmt: skip
        self._console.print(head)
        text = visible(notice.text)
        words = text if notice.written_by == "template" else f"{text}\n(words: {notice.written_by})"
        self._console.print(Padding(Text(words), (0, 0, 0, INDENT)))
        if notice.link:
            self._console.print(Padding(Text(notice.link, "dim"), (0, 0, 0, INDENT)), soft_wrap=True)

    # ---- engine events ------------------------------------------------------------------------------------------

    def _on_accepted(self, value: tuple[Accepted, Sequence[Quarantined]]) -> None:
        for item in value[1]:
            self._unreadable += 1
            if self._unreadable > MOST_UNREADABLE:
                continue
            self.flush()
            said = one_line(f"{item.origin}: {item.reason}. {item.remedy}")
            self._console.print(Text.assemble((" quarantine ", "magenta"), said))
            if self._unreadable == MOST_UNREADABLE:
                self._console.print(
                    "[dim]  ... further unreadable items are kept in silence: setpoint quarantine list"
                )

    def _on_triaged(self, dispatch: Dispatch) -> None:
        for ranked in dispatch.ranked:
            if ranked.triage.priority == "P3":
                self._routine += 1
            elif not ranked.repeat and self._rank_lines:
                self.flush()
                self._console.print(self._rank_line(ranked))

    def _rank_line(self, ranked: Ranked) -> Text:
        event, triage = ranked.event, ranked.triage
        said = one_line(event.message, 90)
        line = Text.assemble(
            (f" {triage.priority} ", COLOUR[triage.priority]), f" {clock(event.time, self._site)}  ",
            (one_line(event.asset), "bold"), f"  {said}\n",
            (f"{' ' * INDENT} {triage.reason} ", "dim"), (f"[{', '.join(triage.decided_by[:3])}]", "cyan"),
        )  # fmt: skip
        if triage.undecided:
            line.append(" undecided, so ranked one level up", "magenta")
        return line

    def _on_diagnosed(self, diagnosis: Diagnosis) -> None:
        self.flush()
        before = self._analysed.get(diagnosis.incident_id)
        self._analysed[diagnosis.incident_id] = diagnosis
        self._console.print(headline(diagnosis, before))
        self._console.print(Padding(analysis(diagnosis, before), (0, 0, 0, INDENT)))

    def _on_known(self, value: tuple[Incident, str]) -> None:
        """News that needs no analysis."""
        incident, why = value
        self.flush()
        self._console.print(
            Text.assemble((" KNOWN ", "black on cyan"), "  ", (incident.id, "bold"), f"  {why}")
        )

    def _on_review(self, review: Review) -> None:
        self.flush()
        risk = f", risk {review.proposal.risk}" if review.proposal else ""
        foreseen = in_brief(review.proposal)
        self._console.print(
            Text.assemble(
                (" WAITING ", "bold black on yellow"),
                "  ",
                (review.id, "bold"),
                f"  {one_line(review.subject)} ({review.kind.replace('_', ' ')}{risk})",
            )
        )
        if foreseen:
            self._console.print(Padding(Text(f"rehearsed: {foreseen}"), (0, 0, 0, INDENT)))

    def _on_decided(self, decided: Decided) -> None:
        decision = decided.review.decision
        if decision is None or decided.review.kind == "doubtful_input":
            return
        by = f"{decision.who}{' (simulated)' if decision.simulated else ''}"
        self._console.print(
            Text.assemble(
                (" DECIDED ", "bold black on green"),
                "  ",
                (decided.review.id, "bold"),
                f"  {decision.type} by {by}  {decision.reason}",
            )
        )

    def _on_flood(self, flood: Flood) -> None:
        """Causes instead of alarms, while more come than a person can read."""
        self.flush()
        self._console.print(
            Text.assemble((" FLOOD ", "bold white on red"), "  ", (flood_line(flood), "bold"))
        )
        shown = [row for place, row in enumerate(flood.rows) if place < MOST_CAUSES or row.priority == "P0"]
        for row in shown:
            where = f" on {row.asset}" if row.asset else ""
            self._console.print(
                Text.assemble(
                    " " * INDENT,
                    (f" {row.priority} ", COLOUR[row.priority]),
                    f"  {row.incident}  {one_line(row.cause, 80)}{where}, {row.alarms} alarms",
                )
            )
        if len(shown) < len(flood.rows):
            left = len(flood.rows) - len(shown)
            self._console.print(f"[dim]    ... and {left} more, none of them P0: setpoint incidents causes")

    def _on_outcome(self, value: tuple[Review | None, Outcome]) -> None:
        review, outcome = value
        name = review.proposal.action.name if review and review.proposal else outcome.action_id
        self._console.print(
            Text.assemble(
                (f" {outcome.state.upper().replace('_', ' ')} ", "bold black on blue"),
                f"  {name}  {outcome.message}",
            )
        )

    def _on_job_failed(self, value: tuple[Any, Exception, str]) -> None:
        job, error, state = value
        self._console.print(Text(f" job {job.kind} {job.key} failed ({state}): {error}", "magenta"))

    def _on_delivery_failed(self, value: tuple[Any, str]) -> None:
        delivery, error = value
        self._console.print(
            Text(f" sink {sink_label(delivery.sink)}: {error}; kept, will be tried again", "magenta")
        )
