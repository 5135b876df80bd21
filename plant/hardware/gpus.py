"""Accelerators: peak rates, memory, links, power and clocks. The catalog is `gpus.yaml` beside this file."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml

from plant.closed import Closed
from plant.units import Bytes, BytesPerSecond, Mhz, Watts
from setpoint.errors import ConfigError

Dtype = Literal["fp32", "bf16", "fp8", "fp4", "int8"]
DTYPE_BYTES: dict[str, float] = {"fp32": 4.0, "bf16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5625}
"""Bytes a weight; fp4 carries one 8-bit scale for 16 values (NVFP4), hence 4.5 bits."""


class Gpu(Closed):
    """One accelerator. Rates are dense peaks as its maker prints them; links are one direction, per accelerator."""

    name: str
    aliases: tuple[str, ...] = ()
    """Other spellings, compared without case, spaces, dashes and underscores."""
    kind: Literal["gpu", "lpu"] = "gpu"
    """An LPU computes from SRAM: the weights must fit, its clock is fixed."""
    arch: str = ""
    flops: dict[Dtype, float]
    """Dense peak, operations a second, at the maximal clock."""
    memory_bytes: Bytes
    memory_bytes_per_s: BytesPerSecond
    scale_up_bytes_per_s: BytesPerSecond
    """NVLink (or PCIe where there is none), one direction."""
    scale_up_domain: int = 8
    """Accelerators that reach one another over it."""
    host_bytes_per_s: BytesPerSecond
    """PCIe or C2C to the CPU."""
    network_bytes_per_s: BytesPerSecond
    """InfiniBand or Ethernet of one accelerator, to other nodes."""
    tdp_w: Watts
    idle_w: Watts
    clock_min_mhz: Mhz
    clock_max_mhz: Mhz
    source: str
    """Where the figures come from; those marked "m" are remembered and want checking."""

    def peak(self, dtype: Dtype) -> float:
        """Peak at that precision; where the hardware lacks it, weights are widened to the next it has."""
        wider: tuple[Dtype, ...] = ("fp4", "fp8", "bf16", "fp32")
        order = wider[wider.index(dtype) :] if dtype in wider else (dtype, "bf16")
        for candidate in order:
            if candidate in self.flops:
                return self.flops[candidate]
        raise ConfigError(
            f"{self.name} has no peak rate for {dtype}", remedy=f"Use {' or '.join(self.flops)}"
        )


def gpu(name: str) -> Gpu:
    """The accelerator of that name or alias, with or without its maker, count and memory size.

    Raises ConfigError that lists the nearest names and all known ones.

    >>> gpu("Virtualized NVIDIA H200-SXM-141GB").name, gpu("8x AMD Instinct MI300X 192GB").name
    ('H200-SXM', 'MI300X')
    """
    catalog = _by_key()
    for key in (_key(name), _key(_unbranded(name)), _key(_bare(name))):
        if key in catalog:
            return catalog[key]
    known = ", ".join(g.name for g in gpus())
    close = get_close_matches(_key(_bare(name)), catalog, n=3, cutoff=0.6)
    meant = " or ".join(dict.fromkeys(catalog[key].name for key in close))
    raise ConfigError(
        f"unknown GPU {name!r}",
        remedy=(f"Did you mean {meant}? " if meant else "")
        + f"Use one of {known}, or describe it under `hardware:` in the site file",
    )


@cache
def gpus() -> tuple[Gpu, ...]:
    """The catalog, in its own order."""
    raw = yaml.safe_load(files("plant.hardware").joinpath("gpus.yaml").read_text(encoding="utf-8"))
    return tuple(Gpu.model_validate(item) for item in raw["gpus"])


@cache
def _by_key() -> dict[str, Gpu]:
    return {_key(name): found for found in gpus() for name in (found.name, *found.aliases)}


_COUNT = re.compile(r"^\s*\d+\s*x\s*|\s*\bx\s?\d{1,3}\s*$", re.IGNORECASE)
_MAKER = re.compile(r"\b(virtualized|nvidia|amd|intel|tesla|instinct|geforce|graphics|gpu)\b", re.IGNORECASE)
_MEMORY = re.compile(r"[-_ ]\d+ ?gb\b|\bhbm\d?e?\b", re.IGNORECASE)


def _unbranded(name: str) -> str:
    """The name less count and maker, which submitters and monitoring add to it."""
    return _MAKER.sub("", _COUNT.sub("", name))


def _bare(name: str) -> str:
    """The same less memory size."""
    return _MEMORY.sub("", _unbranded(name))


def _key(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
