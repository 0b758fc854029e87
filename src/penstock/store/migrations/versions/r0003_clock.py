"""What the clock needs to run streams by itself, on one host or on many."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

COUNTERS = (
    *("pages", "fetched", "extra_emits", "filtered", "mapping_errors", "submitted", "created"),
    *("updated", "unchanged", "stale", "rejected", "unmarked", "absent"),
)


def upgrade() -> None:
    """One function for each table, called here."""
    _stream_state()
    _runs()
    _backfills()
    _backfill_partitions()
    _workers()
    _notices()
    if op.get_bind().dialect.name == "postgresql":
        _feed_inbox()


def _stream_state() -> None:
    op.add_column("stream_state", sa.Column("schedule", Word))
    op.add_column("stream_state", sa.Column("paused_at", Number))
    for name in ("attempts", "failures"):
        column = sa.Column(name, Number, nullable=False, server_default="0")
        op.add_column("stream_state", column)
    op.create_index(
        "stream_state_due",
        "stream_state",
        ["next_run_at"],
        sqlite_where=sa.text("next_run_at IS NOT NULL"),
        postgresql_where=sa.text("next_run_at IS NOT NULL"),
    )


def _runs() -> None:
    op.add_column("runs", sa.Column("partition", Word, nullable=False, server_default=""))
    op.create_index(
        "runs_partition",
        "runs",
        ["workspace", "connection", "stream", "partition"],
        sqlite_where=sa.text("\"partition\" <> ''"),
        postgresql_where=sa.text("\"partition\" <> ''"),
    )


def _backfills() -> None:
    op.create_table(
        "backfills",
        sa.Column("backfill_no", Number, nullable=False),
        sa.Column("workspace", Word, nullable=False),
        sa.Column("connection", Word, nullable=False),
        sa.Column("stream", Word, nullable=False),
        sa.Column("from_at", Number, nullable=False),
        sa.Column("to_at", Number, nullable=False),
        sa.Column("by", Word, nullable=False),
        sa.Column("parallel", Number, nullable=False),
        sa.Column("state", Word, nullable=False),
        sa.Column("reason", Word),
        sa.Column("cutoff_at", Number, nullable=False),
        sa.Column("created_at", Number, nullable=False),
        sa.Column("finished_at", Number),
        sa.PrimaryKeyConstraint("backfill_no"),
    )
    op.create_index("backfills_stream", "backfills", ["workspace", "connection", "stream"])
    op.create_index(
        "backfills_running",
        "backfills",
        ["backfill_no"],
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )


def _backfill_partitions() -> None:
    op.create_table(
        "backfill_partitions",
        sa.Column("backfill_no", Number, autoincrement=False, nullable=False),
        sa.Column("partition", Word, nullable=False),
        sa.Column("from_at", Number, nullable=False),
        sa.Column("to_at", Number, nullable=False),
        sa.Column("keys", Word, nullable=False),
        sa.Column("state", Word, nullable=False),
        sa.Column("reason", Word),
        sa.Column("attempts", Number, nullable=False),
        sa.Column("reached", Number, nullable=False),
        sa.Column("failures", Number, nullable=False),
        sa.Column("next_try_at", Number),
        sa.Column("started_at", Number),
        sa.Column("finished_at", Number),
        *(sa.Column(name, Number, nullable=False) for name in COUNTERS),
        sa.PrimaryKeyConstraint("backfill_no", "partition"),
        sa.ForeignKeyConstraint(["backfill_no"], ["backfills.backfill_no"], ondelete="CASCADE"),
    )
    op.create_index(
        "backfill_partitions_open",
        "backfill_partitions",
        ["backfill_no", "partition"],
        sqlite_where=sa.text("state IN ('waiting', 'running')"),
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
    )


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("owner", Word, nullable=False),
        sa.Column("kind", Word, nullable=False),
        sa.Column("version", Word, nullable=False),
        sa.Column("slots", Number, nullable=False),
        sa.Column("busy", Number, nullable=False),
        sa.Column("started_at", Number, nullable=False),
        sa.Column("beat_at", Number, nullable=False),
        sa.PrimaryKeyConstraint("owner"),
    )


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column("notice_no", Number, nullable=False),
        sa.Column("workspace", Word, nullable=False),
        sa.Column("connection", Word, nullable=False),
        sa.Column("stream", Word, nullable=False),
        sa.Column("cause", Word, nullable=False),
        sa.Column("detail", Word, nullable=False),
        sa.Column("since", Number, nullable=False),
        sa.Column("attempts", Number, nullable=False),
        sa.Column("sent_at", Number),
        sa.Column("cleared_at", Number),
        sa.PrimaryKeyConstraint("notice_no"),
    )
    op.create_index(
        "notices_open",
        "notices",
        ["workspace", "connection", "stream", "cause"],
        unique=True,
        sqlite_where=sa.text("cleared_at IS NULL"),
        postgresql_where=sa.text("cleared_at IS NULL"),
    )


def _feed_inbox() -> None:
    op.create_table(
        "feed_inbox",
        sa.Column("inbox_no", Number, nullable=False),
        sa.Column("txid", Number, nullable=False),
        sa.Column("kind", Word, nullable=False),
        sa.Column("refs", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("inbox_no"),
    )
