"""Cycles of the control loops, what each loop has learned, and what it foresaw."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "loop_cycles",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("loop", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("loop_cycles_by_loop", "loop_cycles", ["loop", "at"], unique=False)
    op.create_index("loop_cycles_by_state", "loop_cycles", ["state", "at"], unique=False)
    op.create_table(
        "loop_state",
        sa.Column("loop", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("troubles", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("loop"),
    )
    op.create_table(
        "foreseen",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("due", sa.Double(), nullable=False),
        sa.Column("loop", sa.String(), nullable=False),
        sa.Column("seen", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", "name", "due"),
    )
    op.create_index("foreseen_by_loop", "foreseen", ["loop", "seen", "due"], unique=False)
