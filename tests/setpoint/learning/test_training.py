"""Tokenizer, model, optimizer, resuming, export: on a tiny model, with the real parts."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

torch = pytest.importorskip("torch", reason="torch is installed only where the bundled model is trained")

from gguf import GGUFReader  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from prompts import TASKS, template_hash  # noqa: E402
from setpoint.errors import UsageError  # noqa: E402
from setpoint.learning import parity  # noqa: E402
from setpoint.learning.batches import batches, chunk  # noqa: E402
from setpoint.learning.corpus import mixed_example  # noqa: E402
from setpoint.learning.export import export  # noqa: E402
from setpoint.learning.model import Model, Shape, rope_table, rotate  # noqa: E402
from setpoint.learning.muon import Optimizers, orthogonal  # noqa: E402
from setpoint.learning.tokenizer import SLOTS, VOCABULARY, encode, train_tokenizer  # noqa: E402
from setpoint.learning.train import picture  # noqa: E402
from setpoint.learning.training import Run, answer_loss, train  # noqa: E402
from setpoint.learning.warm_start import take_over  # noqa: E402

TINY = Shape(width=64, layers=1, heads=2, hidden=96, context=512)


@pytest.fixture(scope="module", autouse=True)
def _single_thread() -> None:
    # Tiny matrices: more threads only wait for each other on a busy machine.
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(seed=1, examples=400)


def test_slots_are_single_tokens_and_text_survives(tokenizer: Tokenizer) -> None:
    text = "{what} on {asset2}, reading {value}. First: {first}."
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids) == text
    assert {tokenizer.token_to_id(slot) for slot in ("{what}", "{asset2}", "{value}", "{first}")} <= set(ids)
    assert all(len(tokenizer.encode(slot).ids) == 1 for slot in SLOTS)
    assert tokenizer.get_vocab_size() <= VOCABULARY


def test_digits_are_split_singly(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("2048").ids) == 4


def test_a_batch_marks_exactly_the_answers(tokenizer: Tokenizer) -> None:
    example = mixed_example(Random(2), 0.5)
    ids, start = encode(tokenizer, example)
    batch = next(batches(tokenizer, [example], Random(0)))
    assert batch.ids[0].tolist() == ids
    assert batch.answer[0].tolist() == [False] * start + [True] * (len(ids) - start)


def test_a_chunk_is_the_same_twice_and_differs_by_number(tokenizer: Tokenizer) -> None:
    first, again, other = (next(chunk(tokenizer, 1, number, 0.5)) for number in (0, 0, 1))
    assert torch.equal(first.ids, again.ids)
    assert first.ids.shape != other.ids.shape or not torch.equal(first.ids, other.ids)


def test_the_future_does_not_change_the_past() -> None:
    torch.manual_seed(0)
    model = Model(TINY)
    torch.nn.init.normal_(model.blk[0].attn_output.weight)
    ids = torch.randint(0, 300, (1, 12))
    changed = ids.clone()
    changed[0, -1] += 1
    assert torch.allclose(model(ids)[0, :-1], model(changed)[0, :-1])
    assert not torch.allclose(model(ids)[0, -1], model(changed)[0, -1])


def test_rotary_products_depend_on_distance_alone() -> None:
    cosine, sine = rope_table(TINY)
    x = torch.randn(1, 1, 1, 32).expand(1, 1, 40, 32)
    turned = rotate(x, cosine[:40], sine[:40])[0, 0]
    assert torch.allclose(turned[3] @ turned[8], turned[20] @ turned[25], atol=1e-4)


def test_orthogonal_makes_singular_values_even() -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(64, 24)))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_training_lowers_the_loss(tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    model = Model(TINY)
    optimizers = Optimizers(model)
    batch = next(chunk(tokenizer, 1, 0, 0.0))
    first = answer_loss(model, batch).item()
    for _ in range(15):
        answer_loss(model, batch).backward()
        optimizers.step(1.0)
    assert answer_loss(model, batch).item() < first / 2


def test_a_spent_run_resumes_to_the_same_model(tokenizer: Tokenizer, tmp_path: Path) -> None:
    first = Run(seed=1, minutes=0.001, data_hash="x")
    model = train(first, tokenizer, tmp_path, Model(TINY))
    again = Run(seed=1, minutes=0.001, data_hash="x")
    resumed = train(again, tokenizer, tmp_path, Model(TINY))
    assert again.steps == first.steps > 0
    assert again.curve == first.curve
    assert torch.equal(resumed.token_embd.weight, model.token_embd.weight)


def test_a_run_is_not_resumed_on_other_data(tokenizer: Tokenizer, tmp_path: Path) -> None:
    train(Run(seed=1, minutes=0.001, data_hash="x"), tokenizer, tmp_path, Model(TINY))
    with pytest.raises(UsageError, match="another corpus"):
        train(Run(seed=1, minutes=0.001, data_hash="y"), tokenizer, tmp_path, Model(TINY))


def test_the_curve_of_a_run_is_a_picture() -> None:
    run = Run(seed=1, minutes=1.0, data_hash="x", curve=[(0, 6.0, 0.5), (2_000_000, 0.3, 0.05)])
    assert "<svg" in picture(run)
    assert "million tokens" in picture(run)


def test_a_warm_start_keeps_what_known_tokens_mean(tokenizer: Tokenizer, tmp_path: Path) -> None:
    torch.manual_seed(0)
    old = train(Run(seed=1, minutes=0.001, data_hash="x"), tokenizer, tmp_path, Model(TINY))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    other = train_tokenizer(seed=2, examples=200)
    new = Model(TINY)
    origin = take_over(new, other, tmp_path)
    assert origin.startswith("x after ")
    assert torch.equal(new.blk[0].ffn_up.weight, old.blk[0].ffn_up.weight)
    slots = other.token_to_id("{asset}"), tokenizer.token_to_id("{asset}")
    assert torch.equal(new.token_embd.weight[slots[0]], old.token_embd.weight[slots[1]])


def test_the_export_agrees_with_the_model(tokenizer: Tokenizer, tmp_path: Path) -> None:
    torch.manual_seed(0)
    run = Run(seed=1, minutes=0.001, data_hash="x", parameters=1)
    model = train(
        run,
        tokenizer,
        tmp_path / "work",
        Model(
            Shape(width=64, layers=1, heads=2, hidden=96, context=512, vocabulary=tokenizer.get_vocab_size())
        ),
    )
    path = tmp_path / "tiny.gguf"
    export(model, tokenizer, run, path)
    found = parity.measure(model, tokenizer, path, texts=4)
    assert found.same_tokens == found.texts
    assert found.same_choice > 0.9 * found.positions
    fields = GGUFReader(path).fields
    assert {task: fields[f"setpoint.prompt_hash.{task}"].contents() for task in TASKS} == {
        task: template_hash(task) for task in TASKS
    }
