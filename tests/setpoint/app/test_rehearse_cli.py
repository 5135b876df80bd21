"""`setpoint rehearse` and its page: the difference first, every number from the runs, nothing real touched."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plant.diagnosis.results import Compared
from plant.site import Site, load_site, site_file_of
from setpoint.app.cli import app
from setpoint.app.cli_rehearse import rehearsed, starting
from setpoint.app.rehearsal_page import render_page
from setpoint.errors import InputError, UsageError

PUMP = ["rehearse", "start_standby_pump", "--fault", "pump_trip:cdu-1-pump-a@10s"]


def demo() -> Site:
    return load_site(site_file_of("demo"))


def typed(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_terminal_tells_difference_chances_costs_and_ways() -> None:
    said = typed(*PUMP)
    assert said.startswith("Start standby pump cdu-1-pump-b\nWithout it the hottest GPU on cdu-1 reaches")
    assert re.search(r"GPUs over 87 C +cdu-1 +100 % +0 % +0 to 14 %", said)
    assert re.search(r"GPUs shut down +96 +0 +-96", said)
    assert said.index("Start standby pump", 10) < said.index("nothing  ")
    assert "nothing of the site was read" in said
    assert "10 s ago" in said


def test_json_is_the_rehearsal_whole() -> None:
    found = json.loads(typed(*PUMP, "--json", "--horizon", "10m"))
    assert found["horizon_s"] == 600.0
    assert found["cause"].endswith("@cdu-1-pump-a")
    assert {"said", "risks", "bands", "options", "costs"} <= set(found)


def test_without_a_fault_the_state_is_quiet_and_the_asset_is_needed() -> None:
    assert "a quiet state of the site model: nothing of the site was read" in typed(
        "rehearse", "set_coolant_flow", "cdu-1", "--set", "flow_lpm=90"
    )
    with pytest.raises(UsageError, match="which asset"):
        typed("rehearse", "set_coolant_flow")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rehearse", "set_cooling_flow", "cdu-1"], "Did you mean 'set_coolant_flow'"),
        (["rehearse", "open_ticket", "cdu-1"], "nothing to rehearse"),
        (["rehearse", "set_coolant_flow", "cdu-1", "--set", "flow_lpm"], "Write it as flow_lpm=180"),
        (["rehearse", "set_coolant_flow", "cdu-1", "--set", "lpm=9"], "Arguments are: flow_lpm"),
        (["rehearse", "drain_node", "gpu-01", "--fault", "no_such@5m"], "no fault 'no_such'"),
        (["rehearse", "drain_node", "gpu-01", "--horizon", "soon"], "--horizon"),
    ],
)
def test_what_cannot_be_is_said_with_what_would_do(words: list[str], says: str) -> None:
    with pytest.raises((UsageError, InputError), match=re.escape(says)):
        typed(*words)


def test_readings_that_tell_too_little_are_refused(tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("time,asset,metric,value\n2026-03-14T21:00:00Z,cdu-1,flow_lpm,150\n")
    with pytest.raises(InputError, match="too few readings"):
        typed("rehearse", "set_coolant_flow", "cdu-1", "--telemetry", str(few))


def test_the_page_stands_alone_and_says_what_the_numbers_are(tmp_path: Path) -> None:
    page = tmp_path / "sub" / "page.html"
    typed(*PUMP, "--report", str(page))
    text = page.read_text("utf-8")
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", text)
    assert "default-src &#39;none&#39;" in text
    assert (
        text.index("Chance of GPUs over 87 C") < text.index("With and without") < text.index("Ways to go on")
    )
    assert text.count('class="small-plot"') == 6
    assert "cdu-1-pump-a, 10 s ago" in text
    assert text.index(">Do nothing<") > text.index('scope="row">Start standby pump')


def test_the_page_tells_a_refusal_and_what_came_of_it() -> None:
    site = demo()
    start = starting(site, [], None)
    found = rehearsed(site, start, "set_batch_limit", "pool-chat", {"batch_limit": 8.0}, None, 0)
    came = Compared(
        action=found.action, asset=found.asset, quantities=3, inside=1, came_true=False, worst="<b>far</b>"
    )
    text = render_page(found, site, "a state & more", came)
    assert "The interlock refuses it" in text
    assert "It did not come as rehearsed: 1 of 3 quantities" in text
    assert "&lt;b&gt;far&lt;/b&gt;" in text
    assert "a state &amp; more" in text


def test_faults_stand_in_the_state_in_the_order_they_struck() -> None:
    site = demo()
    start = starting(site, ["pump_trip:cdu-2-pump-a@20s", "chiller_trip@5m"], None)
    assert start.asset == "cdu-2-pump-a"
    assert start.estimate.plant.number("cdu-2-pump-a", "running") == 0.0
    assert start.estimate.plant.elapsed_s == pytest.approx(300.0)
    assert start.estimate.note.confidence == 0.0
    assert abs((start.estimate.plant.now - datetime.now(UTC)).total_seconds()) < 60.0
