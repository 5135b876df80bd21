"""One case of an eval run in the terminal: what came in, what every model was asked and said, what was judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from evals.running.story import Story
from setpoint.app.formatting import visible


def show_story(console: Console, story: Story) -> None:
    """From input to judgement, in the order in which it happened."""
    console.print(
        Text(
            f"\n{story.suite} by {story.contender}: {visible(story.case)}, epoch {story.epoch}",
            style="bold underline",
        )
    )
    _part(console, "input", story.input)
    for number, call in enumerate(story.calls, 1):
        _call(console, number, call)
    if not story.calls:
        console.print(Text("no model was asked", style="dim"))
    _part(console, "said", str(story.said.get("text", "")))
    if more := {key: value for key, value in story.said.items() if key != "text"}:
        _part(console, "behind it", _as_text(more))
    if story.error:
        _part(console, "error", story.error)
    hidden = ("spent", "epoch", "case")
    _part(console, "judged", _as_text({key: value for key, value in story.row.items() if key not in hidden}))
    spent = story.row.get("spent") or {}
    if spent:
        words = f"{spent['seconds']:.3f} s, of which models {spent['model_seconds']:.3f} s; {spent['calls']} calls, {spent['tokens']} tokens"
        console.print(Text(words, style="dim"))
    for problem in story.problems:
        console.print(Text(f"problem: {visible(problem)}", style="red"))
    if not story.problems and not story.error:
        console.print(Text("no problem", style="green"))


def _call(console: Console, number: int, call: Mapping[str, Any]) -> None:
    took = f"{call['tokens_in']} tokens in, {call['tokens_out']} out, {call['seconds']:.3f} s"
    console.print(Text(f"\ncall {number}, {call['role']} model ({took})", style="bold"))
    for who, text in call["prompt"]:
        _part(console, who, text)
    _part(console, "failed" if call["error"] else "answer", call["error"] or call["answer"])


def _part(console: Console, name: str, text: str) -> None:
    """Its lines, moved in; control characters in them show and do nothing."""
    console.print(Text(f"{name}:", style="bold"))
    for line in (text or "(nothing)").splitlines():
        console.print(Text(f"  {visible(line)}"))


def _as_text(value: Mapping[str, Any]) -> str:
    return "\n".join(f"{key}: {_value(one)}" for key, one in value.items())


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
