"""The diagnosis exam: nothing later shows, counts hang together, and a stopped run goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from agents.evidence import Case
from evals.diagnosis import Exam, main, run
from evals.diagnosis_report import noticed_table, report, way_table
from evals.exam.cases import ExamCase, Mix, exam_case
from evals.exam.grouping import Grouped, by_incident, grouped
from evals.exam.judging import AFTER_S, Answer, Judged, by_symbols, judge
from evals.playing import play
from plant import load_site
from setpoint.contracts import Hypothesis
from tools.windows import Gridded

SITE = load_site("demo")


@pytest.fixture(scope="module")
def case() -> ExamCase:
    return exam_case(SITE, 1, Mix(herring=1.0))


def test_what_is_diagnosed_knows_nothing_of_what_comes_later(case: ExamCase) -> None:
    seen: list[tuple[Case, Gridded]] = []

    def spy(told: Case, history: Gridded) -> Sequence[Hypothesis]:
        seen.append((told, history))
        return by_symbols(told, history)

    judged = judge(case, {"spy": spy})
    assert len(seen) == sum(bool(one.noticed) for one in judged) >= 2
    for told, history in seen:
        assert history.until is not None
        assert all(event.received <= history.until for event in told.events)
        assert all(change.time <= history.until for change in told.site.changes)
        block = history.block(case.night.start, case.night.start.replace(year=2030))
        assert block.times.max() <= history.until.timestamp()
        assert told.telemetry
        assert told.incident.priority < "P3"


def test_the_moment_is_ten_minutes_after_a_fault_showed_its_worst(case: ExamCase) -> None:
    played = play(lines=case.night.events, site=case.site)
    for one in judge(case, {"symbols": by_symbols}):
        if one.noticed:
            plan = next(p for p in case.night.plans if p.fault.id == one.fault)
            worst = min(
                (played.triages[e.id].priority, e.received)
                for e in played.events
                if played.truth[e.id].story == plan.story and e.status == "firing"
            )
            assert one.after_s is not None
            since_s = (worst[1] - case.night.start).total_seconds() - plan.at_s
            assert one.after_s == pytest.approx(since_s + AFTER_S)


def test_every_fault_is_judged_and_answers_are_shares(case: ExamCase) -> None:
    judged = judge(case, {"symbols": by_symbols})
    assert sorted(one.fault for one in judged) == sorted(plan.fault.id for plan in case.night.plans)
    for one in judged:
        for answer in one.answers.values():
            assert sum(share for _, share in answer.ranked) == pytest.approx(1.0, abs=1e-3)


def test_figures_count_what_was_said() -> None:
    judged = [
        _one("a", "coolant_leak", "coolant_leak", 0.9),
        _one("b", "coolant_leak", "unknown", 0.6),
        _one("c", "no_fault", "no_fault", 0.7, sort="harmless"),
        _one("d", "unknown", "coolant_leak", 0.8, sort="strange"),
        _one("e", "psu_failure", "", 0.0),
        _one("f", "psu_failure", "nic_failure", 0.5, double=True),
        _one("g", "nic_failure", "nic_failure", 0.5, double=True),
    ]
    found = {(f.set, f.name): (f.value, f.n) for f in report("way", judged).figures}
    assert found["known, single", "top-1"] == (0.5, 2)
    assert found["known, single", "falsely unknown"] == (0.5, 2)
    assert found["no fault", "recall"] == (1.0, 1)
    assert found["unknown", "recall"] == (0.0, 1)
    assert found["double", "one of the two first"] == (1.0, 2)
    assert found["double", "both named between them"] == (0.0, 1)
    assert found["all single", "Brier, first cause"][0] == pytest.approx((0.01 + 0.36 + 0.09 + 0.64) / 4)
    assert "not noticed   1 x  e" in noticed_table(judged, Grouped())
    assert "b: said unknown, is coolant_leak" in way_table(report("way", judged))


def _one(
    fault: str, truth: str, said: str, share: float, sort: str = "known", double: bool = False
) -> Judged:
    answers = {"way": Answer(((said, share), ("sensor_lost", 1 - share)), "", "", 0.1, 0.1)} if said else {}
    return Judged(1, fault, sort, "power", truth, "x", double, "P1" if said else "", False, 600.0, answers)  # type: ignore[arg-type]  # a plain str


def test_grouping_by_truth_is_pure_and_one_heap_hides_alarms() -> None:
    case = exam_case(SITE, 7, Mix(strange=0, harmless=0))
    played = play(lines=case.night.events, site=case.site)
    by_story = grouped(played, lambda one: {e.id: one.truth[e.id].story for e in one.events})
    heap = grouped(played, lambda one: dict.fromkeys((e.id for e in one.events), "all"))
    usual = grouped(played, by_incident)
    assert by_story.with_most == by_story.events
    assert by_story.under_another == by_story.hidden == 0
    assert heap.groups == 1
    assert heap.hidden == heap.under_another > 0
    assert usual.alarms == heap.alarms
    assert usual.events / usual.groups < heap.events


def test_a_stopped_run_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    exam = Exam("lab-16", Mix(faults=1, hours=1.0), ("symbols",))
    first = run(exam, [1, 2], out=tmp_path)
    file = tmp_path / "nights.jsonl"
    whole = file.read_text()
    file.write_text(whole.splitlines()[0] + "\n" + whole.splitlines()[1][:50] + "\n")
    again = run(exam, [1, 2], out=tmp_path)
    assert [night.seed for night in again] == [1, 2]
    assert [[(j.fault, j.noticed) for j in n.judged] for n in again] == [
        [(j.fault, j.noticed) for j in n.judged] for n in first
    ]
    assert again[0] == first[0]
    assert len(file.read_text().splitlines()) == 3  # the whole one, the cut one, the cut one judged again
    assert run(exam, [1, 2], out=tmp_path) == again


def test_the_command_prints_figures_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = [
        "--nights",
        "1",
        "--site",
        "lab-16",
        "--faults",
        "1",
        "--hours",
        "1",
        "--ways",
        "symbols",
        "--out",
        str(tmp_path),
    ]
    main([*line, "--plot", str(tmp_path / "reliability.svg")])
    assert "== symbols ==" in capsys.readouterr().out
    assert (tmp_path / "reliability.svg").read_text().startswith("<svg")
    main([*line, "--json"])
    assert json.loads(capsys.readouterr().out)["nights"] == 1
    with pytest.raises(SystemExit):
        main(["--ways", "guessing"])
    assert "choose among" in capsys.readouterr().err


def test_the_plant_way_answers_from_telemetry() -> None:
    from evals.exam.judging import by_plant

    case = exam_case(SITE, 7, Mix(faults=1, strange=0, harmless=0))
    (one,) = judge(case, {"plant": by_plant})[:1]
    assert not one.noticed or np.isclose(
        sum(share for _, share in one.answers["plant"].ranked), 1.0, atol=1e-3
    )
