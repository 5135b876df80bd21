"""Models behind a server that answer by rule: one that does what it is asked for, and one that chatters."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.graphs.openai_double import Said, Scripted

_REQUIRED = re.compile(r"^\{(\w+)\}.* \* =", re.M)
_TASK = re.compile(r"^(alert|step|summary) (\w+)", re.M)
_STEP = {
    "supports": "which speaks for this cause", "contradicts": "which speaks against this cause",
    "absent": "which was expected and was not seen for this cause",
}  # fmt: skip
_SURE = {
    "clear": "The cause is {cause}",
    "likely": "The likely cause is {cause}",
    "open": "A possible cause is {cause}",
}


class Capable(Scripted):
    """Puts every required slot into a plain sentence, and takes code's first cause."""

    def say(self, body: dict[str, Any]) -> Said:
        asked = str(body["messages"][-1]["content"])
        if "response_format" in body:
            schema = body["response_format"]["json_schema"]["schema"]
            causes = schema["properties"]["causes"]["items"]["properties"]["cause"]["enum"]
            return json.dumps({"causes": [{"cause": causes[0], "supports": [], "contradicts": []}]})
        task = _TASK.search(asked)
        return _sentences(task[1], task[2], _REQUIRED.findall(asked)) if task else "Yes."


class Chatter(Scripted):
    """Says the same whatever it is asked."""

    def say(self, body: dict[str, Any]) -> Said:
        return "Something is wrong on 3 machines, I am afraid."


def _sentences(task: str, how: str, slots: list[str]) -> str:
    facts = [slot for slot in slots if slot not in ("what", "why", "first", "cause", "asset", "time")]
    said = "{what}" + " on {asset}" * ("asset" in slots) + " at {time}" * ("time" in slots)
    said += "".join(f", {slot} {{{slot}}}" for slot in facts)
    if task == "step":
        return f"{said}, {_STEP[how]}: {{cause}}."
    if task == "summary":
        parts = (
            [f"{said}."] + [f"{_SURE[how]}."] * ("cause" in slots) + ["First: {first}."] * ("first" in slots)
        )
        return " ".join(parts)
    return " ".join(
        [f"{said}."]
        + ["Why it matters: {why}."] * ("why" in slots)
        + ["First: {first}."] * ("first" in slots)
    )
