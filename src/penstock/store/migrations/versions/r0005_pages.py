"""What archived pages were asked for, so that they can be read once more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Of the pages that are there nobody knows; each counts as the only one of its unit."""
    op.add_column("pages", sa.Column("asked", Word))
    op.add_column("pages", sa.Column("parts", Number, nullable=False, server_default="1"))
