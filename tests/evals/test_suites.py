"""The suites run on Inspect without a model, say what they skip, and fail where a sample fails."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import read_eval_log
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from agents.alert_facts import case_of
from agents.alerter import Alerter, first_notice
from evals.suites.alert import CHANGES, judge
from evals.figures import Figure, share
from evals.runner import run_suite, run_suites
from evals.registry import SUITES, Ask, Prepared
from evals.suites.triage import brier, ece, figures
from setpoint.errors import UsageError
from tests.agents.cases import pump_case

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


class Fake:
    """A suite of three samples of which one raises, or none."""

    def __init__(self, *, breaks: bool, gate: str = "") -> None:
        self.breaks, self.gate = breaks, gate

    def prepare(self, data: Path | None) -> Prepared:
        @solver
        def solve() -> Solver:
            async def run(state: TaskState, generate: Generate) -> TaskState:
                if self.breaks and state.sample_id == "b":
                    raise ValueError("boom")
                return state

            return run

        @scorer(metrics=[mean()])
        def score() -> Scorer:
            async def run(state: TaskState, target: Target) -> Score:
                return Score(value=1.0, metadata={"id": state.sample_id})

            return run

        dataset = MemoryDataset([Sample(input="x", id=name) for name in "abc"])
        return Prepared(
            Task(dataset=dataset, solver=solve(), scorer=score(), name="fake"),
            self.count,
            ("one set",),
            lambda _: self.gate,
        )

    @staticmethod
    def count(rows: Sequence[Mapping[str, Any]]) -> list[Figure]:
        return [share("all", "scored", len(rows), 3)]


def test_a_sample_that_raises_is_reported_and_the_others_count(tmp_path: Path) -> None:
    ran = run_suite("fake", Fake(breaks=True), limit=None, logs=tmp_path, data=None)
    assert ran.errors == ("b: ValueError('boom')",)
    assert ran.figures[0].value == pytest.approx(2 / 3)


def test_a_clean_run_leaves_a_log_that_inspect_reads(tmp_path: Path) -> None:
    ran = run_suite("fake", Fake(breaks=False), limit=2, logs=tmp_path, data=None)
    assert ran.errors == ()
    log = read_eval_log(ran.log)
    assert (log.status, len(log.samples or [])) == ("success", 2)


@pytest.mark.parametrize(
    ("fake", "code"), [(Fake(breaks=False), 0), (Fake(breaks=True), 1), (Fake(breaks=False, gate="no"), 1)]
)
def test_the_exit_code(
    fake: Fake, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = type("Suite", (), {"load": lambda self: fake})()
    monkeypatch.setitem(SUITES, "fake", suite)
    assert run_suites(["fake"], limit=None, output="json", logs=tmp_path, data=None) == code
    told = json.loads(capsys.readouterr().out)["fake"]
    assert told["skipped"] == ["one set"]
    assert bool(told["errors"]) == fake.breaks


def test_the_real_triage_suite_without_public_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_suites(["triage"], limit=12, output="text", logs=tmp_path / "logs", data=tmp_path / "nowhere")
    out = capsys.readouterr().out
    assert code == 0
    assert "night (seed 7)" in out
    assert out.count("skipped: ") == 3
    assert "no labelled data at" in out


def test_what_cannot_be_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no eval suite 'poetry'"):
        run_suites(["poetry"], limit=None, output="text", logs=tmp_path, data=None)
    with pytest.raises(UsageError, match="no output format 'poem'"):
        run_suites(["triage"], limit=None, output="poem", logs=tmp_path, data=None)


def row(gold: str, got: str, confidence: float, *accept: str) -> dict[str, Any]:
    return {"set": "s", "gold": gold, "got": got, "accept": list(accept) or [gold], "confidence": confidence}


def test_triage_figures_see_missed_and_false_pages() -> None:
    rows = [row("P0", "P3", 0.9), row("P1", "P1", 0.9), row("P3", "P1", 0.6), row("P3", "P3", 0.9)]
    found = {figure.name: figure.value for figure in figures(rows)}
    assert found["P0+P1 recall"] == 0.5
    assert found["P0+P1 precision"] == 0.5
    assert found["false pages"] == 0.5
    assert found["within the tolerated answers"] == 0.5


def test_calibration_punishes_sure_mistakes_most() -> None:
    sure, unsure = [row("P0", "P3", 0.95)], [row("P0", "P3", 0.3)]
    assert brier(sure) > brier(unsure)
    assert ece(sure) > ece(unsure)
    assert ece([row("P1", "P1", 1.0)]) == 0.0


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_the_real_notice_passes_and_a_tampered_one_does_not(name: str) -> None:
    played = pump_case()
    lead = case_of(played.incident, played.events, list(played.triages.values()), played.site)
    event = CHANGES[name](lead.lead, played)
    assert event is not None
    incident = lead.incident.model_copy(
        update={"title": f"Coolant flow lost on {event.asset}", "assets": (event.asset,), "event_count": 1}
    )
    case = type(lead)(incident, event, lead.triage, lead.site)
    step = Alerter(case.site).first_step([case.triage])
    notice = first_notice(incident, [event], [case.triage], case.site, step)
    assert judge(case, notice, None, "")["problems"] == []
    wrong = notice.model_copy(update={"text": notice.text + " The pump of gpu-31 reads 12.7 kPa."})
    assert not judge(case, wrong, None, "")["faithful"]
    silent = notice.model_copy(update={"title": "Trouble", "text": "Something happened."})
    assert not judge(case, silent, None, "")["complete"]
