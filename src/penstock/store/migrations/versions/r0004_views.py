"""Which views were made for readers, so that they are kept current."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "views",
        sa.Column("name", Word, nullable=False),
        sa.Column("mark", Word, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
