"""Speed of the site simulator: `python -m plant.dynamics.bench [--site NAME] [--hours H]`.

Prints simulated seconds for each CPU second: of the whole site and of the reduced twin of one loop, and how far
the two are apart after a pump trip.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from plant.dynamics.reduced import Reduced
from plant.sim import Plant
from plant.site import Site, load_site

START = datetime(2026, 3, 14, 21, 0, tzinfo=UTC)


def hall_of(gpus: int = 1024) -> Site:
    """A hall of that many H100 in nodes of eight, four to a rack, four racks to a CDU, two CDUs to a chiller."""
    nodes = gpus // 8
    racks, cdus = -(-nodes // 4), -(-nodes // 16)
    raw: list[dict[str, object]] = [
        {"name": "hall-1", "kind": "hall"},
        {"name": "feed-a", "kind": "feed", "spec": {"capacity_kw": 3 * nodes * 10.0}},
        {
            "name": "ups-1",
            "kind": "ups",
            "on": ["feed-a"],
            "spec": {"capacity_kw": nodes * 13.0, "battery_kwh": nodes},
        },
        {"name": "ess-1", "kind": "ess", "on": ["feed-a"]},
    ]
    for c in range(cdus):
        raw.append(
            {"name": f"chiller-{c // 2}", "kind": "chiller", "spec": {"capacity_kw": 480.0}}
        ) if c % 2 == 0 else None
        raw.append({"name": f"pump-{c}a", "kind": "pump", "redundant_with": [f"pump-{c}b"]})
        raw.append({"name": f"pump-{c}b", "kind": "pump", "redundant_with": [f"pump-{c}a"]})
        spec = {"flow_design_lpm": 220.0, "flow_max_lpm": 400.0}
        on = ["hall-1", f"pump-{c}a", f"pump-{c}b", f"chiller-{c // 2}"]
        raw.append({"name": f"cdu-{c}", "kind": "cdu", "on": on, "spec": spec})
    for r in range(racks):
        raw.append({"name": f"pdu-{r}", "kind": "pdu", "on": ["ups-1"]})
        raw.append({"name": f"rack-{r}", "kind": "rack", "on": ["hall-1", f"cdu-{r // 4}", f"pdu-{r}"]})
    raw += [{"name": f"node-{n}", "kind": "gpu_node", "on": [f"rack-{n // 4}"]} for n in range(nodes)]
    served = [f"node-{n}" for n in range(nodes // 2)]
    raw.append({"name": "pool", "kind": "service", "on": served})
    return Site.model_validate({"name": f"hall of {gpus}", "assets": raw})


def whole(plant: Plant, step_s: float, hours: float, throttled: bool = False) -> float:
    """Simulated seconds for each CPU second."""
    twin = plant.copy()
    if throttled:
        for cdu in twin.each("cdu"):
            twin.inject_knob(cdu, "passage_pu", 0.06)
        twin.advance(1200)
    twin.advance(60, step_s)
    begin = time.process_time()
    twin.advance(3600 * hours, step_s)
    return 3600 * hours / (time.process_time() - begin)


def reduced(plant: Plant, asset: str, step_s: float, hours: float) -> float:
    """Simulated seconds for each CPU second."""
    twin = Reduced.of(plant, asset)
    twin.run(600.0, step_s, every_s=60.0)
    begin = time.process_time()
    twin.run(3600 * hours, step_s, every_s=60.0)
    return 3600 * hours / (time.process_time() - begin)


def gap_k(plant: Plant, cdu: str, step_s: float) -> float:
    """Greatest difference of any temperature in a run of 20 minutes with a pump trip, twin in `step_s`, whole site in
    steps of one second."""
    pump = plant.pumps_of(cdu)
    changes = [(60.0, pump[0], "failed", 1.0), (150.0, pump[1], "running", 1.0)]
    found = Reduced.of(plant, cdu).run(1200.0, step_s, changes, every_s=10.0)
    names = [name for name in found if name.endswith("_temp_c") and "." in name]
    twin, parts = plant.copy(), []
    for (_, asset, column, value), span in zip(
        [(0.0, "", "", 0.0), *changes], (60.0, 90.0, 1050.0), strict=True
    ):
        if asset:
            twin.state[asset][column] = value
        parts.append(twin.record(span, 10.0, names, 1.0))
    return max(float(np.abs(np.concatenate([part[n] for part in parts]) - found[n]).max()) for n in names)


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("--site", type=Path, help="A site file; default: a hall of 1,024 GPUs.")
    read.add_argument("--hours", type=float, default=10.0)
    asked = read.parse_args()
    site = load_site(asked.site) if asked.site else hall_of()
    plant = Plant.start(site, START)
    gpus, cdu = len(plant.store.tables.gpu), next(iter(plant.each("cdu")), "")
    print(f"{site.name}: {gpus} GPUs, {len(plant.store.values)} numbers")
    for step_s in (1.0, 5.0):
        print(
            f"whole site, {step_s:g} s steps: {whole(plant, step_s, asked.hours):,.0f} simulated s per CPU s"
        )
    print(f"whole site throttled, 1 s steps: {whole(plant, 1.0, 0.25, True):,.0f} simulated s per CPU s")
    for step_s in (1.0, 2.0, 5.0) if cdu else ():
        speed = reduced(plant, cdu, step_s, 20 * asked.hours)
        gap = gap_k(plant, cdu, step_s)
        print(f"twin of {cdu}, {step_s:g} s steps: {speed:,.0f} simulated s per CPU s; "
              f"at most {gap:.4f} K from the whole site in 1 s steps")  # fmt: skip
    plant.advance(3600.0)
    print(f"balance of energy: at most {plant.residual_pu:.1e} of what a step moved")


if __name__ == "__main__":
    main()
