"""The eval of root causes of services: its figures count what they say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from evals.service_rca import FIXTURES, cases_in, figures, judge, main


def test_a_wrong_truth_is_counted_as_a_miss(tmp_path: Path) -> None:
    for name in ("a01-pod-memory", "a11-noisy-cache-healthy", "a13-index-read-only"):
        shutil.copytree(FIXTURES / name, tmp_path / name)
    right = {one.name: one for one in figures(judge(cases_in(tmp_path), closed=False), "s")}
    assert (right["category right"].value, right["category right"].n) == (1.0, 3)
    assert right["healthy recall"].n == 1
    answer = tmp_path / "a13-index-read-only" / "answer.yml"
    answer.write_text(
        "root_cause_category: network\nfailure_mode: dns_failure\nrequired_keywords: [watermark, zebra]\n"
    )
    wrong = {one.name: one for one in figures(judge(cases_in(tmp_path), closed=False), "s")}
    assert wrong["category right"].value == pytest.approx(2 / 3)
    assert wrong["failure mode right"].value == pytest.approx(2 / 3)
    assert wrong["required keywords"].value < 1.0


def test_a_short_closed_list_is_not_taken_from_the_answers(tmp_path: Path) -> None:
    """With one or two categories the list would be the answer."""
    shutil.copytree(FIXTURES / "a13-index-read-only", tmp_path / "one")
    (tmp_path / "one" / "answer.yml").write_text("root_cause_category: network\n")
    assert "said resource_exhaustion" in judge(cases_in(tmp_path), closed=True)[0]["problems"][0]


def test_the_command_prints_figures_and_misses(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "a17-errors-only", tmp_path / "a")
    main(["--data", str(tmp_path), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["misses"] == []
    assert {one["n"] for one in told["figures"] if one["name"] == "category right"} == {1}
