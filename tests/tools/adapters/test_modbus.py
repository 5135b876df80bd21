"""Modbus against a server that the test starts: registers in, setpoints out, read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from pymodbus.simulator import DataType, SimData

from setpoint.contracts import Action
from setpoint.errors import BackendError
from tests.tools.adapters.plc import plc
from tools.adapters.config import ModbusReading, ModbusSource, ModbusWrite
from tools.adapters.modbus import Modbus

Clock = Callable[[], datetime]
Opened = Callable[[Any], Any]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Flow as a float at 10, supply temperature in tenths at 20, flow setpoint at 30, ESS setpoint signed at 40."""
    registers = [
        SimData(10, values=201.5, datatype=DataType.FLOAT32), SimData(20, values=321, datatype=DataType.INT16),
        SimData(30, values=2000, datatype=DataType.UINT16), SimData(40, values=0, datatype=DataType.INT16),
    ]  # fmt: skip
    with plc(registers) as found:
        yield found


def adapter(port: int, clock: Clock, opened: Opened) -> Modbus:
    config = ModbusSource(
        kind="modbus", host="127.0.0.1", port=port, timeout_s=1.0,
        readings=(
            ModbusReading(asset="cdu-1", metric="flow_lpm", address=10, type="float32"),
            ModbusReading(asset="cdu-1", metric="supply_temp_c", address=20, type="int16", scale=0.1),
            ModbusReading(asset="cdu-1", metric="flow_setpoint_lpm", address=30, scale=0.1),
            ModbusReading(asset="ess-1", metric="power_setpoint_kw", address=40, type="int16", scale=-0.1),
        ),
        writes=(
            ModbusWrite(action="set_coolant_flow", asset="cdu-1", arg="flow_lpm", address=30, scale=0.1, maximum=320),
            ModbusWrite(action="charge_ess", asset="ess-1", arg="power_kw", address=40, type="int16", scale=0.1),
        ),
    )  # fmt: skip
    found: Modbus = opened(Modbus(config, clock))
    return found


def test_registers_are_read_in_their_types_and_scales(port: int, clock: Clock, opened: Opened) -> None:
    reading = adapter(port, clock, opened).read("cdu-1")
    assert reading is not None
    assert reading.values["flow_lpm"] == pytest.approx(201.5)
    assert reading.values["supply_temp_c"] == pytest.approx(32.1)
    assert reading.values["flow_setpoint_lpm"] == pytest.approx(200.0)


def test_a_setpoint_is_written_and_shown(port: int, clock: Clock, opened: Opened) -> None:
    plc = adapter(port, clock, opened)
    charge = Action(name="charge_ess", asset="ess-1", args={"power_kw": 80.0, "duration_min": 30.0})
    assert plc.can(charge)
    assert "= 800" in plc.preview(charge)
    plc.apply(charge, "key")
    reading = plc.read("ess-1")
    assert reading is not None
    assert reading.values["power_setpoint_kw"] == pytest.approx(-80.0)


def test_what_the_device_does_not_take_is_refused_before_it_is_sent(
    port: int, clock: Clock, opened: Opened
) -> None:
    plc = adapter(port, clock, opened)
    before = plc.read("cdu-1")
    with pytest.raises(BackendError, match="outside what this device takes"):
        plc.apply(Action(name="set_coolant_flow", asset="cdu-1", args={"flow_lpm": 321.0}), "key")
    with pytest.raises(BackendError, match="does not fit int16"):
        plc.apply(Action(name="charge_ess", asset="ess-1", args={"power_kw": 4000.0}), "key")
    assert plc.read("cdu-1") == before


def test_a_register_that_is_not_there_is_named(port: int, clock: Clock, opened: Opened) -> None:
    plc = adapter(port, clock, opened)
    wrong = plc._config.model_copy(
        update={"readings": (ModbusReading(asset="cdu-1", metric="x", address=999),)}
    )
    health = opened(Modbus(wrong, clock)).check()
    assert not health.reachable
    assert "register" in health.said


def test_a_device_that_is_away_is_named(clock: Clock, opened: Opened) -> None:
    health = adapter(1, clock, opened).check()
    assert not health.reachable
    assert "modbus 127.0.0.1:1/1" in health.said
