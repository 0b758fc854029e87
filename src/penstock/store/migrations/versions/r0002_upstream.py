"""What months of asking other people's APIs need to remember."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """One function for each table, called here."""
    _dead_letters()
    _runs()
    _stream_state()
    _held_pages()
    _sweeps()
    _connections()
    _tokens()
    _data_keys()
    _pace()
    _shapes()
    _drifts()


def _shapes() -> None:
    op.create_table(
        "shapes",
        sa.Column("workspace", Word, nullable=False),
        sa.Column("connection", Word, nullable=False),
        sa.Column("stream", Word, nullable=False),
        sa.Column("shape", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", Number, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "connection", "stream"),
    )


def _drifts() -> None:
    op.create_table(
        "drifts",
        sa.Column("drift_no", Number, nullable=False),
        sa.Column("workspace", Word, nullable=False),
        sa.Column("connection", Word, nullable=False),
        sa.Column("stream", Word, nullable=False),
        sa.Column("kind", Word, nullable=False),
        sa.Column("path", Word, nullable=False),
        sa.Column("detail", Word, nullable=False),
        sa.Column("message", Word, nullable=False),
        sa.Column("idempotency_key", Word),
        sa.Column("run_no", Number, nullable=False),
        sa.Column("page_no", Number),
        sa.Column("page_index", Number),
        sa.Column("first_seen_at", Number, nullable=False),
        sa.Column("accepted_at", Number),
        sa.PrimaryKeyConstraint("drift_no"),
    )
    stream = ["workspace", "connection", "stream"]
    op.create_index("drifts_stream", "drifts", [*stream, "drift_no"])
    op.create_index(
        "drifts_open",
        "drifts",
        [*stream, "kind", "path", "detail"],
        unique=True,
        sqlite_where=sa.text("accepted_at IS NULL"),
        postgresql_where=sa.text("accepted_at IS NULL"),
    )


def _pace() -> None:
    op.create_table(
        "pace",
        sa.Column("scope", Word, nullable=False),
        sa.Column("workspace", Word, nullable=False),
        sa.Column("owner", Word, nullable=False),
        sa.Column("rate", Word, nullable=False),
        sa.Column("state", Word, nullable=False),
        sa.PrimaryKeyConstraint("scope", "workspace", "owner", "rate"),
    )


def _data_keys() -> None:
    op.create_table(
        "data_keys",
        sa.Column("workspace", Word, nullable=False),
        sa.Column("generation", Number, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Number, nullable=False),
        sa.Column("finished_at", Number, nullable=True),
        sa.PrimaryKeyConstraint("workspace", "generation"),
    )


def _dead_letters() -> None:
    op.add_column(
        "dead_letters",
        sa.Column("gone", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("dead_letters", sa.Column("parent_id", sa.LargeBinary()))


def _runs() -> None:
    for name in ("unmarked", "absent"):
        op.add_column("runs", sa.Column(name, Number, nullable=False, server_default="0"))


def _stream_state() -> None:
    op.add_column("stream_state", sa.Column("full_at", Number))
    op.add_column("stream_state", sa.Column("full_wanted_at", Number))
    op.add_column("stream_state", sa.Column("notes", Word))


def _held_pages() -> None:
    op.create_table(
        "held_pages",
        sa.Column("workspace", Word, nullable=False),
        sa.Column("connection", Word, nullable=False),
        sa.Column("stream", Word, nullable=False),
        sa.Column("partition", Word, nullable=False),
        sa.Column("unit_no", Number, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "connection", "stream", "partition", "unit_no"),
    )


def _sweeps() -> None:
    op.create_table(
        "sweeps",
        sa.Column("sweep_no", Number, nullable=False),
        sa.Column("workspace", Word, nullable=False),
        sa.Column("connection", Word, nullable=False),
        sa.Column("stream", Word, nullable=False),
        sa.Column("partition", Word, nullable=False),
        sa.Column("began", Number),
        sa.Column("began_at", Number),
        sa.Column("before", Number),
        sa.Column("before_at", Number),
        sa.Column("swept", Number),
        sa.Column("waiting", Number),
        sa.Column("members", Number),
        sa.PrimaryKeyConstraint("sweep_no"),
    )
    key = ["workspace", "connection", "stream", "partition"]
    op.create_index("sweeps_stream", "sweeps", key, unique=True)
    op.create_table(
        "sightings",
        sa.Column("sweep_no", Number, autoincrement=False, nullable=False),
        sa.Column("document_id", sa.LargeBinary(), nullable=False),
        sa.Column("seen", Number, nullable=False),
        sa.PrimaryKeyConstraint("sweep_no", "document_id"),
        sqlite_with_rowid=False,
    )


def _connections() -> None:
    op.add_column("connections", sa.Column("facts", Word))
    op.add_column("connections", sa.Column("reason", Word))


def _tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("workspace", Word, nullable=False),
        sa.Column("connection", Word, nullable=False),
        sa.Column("generation", Number, nullable=False),
        sa.Column("attempt", Word, nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("previous", sa.LargeBinary()),
        sa.Column("spare", sa.LargeBinary()),
        sa.Column("updated_at", Number, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "connection"),
        sa.ForeignKeyConstraint(
            ["workspace", "connection"],
            ["connections.workspace", "connections.name"],
            ondelete="CASCADE",
        ),
    )
