"""The learned text ranker: for messages no rule knows.

A line is taken apart into what happened, to what, and how sure it is (a lexicon), plus plain words with less weight;
a multinomial logistic model over these gives calibrated probabilities of P0 to P3. Weights are data
(`knowledge/ranker/weights.json`), trained by `setpoint.learning.ranker`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

import knowledge
from setpoint.contracts import PRIORITIES, Priority
from setpoint.errors import ConfigError

RANKER_DIR = Path(knowledge.__file__).parent / "ranker"
_WORD = re.compile(r"[a-z][a-z]{2,}")
WORD_SCALE = 0.6
"""Plain words count less than what the lexicon reads: they carry over badly to other machines."""


class Lexicon:
    """Phrases by meaning, compiled to one pattern each."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.version = int(raw["version"])
        self.happened = {name: _any_of(phrases) for name, phrases in raw["happened"].items()}
        self.subject = {name: _any_of(phrases) for name, phrases in raw["subject"].items()}
        self.all = _any_of(raw["all"])

    @classmethod
    def load(cls, path: Path = RANKER_DIR / "lexicon.yaml") -> Lexicon:
        return cls(yaml.safe_load(path.read_text(encoding="utf-8")))

    def features(self, text: str, *, alert: bool) -> dict[str, float]:
        """Features of `text` (see `knowledge.text.searchable`).

        `alert`: somebody wrote it as an alert, so routine is unlikely. A raw log line is mostly routine.
        """
        happened = [name for name, pattern in self.happened.items() if pattern.search(text)]
        subjects = [name for name, pattern in self.subject.items() if pattern.search(text)]
        form = "alert" if alert else "line"
        found = {f"form:{form}": 1.0, f"what:{len(subjects) > 0}": 1.0}
        found |= {f"h:{name}": 1.0 for name in happened or ["none"]}
        found |= {f"s:{name}": 1.0 for name in subjects or ["none"]}
        found |= {f"{name}/{form}": 1.0 for name in happened or ["none"]}
        found |= {f"{name}>{subject}": 1.0 for name in happened for subject in subjects or ["none"]}
        if self.all.search(text):
            found["all"] = 1.0
        words = _WORD.findall(text)
        found["long"] = min(len(words), 30) / 30
        return found | {f"w:{word}": WORD_SCALE for word in set(words)}


def _any_of(phrases: list[str]) -> re.Pattern[str]:
    """Stems match at word starts; a phrase that begins with an anchor or an escape stands as it is."""
    return re.compile("|".join(p if p[0] in "^\\(." else rf"\b{p}" for p in phrases))


class Weights(BaseModel):
    """The shipped model."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: str
    lexicon: int
    """Version of the lexicon it was trained with."""
    trained_on: dict[str, int]
    """Labelled texts by source."""
    bias: tuple[float, float, float, float]
    weights: dict[str, tuple[float, float, float, float]]
    """By feature, one weight a priority."""
    temperature: dict[str, float]
    """Divides the scores, by form ("line", "alert"): calibration on sources held out."""
    severity: dict[str, tuple[float, float, float, float]]
    """Added to the scores for the source's own level, by `form:severity`."""


class TextRanker:
    """P0 to P3 with probabilities, from text alone and the source's level as a hint."""

    def __init__(self, weights: Weights, lexicon: Lexicon) -> None:
        if weights.lexicon != lexicon.version:
            raise ConfigError(
                f"the ranker was trained with lexicon {weights.lexicon}, this is lexicon {lexicon.version}",
                where="knowledge/ranker/weights.json",
                remedy="Train it again: python -m setpoint.learning.ranker",
            )
        self.weights, self.lexicon = weights, lexicon

    @classmethod
    def load(cls, path: Path = RANKER_DIR / "weights.json") -> TextRanker:
        """Raises ConfigError where the file is missing or does not fit the lexicon."""
        try:
            weights = Weights.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            remedy = "Train it again: python -m setpoint.learning.ranker"
            raise ConfigError(f"cannot read the ranker: {error}", where=str(path), remedy=remedy) from error
        return cls(weights, Lexicon.load())

    @cached_property
    def version(self) -> str:
        return f"ranker@{self.weights.version}"

    def probabilities(self, text: str, *, alert: bool, severity: str = "unknown") -> dict[Priority, float]:
        """Calibrated probability of each priority. `text` as `knowledge.text.searchable` makes it."""
        scores = list(self.weights.bias)
        for name, value in self.lexicon.features(text, alert=alert).items():
            if row := self.weights.weights.get(name):
                for place, weight in enumerate(row):
                    scores[place] += weight * value
        form = "alert" if alert else "line"
        scores = [score / self.weights.temperature[form] for score in scores]
        hint = self.weights.severity.get(f"{form}:{severity}")
        if hint:
            scores = [score + extra for score, extra in zip(scores, hint, strict=True)]
        top = max(scores)
        grown = [math.exp(score - top) for score in scores]
        return {priority: value / sum(grown) for priority, value in zip(PRIORITIES, grown, strict=True)}

    def telling(self, text: str, *, alert: bool, priority: Priority, count: int = 2) -> tuple[str, ...]:
        """The lexicon meanings or words that spoke most for `priority`, in plain words."""
        place = PRIORITIES.index(priority)
        rated = [
            (row[place] * value, name)
            for name, value in self.lexicon.features(text, alert=alert).items()
            if (row := self.weights.weights.get(name)) and name.startswith(("h:", "w:")) and name != "h:none"
        ]
        best = [name for gain, name in sorted(rated, reverse=True) if gain > 0][:count]
        return tuple(name[2:] for name in best)
