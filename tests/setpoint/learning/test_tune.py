"""Weights out of the shipped file, training on lessons, killed and taken up again: the real parts, on a small scale."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

torch = pytest.importorskip("torch", reason="torch is installed only where models are trained")

from setpoint.errors import BackendError, UsageError  # noqa: E402
from setpoint.learning import parity  # noqa: E402
from setpoint.learning.candidates import picture, usable  # noqa: E402
from setpoint.learning.corpus import task_example  # noqa: E402
from setpoint.learning.dpo import preference_loss, rejection_loss  # noqa: E402
from setpoint.learning.export import export  # noqa: E402
from setpoint.learning.from_gguf import load  # noqa: E402
from setpoint.learning.lessons import write_lessons  # noqa: E402
from setpoint.learning.losses import losses  # noqa: E402
from setpoint.learning.model import Model, Shape  # noqa: E402
from setpoint.learning.pairs import parts  # noqa: E402
from setpoint.learning.training import Run  # noqa: E402
from setpoint.learning.tune import Recipe, Tuner, Tuning  # noqa: E402
from setpoint.llm.registry import BUNDLED  # noqa: E402
from tests.setpoint.learning.taught import RECIPE, lessons  # noqa: E402

HERE = Path(__file__).parent


@pytest.fixture(scope="module", autouse=True)
def _single_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped tokenizer under a model that trains in seconds."""
    shipped = load(BUNDLED)
    torch.manual_seed(0)
    shape = Shape(
        vocabulary=shipped.model.shape.vocabulary, width=64, layers=1, heads=2, hidden=64, context=512
    )
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    export(Model(shape), shipped.tokenizer, Run(seed=0, minutes=0.0, data_hash=""), path)
    return path


def test_the_shipped_file_reads_back_into_the_same_model() -> None:
    loaded = load(BUNDLED)
    found = parity.measure(loaded.model, loaded.tokenizer, BUNDLED, texts=15)
    assert found.same_tokens == found.texts
    assert found.same_choice / found.positions > 0.95


def test_a_model_of_another_maker_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(b"GGUF and nothing more")
    with pytest.raises(BackendError, match="cannot be read as GGUF"):
        load(path)


def test_lessons_teach_and_the_watched_loss_falls(tiny: Path, tmp_path: Path) -> None:
    loaded, given = load(tiny), parts(lessons(40))
    run = Tuning("x", Recipe(steps=16))
    Tuner(loaded.model, loaded.tokenizer, given, run, tmp_path).train()
    assert run.stage == "done"
    assert run.best_watch < run.curve[0][3] - 0.5
    assert {stage for _, stage, *_ in run.curve} == {"wanted", "preferred"}
    assert "lessons kept back" in picture(run)


def test_a_killed_run_goes_on_to_the_very_same_weights(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "lessons.jsonl"
    write_lessons(file, lessons(40))
    command = [
        sys.executable,
        "-m",
        "tests.setpoint.learning.taught",
        str(tiny),
        str(tmp_path / "killed"),
        str(file),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parents[2]) as process:
        assert process.stdout is not None
        for _ in range(5):
            assert process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    outcomes = []
    for work in (tmp_path / "killed", tmp_path / "whole"):
        loaded = load(tiny)
        run = Tuning("test", Recipe(**RECIPE, checkpoint_every_s=0.0))
        tuner = Tuner(loaded.model, loaded.tokenizer, parts(lessons(40)), run, work)
        begun = run.steps
        outcomes.append((begun, run.steps, tuner.train().state_dict(), run.curve))
    (taken_up, _, killed, curve), (anew, _, whole, other_curve) = outcomes
    assert taken_up >= 4
    assert anew == 0
    assert all(torch.equal(killed[name], whole[name]) for name in whole)
    assert curve == other_curve


def test_another_set_of_lessons_does_not_take_up_an_old_run(tiny: Path, tmp_path: Path) -> None:
    loaded = load(tiny)
    first = Tuning("one", Recipe(steps=1))
    Tuner(loaded.model, loaded.tokenizer, parts(lessons(20)), first, tmp_path).train()
    second = Tuning("two", Recipe(steps=1))
    Tuner(loaded.model, loaded.tokenizer, parts(lessons(20)), second, tmp_path)
    assert second.steps == 0


def test_preference_moves_apart_what_was_wanted_and_what_was_not() -> None:
    zero, more = torch.zeros(2), torch.ones(2)
    assert preference_loss(more, zero, zero, zero) < preference_loss(zero, zero, zero, zero)
    assert preference_loss(zero, more, zero, zero) > preference_loss(zero, zero, zero, zero)
    assert rejection_loss(-more, zero) < rejection_loss(zero, zero)


def test_a_rejected_text_becomes_less_likely(tiny: Path, tmp_path: Path) -> None:
    given = [one.model_copy(update={"chosen": "", "kind": "reject"}) for one in lessons(16)]
    loaded, found = load(tiny), parts(given)
    assert len(found.train) == 16
    assert not found.exam
    run = Tuning("x", Recipe(steps=0, preference_epochs=4, preference_rate=0.2))
    tuner = Tuner(loaded.model, loaded.tokenizer, found, run, tmp_path)
    before = tuner.likelihoods(found.train[0])[1]
    tuner.train()
    assert tuner.likelihoods(found.train[0])[1] < before


def test_too_few_lessons_are_refused_with_the_reason(tmp_path: Path) -> None:
    bad = [one.model_copy(update={"chosen": "Pump seven failed."}) for one in lessons(20)]
    with pytest.raises(UsageError, match="0 lessons can be used, at least 12 are needed; 20 were set aside"):
        usable(bad, tmp_path)


def test_losses_are_those_of_the_file(tiny: Path) -> None:
    example = task_example(Random(1), "dev", "alert")
    assert 5.0 < losses(tiny, [example])[0] < 12.0  # an untrained model knows next to nothing
