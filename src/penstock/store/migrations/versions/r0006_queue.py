"""The queue that carries what is due to many hosts, and turns at what one of all workers does."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from penstock.store import queue_tables

revision = "0006"
down_revision = "0005"

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("what", Word, nullable=False),
        sa.Column("taken_at", Number, nullable=False),
        sa.PrimaryKeyConstraint("what"),
    )
    if op.get_bind().dialect.name == "postgresql":
        queue_tables.make(op.get_bind(), ("queue_0006.sql",))
