"""From lessons to a candidate: a folder with the trained file and everything that says how it came about.

    NAME/model.gguf  card.json       the model and how it was made (`setpoint.llm.registry`)
    NAME/run.json  curve.svg         the training run and its picture
    NAME/lessons.jsonl               what it was trained on
    NAME/gate.json                   written by `setpoint.learning.gate`

Nothing in such a folder is in service before a person promotes it.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from setpoint.errors import UsageError
from setpoint.learning.curve import Line, curve_svg
from setpoint.learning.lessons import Lesson, read_lessons
from setpoint.learning.pairs import LEAST, Parts, lessons_hash, parts
from setpoint.learning.tune import Recipe, Tuner, Tuning
from setpoint.llm.registry import Registry

LESSONS_FILE, RUN_FILE, CURVE_FILE = "lessons.jsonl", "run.json", "curve.svg"
Listener = Callable[[str, float], None]
"""Is told what is done and how far that is, as a share."""


def train(
    registry: Registry,
    name: str,
    lessons_file: Path,
    start: str,
    work: Path,
    now: datetime,
    recipe: Recipe | None = None,
    origin: dict[str, Any] | None = None,
    listener: Listener = lambda what, share: None,
) -> dict[str, Any]:
    """Trains model `start` of the registry on the lessons and adds the outcome as `name`. Gives its card.

    A run that was interrupted is taken up again where the same lessons are trained on under the same name.
    `origin`: what the card says of where the lessons came from. Raises UsageError where there is too little to learn
    from or the name is taken.
    """
    import torch

    from setpoint.learning.export import export
    from setpoint.learning.from_gguf import load

    if registry.folder_of(name).exists():
        raise UsageError(
            f"there is a model {name!r} already",
            where=str(registry.folder_of(name)),
            remedy="Give --name another",
        )
    lessons = list(read_lessons(lessons_file))
    given, base, recipe = usable(lessons, lessons_file), registry.entry(start), recipe or Recipe()
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    loaded = load(base.path)
    run = Tuning(lessons_hash(lessons) + base.sha256, recipe)
    folder = work / name
    tuner = Tuner(loaded.model, loaded.tokenizer, given, run, folder)
    model = tuner.train(lambda run, share: listener(_SAID[run.stage], share))
    listener("writing the file", 1.0)
    card = _card(lessons, given, run, base.name, base.sha256, now) | {"origin": origin or {}}
    draft = folder / "model.gguf"
    export(model, loaded.tokenizer, _run_record(run, base.name), draft)
    kept = registry.add(name, draft, card).parent
    (kept / RUN_FILE).write_text(json.dumps(asdict(run), indent=1) + "\n", encoding="utf-8")
    (kept / CURVE_FILE).write_text(picture(run), encoding="utf-8")
    shutil.copyfile(lessons_file, kept / LESSONS_FILE)
    shutil.rmtree(folder)
    return card


_SAID = {"wanted": "learning what was wanted", "preferred": "unlearning what was changed", "done": "done"}


def usable(lessons: Sequence[Lesson], where: Path) -> Parts:
    """Raises UsageError where fewer than LEAST lessons can be used."""
    found = parts(lessons)
    count = len(found.train) + len(found.watch) + len(found.exam)
    if count < LEAST:
        why = (
            f"; {len(found.aside)} were set aside, the first because {found.aside[0][1]}"
            if found.aside
            else ""
        )
        raise UsageError(
            f"{count} lessons can be used, at least {LEAST} are needed{why}",
            where=str(where),
            remedy="Correct more texts, then run `setpoint learn prepare` again",
        )
    return found


def picture(run: Tuning) -> str:
    """The run's losses over the tokens it saw, as SVG."""
    trained = [(float(tokens), loss) for tokens, _, loss, _ in run.curve if loss is not None]
    watched = [(float(tokens), watch) for tokens, _, _, watch in run.curve]
    lines = [Line("lessons trained on", trained), Line("lessons kept back", watched)]
    return curve_svg("Loss of lessons", "tokens", "nats a token", lines)


def _card(
    lessons: Sequence[Lesson], given: Parts, run: Tuning, base: str, base_sha256: str, now: datetime
) -> dict[str, Any]:
    return {
        "made": "trained here from people's corrections",
        "time": now.isoformat(timespec="seconds"),
        "base": {"name": base, "sha256": base_sha256},
        "lessons": {
            "given": len(lessons),
            "trained": len(given.train),
            "watched": len(given.watch),
            "exam": len(given.exam),
            "set_aside": len(given.aside),
            "kinds": dict(Counter(lesson.kind for lesson in lessons)),
            "tasks": dict(Counter(lesson.task for lesson in lessons)),
            "people": sorted({lesson.who for lesson in lessons}),
            "sha256": lessons_hash(lessons),
        },
        "training": {
            "method": "supervised fine-tuning of all weights with replay of the base corpus, then DPO on edited texts",
            "seed": run.recipe.seed,
            "steps": run.steps,
            "tokens": run.tokens,
            "wall_s": round(run.wall_s, 1),
            "cpu_s": round(run.cpu_s, 1),
            "watched_loss": [run.curve[0][3], round(run.best_watch, 4)],
        },
    }


def _run_record(run: Tuning, base: str) -> Any:
    """What stands in the file itself."""
    from setpoint.learning.corpus import data_hash
    from setpoint.learning.training import Run

    return Run(
        seed=run.recipe.seed,
        minutes=run.wall_s / 60,
        data_hash=f"{data_hash()}+lessons-{run.lessons_sha256[:16]}",
        warm_start=base,
        steps=run.steps,
        tokens=run.tokens,
        wall_s=run.wall_s,
        cpu_s=run.cpu_s,
        curve=[(tokens, loss, 0.0) for tokens, _, loss, _ in run.curve if loss is not None],
    )
