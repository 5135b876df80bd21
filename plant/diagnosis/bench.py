"""Speed of rehearsals: `python -m plant.diagnosis.bench [--site demo] [--rounds 5]`.

One rehearsal is 16 members over a quarter of an hour, without the action, with it and with three others.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime

from plant.diagnosis.ensemble import MEMBERS, Step
from plant.diagnosis.quiet import quiet
from plant.diagnosis.rehearse import rehearse
from plant.site import Site, load_site, site_file_of

START = datetime(2026, 3, 14, 21, 0, tzinfo=UTC)
OTHERS = 3
HORIZON_S = 900.0


def rehearsals_per_s(site: Site, rounds: int) -> float:
    """Whole rehearsals, words and choices included, a second of this process's CPU time."""
    estimate = quiet(site, START)
    cdu, node = estimate.plant.each("cdu")[0], estimate.plant.each("gpu_node")[0]
    estimate.plant.inject_knob(cdu, "passage_pu", 0.4, 300.0)
    estimate.plant.advance(60.0)
    others = [
        Step("cap_gpu_power", node, {"cap_w": 300.0 + 50.0 * number}, f"way {number}")
        for number in range(OTHERS)
    ]

    def one(seed: int) -> None:
        rehearse(
            site, estimate, "set_coolant_flow", cdu, {"flow_lpm": 180.0}, horizon_s=HORIZON_S, members=MEMBERS, seed=seed,
            alternatives=others,
        )  # fmt: skip

    one(0)
    begun = time.process_time()
    for seed in range(rounds):
        one(seed + 1)
    return rounds / (time.process_time() - begun)


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--site", action="append", help="A site file or an included site. Repeatable.")
    read.add_argument("--rounds", type=int, default=5)
    asked = read.parse_args()
    for name in asked.site or ("demo", "hall-1024"):
        speed = rehearsals_per_s(load_site(site_file_of(name)), asked.rounds)
        runs = MEMBERS * (2 + OTHERS)
        print(f"{name}: {speed:.2f} rehearsals a CPU second, each {runs} runs of {HORIZON_S / 60:g} min ({1 / speed:.2f} s)")  # fmt: skip


if __name__ == "__main__":
    main()
