"""NVML: the GPUs of the machine that Setpoint runs on. Power, clocks, temperature, ECC in; power cap and clock lock out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from setpoint.contracts import Action
from setpoint.errors import BackendError
from tools.adapters.config import NvmlSource
from tools.adapters.ports import Health
from tools.readings import Reading


class Nvml:
    """All GPUs of one node."""

    def __init__(self, config: NvmlSource, clock: Callable[[], datetime]) -> None:
        self.name, self._node, self._clock = f"nvml {config.asset}", config.asset, clock

    @cached_property
    def _nvml(self) -> Any:
        import pynvml  # an optional extra

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise BackendError(
                f"NVML does not start: {error}",
                where=self.name,
                remedy="Install NVIDIA's driver, or remove this adapter",
            ) from error
        return pynvml

    @cached_property
    def _gpus(self) -> list[Any]:
        nvml = self._nvml
        return [nvml.nvmlDeviceGetHandleByIndex(k) for k in range(nvml.nvmlDeviceGetCount())]

    def read(self, asset: str) -> Reading | None:
        if asset != self._node:
            return None
        nvml = self._nvml
        watts = [w / 1000.0 for w in self._each(nvml.nvmlDeviceGetPowerUsage)]
        temps = self._each(lambda gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU))
        clocks = self._each(lambda gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM))
        caps = [w / 1000.0 for w in self._each(nvml.nvmlDeviceGetPowerManagementLimit)]
        corrected = self._each(lambda gpu: self._ecc(gpu, nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED))
        uncorrected = self._each(lambda gpu: self._ecc(gpu, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED))
        values = {"gpus_ok": float(len(self._gpus))}
        for name, found, how in (
            ("gpu_power_w", watts, _mean), ("gpu_temp_c", temps, max), ("gpu_temp_mean_c", temps, _mean),
            ("clock_mhz", clocks, _mean), ("clock_min_mhz", clocks, min), ("power_cap_w", caps, max),
            ("ecc_corrected", corrected, sum), ("ecc_uncorrected", uncorrected, sum),
        ):  # fmt: skip
            if found:
                values[name] = float(how(found))
        return Reading(self._node, self._clock(), values)

    def assets(self) -> Sequence[str]:
        return (self._node,)

    def check(self) -> Health:
        try:
            version = self._text(self._nvml.nvmlSystemGetDriverVersion())
            names = {self._text(self._nvml.nvmlDeviceGetName(gpu)) for gpu in self._gpus}
        except BackendError as error:
            return Health(self.name, False, str(error))
        return Health(
            self.name, True, f"driver {version}; {len(self._gpus)} x {', '.join(sorted(names)) or 'no GPU'}"
        )

    def close(self) -> None:
        if "_nvml" in self.__dict__:
            self._nvml.nvmlShutdown()

    def can(self, action: Action) -> bool:
        return action.asset == self._node and action.name in ("cap_gpu_power", "lock_gpu_clock")

    def preview(self, action: Action) -> str:
        if action.name == "cap_gpu_power":
            low, high = self._limits_w()
            return f"power limit of {len(self._gpus)} GPUs = {self._cap_w(action):g} W (they take {low:g} to {high:g} W)"
        return f"locked SM clock of {len(self._gpus)} GPUs = up to {float(action.args['clock_mhz']):g} MHz"

    def apply(self, action: Action, key: str) -> None:
        nvml = self._nvml
        for gpu in self._gpus:
            try:
                if action.name == "cap_gpu_power":
                    nvml.nvmlDeviceSetPowerManagementLimit(gpu, round(1000.0 * self._cap_w(action)))
                else:
                    nvml.nvmlDeviceSetGpuLockedClocks(gpu, 0, round(float(action.args["clock_mhz"])))
            except nvml.NVMLError as error:
                raise BackendError(
                    f"GPU {self._gpus.index(gpu)} did not take it: {error}", where=self.name,
                    remedy="It needs root, and a driver that allows it",
                ) from error  # fmt: skip

    def _cap_w(self, action: Action) -> float:
        low, high = self._limits_w()
        wanted = float(action.args["cap_w"])
        if not low <= wanted <= high:
            raise BackendError(f"these GPUs take a cap of {low:g} to {high:g} W, not {wanted:g} W", where=self.name,
                               remedy="Propose a value within it")  # fmt: skip
        return wanted

    def _limits_w(self) -> tuple[float, float]:
        low, high = 0.0, float("inf")
        for least, most in self._each(self._nvml.nvmlDeviceGetPowerManagementLimitConstraints):
            low, high = max(low, least / 1000.0), min(high, most / 1000.0)
        return low, high

    def _ecc(self, gpu: Any, kind: int) -> Any:
        return self._nvml.nvmlDeviceGetTotalEccErrors(gpu, kind, self._nvml.NVML_VOLATILE_ECC)

    def _each(self, ask: Callable[[Any], Any]) -> list[Any]:
        """One value a GPU; those that do not offer it are left out. Raises BackendError where NVML fails otherwise."""
        nvml, found = self._nvml, []
        for gpu in self._gpus:
            try:
                found.append(ask(gpu))
            except nvml.NVMLError_NotSupported:
                continue
            except nvml.NVMLError as error:
                raise BackendError(f"GPU {self._gpus.index(gpu)}: {error}", where=self.name,
                                   remedy="Look at the kernel log for XID errors") from error  # fmt: skip
        return found

    @staticmethod
    def _text(value: str | bytes) -> str:
        return value.decode() if isinstance(value, bytes) else value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
