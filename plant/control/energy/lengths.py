"""Requests by length: the classes of the queue manager, and how long an answer will be, told from what is known on
arrival.

Only the prompt's length is known of a public trace's request, so answers are foretold from it: the share of each class
of answer among earlier prompts of like length. A predictor that reads the prompt's text does better (published ones
reach 60 to 80 % of classes); what is gained here is a floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setpoint.errors import UsageError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
PROMPT_EDGES, ANSWER_EDGES = (256, 1024), (100, 350)
"""Tokens at which short ends and medium ends: the classes of DynamoLLM (arXiv 2408.00741), table 2."""
NAMES = ("S", "M", "L")
BINS = 32
"""Groups of prompt lengths, equally full, in which answers are counted."""


def prompt_class(tokens: IntArray) -> IntArray:
    """0 short, 1 medium, 2 long.

    >>> prompt_class(np.array([10, 256, 5000])).tolist()
    [0, 1, 2]
    """
    return np.digitize(tokens, PROMPT_EDGES)


def answer_class(tokens: IntArray) -> IntArray:
    """0 short, 1 medium, 2 long."""
    return np.digitize(tokens, ANSWER_EDGES)


@dataclass(frozen=True)
class AnswerPredictor:
    """Class of the answer by the length of the prompt."""

    edges: FloatArray
    """Upper ends of the bins of prompt lengths, but the last's."""
    shares: FloatArray
    """(bins, 3): how often each class of answer came."""

    @classmethod
    def fit(cls, prompts: IntArray, answers: IntArray) -> AnswerPredictor:
        """From requests that have ended. Raises UsageError for fewer than one a bin."""
        if len(prompts) < BINS or len(prompts) != len(answers):
            raise UsageError(
                f"{len(prompts)} requests cannot teach {BINS} bins",
                remedy=f"Give {BINS} or more, with their answers",
            )
        edges = np.unique(np.quantile(prompts, np.arange(1, BINS) / BINS))
        place, kinds = np.searchsorted(edges, prompts), answer_class(answers)
        counts = np.zeros((len(edges) + 1, 3))
        np.add.at(counts, (place, kinds), 1.0)
        counts += 1e-3
        return cls(edges, counts / counts.sum(axis=1, keepdims=True))

    def predict(self, prompts: IntArray) -> IntArray:
        """The likeliest class of each answer."""
        return np.asarray(self.shares.argmax(axis=1)[np.searchsorted(self.edges, prompts)], np.int64)

    def accuracy(self, prompts: IntArray, answers: IntArray) -> float:
        """Share of classes told rightly."""
        return float((self.predict(prompts) == answer_class(answers)).mean())
