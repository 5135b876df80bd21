"""Who decides the order of the causes: code, a model among code's candidates, or a model alone (code verifies).

Which of the three is a setting per role and model. The bundled model runs in `facts`: it was measured not to reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from knowledge.causes import Cause
from prompts import DecideInput, render
from setpoint.contracts import Evidence, Hypothesis, Mode
from setpoint.errors import ModelFailed, ModelMissing

MOST = 4
_STEP_DOWN = 0.5
"""A model gives an order, not shares: each place gets half of the one before, and the reader is told so."""


class Decider(Protocol):
    """A model that can fill a JSON schema. Raises ModelFailed or ModelMissing."""

    @property
    def name(self) -> str: ...
    def structured(self, system: str, user: str, schema: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """The filled schema and the tokens it took."""
        ...


@dataclass(frozen=True)
class Verdict:
    """The ordered causes, who ordered them, and why a model's order was not taken."""

    hypotheses: tuple[Hypothesis, ...]
    decided_by: str
    problem: str = ""
    tokens: int = 0


def decide(
    mode: Mode,
    decider: Decider | None,
    ranked: Sequence[Hypothesis],
    evidence: Sequence[Evidence],
    causes: Mapping[str, Cause],
) -> Verdict:
    """Code's order in mode facts, or where the model fails; else the model's, verified against the catalogs."""
    if mode == "facts" or decider is None:
        return Verdict(tuple(ranked), "code")
    allowed = [h.cause for h in ranked] if mode == "assisted" else list(causes)
    inputs = DecideInput(tuple(evidence), tuple((key, causes[key].meaning) for key in allowed))
    prompt = render("decide", inputs, show_values=True)
    try:
        answer, tokens = decider.structured(
            prompt.system, prompt.user, _schema(allowed, [e.id for e in evidence])
        )
    except (ModelFailed, ModelMissing) as error:
        return Verdict(tuple(ranked), "code", f"causes: {error}")
    chosen = _hypotheses(answer, ranked, causes, set(allowed), {piece.id for piece in evidence})
    if not chosen:
        return Verdict(tuple(ranked), "code", "causes: the model named none from the catalog", tokens)
    return Verdict(chosen, decider.name, "", tokens)


def as_corrected(ranked: Sequence[Hypothesis], cause: str, causes: Mapping[str, Cause]) -> Verdict | None:
    """The cause a person named, alone at the top; None where nobody named one."""
    if not cause:
        return None
    known = next(
        (h for h in ranked if h.cause == cause), Hypothesis(cause=cause, title=causes[cause].title, score=1.0)
    )
    return Verdict((known.model_copy(update={"score": 1.0}),), "a person")


def overruled(verdict: Verdict, tested: Sequence[Hypothesis], opinion: str) -> tuple[str, Verdict]:
    """Causes that were tried on the plant model keep the order of that trial; a model that would have named another
    one is heard. Returns the opinions in words and the verdict in the trial's order."""
    named = verdict.hypotheses[0]
    if named.cause != tested[0].cause:
        opinion = f"{opinion} The model {verdict.decided_by} would name {named.title}.".strip()
    return opinion, Verdict(tuple(tested), "code", verdict.problem, verdict.tokens)


def _schema(causes: Sequence[str], evidence: Sequence[str]) -> dict[str, Any]:
    """Bounded everywhere, so that no answer is cut off."""
    ids = {"type": "array", "items": {"enum": list(evidence)}, "maxItems": 6}
    item = {
        "type": "object",
        "properties": {"cause": {"enum": list(causes)}, "supports": ids, "contradicts": ids},
        "required": ["cause", "supports", "contradicts"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"causes": {"type": "array", "items": item, "minItems": 1, "maxItems": MOST}},
        "required": ["causes"],
        "additionalProperties": False,
    }


def _hypotheses(
    answer: Mapping[str, Any],
    ranked: Sequence[Hypothesis],
    causes: Mapping[str, Cause],
    allowed: set[str],
    known: set[str],
) -> tuple[Hypothesis, ...]:
    """What the model said, as far as the catalogs and the evidence know it."""
    missing = {hypothesis.cause: hypothesis.missing for hypothesis in ranked}
    items = {item.get("cause"): item for item in answer.get("causes", ()) if item.get("cause") in allowed}
    weights = [_STEP_DOWN**place for place in range(len(items))]
    return tuple(
        Hypothesis(
            cause=key,
            title=causes[key].title,
            score=weight / sum(weights),
            supports=tuple(e for e in item.get("supports", ()) if e in known),
            contradicts=tuple(e for e in item.get("contradicts", ()) if e in known),
            missing=missing.get(key, ()),
        )
        for (key, item), weight in zip(items.items(), weights, strict=True)
    )
