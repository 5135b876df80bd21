"""`setpoint doctor --host` as text and JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from setpoint.app.host import WIDTH, examine_host, host_report, render_host
from tests.plant.hardware.hosts import good_host, poor_host

ESCAPE = re.compile(r"\x1b\[")


def test_the_text_has_a_verdict_for_every_path(tmp_path: Path) -> None:
    report = host_report(poor_host(tmp_path))
    text = render_host(report, colour=False)
    for found in report.paths:
        assert re.search(rf"^{found.verdict} +{found.path} ", text, re.MULTILINE)
    assert "iommu=pt" in text
    assert not ESCAPE.search(text)
    assert max(len(line) for line in text.splitlines()) <= WIDTH


def test_figures_of_the_model_stand_beside(tmp_path: Path) -> None:
    text = " ".join(render_host(host_report(good_host(tmp_path)), colour=False).split())
    assert "Model: 55.7 GB/s (445 all together), 4 us, set by pcie" in text
    assert "Assumed: DRAM of 600 GB/s" in text


def test_a_remedy_is_said_once(tmp_path: Path) -> None:
    text = render_host(host_report(poor_host(tmp_path)), colour=False)
    assert text.count("Install the driver with --kernel-module-type=open") == 1


def test_colour_only_where_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = host_report(tmp_path)
    assert ESCAPE.search(render_host(report, colour=True))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert ESCAPE.search(render_host(report))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not ESCAPE.search(render_host(report))


def test_json_is_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert examine_host(True, good_host(tmp_path)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["accelerator"] == "H100-SXM"
    assert {found["verdict"] for found in told["paths"]} == {"usable"}


def test_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert examine_host(False) == 0
    assert "io_uring" in capsys.readouterr().out
