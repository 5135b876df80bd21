"""Is the gate worth its name? `python -m evals.learning_gate`: a good candidate, and worsened ones made of it.

A candidate is trained on a simulated operator's lessons with `setpoint learn train`; the gate must let it through. Then each way
of worsening it (`python -m setpoint.learning.spoiled`) gives another candidate, and the gate must refuse every one. Exit 1 where
it does not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.learning import lesson_lines, run_setpoint

GOOD = "unharmed"
WORSENED = (
    "noise-0.2", "noise-0.4", "noise-0.8", "untrained", "shuffled-answers", "drops-required-slots",
    "never-says-what-to-do", "lost-words", "one-lesson-only", "layer-cut-out", "other-prompts",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.learning_gate", description="Try the gate.")
    parser.add_argument("--style", default="slang", help="whose lessons")
    parser.add_argument("--lessons", type=int, default=120)
    parser.add_argument("--only", default="", help="some of the worsened kinds, with commas between")
    parser.add_argument("--work", type=Path, help="folder of the models (default: a temporary one)")
    parser.add_argument("--out", type=Path, help="record to write, JSON")
    asked = parser.parse_args(argv)
    work = asked.work or Path(tempfile.mkdtemp(prefix="gate-"))
    started = time.monotonic()
    _good(asked.style, asked.lessons, work)
    kinds = asked.only.split(",") if asked.only else list(WORSENED)
    verdicts = dict[str, dict[str, Any]]()
    for kind in [*kinds, GOOD]:
        if kind != GOOD:
            _spoil(kind, work)
        verdicts[kind] = _held(kind, work)
        print(_line(kind, verdicts[kind]), flush=True)
    let_through = [kind for kind in kinds if verdicts[kind]["passed"]]
    right = verdicts[GOOD]["passed"] and not let_through
    print(f"{len(kinds) - len(let_through)} of {len(kinds)} worsened candidates refused; the unharmed one "
          f"{'passes' if verdicts[GOOD]['passed'] else 'is refused'}")  # fmt: skip
    if asked.out:
        record = {
            "style": asked.style,
            "lessons": asked.lessons,
            "seconds": round(time.monotonic() - started),
            "verdicts": verdicts,
        }
        asked.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    raise SystemExit(0 if right else 1)


def _good(style: str, count: int, work: Path) -> None:
    """The candidate everything is made of; one that is there from an earlier run is taken."""
    if (work / "models" / GOOD).is_dir():
        return
    work.mkdir(parents=True, exist_ok=True)
    file = work / "lessons.jsonl"
    file.write_text("\n".join(lesson_lines(style, count)) + "\n", encoding="utf-8")
    run_setpoint("learn", "train", "--from", str(file), "--name", GOOD, "--store", str(work))


def _spoil(kind: str, work: Path) -> None:
    """Another candidate with the same lessons, so that it sits the same exam."""
    good, bad = work / "models" / GOOD, work / "models" / kind
    shutil.rmtree(bad, ignore_errors=True)
    shutil.copytree(good, bad)
    (bad / "gate.json").unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "setpoint.learning.spoiled",
        kind,
        str(good / "model.gguf"),
        str(good / "lessons.jsonl"),
    ]
    subprocess.run([*command, str(bad / "model.gguf")], check=True)


def _held(name: str, work: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        run_setpoint("learn", "compare", name, "--json", "--store", str(work), codes=(0, 1))
    )
    return found


def _line(name: str, gate: dict[str, Any]) -> str:
    reasons = "; ".join(gate["refused"][:2]) or "nothing falls, and what was corrected comes out better"
    return f"{name}: {'passes' if gate['passed'] else 'refused'}: {reasons}"


if __name__ == "__main__":
    main()
