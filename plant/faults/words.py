"""The fields of a line's text: identifiers of the struck parts, numbers of the moment, readings of the target.

`{gpu}` is one GPU of the node, `{pci}` its bus, `{uuid}` its UUID; these stay the same through one fault.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from plant.faults.place import FaultPlan, values
from plant.site import Site

_GPU_BUSES = ("1b", "43", "52", "61", "9d", "c3", "d1", "df")
_NIC_BUSES = ("18", "40", "4f", "5e", "9a", "c0", "ce", "dc")
"""PCI buses of GPUs and fabric adapters as a DGX H100 numbers them (its system manual, PCIe map)."""
_OUTSIDE = ("198.51.100.23", "203.0.113.77", "198.51.100.140", "203.0.113.9")
"""Addresses reserved for documentation (RFC 5737)."""
_USERS = ("mira", "jon", "svc-train", "svc-eval")


@dataclass(frozen=True)
class Words:
    """Draws the fields of one fault's lines."""

    fixed: Mapping[str, object]

    @classmethod
    def of(cls, plan: FaultPlan, site: Site, rng: random.Random) -> Words:
        gpu = rng.randrange(len(_GPU_BUSES))
        set_to = values(plan)
        fixed: dict[str, object] = {
            "struck": plan.asset, "site": site.name, "gpu": gpu, "pci": _GPU_BUSES[gpu], "nic": _NIC_BUSES[gpu],
            "bridge": f"{int(_GPU_BUSES[gpu], 16) - 1:02x}", "uuid": _uuid(rng), "pid": rng.randint(9000, 64000),
            "job": rng.randint(70000, 89999), "rank": rng.randrange(64), "link": rng.randrange(18),
            "lid": rng.randint(2, 400), "guid": f"{rng.randrange(16**16):016x}", "port": rng.randint(1, 40),
            "drive": rng.randrange(8), "fan": rng.randint(1, 6), "psu": rng.randint(1, 6), "cpu": rng.randrange(112),
            "mc": rng.randrange(2), "dimm": rng.choice("ABCDEFGH") + "1", "user": rng.choice(_USERS),
            "outside": rng.choice(_OUTSIDE), "badge": rng.randint(10000, 99999), "metres": rng.randint(2, 14),
            "fs": rng.choice(("scratch", "fast01", "lfs01")), "seq": rng.randint(12000, 30000),
            "seq2": rng.randint(30001, 32000), "hex2": f"{rng.randrange(256):02x}", "hex6": f"{rng.randrange(16**6):06x}",
            "cap_w": set_to.get("power_cap_w", 0.0), "lock_mhz": set_to.get("clock_lock_mhz", 0.0),
            "batch": set_to.get("batch_limit", 0.0), "leaf": _above(site, plan.asset, "switch"),
        }  # fmt: skip
        return cls(fixed)

    def fill(
        self,
        text: str,
        asset: str,
        site: Site,
        rng: random.Random,
        shown: Mapping[str, float],
        **more: object,
    ) -> str:
        """`text` with its fields filled in for one line about `asset`; `shown` is what its sensors read."""
        fields = {
            **self.fixed,
            **_of_the_moment(rng),
            **more,
            "asset": asset,
            "rack": _above(site, asset, "rack"),
        }
        fields["rise"] = shown.get("return_temp_c", 0.0) - shown.get("supply_temp_c", 0.0)
        return text.format_map({**fields, "t": _Readings(shown)})


class _Readings(dict[str, float]):
    """A metric nobody reads is a KeyError that says so: no line can quote it."""

    def __missing__(self, key: str) -> float:
        raise KeyError(f"t.{key}")


def _of_the_moment(rng: random.Random) -> dict[str, object]:
    return {
        "n": rng.randint(2, 9), "count": rng.randint(3, 39) * 10, "sector": rng.randint(10**8, 10**9),
        "hex3": f"{rng.randrange(16**3):03x}", "hex4": f"{rng.randrange(16**4):04x}",
        "hex8": f"{rng.randrange(16**8):08x}",
    }  # fmt: skip


def _above(site: Site, name: str, kind: str) -> str:
    """The nearest asset of that kind it is or stands on; its own name where there is none."""
    for one in _self_and_above(site, name):
        found = site.find(one)
        if found is not None and found.kind == kind:
            return found.name
    return name


def _self_and_above(site: Site, name: str) -> Iterator[str]:
    yield name
    yield from site.upstream(name)


def _uuid(rng: random.Random) -> str:
    digits = f"{rng.randrange(16**32):032x}"
    return "GPU-" + "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
