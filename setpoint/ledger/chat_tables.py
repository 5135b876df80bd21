"""Tables of conversations with the ops agent. Nobody but their owner reads them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, String, Table, Text

from setpoint.ledger.schema import metadata

chat_threads = Table(
    "chat_threads",
    metadata,
    Column("id", String, primary_key=True),
    Column("who", String, nullable=False),
    # One person in any spelling.
    Column("who_key", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Index("chat_threads_by_who", "who_key", "updated"),
)

chat_turns = Table(
    "chat_turns",
    metadata,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("thread", String, nullable=False),
    Column("question", Text, nullable=False),
    Column("asked", Double, nullable=False),
    # running, done, stopped, failed or lost.
    Column("state", String, nullable=False),
    Column("steps", Text, nullable=False),
    Column("reply", Text, nullable=False),
    # The subject of the conversation after it.
    Column("memory", Text, nullable=False),
    Index("chat_turns_by_thread", "thread", "number"),
    sqlite_autoincrement=True,
)
