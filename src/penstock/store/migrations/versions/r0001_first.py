"""The first revision: everything."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Text,
    text,
)

revision = "0001"
down_revision: str | None = None

Number = BigInteger().with_variant(Integer(), "sqlite")
Word = Text().with_variant(Text(collation="C"), "postgresql")


def upgrade() -> None:
    _documents()
    _document_versions()
    _feed()
    _pages()
    _dead_letters()
    _runs()
    _stream_state()
    _connections()
    _secrets()


def _documents() -> None:
    op.create_table(
        "documents",
        Column("document_id", LargeBinary, primary_key=True),
        Column("workspace", Word, nullable=False),
        Column("connection", Word, nullable=False),
        Column("document_type", Word, nullable=False),
        Column("idempotency_key", Word, nullable=False),
        Column("source_id", Word, nullable=False),
        Column("state", Word, nullable=False),
        Column("version", Number, nullable=False),
        Column("version_no", Number, nullable=False),
        Column("payload_hash", LargeBinary, nullable=False),
        Column("raw_mark", LargeBinary),
        Column("source_version", Word),
        Column("source_updated_at", Number),
        Column("as_of", Number, nullable=False),
        Column("status", Word),
        Column("on_date", Word),
        Column("party", Word),
        Column("number", Word),
        Index("documents_source", "workspace", "connection", "document_type", "source_id"),
    )


def _document_versions() -> None:
    op.create_table(
        "document_versions",
        Column("version_no", Number, primary_key=True),
        Column("workspace", Word, nullable=False),
        Column("document_id", LargeBinary, nullable=False),
        Column("version", Number, nullable=False),
        Column("previous", Number),
        Column("state", Word, nullable=False),
        Column("contract_version", Word, nullable=False),
        Column("payload_hash", LargeBinary, nullable=False),
        Column("source_version", Word),
        Column("source_updated_at", Number),
        Column("as_of", Number, nullable=False),
        Column("flags", LargeBinary),
        Column("run_no", Number, nullable=False),
        Column("page_no", Number),
        Column("page_index", Number),
        Column("recorded_at", Number, nullable=False),
        Column("content", LargeBinary, nullable=False),
        Index(
            "document_versions_previous",
            "previous",
            unique=True,
            sqlite_where=text("previous IS NOT NULL"),
            postgresql_where=text("previous IS NOT NULL"),
        ),
    )


def _feed() -> None:
    op.create_table(
        "feed",
        Column("seq", Number, primary_key=True, autoincrement=False),
        Column("kind", Word, nullable=False),
        Column("ref", Number, nullable=False),
    )


def _pages() -> None:
    op.create_table(
        "pages",
        Column("page_no", Number, primary_key=True),
        Column("workspace", Word, nullable=False),
        Column("run_no", Number, nullable=False),
        Column("url", Word, nullable=False),
        Column("status", Number, nullable=False),
        Column("content_type", Word, nullable=False),
        Column("received_at", Number, nullable=False),
        Column("sha256", LargeBinary, nullable=False),
        Column("size", Number, nullable=False),
        Column("body", LargeBinary, nullable=False),
    )


def _dead_letters() -> None:
    op.create_table(
        "dead_letters",
        Column("letter_id", LargeBinary, primary_key=True),
        Column("workspace", Word, nullable=False),
        Column("connection", Word, nullable=False),
        Column("stream", Word, nullable=False),
        Column("state", Word, nullable=False),
        Column("document_id", LargeBinary),
        Column("document_type", Word, nullable=False),
        Column("idempotency_key", Word),
        Column("source_id", Word),
        Column("contract_version", Word),
        Column("reason", Word, nullable=False),
        Column("message", Word, nullable=False),
        Column("retryable", Boolean, nullable=False),
        Column("errors", LargeBinary, nullable=False),
        Column("errors_truncated", Boolean, nullable=False),
        Column("raw", LargeBinary),
        Column("payload", LargeBinary),
        Column("as_of", Number, nullable=False),
        Column("run_no", Number, nullable=False),
        Column("page_no", Number),
        Column("page_index", Number),
        Column("attempts", Number, nullable=False),
        Column("first_seen_at", Number, nullable=False),
        Column("last_seen_at", Number, nullable=False),
        Column("closed_at", Number),
        Column("closed_by", Number),
        Index("dead_letters_state", "workspace", "state", "letter_id"),
        Index(
            "dead_letters_open",
            "document_id",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        Column("run_no", Number, primary_key=True),
        Column("workspace", Word, nullable=False),
        Column("connection", Word, nullable=False),
        Column("stream", Word, nullable=False),
        Column("kind", Word, nullable=False),
        Column("connector", Word, nullable=False),
        Column("connector_version", Word, nullable=False),
        Column("owner", Word, nullable=False),
        Column("started_at", Number, nullable=False),
        Column("finished_at", Number),
        Column("state", Word, nullable=False),
        Column("reason", Word),
        Column("message", Word),
        Column("work_us", Number, nullable=False),
        Column("pages", Number, nullable=False),
        Column("fetched", Number, nullable=False),
        Column("extra_emits", Number, nullable=False),
        Column("filtered", Number, nullable=False),
        Column("mapping_errors", Number, nullable=False),
        Column("submitted", Number, nullable=False),
        Column("created", Number, nullable=False),
        Column("updated", Number, nullable=False),
        Column("unchanged", Number, nullable=False),
        Column("stale", Number, nullable=False),
        Column("rejected", Number, nullable=False),
        Index("runs_connection", "workspace", "connection", "run_no"),
        Index(
            "runs_running",
            "workspace",
            "connection",
            "stream",
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
    )


def _stream_state() -> None:
    op.create_table(
        "stream_state",
        Column("workspace", Word, primary_key=True),
        Column("connection", Word, primary_key=True),
        Column("stream", Word, primary_key=True),
        Column("partition", Word, primary_key=True),
        Column("cursor", Word),
        Column("enumeration", Word),
        Column("watermark", Number),
        Column("lease_owner", Word, nullable=False),
        Column("lease_until", Number, nullable=False),
        Column("epoch", Number, nullable=False),
        Column("unit_no", Number, nullable=False),
        Column("state", Word, nullable=False),
        Column("reason", Word),
        Column("since", Number),
        Column("next_run_at", Number),
    )


def _connections() -> None:
    op.create_table(
        "connections",
        Column("workspace", Word, primary_key=True),
        Column("name", Word, primary_key=True),
        Column("target", Word, nullable=False),
        Column("connector", Word, nullable=False),
        Column("settings", Word, nullable=False),
        Column("account", Word),
        Column("mode", Word, nullable=False),
        Column("state", Word, nullable=False),
        Column("allow_loopback", Boolean, nullable=False),
        Column("created_at", Number, nullable=False),
        Column("updated_at", Number, nullable=False),
    )


def _secrets() -> None:
    op.create_table(
        "secrets",
        Column("workspace", Word, primary_key=True),
        Column("connection", Word, primary_key=True),
        Column("field", Word, primary_key=True),
        Column("sealed", LargeBinary, nullable=False),
        Column("updated_at", Number, nullable=False),
        ForeignKeyConstraint(
            ["workspace", "connection"],
            ["connections.workspace", "connections.name"],
            ondelete="CASCADE",
        ),
    )
