"""The tables, described once for every backend.

Instants are integers (microseconds since 1970 in UTC), identities and hashes raw bytes, canonical
content and provider bytes are BLOB or BYTEA, JSON of our own is ASCII text. Money never appears as
a column. A change here needs a revision in `migrations` that leads to the same tables.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from penstock.model.outcome import COUNTER_NAMES

metadata = MetaData()

# SQLite makes only a column of the very type INTEGER the row's own number.
Number = BigInteger().with_variant(Integer(), "sqlite")

documents = Table(
    "documents",
    metadata,
    # The one tree in random order: rows append in order of arrival, only this index is random.
    Column("document_id", LargeBinary, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("document_type", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Number, nullable=False),
    Column("version_no", Number, nullable=False),
    Column("payload_hash", LargeBinary, nullable=False),
    Column("raw_mark", LargeBinary),
    Column("source_version", Text),
    Column("source_updated_at", Number),
    Column("as_of", Number, nullable=False),
    Column("status", Text),
    Column("on_date", Text),
    Column("party", Text),
    Column("number", Text),
    Index("documents_source", "workspace", "connection", "document_type", "source_id"),
)

document_versions = Table(
    "document_versions",
    metadata,
    Column("version_no", Number, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("document_id", LargeBinary, nullable=False),
    Column("version", Number, nullable=False),
    Column("previous", Number),
    Column("state", Text, nullable=False),
    Column("contract_version", Text, nullable=False),
    Column("payload_hash", LargeBinary, nullable=False),
    Column("source_version", Text),
    Column("source_updated_at", Number),
    Column("as_of", Number, nullable=False),
    Column("flags", LargeBinary),
    Column("run_no", Number, nullable=False),
    Column("page_no", Number),
    Column("page_index", Number),
    Column("recorded_at", Number, nullable=False),
    # Last, so that reading the other columns never walks the pages of a long content.
    Column("content", LargeBinary, nullable=False),
    # History is the chain of `previous`; this makes a fork of it impossible, and a first version
    # (the common case) pays nothing for it.
    Index(
        "document_versions_previous",
        "previous",
        unique=True,
        sqlite_where=text("previous IS NOT NULL"),
        postgresql_where=text("previous IS NOT NULL"),
    ),
)

feed = Table(
    "feed",
    metadata,
    Column("seq", Number, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("ref", Number, nullable=False),
)

pages = Table(
    "pages",
    metadata,
    Column("page_no", Number, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("run_no", Number, nullable=False),
    Column("url", Text, nullable=False),
    Column("status", Number, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("received_at", Number, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("size", Number, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("letter_id", LargeBinary, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("document_id", LargeBinary),
    Column("document_type", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("source_id", Text),
    Column("contract_version", Text),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
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
    # Every commit asks for the open letters of its documents: the index holds nothing else.
    Index(
        "dead_letters_open",
        "document_id",
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)

runs = Table(
    "runs",
    metadata,
    Column("run_no", Number, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("connector", Text, nullable=False),
    Column("connector_version", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("started_at", Number, nullable=False),
    Column("finished_at", Number),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("message", Text),
    Column("work_us", Number, nullable=False),
    *(Column(name, Number, nullable=False) for name in COUNTER_NAMES),
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

stream_state = Table(
    "stream_state",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("connection", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("partition", Text, primary_key=True),
    Column("cursor", Text),
    Column("enumeration", Text),
    Column("watermark", Number),
    Column("lease_owner", Text, nullable=False),
    Column("lease_until", Number, nullable=False),
    Column("epoch", Number, nullable=False),
    Column("unit_no", Number, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("since", Number),
    Column("next_run_at", Number),
)

connections = Table(
    "connections",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("target", Text, nullable=False),
    Column("connector", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("account", Text),
    Column("mode", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("allow_loopback", Boolean, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("updated_at", Number, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("connection", Text, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("updated_at", Number, nullable=False),
    ForeignKeyConstraint(
        ["workspace", "connection"],
        ["connections.workspace", "connections.name"],
        ondelete="CASCADE",
    ),
)

# As the migration tool makes it, so that a new file needs no import of that tool.
revision = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
