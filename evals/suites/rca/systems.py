"""What each system says of one incident: Setpoint's own slow path with or without plant and model, and a reader who
looks at the loudest event alone."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from langgraph.graph.state import CompiledStateGraph

from agents.decider import Decider
from agents.evidence import Case, gather, most_urgent
from agents.explainer import Budget, Writer, subject_of
from evals.exam.judging import Seat
from evals.running.contenders import Contender
from graphs.slow_path import SlowPorts, SlowState, TryCauses, build_slow_path
from knowledge.causes import UNKNOWN, load_causes
from knowledge.runbooks import load_corpus
from setpoint.contracts import Diagnosis, Event, Mode, Passage
from setpoint.contracts.diagnosis import Trial
from setpoint.errors import SetpointError
from setpoint.settings import ModelsSettings
from tools.actions import CATALOG
from tools.diagnosis import diagnose

Said = dict[str, Any]
TOO_LITTLE_READ = "less than a quarter of an hour was read before it began: what was usual is not known"
LOUDNESS = ("critical", "error", "warning", "info")
SHOWN = 4
_WORD = re.compile(r"[a-z]{3,}")


def answering(contender: Contender) -> Callable[[Seat], Said]:
    """From what may be known of one fault to what this contender says of it."""
    if contender.system == "severity":
        return loudest
    with_plant = contender.system in ("plant", "model")
    return SlowPath(contender.role("heavy"), contender.heavy.mode, with_plant=with_plant)


# ---- the loudest event ----------------------------------------------------------------------------------------------


def loudest(seat: Seat) -> Said:
    """The first of the events with the gravest severity word; its cause is the title that shares most words with it."""
    began = time.perf_counter()
    firing = [event for event in seat.told.events if event.status == "firing"] or list(seat.told.events)
    event = min(firing, key=lambda one: (_loudness(one), one.time))
    words = set(_WORD.findall(f"{event.kind} {event.message}".lower().replace("_", " ")))
    common = {
        cause.id: len(words & set(_WORD.findall(cause.title.lower()))) for cause in load_causes().values()
    }
    best = sorted((cause for cause in common if common[cause]), key=lambda cause: (-common[cause], cause))
    total = sum(common[cause] for cause in best[:SHOWN])
    ranked = [[cause, common[cause] / total] for cause in best[:SHOWN]] or [[UNKNOWN, 1.0]]
    return {
        "text": f"{ranked[0][0]}, read from: {event.message}", "ranked": ranked, "asset": event.asset, "also": "",
        "path": None, "cited": [[event.id]], "pieces": list(_by_piece(gather(seat.told)[1]).values()), "seconds": time.perf_counter() - began,
    }  # fmt: skip


def _loudness(event: Event) -> int:
    return LOUDNESS.index(event.severity) if event.severity in LOUDNESS else len(LOUDNESS)


# ---- Setpoint -------------------------------------------------------------------------------------------------------


class _NoLibrary:
    """Retrieval is judged elsewhere; the catalog's own runbooks are at hand without it."""

    def search(self, query: str, limit: int) -> Sequence[Passage]:
        return ()


@dataclass
class _Heard:
    """A model that decides, and what it named first: with a trial its order is only an opinion."""

    model: Decider
    named: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.model.name

    def structured(self, system: str, user: str, schema: dict[str, Any]) -> tuple[dict[str, Any], int]:
        answer, tokens = self.model.structured(system, user, schema)
        self.named += [str(item.get("cause", "")) for item in answer.get("causes", ())[:1]]
        return answer, tokens


class HeavyModel(Writer, Decider, Protocol):
    """A model that words analyses and, where its mode allows, orders causes."""


class SlowPath:
    """The product's graph of an analysis, without what comes after the cause: nothing is proposed or rehearsed."""

    def __init__(self, model: HeavyModel | None, mode: Mode, *, with_plant: bool) -> None:
        self._model, self._mode, self._with_plant = model, mode, with_plant

    def __call__(self, seat: Seat) -> Said:
        began = time.perf_counter()
        heard = _Heard(self._model) if self._model is not None and self._mode != "facts" else None
        found: list[Diagnosis] = []
        context = self._ports(seat, heard, found.append)
        first: SlowState = {"incident_id": seat.told.incident.id, "revision": seat.told.incident.revision}
        asyncio.run(_graph().ainvoke(first, context=context))
        seconds = time.perf_counter() - began
        opinion = {"model_asked": heard is not None, "model_first": (heard.named if heard else [])[:1]}
        tried = {"tried": found[0].state is not None} if self._with_plant else {}
        return _said(seat, found[0]) | opinion | tried | {"seconds": seconds}

    def _ports(self, seat: Seat, heard: _Heard | None, record: Callable[[Diagnosis], None]) -> SlowPorts:
        limits = ModelsSettings()
        return SlowPorts(
            load_case=lambda _: seat.told,
            library=_NoLibrary(),
            causes=load_causes(),
            sections=load_corpus(),
            writer=self._model,
            decider=heard,
            mode=self._mode,
            action_names=frozenset(CATALOG),
            asset_names=frozenset(asset.name for asset in seat.told.site.assets),
            propose=lambda _name, _case, _evidence: None,
            record=record,
            new_budget=lambda: Budget(
                limits.tokens_per_incident, limits.calls_per_incident, limits.seconds_per_incident
            ),
            try_causes=on_plant(seat) if self._with_plant else lambda _case, _scores: None,
        )


@cache
def _graph() -> CompiledStateGraph[SlowState, SlowPorts, SlowState, SlowState]:
    return build_slow_path()


def on_plant(seat: Seat) -> TryCauses:
    """Trials on the plant model over the readings of that seat; what goes wrong in one leaves the analysis without."""

    def try_causes(case: Case, scores: Mapping[str, float]) -> Trial | str | None:
        try:
            tried = diagnose(case.site, seat.history, case.events, case.triages, scores, seat.moment)
        except (SetpointError, ArithmeticError, ValueError) as error:
            return str(error)
        return tried.trial if tried else TOO_LITTLE_READ

    return try_causes


def _said(seat: Seat, found: Diagnosis) -> Said:
    """What the judge and a reader of the log need of a diagnosis."""
    top = found.hypotheses[0]
    _, evidence_of = gather(seat.told)
    asset = top.tested.asset if top.tested else ""
    if not asset and top.tested is None:
        facts = subject_of(found.evidence, top, most_urgent(seat.told, evidence_of)).facts
        asset = next((fact.text for fact in facts if fact.slot == "asset"), "")
    by_piece = _by_piece(evidence_of)
    shares = "; ".join(f"{one.score:.0%} {one.title}" for one in found.hypotheses)
    return {
        "text": "\n".join([shares, found.summary, *(step.text for step in found.steps)]),
        "ranked": [[one.cause, one.score] for one in found.hypotheses],
        "asset": asset,
        "also": top.tested.also if top.tested else "",
        "path": found.path.model_dump(mode="json") if found.path else None,
        "cited": [by_piece[piece] for piece in top.supports if piece in by_piece],
        "pieces": list(by_piece.values()),
        "changes_cited": [
            piece.text for piece in found.evidence if piece.kind == "change" and piece.id in top.supports
        ],
        "texts": len(found.steps) + 1,
        "fell_back": sum("causes:" not in problem for problem in found.fallbacks),
        "problems": list(found.fallbacks),
        "untested": found.untested,
    }


def _by_piece(evidence_of: Mapping[str, str]) -> dict[str, list[str]]:
    """Event ids of each piece of event evidence."""
    by_piece: dict[str, list[str]] = {}
    for event, piece in evidence_of.items():
        by_piece.setdefault(piece, []).append(event)
    return by_piece
