"""A control loop at a site that is really there: read and moved over Modbus, decided by a person, by the wall clock."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from pymodbus.simulator import DataType, SimData
from typer.testing import CliRunner

from setpoint.app.cli import app
from setpoint.app.wiring import build_runtime
from setpoint.contracts import Decision
from setpoint.errors import UsageError
from setpoint.settings import load_settings
from tests.graphs.turning import SteadyFlow
from tests.setpoint.app.terminal import DEMO
from tests.tools.adapters.plc import plc

READ = {"flow_lpm": 10, "flow_setpoint_lpm": 12, "heat_kw": 14, "supply_temp_c": 16, "return_temp_c": 18, "leak": 20,
        "reservoir_pct": 22, "valve_open": 24, "pumps_running": 26}  # fmt: skip
VALUES = {"flow_lpm": 150.0, "flow_setpoint_lpm": 150.0, "heat_kw": 60.0, "supply_temp_c": 32.0, "return_temp_c": 38.0,
          "leak": 0.0, "reservoir_pct": 100.0, "valve_open": 1.0, "pumps_running": 2.0}  # fmt: skip


def real_site(folder: Path, port: int, *, write: bool) -> dict[str, object]:
    """Flags of the demo site taken for real, with a CDU behind a PLC."""
    site = folder / "demo.yaml"
    site.write_text(
        Path(DEMO).read_text("utf-8").replace("simulated: true", "simulated: false"), encoding="utf-8"
    )
    rows = "".join(
        f"      - {{asset: cdu-1, metric: {metric}, address: {address}, type: float32}}\n"
        for metric, address in READ.items()
    )
    adapters = folder / "demo.adapters.yaml"
    adapters.write_text(
        f"site: demo\nwrite: {str(write).lower()}\nadapters:\n  - kind: modbus\n    host: 127.0.0.1\n    port: {port}\n"
        f"    readings:\n{rows}    writes:\n"
        f"      - {{action: set_coolant_flow, asset: cdu-1, arg: flow_lpm, address: 12, type: float32}}\n",
        encoding="utf-8",
    )
    return {
        "site.file": site, "site.adapters": adapters, "store.dir": folder / "store", "act.dry_run": False,
        "loops.enabled": ["cooling"], "models.light.kind": "none", "models.heavy.kind": "none",
    }  # fmt: skip


@pytest.mark.parametrize("write", [True, False], ids=["written to", "read only"])
async def test_a_yes_moves_the_plc_only_where_the_site_may_be_written_to(
    write: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tools.loops.cooling_loop", SimpleNamespace(make=SteadyFlow))
    registers = [
        SimData(READ[metric], values=value, datatype=DataType.FLOAT32) for metric, value in VALUES.items()
    ]
    with plc(registers) as port:
        runtime = build_runtime(
            load_settings(real_site(tmp_path, port, write=write), env={}, files=()).settings
        )
        await runtime.start()
        try:
            runtime.loops.turn(datetime.now(UTC))
            await runtime.engine.drain()
            (review,) = runtime.ledger.list_reviews(states=("pending",))
            runtime.ledger.decide(
                review.id, review.digest, Decision(type="approve", who="ada", reason="less is enough")
            )
            runtime.engine.wake()
            await runtime.engine.drain()
            (act,) = runtime.ledger.list_actions()
            reading = runtime.adapter.read("cdu-1") if runtime.adapter else None
        finally:
            await runtime.close()
    assert reading is not None
    if write:
        assert (act.state, reading.values["flow_setpoint_lpm"]) == ("done", 142.0)
    else:
        assert (act.state, reading.values["flow_setpoint_lpm"]) == ("failed", 150.0)
        assert "writing to demo is switched off" in act.message


def test_a_real_site_without_adapters_says_what_is_missing(tmp_path: Path) -> None:
    site = tmp_path / "demo.yaml"
    site.write_text(
        Path(DEMO).read_text("utf-8").replace("simulated: true", "simulated: false"), encoding="utf-8"
    )
    done = CliRunner().invoke(app, ["loop", "run", "cooling", "--site", str(site)])
    assert isinstance(done.exception, UsageError)
    assert "no adapters read it" in str(done.exception)
