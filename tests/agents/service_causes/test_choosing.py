"""A list in words that are not ours is read by its meaning; the answer always stands in the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.service_causes import explain_case, render
from agents.service_causes.deciding import decided
from agents.service_causes.findings import ServiceFindings
from setpoint.errors import ModelFailed
from tools.case_files import read_case
from tools.case_types import Alert, Fact, Line, Readings, ServiceCase

FIXTURES = Path(__file__).parents[2] / "fixtures" / "service_cases"
START = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
TIMES = tuple(START + timedelta(minutes=m) for m in range(40))
ANSWERS = {
    "gone_full": "no bytes are left where it writes",
    "starved_of_memory": "a process needs more memory than it may have",
    "name_service": "names do not resolve",
    "all_well": "nothing wrong now",
}


def with_list(name: str, answers: Mapping[str, str]) -> ServiceCase:
    return replace(read_case([FIXTURES / name]), choices=tuple(answers), meanings=dict(answers))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a01-pod-memory", "starved_of_memory"),
        ("a10-name-lookup", "name_service"),
        ("a11-noisy-cache-healthy", "all_well"),
    ],
)
def test_an_answer_is_found_by_what_it_means(name: str, expected: str) -> None:
    found = explain_case(with_list(name, ANSWERS))
    assert (found.category, found.answer) == (expected, expected)
    assert found.answers[0].answer == expected
    assert sum(one.share for one in found.answers) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["a01-pod-memory", "a12-recovered-latency", "c10-late-red-herring"])
def test_an_answer_outside_the_list_is_never_given(name: str) -> None:
    answers = {"frogs": "frogs fell from the sky", "locusts": "locusts ate the cables"}
    found = explain_case(with_list(name, answers))
    assert found.answer in answers
    assert render(found)


def series(name: str, of: str, values: list[float]) -> Readings:
    return Readings("m.json", of, name, "", of, TIMES, tuple(values))


def test_one_part_of_many_stands_for_a_load_that_is_not_shared_out() -> None:
    lag = [series("group_lag", f"partition {n}", [50.0 + n + m % 3 for m in range(40)]) for n in range(5)]
    lag[3] = series(
        "group_lag", "partition 3", [50.0 + m % 3 if m < 20 else (m - 19) * 4000.0 for m in range(40)]
    )
    answers = {
        "slow_workers": "all workers take too long",
        "uneven": "the load falls on few partitions",
        "fine": "no fault",
    }
    case = ServiceCase(
        "c", Alert("alert.json", "lag", "lag"), tuple(lag), choices=tuple(answers), meanings=answers
    )
    assert explain_case(case).answer == "uneven"
    even = tuple(series("group_lag", f"partition {n}", list(lag[3].values)) for n in range(5))
    assert explain_case(replace(case, readings=even)).answer == "slow_workers"


def test_lines_that_stand_at_every_spike_name_the_cause() -> None:
    values = [900.0 if m in (5, 14, 23, 32) else 4.0 + m % 2 for m in range(40)]
    lines = tuple(
        Line("a.log", f"line {m}", f"{m} widgets polished by the janitor", TIMES[m]) for m in (5, 14, 23, 32)
    )
    answers = {"network": "packets are lost", "janitor": "the janitor polishes widgets", "fine": "no fault"}
    case = ServiceCase(
        "c", Alert("alert.json", "latency", "latency is spiky"), (series("latency_ms", "", values),), lines,
        choices=tuple(answers), meanings=answers,
    )  # fmt: skip
    found = explain_case(case)
    assert found.answer == "janitor"
    assert any("janitor" in cited.text for cited in found.evidence)


def test_a_series_that_stayed_quiet_speaks_against_its_answer() -> None:
    answers = {"surge": "far more traffic arrives", "slow_disk": "a disk is slow", "fine": "no fault"}
    wait = series("disk_write_await_ms", "", [2.0 + m % 2 * 0.1 if m < 20 else 300.0 for m in range(40)])
    demand = series("requests_per_s", "", [500.0 + m % 3 for m in range(40)])
    case = ServiceCase(
        "c",
        Alert("alert.json", "slow", "requests are slow"),
        (wait, demand),
        choices=tuple(answers),
        meanings=answers,
    )
    shares = {one.answer: one.share for one in explain_case(case).answers}
    alone = {one.answer: one.share for one in explain_case(replace(case, readings=(wait,))).answers}
    assert max(shares, key=lambda one: shares[one]) == "slow_disk"
    assert shares["surge"] < alone["surge"]


def test_a_row_far_from_the_others_of_its_table_is_evidence() -> None:
    facts = tuple(
        Fact("t.txt", f"line {n}", "retries", str(v), float(v), f"gx-{n:02d}")
        for n, v in enumerate([3, 2, 4, 3, 880, 2, 3])
    )
    answers = {"retrying": "retries pile up", "fine": "no fault", "dns": "names do not resolve"}
    found = explain_case(ServiceCase("c", None, facts=facts, choices=tuple(answers), meanings=answers))
    assert any("gx-04" in cited.text for cited in found.evidence)


# ---- a model that chooses --------------------------------------------------------------------------------------------


class Scripted:
    """A model that gives one answer."""

    name = "scripted"

    def __init__(self, answer: dict[str, object] | None) -> None:
        self.answer, self.asked = answer, ""

    def structured(self, system: str, user: str, schema: dict[str, object]) -> tuple[dict[str, object], int]:
        self.asked = user
        if self.answer is None:
            raise ModelFailed("no answer", where=self.name)
        return self.answer, 7


@pytest.fixture(scope="module")
def memory_case() -> tuple[ServiceCase, ServiceFindings]:
    case = with_list("a01-pod-memory", ANSWERS)
    return case, explain_case(case)


def says(cause: str, *supports: str) -> dict[str, object]:
    return {"causes": [{"cause": cause, "supports": list(supports), "contradicts": []}]}


def test_a_model_may_choose_from_the_list_on_evidence_that_is_there(
    memory_case: tuple[ServiceCase, ServiceFindings],
) -> None:
    case, found = memory_case
    model = Scripted(says("gone_full", "E2"))
    changed, problem = decided(found, case.choices, "free", model)
    assert (changed.answer, problem) == ("gone_full", "")
    assert changed.evidence[0] == found.evidence[1]
    assert "scripted" in changed.conclusion
    assert "E1: " in model.asked
    assert "names do not resolve" in model.asked


@pytest.mark.parametrize(
    "answer", [None, says("frogs", "E1"), says("gone_full"), says("gone_full", "E999")],
    ids=["failed", "not in the list", "no evidence", "evidence that is not there"],
)  # fmt: skip
def test_a_choice_that_does_not_hold_is_not_taken(
    answer: dict[str, object] | None, memory_case: tuple[ServiceCase, ServiceFindings]
) -> None:
    case, found = memory_case
    kept, problem = decided(found, case.choices, "free", Scripted(answer))
    assert kept == found
    assert problem
