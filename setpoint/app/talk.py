"""The ops agent over this site's stores: its reading tools, its graph, its writer, and the conversations under way."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from agents.explainer import Budget
from agents.operator_tools import Stores, operator_tools
from graphs.chat import ChatPorts, build_chat_graph
from graphs.threads import config_of
from knowledge.index import Index
from setpoint.app.desk import Ask
from setpoint.contracts.site import Site
from setpoint.ledger import Ledger
from setpoint.llm import load_role
from setpoint.settings import Settings
from tools.adapter import SiteAdapter

MOST_THREADS = 64
"""Conversations whose subject is kept; of more, the one that rested longest is forgotten."""


def make_operator(
    settings: Settings, site: Site, ledger: Ledger, index: Callable[[], Index], adapter: SiteAdapter | None
) -> Ask:
    """A function from question, and the thread of its conversation, to reply. Without a thread it stands alone."""
    from setpoint.app.opening import utc_now

    light = settings.models.light
    ports = ChatPorts(
        site=site,
        tools=operator_tools(Stores(site, ledger, index, adapter, utc_now)),
        writer=load_role(light, "light") if light.kind != "none" else None,
        new_budget=lambda: Budget(settings.models.tokens_per_incident, 4, light.timeout_s * 2),
    )
    threads = Threads()
    alone, kept = build_chat_graph(), build_chat_graph(threads.saver)

    def ask(question: str, thread: str = "") -> dict[str, Any]:
        if not thread:
            return _reply(asyncio.run(alone.ainvoke({"question": question}, context=ports, version="v2")))
        threads.use(thread)
        turn = kept.ainvoke(
            {"question": question}, config_of(thread), context=ports, durability="exit", version="v2"
        )
        return _reply(asyncio.run(turn))

    return ask


class Threads:
    """The conversations of this process. They end with it: what was spoken of is no record."""

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
