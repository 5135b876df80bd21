"""Autonomy: harm that people named, and the action each review is about. Levels and signatures stand in the audit chain."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "harms",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.add_column("reviews", sa.Column("action", sa.String(), nullable=True))
    op.create_index("reviews_by_action", "reviews", ["action", "number"], unique=False)
    _name_actions(op.get_bind())


def _name_actions(connection: sa.Connection) -> None:
    """Reviews written before this revision carry the action in their body only."""
    reviews = sa.table("reviews", sa.column("id"), sa.column("kind"), sa.column("body"), sa.column("action"))
    rows = connection.execute(sa.select(reviews.c.id, reviews.c.body).where(reviews.c.kind == "action")).all()
    for row in rows:
        proposal = json.loads(row.body).get("proposal")
        if proposal:
            name = proposal["action"]["name"]
            connection.execute(reviews.update().where(reviews.c.id == row.id).values(action=name))
