"""Is a model good enough for a role? A verdict in words from what was measured, with the figures it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from evals.intervals import wilson
from evals.model_trial import Asked, Order, Tell, Wording, orders, tool_calls, word_cases, words
from evals.modes import Choice, for_causes, for_chat
from prompts import Task
from setpoint.errors import UsageError
from setpoint.llm import RoleModel

LEAST_WORDED = 0.9
"""Share of texts in the model's own words; the rest reads as templates do."""
DEADLINES_S = {"light": 5.0, "heavy": 20.0}
"""What the roles allow for one text, as they come."""
OF_ROLE: dict[str, tuple[Task, ...]] = {"light": ("alert",), "heavy": ("step", "summary")}
Figure = tuple[float, float, float]


@dataclass(frozen=True)
class Extent:
    """How much is asked."""

    texts_each: int
    faults: int
    questions: int


SUITES = {"smoke": Extent(12, 24, 12), "full": Extent(60, 120, 60)}


@dataclass(frozen=True)
class Verdict:
    """Of one role or one more thing that a role may do."""

    role: str
    good: bool
    why: str
    figures: dict[str, Figure] = field(default_factory=dict)
    cases: int = 0


@dataclass(frozen=True)
class Trial:
    """All that was measured of one model."""

    suite: str
    verdicts: tuple[Verdict, ...]
    modes: tuple[Choice, ...]
    refused: dict[str, int]
    """Why the verifier refused words for good, how often."""
    seconds: float = 0.0

    def of(self, role: str) -> Verdict:
        return next(one for one in self.verdicts if one.role == role)


def try_model(
    model: RoleModel, suite: str = "smoke", split: str = "dev", tell: Tell = lambda *_: None
) -> Trial:
    """Every role, in minutes. Raises ModelMissing, ModelFailed where it does not answer at all."""
    if suite not in SUITES:
        raise UsageError(f"no such suite {suite!r}", remedy=f"One of: {', '.join(SUITES)}")
    extent = SUITES[suite]
    _answers(model)
    worded = words(model, word_cases(split, extent.texts_each), tell)
    ordered = orders(model, split, extent.faults, "assisted", tell)
    asked = (
        tool_calls(model, split, extent.questions, tell) if model.path is None and extent.questions else []
    )
    causes, chat = for_causes(ordered), for_chat(asked, local=model.path is not None)
    refused: dict[str, int] = {}
    for one in worded:
        if one.problem:
            refused[one.problem] = refused.get(one.problem, 0) + 1
    verdicts = (
        *(of_words(role, worded) for role in OF_ROLE),
        of_causes(causes, ordered),
        of_tools(chat, asked),
    )
    return Trial(suite, verdicts, (causes, chat), refused)


def of_words(role: str, rows: Sequence[Wording]) -> Verdict:
    """Whether the role's texts come in the model's words, and in time."""
    mine = [row for row in rows if row.task in OF_ROLE[role]]
    good, slow = sum(row.ok for row in mine), sorted(row.seconds for row in mine)
    late_s = slow[int(0.95 * (len(slow) - 1))] if slow else 0.0
    figures = {
        "in its own words": _share(good, len(mine)),
        "at the first try": _share(sum(row.ok and row.tries == 1 for row in mine), len(mine)),
        "seconds a text, 95th percentile": (late_s, slow[0] if slow else 0.0, slow[-1] if slow else 0.0),
    }
    share = figures["in its own words"][0]
    if share < LEAST_WORDED:
        why = f"only {share:.0%} of {len(mine)} texts came in its words; {LEAST_WORDED:.0%} are wanted"
    elif late_s > DEADLINES_S[role]:
        why = f"one text in twenty takes longer than {late_s:.1f} s; the role allows {DEADLINES_S[role]:g} s"
    else:
        why = f"{share:.0%} of {len(mine)} texts came in its own words, 95 % of them within {late_s:.1f} s"
        return Verdict(role, True, why, figures, len(mine))
    return Verdict(role, False, why, figures, len(mine))


def of_causes(choice: Choice, rows: Sequence[Order]) -> Verdict:
    """Whether it may order causes (mode assisted of the role heavy)."""
    good = choice.mode != "facts"
    return Verdict("heavy, assisted", good, choice.why, choice.figures, len(rows))


def of_tools(choice: Choice, rows: Sequence[Asked]) -> Verdict:
    """Whether it may plan the chat's tool calls (modes assisted and free of the role light)."""
    return Verdict("chat, free", choice.mode != "facts", choice.why, choice.figures, len(rows))


def as_json(trial: Trial) -> dict[str, Any]:
    return asdict(trial)


def _answers(model: RoleModel) -> None:
    from langchain_core.messages import HumanMessage

    model.chat.invoke([HumanMessage("Are you there?")], max_tokens=8)


def _share(hits: int, count: int) -> Figure:
    return (hits / count if count else 0.0, *wilson(hits, count))
