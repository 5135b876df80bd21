"""One incident through the product's slow path up to guide and proposals, on a real index, with a person's cause or
with its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agents.evidence import Case
from agents.explainer import Budget
from evals.exam.judging import Seat
from evals.running.contenders import Contender
from evals.suites.rca.systems import on_plant
from evals.suites.retrieval.ways import shipped_index
from graphs.slow_path import SlowPorts, SlowState, build_slow_path
from knowledge.causes import load_causes
from knowledge.runbooks import load_corpus
from setpoint.contracts import ActionProposal, Diagnosis, Passage
from setpoint.errors import ActionRefused, InputError
from setpoint.settings import ModelsSettings
from tools.actions import CATALOG
from tools.proposals import proposal

MOST_PLACES = 8
"""Assets that are tried for an action."""


class _Library:
    """What is nearest, as an analysis asks for it in service."""

    def search(self, query: str, limit: int) -> Sequence[Passage]:
        return shipped_index().search(query, limit, nearest=True)


class GuideWriter:
    """The product, as this contender has it, without the words around the guide, which no guide hangs on: a model
    counts as far as it orders the causes. Rehearsal and interlocks are left to their own suites: a proposal is what the
    guide calls for."""

    def __init__(self, contender: Contender) -> None:
        self._mode = contender.heavy.mode
        self._decider = contender.role("heavy") if self._mode != "facts" else None
        self._with_plant = contender.system in ("plant", "model")

    def __call__(self, seat: Seat, given: str) -> Diagnosis:
        """`given`: the cause that a person named; "" where it is left to the product."""
        told = replace(seat.told, corrected_cause=given)
        found: list[Diagnosis] = []
        first: SlowState = {"incident_id": told.incident.id, "revision": told.incident.revision}
        asyncio.run(build_slow_path().ainvoke(first, context=self._ports(seat, told, found)))
        return found[0]

    def _ports(self, seat: Seat, told: Case, found: list[Diagnosis]) -> SlowPorts:
        limits = ModelsSettings()
        # What a person named is not tried again.
        tried: dict[str, Any] = (
            {"try_causes": on_plant(seat)} if self._with_plant and not told.corrected_cause else {}
        )
        return SlowPorts(
            load_case=lambda _: told,
            library=_Library(),
            causes=load_causes(),
            sections=load_corpus(),
            writer=None,
            decider=self._decider,
            mode=self._mode,
            action_names=frozenset(CATALOG),
            asset_names=frozenset(asset.name for asset in told.site.assets),
            propose=_proposed,
            record=found.append,
            new_budget=lambda: Budget(
                limits.tokens_per_incident, limits.calls_per_incident, limits.seconds_per_incident
            ),
            **tried,
        )


def _proposed(name: str, case: Case, evidence: Sequence[str]) -> ActionProposal | None:
    """The action on the first asset it fits."""
    causes = dict.fromkeys(event.asset for event in case.events if event.status == "firing")
    why = f"{case.incident.title} ({case.incident.priority})"
    for asset in [*causes][:MOST_PLACES] or case.incident.assets[:1]:
        try:
            return proposal(
                name, asset, case.site, incident_id=case.incident.id, why=why, evidence=tuple(evidence)
            )
        except (ActionRefused, InputError):
            continue
    return None
