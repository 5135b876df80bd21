"""A GGUF of ours read back into torch: what is trained on is the very file that is in service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader, TokenType
from gguf.quants import dequantize
from tokenizers import AddedToken, Tokenizer, models

from prompts import TASKS
from setpoint.errors import BackendError
from setpoint.learning.model import Model, Shape
from setpoint.learning.tokenizer import CONTROL, splitting


@dataclass(frozen=True)
class Loaded:
    """A file in memory."""

    model: Model
    tokenizer: Tokenizer
    name: str
    prompt_hashes: dict[str, str]
    """Of each task, as the file carries them: the prompts it was trained on."""


def load(path: Path) -> Loaded:
    """The weights (as float32) and the tokenizer of a file that `export` wrote.

    Raises BackendError for a file of any other architecture: only our own can be trained here.
    """
    try:
        reader = GGUFReader(path)
    except (OSError, ValueError) as error:
        raise BackendError(f"cannot be read as GGUF: {error}", where=str(path)) from error
    return Loaded(
        _model(reader, path), _tokenizer(reader), str(_field(reader, "general.name")), _hashes(reader)
    )


def _model(reader: GGUFReader, path: Path) -> Model:
    model = Model(_shape(reader, path))
    weights = {
        str(tensor.name): torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy()).float()
        for tensor in reader.tensors
    }
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise _not_ours(path, "its tensors are others") from error
    return model


def _shape(reader: GGUFReader, path: Path) -> Shape:
    architecture = _field(reader, "general.architecture")
    if architecture != "llama" or _field(reader, "setpoint.prompt_hash.alert") is None:
        raise _not_ours(path, f"it is a {architecture} model of another maker")
    return Shape(
        vocabulary=len(reader.fields["tokenizer.ggml.tokens"].data),
        width=int(_field(reader, "llama.embedding_length")),
        layers=int(_field(reader, "llama.block_count")),
        heads=int(_field(reader, "llama.attention.head_count")),
        hidden=int(_field(reader, "llama.feed_forward_length")),
        context=int(_field(reader, "llama.context_length")),
        rope_base=float(_field(reader, "llama.rope.freq_base")),
        norm_epsilon=float(_field(reader, "llama.attention.layer_norm_rms_epsilon")),
    )


def _tokenizer(reader: GGUFReader) -> Tokenizer:
    """The same ids for the same text: vocabulary and merges stand in the file, the way of splitting is ours."""
    tokens: list[str] = _field(reader, "tokenizer.ggml.tokens")
    types: list[int] = _field(reader, "tokenizer.ggml.token_type")
    merges = [tuple(pair.split(" ")) for pair in _field(reader, "tokenizer.ggml.merges")]
    tokenizer = splitting(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    added = [token for token, kind in zip(tokens, types, strict=True) if kind == TokenType.USER_DEFINED]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in added])
    return tokenizer


def _hashes(reader: GGUFReader) -> dict[str, str]:
    found = {task: _field(reader, f"setpoint.prompt_hash.{task}") for task in TASKS}
    return {task: str(value) for task, value in found.items() if value is not None}


def _field(reader: GGUFReader, key: str) -> Any:
    field = reader.fields.get(key)
    return None if field is None else field.contents()


def _not_ours(path: Path, why: str) -> BackendError:
    return BackendError(
        f"this model cannot be trained here: {why}",
        where=str(path),
        remedy="Train from the bundled model or one promoted from it; larger models are tuned elsewhere "
        "and come back with `setpoint model use`",
    )
