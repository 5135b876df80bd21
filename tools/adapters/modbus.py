"""Modbus TCP: PLCs of CDUs, power converters of batteries, meters. Registers in, setpoints out, read back after writing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Lock
from typing import Any

from setpoint.contracts import Action
from setpoint.errors import BackendError
from tools.adapters.config import ModbusReading, ModbusSource, ModbusWrite, NumberType
from tools.adapters.ports import Health
from tools.readings import Reading

READ_BACK_PU = 1e-3
"""Share by which a register that was read back may differ: floats of 32 bits."""


class Modbus:
    """One device on one connection, used by one caller at a time."""

    def __init__(self, config: ModbusSource, clock: Callable[[], datetime]) -> None:
        from pymodbus.client import ModbusTcpClient  # an optional extra

        self.name = f"modbus {config.host}:{config.port}/{config.device_id}"
        self._config, self._clock, self._turn = config, clock, Lock()
        self._client = ModbusTcpClient(config.host, port=config.port, timeout=config.timeout_s, retries=1)

    def read(self, asset: str) -> Reading | None:
        mapped = [one for one in self._config.readings if one.asset == asset]
        if not mapped:
            return None
        with self._turn:
            values = {one.metric: one.ours(self._number(one)) for one in mapped}
        return Reading(asset, self._clock(), {metric: v for metric, v in values.items() if math.isfinite(v)})

    def assets(self) -> Sequence[str]:
        return sorted({one.asset for one in self._config.readings})

    def check(self) -> Health:
        try:
            with self._turn:
                for one in self._config.readings:
                    self._number(one)
        except BackendError as error:
            return Health(self.name, False, str(error))
        return Health(self.name, True, f"{len(self._config.readings)} registers read")

    def close(self) -> None:
        client: Any = self._client  # its close has no types
        client.close()

    def can(self, action: Action) -> bool:
        return bool(self._writes(action))

    def preview(self, action: Action) -> str:
        return "; ".join(
            f"register {one.address} ({one.type}) of {self.name} = {self._raw(one, action):g}"
            for one in self._writes(action)
        )

    def apply(self, action: Action, key: str) -> None:
        with self._turn:
            for one in self._writes(action):
                self._write(one, self._raw(one, action))

    def _writes(self, action: Action) -> list[ModbusWrite]:
        return [one for one in self._config.writes if (one.action, one.asset) == (action.name, action.asset)]

    def _raw(self, one: ModbusWrite, action: Action) -> float:
        value = float(action.args[one.arg])
        low, high = one.minimum, one.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            raise BackendError(
                f"{one.arg} {value:g} is outside what this device takes ({low} to {high})", where=self.name,
                remedy="Propose a value within it",
            )  # fmt: skip
        raw = one.raw(value)
        return raw if one.type.startswith("float") else float(round(raw))

    def _write(self, one: ModbusWrite, raw: float) -> None:
        kind = self._kind(one.type)
        number = raw if one.type.startswith("float") else int(raw)
        try:
            registers = self._client.convert_to_registers(number, kind, word_order=self._config.word_order)
        except Exception as error:  # struct.error and pymodbus's own: the number does not fit the register
            raise BackendError(f"{number} does not fit {one.type}", where=self.name) from error
        self._answer(
            lambda: self._client.write_registers(one.address, registers, device_id=self._config.device_id)
        )
        back = self._held("holding", one.address, one.type)
        if abs(back - raw) > max(READ_BACK_PU * abs(raw), 1e-6):
            raise BackendError(
                f"register {one.address} holds {back:g} after {raw:g} was written", where=self.name,
                remedy="The device refused or changed it: look at its own panel",
            )  # fmt: skip

    def _number(self, one: ModbusReading) -> float:
        return self._held(one.table, one.address, one.type)

    def _held(self, table: str, address: int, type_: NumberType) -> float:
        kind = self._kind(type_)
        ask = self._client.read_holding_registers if table == "holding" else self._client.read_input_registers
        answer = self._answer(lambda: ask(address, count=kind.value[1], device_id=self._config.device_id))
        found = self._client.convert_from_registers(
            answer.registers, kind, word_order=self._config.word_order
        )
        return float(found)  # type: ignore[arg-type]  # a number type gives a number

    def _kind(self, type_: NumberType) -> Any:
        return self._client.DATATYPE[type_.upper()]

    def _answer(self, ask: Callable[[], Any]) -> Any:
        from pymodbus.exceptions import ModbusException

        try:
            client: Any = self._client  # its connect and close have no types
            if not client.connected and not client.connect():
                raise BackendError("cannot be reached", where=self.name, remedy="Check address and network")
            answer = ask()
        except ModbusException as error:
            client.close()
            raise BackendError(
                f"it did not answer: {error}", where=self.name, remedy="Check device id and network"
            ) from error
        if answer.isError():
            raise BackendError(
                f"it refused: {answer}",
                where=self.name,
                remedy="Check address, type and table of the register",
            )
        return answer
