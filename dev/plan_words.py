"""What the model that ships makes of plans: `.venv/bin/python -m dev.plan_words`.

The leading lines of 20 plans (five of each loop, titles and figures drawn by seed), each line a slot. Prints how many texts
pass the verifier, some that do and why others do not.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from agents.advisor import advised
from agents.interpreter import foretold
from agents.plan_said import worded
from agents.plan_words import Told
from prompts import PlanPart
from setpoint.contracts.loops import LoopPlan
from setpoint.llm import load_role
from setpoint.settings import ModelSettings
from tests.agents.plans import cooling_plan, energy_plan, maintenance_plan, peak_plan

TITLES = ("Grid draw", "Rack power", "GPU temperature", "Requests to chat", "Coolant return")


def drawn(plan: LoopPlan, rng: Random) -> LoopPlan:
    """The plan with other titles and figures."""
    forecasts = [
        one.model_copy(update={"title": rng.choice(TITLES), "expected": tuple(v * (1 + 0.3 * rng.random()) for v in one.expected)})
        for one in plan.forecasts
    ]  # fmt: skip
    return plan.model_copy(update={"forecasts": tuple(forecasts)})


def main() -> None:
    """Print the table."""
    model, rng = load_role(ModelSettings()), Random(1)
    made = [peak_plan(), maintenance_plan(), energy_plan()]
    plans = [drawn(plan, rng) for k in range(5) for plan in (*made, cooling_plan(1 + k))]
    asked, passed, refused, examples = Counter[PlanPart](), Counter[PlanPart](), list[str](), list[str]()
    for plan in plans:
        told: dict[PlanPart, Told] = {"forecast": foretold(plan), "advice": advised(plan)}
        for part, lines in told.items():
            if not lines.lead:
                continue  # nothing that a model may say
            words = worded(part, lines, model)
            asked[part] += 1
            passed[part] += not words.fell_back
            (refused if words.fell_back else examples).append(words.fell_back or words.text)
    for part, count in asked.items():
        print(f"{part:10} {passed[part]} of {count} in the words of {model.name}")
    print("\n".join([*refused[:4], *examples[:6]]))


if __name__ == "__main__":
    main()
