"""Which mode a model should have in which role, decided by measurement.

    python -m evals.modes --model heavy=qwen.gguf --faults 120 --out evals/records/modes.json

The rule: a model starts in `facts`, where code decides and the model words. It may be `assisted` only where its own order of
causes is not worse than code's on the same cases, and `free` only where it is better, since a free model gives up code's
choice of candidates. Not worse means that the lower end of the 95 % interval of the paired difference lies above a margin;
better, that it lies above zero. Few cases prove nothing, so they leave a model in `facts`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from evals.intervals import wilson
from evals.model_trial import Asked, Order, orders
from evals.running.compare import paired_interval
from evals.running.contenders import contender
from evals.running.provenance import made
from setpoint.contracts import Mode

MARGIN = 0.05
"""So much worse than code counts as no worse: three faults in sixty."""
LEAST_CASES = 60
"""Faults with something to choose; with fewer, the interval says more of the sample than of the model."""
LEAST_ANSWERED = 0.95
"""Share of cases in which the model's answer could be used at all."""
NO_TOOLS = "a local file calls no tools; only a model behind a server does"
LEAST_CALLS = 0.8
"""Share of chat questions with exactly the right calls, by the lower end of its interval, before a model plans alone."""


@dataclass(frozen=True)
class Choice:
    """The mode of one role, and why."""

    role: str
    mode: Mode
    why: str
    figures: dict[str, tuple[float, float, float]]
    """Value with its 95 % interval."""
    cases: int


def for_causes(rows: Sequence[Order], free: Sequence[Order] = ()) -> Choice:
    """Of the role heavy, from the model's order beside code's. `free`: the same faults with every cause open to it."""
    chosen = [row for row in rows if row.candidates > 1]
    figures = figures_of(chosen)
    mode: Mode = "facts"
    why = _too_little(chosen) or _verdict(figures["difference"], "order of causes")
    if not why:
        mode, why = "assisted", _said(figures["difference"], "its order of causes is not worse than code's")
        if free and not _too_little(free) and figures_of(free)["difference"][1] > 0:
            figures |= {f"free, {name}": value for name, value in figures_of(free).items()}
            mode, why = (
                "free",
                _said(figures_of(free)["difference"], "with every cause open it is better than code"),
            )
    return Choice("heavy", mode, why, figures, len(chosen))


def for_chat(rows: Sequence[Asked], *, local: bool = False) -> Choice:
    """Of the role light, from questions whose tools the model chose. `local`: a file, which can call none."""
    if local:
        return Choice("light", "facts", NO_TOOLS, {}, 0)
    exact, facts = sum(row.exact for row in rows), sum(row.facts for row in rows)
    figures = {
        "exactly the right calls": _share(exact, len(rows)),
        "facts from tools alone": _share(facts, len(rows)),
    }
    calls = figures["exactly the right calls"]
    if not rows:
        return Choice("light", "facts", "tools were not tried", {}, 0)
    if calls[1] < LEAST_CALLS:
        why = f"exactly the right calls {_range(calls)}; the lower end must reach {LEAST_CALLS:.2f}"
        return Choice("light", "facts", why, figures, len(rows))
    if facts < len(rows):
        why = f"{len(rows) - facts} of {len(rows)} answers hold what no tool gave"
        return Choice("light", "assisted", f"right calls {_range(calls)}, but {why}", figures, len(rows))
    return Choice("light", "free", f"exactly the right calls {_range(calls)}", figures, len(rows))


def figures_of(rows: Sequence[Order]) -> dict[str, tuple[float, float, float]]:
    """Right first causes of code and model on the same cases, and their difference."""
    code, model = [row.code == row.truth for row in rows], [row.model == row.truth for row in rows]
    changes = np.array(model, float) - np.array(code, float)
    low, high = paired_interval(changes) if rows else (-1.0, 1.0)
    return {
        "code: right cause first": _share(sum(code), len(rows)),
        "model: right cause first": _share(sum(model), len(rows)),
        "difference": (float(changes.mean()) if rows else 0.0, low, high),
        "usable answers": _share(sum(row.answered for row in rows), len(rows)),
    }


def _too_little(rows: Sequence[Order]) -> str:
    if len(rows) < LEAST_CASES:
        return f"{len(rows)} faults with something to choose are too few; {LEAST_CASES} are needed"
    answered = sum(row.answered for row in rows) / len(rows)
    return f"only {answered:.0%} of its answers could be used" if answered < LEAST_ANSWERED else ""


def _verdict(difference: tuple[float, float, float], what: str) -> str:
    """Why it is not good enough; "" where it is not worse than code."""
    if difference[1] >= -MARGIN:
        return ""
    if difference[2] < 0:
        return _said(difference, f"its {what} is worse than code's")
    return _said(difference, f"its {what} may be worse than code's by more than {MARGIN}")


def _said(difference: tuple[float, float, float], words: str) -> str:
    return f"{words}: difference {_range(difference)}"


def _range(figure: tuple[float, float, float]) -> str:
    value, low, high = figure
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def _share(hits: int, count: int) -> tuple[float, float, float]:
    return (hits / count if count else 0.0, *wilson(hits, count))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the choice and, with --out, keeps it with its cases."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.modes", description="Which mode a model should have."
    )
    parser.add_argument("--model", default="bundled", help="as `setpoint eval run --model` takes it")
    parser.add_argument("--faults", type=int, default=120)
    parser.add_argument("--split", default="dev", choices=("dev", "held-out"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    one = contender(options.model)
    model = one.role("heavy")
    if model is None:
        parser.error(f"{options.model} has no heavy model")
    rows = orders(model, options.split, options.faults, "assisted", _tell)
    free = orders(model, options.split, options.faults, "free", _tell)
    choice = for_causes(rows, [row for row in free if row.candidates > 1])
    print(f"\nheavy: {choice.mode}: {choice.why}")
    for name, figure in {**choice.figures, **{f"free, {k}": v for k, v in figures_of(free).items()}}.items():
        print(f"  {name:32} {_range(figure)}")
    if options.out:
        kept = {"key": model.sha256, "model": one.about()["heavy"], "made": asdict(made(sys.argv[1:])), "choice": asdict(choice),
                "free": figures_of(free), "cases": [asdict(row) for row in rows]}  # fmt: skip
        options.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


def _tell(part: str, done: int, of: int) -> None:
    print(f"\r{part}: {done} of {of}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
