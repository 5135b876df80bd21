"""The whole way, as people walk it: `python -m evals.learning_walk [--style formal] [--nights 2]`.

Nights are run through the product (`setpoint run --keep`), a simulated operator corrects the texts at the desk
(`setpoint incidents correct ... text`), the lessons are made and signed (`setpoint learn prepare`), a candidate is trained, held to
the gate and promoted, another night is run, and the promotion is taken back. Prints each command with what came of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.wordings import inputs_of
from evals.house_styles import STYLES, Style, accepts
from evals.intervals import wilson
from evals.playing import DEMO_SITE
from evals.word_inputs import OF_SPLIT
from plant import load_site
from plant.faults.night import compose
from prompts import fill
from setpoint.ledger import Ledger

OPERATOR, LEAD, CANDIDATE = "Simone", "Lena", "as-we-write"
HOURS, FAULTS = 8.0, 12


@dataclass(frozen=True)
class Shown:
    """One text of an incident, and what the operator wants in its place."""

    incident: str
    part: str
    text: str
    written_by: str
    wanted: str

    @property
    def accepted(self) -> bool:
        return accepts(self.text, self.wanted)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m evals.learning_walk", description="From corrections to a model."
    )
    parser.add_argument("--style", choices=list(STYLES), default="formal")
    parser.add_argument("--nights", type=int, default=2, help="nights that are corrected")
    parser.add_argument("--work", type=Path, help="folder of the stores (default: a temporary one)")
    asked = parser.parse_args(argv)
    work = asked.work or Path(tempfile.mkdtemp(prefix="walk-"))
    style, store = STYLES[asked.style], work / "store"
    for number in range(asked.nights):
        _night(OF_SPLIT["dev"] + 50 + number, store, work)
    before = list(_texts(store, style))
    _tell("texts before any correction", before)
    corrected = [one for one in before if not one.accepted]
    for one in corrected:
        _command("incidents", "correct", one.incident, "text", one.wanted, "--part", one.part, "--as", OPERATOR,
                 "--why", "house style", "--store", str(store), quiet=True)  # fmt: skip
    print(f"{len(corrected)} texts corrected at the desk by {OPERATOR}")
    _command("learn", "prepare", "--as", LEAD, "--store", str(store))
    _command("learn", "prepare", "--sign", "--as", LEAD, "--why", "read them all", "--store", str(store))
    _command("learn", "train", "--name", CANDIDATE, "--as", LEAD, "--store", str(store))
    _command("learn", "compare", CANDIDATE, "--as", LEAD, "--store", str(store), codes=(0, 1))
    _command("learn", "promote", CANDIDATE, "--as", LEAD, "--why", "reads as we write", "--store", str(store))
    seen = {one.incident for one in before}
    _night(OF_SPLIT["held-out"] + 50, store, work)
    after = [one for one in _texts(store, style) if one.incident not in seen]
    _tell("texts of another night, after the promotion", after)
    print("written by: " + ", ".join(sorted({one.written_by for one in after})))
    _command("learn", "rollback", "--as", LEAD, "--why", "the walk is over", "--store", str(store))
    _command("audit", "verify", "--store", str(store))


def _night(seed: int, store: Path, work: Path) -> None:
    """Runs one generated night through the product, analyses included."""
    lines = compose(load_site(str(DEMO_SITE)), seed, hours=HOURS, faults=FAULTS).events
    file = work / f"night-{seed}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line.text}\n" for line in lines), encoding="utf-8")
    _command("run", str(file), "--site", str(DEMO_SITE), "--keep", "--store", str(store), "-o", "json",
             quiet=True, codes=(0, 4))  # fmt: skip


def _texts(store: Path, style: Style) -> Iterator[Shown]:
    """Every text that says what it was written from, with what the operator wants instead."""
    with Ledger.open(store / "ledger.db") as ledger:
        for incident in ledger.list_incidents(limit=1000):
            for one in ledger.list_texts(incident.id):
                if one.origin is None:
                    continue
                inputs = inputs_of(one.origin)
                yield Shown(incident.id, one.part, one.text, one.written_by, fill(style(inputs), inputs))


def _tell(what: str, texts: Sequence[Shown]) -> None:
    hits = sum(one.accepted for one in texts)
    low, high = wilson(hits, len(texts))
    print(f"{what}: {hits} of {len(texts)} as the operator wants them ({low:.0%} to {high:.0%})")
    for one in texts[:3]:
        print(f"  {one.incident} {one.part} by {one.written_by}: {one.text}")


def _command(*arguments: str, quiet: bool = False, codes: tuple[int, ...] = (0,)) -> Any:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "setpoint.app", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode not in codes:
        raise SystemExit(
            f"setpoint {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr[-2000:]}"
        )
    if not quiet:
        shown = " ".join(part if " " not in part else json.dumps(part) for part in arguments)
        print(
            f"$ setpoint {shown}   ({time.monotonic() - started:.0f} s)\n{done.stdout.rstrip()}", flush=True
        )
    return done.stdout


if __name__ == "__main__":
    main()
