"""What the model that ships makes of plans with the tasks it was taught: `.venv/bin/python -m dev.plan_words`.

The leading lines of 20 plans (five of each loop, titles and figures drawn by seed) as `chat` and as `summary`, once with
every fact of the line required and once with two. Prints how many texts pass the verifier, and some that do.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from agents.advisor import advised
from agents.explainer import Budget, say
from agents.interpreter import foretold
from agents.plan_said import MOST_LEAD
from agents.plan_words import Told
from prompts import ChatInput, SummaryInput
from setpoint.contracts import FactSheet
from setpoint.contracts.loops import LoopPlan
from setpoint.llm import load_role
from setpoint.settings import ModelSettings
from tests.agents.plans import cooling_plan, energy_plan, maintenance_plan, peak_plan

TITLES = ("Grid draw", "Rack power", "GPU temperature", "Requests to chat", "Coolant return")
PARTS = {
    "forecast": ("grid draw will rise", "what is coming"),
    "advice": ("plan of the loop", "what should be done"),
}


def drawn(plan: LoopPlan, rng: Random) -> LoopPlan:
    """The plan with other titles and figures."""
    forecasts = [
        one.model_copy(update={"title": rng.choice(TITLES), "expected": tuple(v * (1 + 0.3 * rng.random()) for v in one.expected)})
        for one in plan.forecasts
    ]  # fmt: skip
    return plan.model_copy(update={"forecasts": tuple(forecasts)})


def sheet_of(told: Told, condition: str, required: int) -> FactSheet:
    """The facts of the lines a model would be given, the first so many of them required."""
    sheet = told.sheet_of(told.lines[: min(told.lead, MOST_LEAD)])
    facts = [fact.model_copy(update={"required": k < required}) for k, fact in enumerate(sheet.facts)]
    return sheet.model_copy(update={"condition": condition, "facts": tuple(facts)})


def main() -> None:
    """Print the table."""
    model, rng = load_role(ModelSettings()), Random(1)
    made = [peak_plan(), maintenance_plan(), energy_plan()]
    plans = [drawn(plan, rng) for k in range(5) for plan in (*made, cooling_plan(1 + k))]
    for required in (99, 2):
        passed: Counter[tuple[str, str]] = Counter()
        examples = []
        for plan in plans:
            for part, told in (("forecast", foretold(plan)), ("advice", advised(plan))):
                condition, asked = PARTS[part]
                sheet = sheet_of(told, condition, required)
                budget = Budget(10**6, 10, 60.0)
                chat = say(model, "chat", ChatInput(asked, sheet), sheet, "", budget)
                summary = SummaryInput("unknown", "Unknown", "open", sheet)
                found = {"chat": chat, "summary": say(model, "summary", summary, sheet, "", budget)}
                for task, said in found.items():
                    passed[part, task] += not said.problem
                    examples += [said.text] if not said.problem else []
        told_required = "every fact" if required > 2 else "two facts"
        print(f"{told_required} required, of {len(plans)} plans: ", end="")
        print(
            ", ".join(
                f"{part} as {task} {passed[part, task]}" for part in PARTS for task in ("chat", "summary")
            )
        )
        for text in examples[:3]:
            print(f"  {text}")


if __name__ == "__main__":
    main()
