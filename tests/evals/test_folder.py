"""A case folder is read whole or refused with the file, the key, the value and a remedy; the casebook holds good ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from evals.folders.folder import (
    CASEBOOK,
    CaseFile,
    Expected,
    Folder,
    Wanted,
    Wrong,
    find_folders,
    read_all,
    read_folder,
)
from evals.folders.player import request
from evals.running.contenders import BUNDLED
from setpoint.errors import ConfigError, UsageError

GOOD = """\
version: 1
title: A pump stops
tags: [cooling]
site: demo
events: events.log
expect:
  priority: P0
  cause: coolant_pump_failure
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pump"
    path.mkdir()
    (path / "events.log").write_text("<11>1 2026-11-03T04:00:00Z cdu-1 plc - - - flow lost\n")
    (path / "case.yaml").write_text(GOOD)
    return path


def test_a_good_folder_is_read(folder: Path) -> None:
    found = read_folder(folder)
    assert (found.name, found.events) == ("pump", folder / "events.log")
    assert found.site is not None
    assert found.site.name == "demo.yaml"
    assert found.case.expect[0].causes == ("coolant_pump_failure",)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("version: 1", "version: 7", "version is '7'"),
        ("title: A pump stops\n", "", "title is missing. Add title:"),
        ("  cause:", "  reason:", "unknown key 'expect.0.reason'. The keys there are no_incident"),
        ("coolant_pump_failure", "pump_broke", "no root cause 'pump_broke' in the catalog"),
        ("priority: P0", "priority: P7", "priority is 'P7'"),
        ("events: events.log", "events: gone.log", "events: 'gone.log': no such file. Put it into"),
        ("events: events.log", "events: ../../x", "'../../x' lies outside the folder"),
        ("site: demo", "site: atlantis", "site: no site file 'atlantis'. Give a path, or one of the included"),
        ("site: demo", "site: demo\ntelemetry: events.log", "telemetry: no column asset, metric, time, value"),
        ("site: demo", "site: demo\nnow: 2026-01-01T00:00:00", "has no zone. Write it as 2026-01-01T00:00:00Z"),
        ("  priority: P0\n", "  no_incident: true\n", "no_incident stands alone"),
        ("  priority: P0\n", "  forbidden_causes: coolant_pump_failure\n", "is both right and forbidden"),
        ("  priority: P0\n", "  required_actions: [turn_it_off]\n", "no action 'turn_it_off' in the catalog"),
        ("  priority: P0\n  cause: coolant_pump_failure", "  incident_on: cdu-1", "nothing is expected"),
        ("expect:", "expect: [", "not valid YAML"),
        (GOOD, "- a\n- b\n", "it holds no keys"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place_and_remedy(
    folder: Path, before: str, after: str, said: str
) -> None:
    assert before in GOOD
    (folder / "case.yaml").write_text(GOOD.replace(before, after))
    with pytest.raises(ConfigError) as caught:
        read_folder(folder)
    assert said in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_wrong_folder_is_kept_and_the_others_go_on(folder: Path) -> None:
    bad = folder.parent / "bad"
    bad.mkdir()
    good, wrong = sorted(read_all(find_folders([folder.parent])), key=lambda one: one.name, reverse=True)
    assert isinstance(good, Folder)
    assert isinstance(wrong, Wrong)
    assert "case.yaml: there is no such file" in wrong.why


def test_a_root_may_be_one_case_and_must_be_there(folder: Path) -> None:
    assert find_folders([folder]) == [folder]
    with pytest.raises(UsageError, match="no folder of cases"):
        find_folders([folder / "nowhere"])


def test_one_of_a_list_may_be_written_without_the_list() -> None:
    one = Expected.model_validate(
        {"asset": "cdu-1", "required_actions": ["page", ["drain_node", "cordon_node"]]}
    )
    assert one.asset == ("cdu-1",)
    assert [[str(action) for action in some] for some in one.required_actions] == [
        ["page"],
        ["drain_node", "cordon_node"],
    ]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"name": "cap_gpu_power"}, True),
        ({"name": "cap_gpu_power", "asset": "GPU-01"}, True),
        ({"name": "cap_gpu_power", "asset": "gpu-02"}, False),
        ({"name": "cap_gpu_power", "args": {"cap_w": 350}}, True),
        ({"name": "cap_gpu_power", "args": {"cap_w": 400.0}}, False),
        ({"name": "drain_node"}, False),
    ],
)
def test_an_action_fits_where_all_that_is_given_is_the_same(wanted: dict[str, object], fits: bool) -> None:
    assert Wanted.model_validate(wanted).fits("cap_gpu_power", "gpu-01", {"cap_w": 350.0}) is fits


def test_the_product_gets_the_files_and_nothing_of_what_is_expected(folder: Path) -> None:
    own = folder.parent / "own"
    shutil.copytree(folder, own)
    (own / "case.yaml").write_text(GOOD.replace("A pump stops", "SECRET TITLE") + "source: SECRET SOURCE\n")
    sent = json.dumps(request(read_folder(own), BUNDLED))
    assert str(own / "events.log") in sent
    for secret in ("SECRET", "coolant_pump_failure", "P0", "cooling", "case.yaml"):
        assert secret not in sent


def test_the_casebook_is_of_many_sorts_and_both_splits() -> None:
    found = read_all(find_folders([CASEBOOK]))
    assert [one.why for one in found if isinstance(one, Wrong)] == []
    good = [one for one in found if isinstance(one, Folder)]
    shown = {tag for one in good if one.case.split == "dev" for tag in one.case.tags}
    assert len([one for one in good if one.case.split == "dev"]) >= 14
    assert {
        "cooling",
        "power",
        "gpu",
        "fabric",
        "serving",
        "storage",
        "flood",
        "flapping",
        "drill",
        "maintenance",
    } <= shown
    assert {"lying-sensor", "injection", "late", "two-faults", "recovery", "other-site", "healthy"} <= shown
    held = {one.events.read_bytes() for one in good if one.case.split == "held-out"}
    assert held
    assert not held & {one.events.read_bytes() for one in good if one.case.split == "dev"}
    assert all(one.name.startswith("held-out-") == (one.case.split == "held-out") for one in good)


def test_the_example_of_the_documentation_is_a_case(folder: Path) -> None:
    page = (CASEBOOK.parents[1] / "docs" / "evals.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    (folder / "telemetry.csv").write_text("time,asset,metric,value\n")
    (folder / "case.yaml").write_text(example)
    (expected,) = read_folder(folder).case.expect
    assert len(expected.required_actions) == 3
    told = [name for name in (*CaseFile.model_fields, *Expected.model_fields) if name not in page]
    assert told == []
