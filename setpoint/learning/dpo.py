"""Direct preference optimisation: what people wanted becomes likelier, what they changed becomes less likely.

Reference: R. Rafailov et al., "Direct Preference Optimization" (2023), with the wanted words' own likelihood beside it,
so that both do not become unlikely together. A text that was only rejected counts by its second half alone.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from setpoint.learning.batches import Batch
from setpoint.learning.model import Model

BETA = 0.1
"""How strongly the model is held to where it began: smaller lets it go further."""
OWN_LIKELIHOOD = 0.5
"""Weight of the wanted words' own loss (nats a token)."""


def answer_logprob(model: Model, batch: Batch) -> Tensor:
    """Log-likelihood of each row's answer given its prompt, in nats, (rows,)."""
    scores = model.logits(model(batch.ids[:, :-1])).float()
    chosen = functional.log_softmax(scores, -1).gather(-1, batch.ids[:, 1:, None])[..., 0]
    return (chosen * batch.answer[:, 1:]).sum(-1)


def preference_loss(
    wanted: Tensor, unwanted: Tensor, before_wanted: Tensor, before_unwanted: Tensor
) -> Tensor:
    """Mean over pairs; each argument (pairs,) is a log-likelihood, `before`: of the model it began as.

    >>> import torch
    >>> zero = torch.zeros(1)
    >>> round(preference_loss(zero, zero, zero, zero).item(), 4)
    0.6931
    """
    gain = (wanted - before_wanted) - (unwanted - before_unwanted)
    return -functional.logsigmoid(BETA * gain).mean()


def rejection_loss(unwanted: Tensor, before_unwanted: Tensor) -> Tensor:
    """As `preference_loss` where nobody said what they wanted instead."""
    return -functional.logsigmoid(-BETA * (unwanted - before_unwanted)).mean()
