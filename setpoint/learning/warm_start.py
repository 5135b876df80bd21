"""Taking over an earlier run's weights under another tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from setpoint.learning.model import Model


@torch.no_grad()
def take_over(model: Model, tokenizer: Tokenizer, folder: Path) -> str:
    """Copies the weights of the checkpoint in `folder` into `model`; says where they come from.

    A token that the old tokenizer did not have begins as the mean of the tokens it was spelled with.
    """
    state: dict[str, Any] = torch.load(folder / "checkpoint.pt", weights_only=True)
    weights = state["model"]
    old: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    table = weights.pop("token_embd.weight")
    model.load_state_dict(weights, strict=False)
    for token, index in tokenizer.get_vocab().items():
        known = old.token_to_id(token)
        spelled = [known] if known is not None else old.encode(tokenizer.decode([index])).ids
        if spelled:
            model.token_embd.weight[index] = table[spelled].mean(0)
    return f"{state['run']['data_hash']} after {state['run']['tokens']} tokens"
