"""What corrections are worth: `python -m evals.learning --lessons 50,100,200 --styles all`.

Three simulated operators with house styles (`evals.house_styles`) correct texts of real incidents of generated nights. After so
many corrections a model is trained with `setpoint learn train`, and then writes incidents of other nights: how many texts would
the operator leave as they are? Before and after, with 95 % intervals; and what the gate says of everything else.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from evals.house_styles import STYLES, Style, accepts, likeness
from evals.intervals import wilson
from evals.word_inputs import Told, told
from evals.written import write
from prompts.filling import fill
from setpoint.llm import RoleModel, load_role
from setpoint.llm.registry import BUNDLED
from setpoint.settings import ModelSettings

DEV_NIGHTS, TEST_NIGHTS = 40, 20
SEED = 5


@dataclass(frozen=True)
class Reading:
    """How one operator took one model's texts of the test nights."""

    texts: int
    accepted: float
    low: float
    high: float
    """Wilson's 95 % interval of `accepted`."""
    new_texts: int
    accepted_new: float
    """Of texts about conditions that no lesson was about."""
    likeness: float
    """Mean share of slots, joints and stops in common with what was wanted."""
    fell_back: float
    """Share whose words the verifier refused: the template stood, which no operator here accepts."""


@dataclass(frozen=True)
class Trained:
    """One model from one number of lessons."""

    lessons: int
    trained: int
    """Lessons trained on; the rest was watched, or kept for the gate."""
    wall_s: float
    cpu_s: float
    reading: Reading
    gate: dict[str, Any] | None = None


@dataclass(frozen=True)
class Run:
    """One operator."""

    style: str
    before: Reading
    after: tuple[Trained, ...]


def main(argv: Sequence[str] | None = None) -> None:
    asked = _arguments(argv)
    counts = [int(part) for part in asked.lessons.split(",")]
    styles = list(STYLES) if asked.styles == "all" else asked.styles.split(",")
    work = asked.work or Path(tempfile.mkdtemp(prefix="learning-"))
    started = time.monotonic()
    runs = [experiment(style, counts, work / style, asked.gate) for style in styles]
    record = {
        "what": "python -m evals.learning " + " ".join(sys.argv[1:] if argv is None else argv),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - started),
        "runs": [asdict(run) for run in runs],
    }
    if asked.out:
        asked.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1) if asked.json else table(runs))


def experiment(style: str, counts: Sequence[int], work: Path, gate: bool) -> Run:
    """Trains after each number of corrections. `gate`: hold the last model to the gate too."""
    wanted, lessons, test = STYLES[style], corrected(max(counts)), told("held-out", TEST_NIGHTS)
    lines = lesson_lines(style, max(counts))
    before = read(BUNDLED, wanted, test, ())
    after = []
    for count in counts:
        _say(f"{style}: {count} lessons")
        card = _train(f"{style}-{count}", lines[:count], work)
        path = work / "models" / f"{style}-{count}" / "model.gguf"
        reading = read(path, wanted, test, lessons[:count])
        _say(f"{style}: {count} lessons: {reading.accepted:.0%} accepted")
        held = _gate(f"{style}-{count}", work) if gate and count == max(counts) else None
        training = card["training"]
        after.append(
            Trained(count, card["lessons"]["trained"], training["wall_s"], training["cpu_s"], reading, held)
        )
    return Run(style, before, tuple(after))


def read(model: Path, wanted: Style, test: Sequence[Told], taught: Sequence[Told]) -> Reading:
    """The model's texts in the operator's eyes."""
    role = load_role(ModelSettings(kind="gguf", path=model))
    known = {one.inputs.sheet.condition for one in taught}
    rows = []
    for one in test:
        words, want = write(role, one.task, one.inputs).words, wanted(one.inputs)
        shown = fill(words, one.inputs) if words else ""
        rows.append(
            (accepts(shown, fill(want, one.inputs)), one.inputs.sheet.condition not in known, likeness(words, want), not words)
        )  # fmt: skip
    hits, new = sum(row[0] for row in rows), [row[0] for row in rows if row[1]]
    return Reading(
        len(rows), hits / len(rows), *wilson(hits, len(rows)), len(new), sum(new) / max(1, len(new)),
        sum(row[2] for row in rows) / len(rows), sum(row[3] for row in rows) / len(rows),
    )  # fmt: skip


def corrected(count: int) -> list[Told]:
    """The texts of the dev nights that an operator corrects, in the order in which they do."""
    found = told("dev", DEV_NIGHTS)
    random.Random(SEED).shuffle(found)
    if len(found) < count:
        raise SystemExit(f"{len(found)} texts in {DEV_NIGHTS} nights, {count} lessons wanted")
    return found[:count]


def lesson_lines(style: str, count: int) -> list[str]:
    """So many corrections of one operator as lines of a lessons file."""
    shipped = load_role(ModelSettings(kind="gguf", path=BUNDLED))
    return [_lesson(number, one, STYLES[style], shipped) for number, one in enumerate(corrected(count))]


def _lesson(number: int, one: Told, wanted: Style, shipped: RoleModel) -> str:
    """A line of a lessons file (`setpoint.learning.lessons`, which this package may not import). What stood before is the
    bundled model's own text."""
    return json.dumps(
        {
            "id": f"sim-{number}",
            "kind": "edit",
            "task": one.task,
            "inputs": TypeAdapter(type(one.inputs)).dump_python(one.inputs, mode="json"),
            "chosen": wanted(one.inputs),
            "rejected": write(shipped, one.task, one.inputs).words,
            "who": "simulated operator",
            "time": datetime(2026, 11, 22, tzinfo=UTC).isoformat(),
        }
    )


def _train(name: str, lines: Sequence[str], work: Path) -> dict[str, Any]:
    work.mkdir(parents=True, exist_ok=True)
    file = work / f"{name}.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found: dict[str, Any] = json.loads(
        run_setpoint("learn", "train", "--from", str(file), "--name", name, "--json", "--store", str(work))
    )
    return found


def _gate(name: str, work: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        run_setpoint("learn", "compare", name, "--json", "--store", str(work), codes=(0, 1))
    )
    return found


def run_setpoint(*arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    """The command line: the code under test is reached as an operator reaches it, and evals stay below it."""
    done = subprocess.run(
        [sys.executable, "-m", "setpoint.app", *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode not in codes:
        raise SystemExit(f"setpoint {' '.join(arguments)}: exit code {done.returncode}")
    return done.stdout


def table(runs: Sequence[Run]) -> str:
    """As a person reads it."""
    lines = [
        "| style | lessons | accepted, unseen incidents | about new conditions | likeness | fell back | training, wall (CPU) | gate |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for run in runs:
        rows: list[tuple[str, Reading, str, str]] = [("0", run.before, "", "")]
        for one in run.after:
            said = "" if one.gate is None else "passed" if one.gate["passed"] else "refused"
            rows.append((str(one.lessons), one.reading, f"{one.wall_s:.0f} s ({one.cpu_s:.0f} s)", said))
        lines += [
            f"| {run.style} | {count} | {_cells(reading)} | {took} | {gate} |"
            for count, reading, took, gate in rows
        ]
    return "\n".join(lines)


def _cells(one: Reading) -> str:
    between = f"{one.accepted:.0%} ({one.low:.0%} to {one.high:.0%}) of {one.texts}"
    return f"{between} | {one.accepted_new:.0%} of {one.new_texts} | {one.likeness:.2f} | {one.fell_back:.0%}"


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m evals.learning", description="What corrections are worth."
    )
    parser.add_argument(
        "--lessons", default="50,100,200", help="after how many corrections a model is trained"
    )
    parser.add_argument("--styles", default="all", help=f"of {', '.join(STYLES)}")
    parser.add_argument("--gate", action="store_true", help="hold the last model of each style to the gate")
    parser.add_argument("--work", type=Path, help="folder of the models (default: a temporary one)")
    parser.add_argument("--out", type=Path, help="record to write, JSON")
    parser.add_argument("--json", action="store_true", help="the record on stdout")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
