"""How long a person waits in chat with the model that ships: `.venv/bin/python -m dev.chat_latency STORE [ROUNDS]`.

STORE is what `setpoint run FILE --site SITE --store STORE --keep` left. Every question is asked in a conversation of its own, as
the page asks it, of a warmed-up server's desk. Prints the median and the 95th percentile of the milliseconds to the first step,
the first fact (the answer's own lines, by code), the first verified words, and the end; and those to the model's first raw token,
which nobody is shown. The conversations are forgotten again.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from langchain_core.messages import HumanMessage, SystemMessage

from prompts import ChatInput, render
from setpoint.app.opening import make_desk, open_ledger, open_site
from setpoint.contracts import Fact, FactSheet
from setpoint.llm import load_role
from setpoint.settings import load_settings

WHO = "measurement"
SITE = Path(__file__).parents[1] / "plant" / "sites" / "demo.yaml"
SHEET = FactSheet(
    condition="coolant flow lost",
    facts=(Fact(slot="asset", kind="asset", text="cdu-1", evidence_id="E1", required=True),),
)


def main() -> None:
    store, rounds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    settings = load_settings({"store.dir": store, "site.file": SITE}, env={}, files=()).settings
    ledger = open_ledger(settings)
    desk = make_desk(settings, open_site(settings), ledger)
    chats = desk.chats()
    chats.warm()
    worst = ledger.list_incidents(states=("open",), priorities=("P0", "P1"), limit=8)
    questions = [
        "what is going on?",
        "what waits for a decision?",
        "how do I handle XID 79?",
        "is cdu-1 fine?",
    ]
    questions += [f"why {incident.id}?" for incident in worst]
    took: dict[str, list[float]] = defaultdict(list)
    worded = 0
    for question in questions * rounds:
        began = time.perf_counter()
        turn = chats.start(WHO, question)
        after, state, first = 0, "running", dict[str, float]()
        while state == "running":
            said = chats.follow(WHO, turn.id, after, 10.0)
            now, state = 1e3 * (time.perf_counter() - began), said["state"]
            for step in said["steps"]:
                after = step["number"]
                first.setdefault(step["kind"], now)
                first.setdefault("step", now)
        worded += said["reply"]["written_by"] != "template"
        for name, kind in (
            ("first step", "step"),
            ("first fact", "facts"),
            ("first verified words", "words"),
            ("end", "end"),
        ):
            took[name].append(first[kind])
        ledger.remove_thread(WHO, turn.thread)
    model = load_role(settings.models.light).chat
    prompt = render("chat", ChatInput("what this incident is about", SHEET))
    for _ in range(4 * rounds):
        began = time.perf_counter()
        next(iter(model.stream([SystemMessage(prompt.system), HumanMessage(prompt.user)])))
        took["the model's first raw token"].append(1e3 * (time.perf_counter() - began))
    print(
        f"{len(questions) * rounds} questions, {worded} worded by the model, the others by code; milliseconds"
    )
    for name, values in took.items():
        print(f"{name:30} median {np.median(values):7.0f}   95 % {np.percentile(values, 95):7.0f}")
    ledger.close()


if __name__ == "__main__":
    main()
