"""Tables of people, their browsers' sessions and their programs' tokens. Secrets are kept as hashes alone."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Index, String, Table, Text

from setpoint.ledger.schema import metadata

users = Table(
    "users",
    metadata,
    # One person in any spelling.
    Column("key", String, primary_key=True),
    Column("name", String, nullable=False),
    # "" where another identity provider vouches for the person.
    Column("password_hash", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created", Double, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String, primary_key=True),
    Column("user_key", String, nullable=False),
    Column("created", Double, nullable=False),
    Column("last_used", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Index("sessions_by_user", "user_key"),
    Index("sessions_by_end", "expires"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("digest", String, nullable=False, unique=True),
    Column("label", String, nullable=False),
    Column("user_key", String, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Column("revoked", Double, nullable=True),
    Column("last_used", Double, nullable=True),
    Index("api_tokens_by_user", "user_key"),
)
