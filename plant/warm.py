"""`python -m plant.warm`: compiles the model's kernels once, so that the first command after an installation is quick.

The compiled code is kept beside the source (or in the user's cache where that cannot be written).
"""

from __future__ import annotations

import sys
import time


def warm() -> float:
    """Runs every kernel for a moment. Returns the seconds it took: about a minute at first, then two."""
    from plant import load_of, load_site, plan_run, simulate

    started = time.perf_counter()
    site = load_site("lab-16")
    simulate(plan_run(site, load_of(site, None, hours=0.01), hours=0.01))
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.stderr.write(f"kernels of the plant model ready after {warm():.0f} s\n")
