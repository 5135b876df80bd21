"""Test doubles that ship: a chat model with given answers, and a real llama.cpp model with random weights.

For tests only. Nothing in the product reaches for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict, Field

from setpoint.contracts import Mode
from setpoint.llm import RoleModel

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


class ScriptedChat(BaseChatModel):
    """Gives the scripted answers in turn; an exception among them is raised. Keeps what it was asked."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    answers: Sequence[str | Exception]
    calls: list[tuple[list[BaseMessage], dict[str, Any]]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        if len(self.calls) >= len(self.answers):
            raise AssertionError(f"the script holds {len(self.answers)} answers, asked once more: {messages}")
        answer = self.answers[len(self.calls)]
        self.calls.append((messages, options))
        if isinstance(answer, Exception):
            raise answer
        asked, said = sum(len(message.text.split()) for message in messages), len(answer.split())
        usage = UsageMetadata(input_tokens=asked, output_tokens=said, total_tokens=asked + said)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(answer, usage_metadata=usage))])


def scripted_role(*answers: str | Exception, mode: Mode = "facts", terse: bool = True) -> RoleModel:
    """A role that speaks the given answers in turn. `terse`: it stands for the bundled model."""
    chat = ScriptedChat(answers=answers)
    return RoleModel("scripted", mode, lambda: chat, terse=terse, timeout_s=5.0)


def write_random_gguf(path: Path, *, seed: int = 0, context_tokens: int = 512, layers: int = 1) -> Path:
    """A llama.cpp model of some hundred kilobytes with random weights: it runs, and says nonsense.

    Byte-level vocabulary with ChatML's control tokens. `layers` makes it slower.
    """
    import gguf
    import numpy as np

    rng = np.random.default_rng(seed)
    width, hidden, heads = 64, 128, 4
    tokens = [*_byte_alphabet(), *_CONTROL]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(context_tokens)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * len(_CONTROL))
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(258)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)

    def matrix(*shape: int) -> Any:
        return rng.normal(0.0, 0.3, shape).astype(np.float32)

    writer.add_tensor("token_embd.weight", matrix(len(tokens), width))
    writer.add_tensor("output_norm.weight", np.ones(width, dtype=np.float32))
    for layer in range(layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix(width, width))
        for name, shape in {
            "ffn_gate": (hidden, width),
            "ffn_up": (hidden, width),
            "ffn_down": (width, hidden),
        }.items():
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix(*shape))
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(width, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _byte_alphabet() -> list[str]:
    """The 256 printable stand-ins that byte-level BPE uses for bytes, in byte order."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    names = {byte: chr(byte) for byte in visible} | {
        byte: chr(256 + place) for place, byte in enumerate(hidden)
    }
    return [names[byte] for byte in range(256)]
