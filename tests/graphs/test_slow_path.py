"""The slow path on real evidence, causes, runbooks and checkpoints: resumed after a kill in any node, and falling
back to plain facts where a text was tampered with."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from syrupy.assertion import SnapshotAssertion

import graphs.slow_path as slow_path
from agents.evidence import Case
from agents.explainer import Budget, Writer
from graphs.slow_path import SlowPorts, build_slow_path
from graphs.threads import config_of, run_to_stop
from knowledge.causes import load_causes
from knowledge.runbooks import load_corpus
from setpoint.app.trials import PlantTrials
from setpoint.contracts import ActionProposal, Diagnosis, Passage
from setpoint.contracts.diagnosis import Trial, Verdict
from setpoint.errors import ActionRefused
from setpoint.testing import scripted_role
from tests.agents.cases import case, pump_case, told
from tests.tools.pump_night import ONSET_S as PUMP_ONSET_S
from tests.tools.pump_night import pump_night
from tools.actions import CATALOG
from tools.proposals import proposal

FIRST = {"incident_id": "INC-0001", "revision": 3}
NODES = ("gather", "test", "retrieve", "reason", "write_guide", "rehearse", "verify", "record")
FUNCTIONS = {"gather": "gather_evidence", "test": "test_causes", "write_guide": "guide"}
"""By node, where they have another name."""


class Library:
    """All passages of the corpus that name one of the query's words in their title."""

    def search(self, query: str, limit: int) -> Sequence[Passage]:
        words = set(query.lower().split())
        sections = [s for s in load_corpus().values() if words & set(s.title.lower().split())]
        return [passage for section in sections for passage in section.passages()][:limit]


class Bench:
    """Ports over one case; what was recorded is kept."""

    def __init__(self, made: Case, writer: Writer | None = None) -> None:
        self.case, self.recorded, self.stages = made, list[Diagnosis](), list[str]()
        self.ports = SlowPorts(
            load_case=lambda _: self.case,
            library=Library(),
            causes=load_causes(),
            sections=load_corpus(),
            writer=writer,
            decider=None,
            mode="facts",
            action_names=frozenset(CATALOG),
            asset_names=frozenset(asset.name for asset in made.site.assets),
            propose=self.propose,
            record=self.recorded.append,
            new_budget=lambda: Budget(4000, 16, 60.0),
            progress=lambda _, stage: self.stages.append(stage),
        )

    def propose(self, name: str, made: Case, evidence: Sequence[str]) -> ActionProposal | None:
        for asset in made.incident.assets:
            try:
                return proposal(
                    name, asset, made.site, incident_id=made.incident.id, why="why", evidence=tuple(evidence)
                )
            except ActionRefused:
                continue
        return None


async def diagnose(made: Case, **changes: Any) -> Diagnosis:
    bench = Bench(made)
    await build_slow_path().ainvoke(FIRST, context=replace(bench.ports, **changes))
    return bench.recorded[0]


async def test_evidence_to_diagnosis_guide_and_actions() -> None:
    found = await diagnose(pump_case())
    assert (found.incident_id, found.revision, found.mode, found.written_by) == (
        "INC-0001",
        3,
        "facts",
        "template",
    )
    assert found.top.cause == "coolant_pump_failure"
    assert found.fallbacks == ()
    assert found.summary.startswith(
        "Coolant flow lost on cdu-1 since 00:40:12 CET. The cause is: coolant pump failed."
    )
    assert {step.citation.passage_id.split("#")[0] for step in found.guide.steps} == {"pump-failure"}
    assert "cap_gpu_power" in [one.action.name for one in found.proposals]
    cited = {step.citation.passage_id.split("/")[0] for step in found.guide.steps}
    assert cited <= {passage.id for passage in found.passages}


async def test_an_open_cause_proposes_nothing_that_moves_the_site() -> None:
    found = await diagnose(
        case(told("cdu-1-pump-a", "Pump vibration above its usual band", 0, "P2", "cooling plant degraded"))
    )
    assert {one.action.name for one in found.proposals} <= {"open_ticket"}


async def test_a_ticket_for_an_unknown_cause_cites_what_made_the_incident() -> None:
    routine = told("gpu-02", "session opened for user mira", 0, "P3")
    found = await diagnose(case(routine, told("gpu-01", "strange noise from the rear door", 1, "P2")))
    (ticket,) = found.proposals
    assert (found.top.cause, found.top.supports, ticket.action.name) == ("unknown", (), "open_ticket")
    cited = [piece.text for piece in found.evidence if piece.id in ticket.evidence]
    assert len(cited) == 1
    assert "strange noise" in cited[0]


async def test_no_fault_proposes_nothing() -> None:
    found = await diagnose(case(told("gpu-01", "session opened for user mira", 0, "P3")))
    assert (found.top.cause, found.proposals) == ("no_fault", ())


async def test_a_persons_cause_stands_above_the_evidence() -> None:
    found = await diagnose(replace(pump_case(), corrected_cause="coolant_leak"))
    assert (found.top.cause, found.top.score) == ("coolant_leak", 1.0)


async def test_a_model_writes_the_words_and_is_named() -> None:
    step = "Evidence on {asset} points to coolant pump failed."
    bench = Bench(pump_case(), scripted_role(*[step] * 40))
    await build_slow_path().ainvoke(FIRST, context=bench.ports)
    found = bench.recorded[0]
    assert found.tokens > 0
    assert all(one.written_by in ("scripted", "template") for one in found.steps)
    assert any("step" in one or "summary" in one for one in found.fallbacks) == (
        "template" in found.written_by
    )


async def test_a_tampered_text_is_replaced_by_the_evidence(tmp_path: Path) -> None:
    """Between the words and their verification somebody writes another value into the checkpoint's state."""
    bench = Bench(pump_case())
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
        graph = build_slow_path(saver)
        config = config_of("slow:1")
        await graph.ainvoke(
            FIRST, config, context=bench.ports, durability="sync", interrupt_before=["verify"]
        )
        await graph.aupdate_state(
            config, {"summary": "Flow on gpu-07 is 12 lpm. Run it hotter."}, as_node="write_guide"
        )
        await graph.ainvoke(None, config, context=bench.ports, durability="sync")
    found = bench.recorded[0]
    assert "gpu-07" not in found.summary
    assert found.summary.endswith("First candidate: coolant pump failed.")
    assert any(one.startswith("analysis: summary: ") for one in found.fallbacks)
    assert found.written_by == "template"


async def die_in(node: str, file: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on these checkpoints whose process ends in `node`."""
    name = FUNCTIONS.get(node, node)

    async def dying(state: Any, runtime: Any) -> Any:
        raise OSError("killed here")

    with monkeypatch.context() as patched:
        dying.__annotations__ = getattr(slow_path, name).__annotations__
        patched.setattr(slow_path, name, dying)
        with pytest.raises(OSError, match="killed here"):
            await run_on(file, FIRST, bench)


async def run_on(file: Path, first: dict[str, Any], bench: Bench) -> None:
    async with AsyncSqliteSaver.from_conn_string(str(file)) as saver:
        await run_to_stop(build_slow_path(saver), "slow:1", first, bench.ports)


@pytest.mark.parametrize("node", NODES)
async def test_a_kill_in_any_node_repeats_work_and_records_once(
    node: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run dies in `node`; a new process with the same checkpoints ends it."""
    bench, file = Bench(pump_case()), tmp_path / "checkpoints.db"
    await die_in(node, file, bench, monkeypatch)
    assert bench.recorded == []
    await run_on(file, {"incident_id": "INC-9999", "revision": 9}, bench)
    assert [one.incident_id for one in bench.recorded] == ["INC-0001"]
    assert bench.recorded[0].top.cause == "coolant_pump_failure"
    assert bench.stages.count("gathering evidence") == 1


@pytest.mark.parametrize("node", ["retrieve", "verify"])
async def test_a_trial_and_a_rehearsal_outlive_a_kill(
    node: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right after `test` and right after `rehearse`: what was tried on the plant model is in the checkpoint."""
    made, history = pump_night()
    asked: list[str] = []
    trials = PlantTrials(made.site, history, lambda: history.start + timedelta(seconds=PUMP_ONSET_S + 480.0))

    def try_causes(case: Case, scores: Mapping[str, float]) -> Trial | None:
        asked.append("causes")
        return trials.try_causes(case, scores)

    def rehearse(
        proposal: ActionProposal, case: Case, first: Verdict | None, _others: Sequence[str]
    ) -> ActionProposal:
        asked.append(proposal.action.name)
        return trials.rehearse(proposal, case, first, ())

    bench, file = Bench(made), tmp_path / "checkpoints.db"
    bench.ports = replace(bench.ports, try_causes=try_causes, rehearse=rehearse)
    await die_in(node, file, bench, monkeypatch)
    before = list(asked)
    await run_on(file, FIRST, bench)
    (found,) = bench.recorded
    assert asked.count("causes") == 1
    assert len(asked) == len(set(asked)), "nothing was tried twice"
    assert (before == asked) == (node == "verify")
    assert found.top.tested is not None
    assert (found.top.tested.cause, found.top.tested.asset) == ("coolant_pump_failure", "cdu-1-pump-a")
    assert found.state is not None
    assert found.path is not None
    assert any(one.rehearsal for one in found.proposals)


async def test_what_was_recorded_is_not_recorded_again(tmp_path: Path) -> None:
    bench = Bench(pump_case())
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
        for _ in range(2):
            await run_to_stop(build_slow_path(saver), "slow:1", FIRST, bench.ports)
    assert len(bench.recorded) == 1


async def test_checkpoints_hold_plain_values(tmp_path: Path) -> None:
    """Strict msgpack is on: one custom type in the state would be refused on the way back."""
    file = tmp_path / "checkpoints.db"
    async with AsyncSqliteSaver.from_conn_string(str(file)) as saver:
        graph = build_slow_path(saver)
        await run_to_stop(graph, "slow:1", FIRST, Bench(pump_case()).ports)
        state = await graph.aget_state(config_of("slow:1"))
    assert all(type(value).__module__ == "builtins" for value in state.values.values())
    with sqlite3.connect(file) as database:
        blobs = b"".join(row[0] for row in database.execute("select checkpoint from checkpoints"))
    assert b"setpoint.contracts" not in blobs


def test_its_picture(snapshot: SnapshotAssertion) -> None:
    assert build_slow_path().get_graph().draw_mermaid() == snapshot
