"""The conversation: what was asked, what the ops agent looked at, and its answer with the sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Static

from setpoint.app.formatting import counted, one_line, span, visible
from setpoint.app.terminal.forms import Line
from setpoint.contracts.chat import MOST_QUESTION_CHARS

MOST_LINES = 30
"""Of what one look gave."""
ENDS = {
    "stopped": "stopped; what was found so far stands above",
    "failed": "not answered",
    "lost": "lost: the server ended before the answer was whole. The question is in the field again",
}
WELCOME = (
    "Ask about incidents, assets, decisions or runbooks, in plain words:\n"
    '  "what is wrong?"   "why is r-02 hot?"   "what waits for a decision?"   "how do I replace a pump?"\n'
    "The ops agent reads and proposes; it can never approve.\n"
    "Ctrl+R goes on with your last conversation. F1 shows all keys."
)


class Question(Line):
    """Where a question is typed. Up and down bring back what was asked before; what was being typed is kept."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "earlier", "earlier", show=False),
        Binding("down", "later", "later", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(placeholder="Ask the ops agent", id="question")
        self._asked: list[str] = []
        self._at = 0
        self._draft = ""

    def sent(self, question: str) -> None:
        """It was sent: the field is free for the next one."""
        self._asked.append(question)
        self._at, self._draft = len(self._asked), ""
        self.value = ""

    def give_back(self, question: str) -> None:
        """It was not answered: what was typed is here again, unless something else is being typed."""
        if not self.value:
            self.value = question
            self.cursor_position = len(question)

    def action_earlier(self) -> None:
        self._go(self._at - 1)

    def action_later(self) -> None:
        self._go(self._at + 1)

    def _go(self, place: int) -> None:
        if not 0 <= place <= len(self._asked):
            return
        if self._at == len(self._asked):
            self._draft = self.value
        self._at = place
        self.value = self._draft if place == len(self._asked) else self._asked[place]
        self.cursor_position = len(self.value)


class Folded(Static, can_focus=True):
    """One line that unfolds with Enter or a click."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "fold", "fold", show=False)]

    def __init__(self, head: str, body: str) -> None:
        super().__init__(markup=False, classes="folded")
        self._head, self._body, self.open = head, body, False
        self._show()

    def action_fold(self) -> None:
        self.open = not self.open
        self._show()

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.action_fold()

    def _show(self) -> None:
        sign = "v" if self.open else ">"
        self.update(Text(f"{sign} {self._head}" + (f"\n{self._body}" if self.open else "")))


@dataclass
class Told:
    """What is known of a turn so far, put together from its steps."""

    words: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)
    doing: str = "one moment"

    def add(self, step: Mapping[str, Any]) -> None:
        """One more step of setpoint.contracts.chat.ChatStep."""
        data = step["data"]
        if step["kind"] == "call":
            self.looks.append({"tool": data["tool"], "args": data["args"], "id": data["id"]})
            self.doing = f"looking: {data['tool']}"
        elif step["kind"] == "result":
            for look in self.looks:
                if look["id"] == data["id"]:
                    look |= {"text": data["text"], "seconds": data["seconds"]}
        elif step["kind"] == "facts":
            self.facts = list(data["lines"])
        elif step["kind"] == "wording":
            self.doing = f"{data['by']} puts it into words"
        elif step["kind"] == "words":
            self.words.append(data["text"])

    def text(self) -> Text:
        """Words, facts, and what is being done meanwhile."""
        said = _lines(" ".join(self.words), self.facts)
        return said + Text(f"{chr(10) if said else ''}{one_line(self.doing)} ... (Escape stops)", "dim")


class Turn(Vertical):
    """One question and what came of it."""

    def __init__(self, question: str) -> None:
        super().__init__(classes="turn")
        self.question, self.told = question, Told()
        self._answer = Static(self.told.text(), markup=False, classes="answer")

    def compose(self) -> ComposeResult:
        yield Static(Text.assemble(("you  ", "bold cyan"), visible(self.question)), markup=False)
        yield self._answer

    def step(self, step: Mapping[str, Any]) -> None:
        self.told.add(step)
        self._answer.update(self.told.text())

    def wait(self, why: str) -> None:
        """Nothing comes at the moment."""
        self.told.doing = why
        self._answer.update(self.told.text())

    async def ended(self, state: str, reply: Mapping[str, Any], problem: str = "") -> None:
        """The whole answer, with what it rests on folded under it; or why there is none."""
        said = (
            _lines(str(reply["answer"]), reply["facts"])
            if reply
            else _lines(" ".join(self.told.words), self.told.facts)
        )
        if word := problem or ENDS.get(state, ""):
            said = said + Text(f"{chr(10) if said else ''}{visible(word)}", "bold yellow")
        self._answer.update(said)
        for head, body in folds(self.told, reply):
            await self.mount(Folded(head, body))

    def failed(self, why: str) -> None:
        self._answer.update(Text(visible(why), "bold red"))


class Talk(Vertical):
    """The turns of this conversation, and where the next question is typed."""

    class Asked(Message):
        """A question was typed."""

        def __init__(self, question: str) -> None:
            super().__init__()
            self.question = question

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="turns"):
            yield Static(Text(WELCOME, "dim"), markup=False, id="welcome")
        yield Static("", markup=False, id="talk-said")
        yield Question()

    @property
    def question(self) -> Question:
        return self.query_one(Question)

    def on_input_submitted(self, event: Question.Submitted) -> None:
        event.stop()
        asked = event.value.strip()
        if len(asked) > MOST_QUESTION_CHARS:
            self.say(
                f"{len(asked):,} characters are too many for one question, at most {MOST_QUESTION_CHARS:,} are taken; it is kept"
            )
        elif asked:
            self.post_message(self.Asked(asked))

    async def begin(self, question: str) -> Turn:
        """A new turn at the end, which comes into sight."""
        self.say("")
        turn, turns = Turn(question), self.query_one("#turns", VerticalScroll)
        await turns.mount(turn)
        self.to_end()
        return turn

    def to_end(self) -> None:
        self.query_one("#turns", VerticalScroll).scroll_end(animate=False)

    def say(self, text: str) -> None:
        """A word about the conversation itself."""
        line = self.query_one("#talk-said", Static)
        line.update(Text(visible(text), "bold yellow"))
        line.display = bool(text)


def _lines(answer: str, facts: Sequence[str]) -> Text:
    """The answer and the facts under it."""
    return Text("\n".join(visible(line) for line in [answer, *(f"  - {fact}" for fact in facts)] if line))


def folds(told: Told, reply: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the answer rests on: looks and sources, each as a line and what unfolds."""
    found = []
    if looks := told.looks or reply.get("tools") or []:
        names = ", ".join(dict.fromkeys(one_line(str(one["tool"])) for one in looks))
        found.append((f"looked at: {names}", "\n".join(map(_look, looks))))
    if sources := reply.get("citations") or []:
        found.append(
            (counted(len(sources), "source"), "\n".join(f"  {one_line(str(one))}" for one in sources))
        )
    if problem := reply.get("fallback"):
        found.append(
            ("said by code", f"  the model's sentence did not pass verification: {visible(str(problem))}")
        )
    return found


def _look(one: Mapping[str, Any]) -> str:
    args = ", ".join(f"{key}={value!r}" for key, value in one["args"].items())
    took = f"  ({span(one['seconds'])})" if "seconds" in one else ""
    result = "".join(f"\n    {visible(line)}" for line in str(one.get("text", "")).splitlines()[:MOST_LINES])
    return "  " + one_line(f"{one['tool']}({args})", 400) + took + result
