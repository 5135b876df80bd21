"""The ops agent over this site's stores: its tools, its graph, its models, and the conversations under way."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property, partial
from threading import Lock
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from agents.explainer import Budget
from agents.operator import Tool
from agents.operator_tools import Stores, Typed, drafting_ports
from agents.operator_wishes import wish_tools
from graphs.chat import ChatPorts, build_chat_graph
from graphs.chat_free import Thinker
from graphs.threads import config_of
from setpoint.app.chatting import Conversations
from setpoint.app.desk import Desk
from setpoint.app.histories import Reached
from setpoint.errors import SetpointError
from setpoint.llm import Registry, load_role
from setpoint.settings import ModelsSettings, Settings

MOST_THREADS = 64
"""Conversations of commands whose subject is kept; of more, the one that rested longest is forgotten."""
CALLS_A_TURN = 3
"""Model calls that a turn of a free model may take as long as its role allows for one."""


class Operator:
    """Answers questions: of one command (`ask`), and in people's conversations (`chats`)."""

    def __init__(self, settings: Settings, desk: Desk, adapter: Reached | None) -> None:
        self._settings, self._desk, self._adapter = settings, desk, adapter
        light = settings.models.light
        self._writer = load_role(light, "light", Registry.of(settings)) if light.kind != "none" else None
        self._thinker = _thinker(settings.models, desk.site)
        self._threads = Threads()
        self._alone, self._kept = build_chat_graph(), build_chat_graph(self._threads.saver)
        self.chats = Conversations(desk.ledger, self._ports, self._warm)

    def ask(self, question: str, thread: str = "", who: str = "") -> dict[str, Any]:
        """One answer, waited for. Without a thread it stands alone."""
        ports = self._ports(who)
        if not thread:
            return _reply(
                asyncio.run(self._alone.ainvoke({"question": question}, context=ports, version="v2"))
            )
        name = f"{who} {thread}"
        self._threads.use(name)
        turn = self._kept.ainvoke(
            {"question": question}, config_of(name), context=ports, durability="exit", version="v2"
        )
        return _reply(asyncio.run(turn))

    def _ports(self, who: str) -> ChatPorts:
        light = self._settings.models.light
        return ChatPorts(
            site=self._desk.site,
            tools={**self._desk.tools(), **(self._asking(who) if who else {})},
            writer=self._writer,
            new_budget=lambda: Budget(self._settings.models.tokens_per_incident, 4, light.timeout_s * 2),
            thinker=self._thinker,
        )

    def _warm(self) -> None:
        """The plant behind the tools takes seconds to load, the model a moment."""
        from setpoint.llm.chat_model import LlamaChat

        self._ports("nobody")
        self._desk.open_index()
        if self._writer is not None and isinstance(self._writer.chat, LlamaChat):
            self._writer.chat.load()

    def _asking(self, who: str) -> Mapping[str, Tool]:
        """What a person may have put to review: the draft of an action, and its proposal under their name."""

        def propose(action: str, asset: str, args: Mapping[str, Any], why: str) -> Any:
            draft = self._drafting["draft_action"](action=action, asset=asset, args=dict(args))
            if not isinstance(draft, Mapping):
                return draft
            try:
                return self._desk.propose()(draft["action"], draft["asset"], draft["args"], why, who, "chat")
            except SetpointError as error:
                return f"{error.what}. {error.remedy}".rstrip(". ")

        return {**self._drafting, "propose": propose}

    @cached_property
    def _drafting(self) -> dict[str, Tool]:
        from setpoint.app.opening import utc_now

        desk, review = self._desk, self._settings.review
        ports = drafting_ports(Stores(desk.site, desk.ledger, desk.open_index, self._adapter, utc_now))
        return {tool.name: Typed(tool) for tool in wish_tools(ports, review.people_for)}


def _thinker(models: ModelsSettings, site: Any) -> Thinker | None:
    """The model that may plan by itself: that of the role light, else of heavy, where it is behind a server that can call tools
    and its mode lets it decide. A bundled or local model only words."""
    for settings in (models.light, models.heavy):
        if settings.kind == "openai" and settings.mode != "facts":
            role = load_role(settings, "light" if settings is models.light else "heavy")
            return Thinker(
                role.name, role.mode, partial(getattr, role, "chat"), site, partial(_now, site), CALLS_A_TURN * settings.timeout_s
            )  # fmt: skip
    return None


def _now(site: Any) -> str:
    from setpoint.app.opening import utc_now

    return f"{utc_now().astimezone(site.zone):%A %Y-%m-%d %H:%M %Z}"


class Threads:
    """The conversations of commands in this process. They end with it; those of people are in the ledger."""

    def __init__(self, most: int = MOST_THREADS) -> None:
        self.saver, self._most = InMemorySaver(), most
        self._used: OrderedDict[str, None] = OrderedDict()
        self._turn = Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The one spoken in last comes last."""
        return tuple(self._used)

    def use(self, thread: str) -> None:
        """This one is spoken in now."""
        with self._turn:
            self._used[thread] = None
            self._used.move_to_end(thread)
            while len(self._used) > self._most:
                oldest, _ = self._used.popitem(last=False)
                self.saver.delete_thread(oldest)


def _reply(output: Any) -> dict[str, Any]:
    reply: dict[str, Any] = output.value["reply"]
    return reply
