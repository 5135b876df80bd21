"""Writes a trained model as GGUF (Q8_0) that llama.cpp reads, with the prompts' hashes and the run in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from gguf.quants import quantize
from tokenizers import Tokenizer

from prompts import TASKS, template_hash
from setpoint.learning.model import Model
from setpoint.learning.tokenizer import CONTROL, END, PAD, SLOTS
from setpoint.learning.training import Run

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
    " + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def export(model: Model, tokenizer: Tokenizer, run: Run, path: Path) -> None:
    """Writes `path` whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    writer = GGUFWriter(part, "llama")
    _write_shape(writer, model)
    _write_tokenizer(writer, tokenizer)
    _write_origin(writer, run)
    _write_weights(writer, model)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(path)


def _write_shape(writer: GGUFWriter, model: Model) -> None:
    shape = model.shape
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_vocab_size(shape.vocabulary)


def _write_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    ids: dict[str, int] = tokenizer.get_vocab()
    tokens = sorted(ids, key=ids.__getitem__)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([_token_type(token) for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(ids[PAD])
    writer.add_eos_token_id(ids[END])
    writer.add_eot_token_id(ids[END])
    writer.add_pad_token_id(ids[PAD])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _token_type(token: str) -> int:
    if token in CONTROL:
        return TokenType.CONTROL
    return TokenType.USER_DEFINED if token in SLOTS else TokenType.NORMAL


def _write_origin(writer: GGUFWriter, run: Run) -> None:
    writer.add_name("setpoint-small")
    writer.add_description(
        "Words alerts, reasoning steps, summaries and chat answers around slots. Holds no facts."
    )
    for task in TASKS:
        writer.add_string(f"setpoint.prompt_hash.{task}", template_hash(task))
    record = {
        "seed": run.seed,
        "data_hash": run.data_hash,
        "warm_start": run.warm_start,
        "parameters": run.parameters,
        "tokens": run.tokens,
        "steps": run.steps,
        "cpu_s": round(run.cpu_s),
        "loss": run.curve[-1][1] if run.curve else None,
    }
    writer.add_string("setpoint.run", json.dumps(record))


def _write_weights(writer: GGUFWriter, model: Model) -> None:
    for name, tensor in model.state_dict().items():
        weights = tensor.float().numpy().astype(np.float32)
        if weights.ndim == 2:
            packed = quantize(weights, GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, weights)
