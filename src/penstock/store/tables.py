"""The tables, described once for every backend.

Instants are integers (microseconds since 1970 in UTC), identities and hashes raw bytes, canonical
content and provider bytes are BLOB or BYTEA, JSON of our own is ASCII text. Money never appears as
a column. A change here needs a revision in `migrations` that leads to the same tables. What an
index is limited to is said for SQLite alone, see `schema.create`.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
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
    false,
    text,
)

from penstock.model.outcome import COUNTER_NAMES

metadata = MetaData()

_NEW_COUNTERS = {"unmarked", "absent"}
"""Of a later revision: the runs that were there have counted none."""


def tables_of(dialect: str) -> list[Table]:
    """The tables of a database of that dialect, in the order to make them."""
    return [t for t in metadata.sorted_tables if t.info.get("dialect", dialect) == dialect]


# SQLite makes only a column of the very type INTEGER the row's own number.
Number = BigInteger().with_variant(Integer(), "sqlite")

# Text is compared and sorted byte by byte on every backend, whatever language a server speaks.
Word = Text().with_variant(Text(collation="C"), "postgresql")

documents = Table(
    "documents",
    metadata,
    # The one tree in random order: rows append in order of arrival, only this index is random.
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

document_versions = Table(
    "document_versions",
    metadata,
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
    # Last, so that reading the other columns never walks the pages of a long content.
    Column("content", LargeBinary, nullable=False),
    # History is the chain of `previous`; this makes a fork of it impossible, and a first version
    # (the common case) pays nothing for it.
    Index(
        "document_versions_previous",
        "previous",
        unique=True,
        sqlite_where=text("previous IS NOT NULL"),
    ),
)

feed = Table(
    "feed",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("kind", Word, nullable=False),
    Column("ref", Number, nullable=False),
)

pages = Table(
    "pages",
    metadata,
    Column("page_no", Number, primary_key=True),
    Column("workspace", Word, nullable=False),
    Column("run_no", Number, nullable=False),
    Column("url", Word, nullable=False),
    Column("status", Number, nullable=False),
    Column("content_type", Word, nullable=False),
    Column("received_at", Number, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("size", Number, nullable=False),
    # Empty once it is forgotten, see the role Archive.
    Column("body", LargeBinary, nullable=False),
    # What a route was called with, or the parent it was fetched below. And the number of responses
    # of its unit, the others, which follow it in the same run, have 0.
    Column("asked", Word),
    Column("parts", Number, nullable=False, server_default="1"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
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
    Column("gone", Boolean, nullable=False, server_default=false()),
    Column("parent_id", LargeBinary),
    Index("dead_letters_state", "workspace", "state", "letter_id"),
    # Every commit asks for the open letters of its documents: the index holds nothing else.
    Index(
        "dead_letters_open",
        "document_id",
        sqlite_where=text("state = 'open'"),
    ),
)

runs = Table(
    "runs",
    metadata,
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
    *(
        Column(name, Number, nullable=False, server_default="0" if name in _NEW_COUNTERS else None)
        for name in COUNTER_NAMES
    ),
    # Of what: "" for the stream itself, or a backfill's partition.
    Column("partition", Word, nullable=False, server_default=""),
    Index("runs_connection", "workspace", "connection", "run_no"),
    Index(
        "runs_running",
        "workspace",
        "connection",
        "stream",
        sqlite_where=text("state = 'running'"),
    ),
    # The runs of a backfill's partitions, from which these have their counts.
    Index(
        "runs_partition",
        *("workspace", "connection", "stream", "partition"),
        sqlite_where=text("\"partition\" <> ''"),
    ),
)

stream_state = Table(
    "stream_state",
    metadata,
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
    Column("full_at", Number),
    Column("full_wanted_at", Number),
    Column("notes", Word),
    # What the clock needs: the manifest's schedule as it was when next_run_at was reckoned, when a
    # person paused it, runs begun since one last ended by itself, and runs that failed in a row.
    Column("schedule", Word),
    Column("paused_at", Number),
    Column("attempts", Number, nullable=False, server_default="0"),
    Column("failures", Number, nullable=False, server_default="0"),
    # The due index: it holds only streams with a time, in order of time.
    Index(
        "stream_state_due",
        "next_run_at",
        sqlite_where=text("next_run_at IS NOT NULL"),
    ),
)

# Pages of an update that counts only as a whole, until it ends.
held_pages = Table(
    "held_pages",
    metadata,
    Column("workspace", Word, primary_key=True),
    Column("connection", Word, primary_key=True),
    Column("stream", Word, primary_key=True),
    Column("partition", Word, primary_key=True),
    Column("unit_no", Number, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

# Streams whose absent records are gone: their last two complete enumerations, by the number of
# their first unit. swept: the one whose consequences are drawn; waiting: deletes to be confirmed.
sweeps = Table(
    "sweeps",
    metadata,
    Column("sweep_no", Number, primary_key=True),
    Column("workspace", Word, nullable=False),
    Column("connection", Word, nullable=False),
    Column("stream", Word, nullable=False),
    Column("partition", Word, nullable=False),
    Column("began", Number),
    Column("began_at", Number),
    Column("before", Number),
    Column("before_at", Number),
    Column("swept", Number),
    Column("waiting", Number),
    Column("members", Number),
    Index("sweeps_stream", "workspace", "connection", "stream", "partition", unique=True),
)

# The unit that last saw each of their documents. A number for the stream keeps the rows short.
sightings = Table(
    "sightings",
    metadata,
    Column("sweep_no", Number, primary_key=True, autoincrement=False),
    Column("document_id", LargeBinary, primary_key=True),
    Column("seen", Number, nullable=False),
    sqlite_with_rowid=False,
)

connections = Table(
    "connections",
    metadata,
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
    Column("facts", Word),
    Column("reason", Word),
)

secrets = Table(
    "secrets",
    metadata,
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

# What one refresher at a time may replace: see the role `Tokens`.
tokens = Table(
    "tokens",
    metadata,
    Column("workspace", Word, primary_key=True),
    Column("connection", Word, primary_key=True),
    Column("generation", Number, nullable=False),
    Column("attempt", Word, nullable=False),
    Column("sealed", LargeBinary),
    Column("previous", LargeBinary),
    Column("spare", LargeBinary),
    Column("updated_at", Number, nullable=False),
    ForeignKeyConstraint(
        ["workspace", "connection"],
        ["connections.workspace", "connections.name"],
        ondelete="CASCADE",
    ),
)

data_keys = Table(
    "data_keys",
    metadata,
    Column("workspace", Word, primary_key=True),
    Column("generation", Number, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("finished_at", Number),
)

pace = Table(
    "pace",
    metadata,
    Column("scope", Word, primary_key=True),
    Column("workspace", Word, primary_key=True),
    Column("owner", Word, primary_key=True),
    Column("rate", Word, primary_key=True),
    Column("state", Word, nullable=False),
)

# What the records of each stream look like, as the pipeline wrote it.
shapes = Table(
    "shapes",
    metadata,
    Column("workspace", Word, primary_key=True),
    Column("connection", Word, primary_key=True),
    Column("stream", Word, primary_key=True),
    Column("shape", LargeBinary, nullable=False),
    Column("updated_at", Number, nullable=False),
)

drifts = Table(
    "drifts",
    metadata,
    Column("drift_no", Number, primary_key=True),
    Column("workspace", Word, nullable=False),
    Column("connection", Word, nullable=False),
    Column("stream", Word, nullable=False),
    Column("kind", Word, nullable=False),
    Column("path", Word, nullable=False),
    Column("detail", Word, nullable=False),
    Column("message", Word, nullable=False),
    Column("idempotency_key", Word),
    Column("run_no", Number, nullable=False),
    Column("page_no", Number),
    Column("page_index", Number),
    Column("first_seen_at", Number, nullable=False),
    Column("accepted_at", Number),
    Index("drifts_stream", "workspace", "connection", "stream", "drift_no"),
    # What waits to be accepted waits once, whoever sees it.
    Index(
        "drifts_open",
        *("workspace", "connection", "stream", "kind", "path", "detail"),
        unique=True,
        sqlite_where=text("accepted_at IS NULL"),
    ),
)

# A backfill, and the slices of time (and keys) that it consists of. Each slice under way has
# a row in stream_state, under its partition's name, with its own checkpoint and lease.
backfills = Table(
    "backfills",
    metadata,
    Column("backfill_no", Number, primary_key=True),
    Column("workspace", Word, nullable=False),
    Column("connection", Word, nullable=False),
    Column("stream", Word, nullable=False),
    Column("from_at", Number, nullable=False),
    Column("to_at", Number, nullable=False),
    Column("by", Word, nullable=False),
    Column("parallel", Number, nullable=False),
    Column("state", Word, nullable=False),
    Column("reason", Word),
    Column("cutoff_at", Number, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("finished_at", Number),
    Index("backfills_stream", "workspace", "connection", "stream"),
    # Running ones are looked for at every tick.
    Index(
        "backfills_running",
        "backfill_no",
        sqlite_where=text("state = 'running'"),
    ),
)

backfill_partitions = Table(
    "backfill_partitions",
    metadata,
    Column("backfill_no", Number, primary_key=True, autoincrement=False),
    Column("partition", Word, primary_key=True),
    Column("from_at", Number, nullable=False),
    Column("to_at", Number, nullable=False),
    Column("keys", Word, nullable=False),
    Column("state", Word, nullable=False),
    Column("reason", Word),
    # Attempts begun since one last ended by itself or got further than the one before it: by the
    # number of the last unit then. And those that failed in a row.
    Column("attempts", Number, nullable=False),
    Column("reached", Number, nullable=False),
    Column("failures", Number, nullable=False),
    Column("next_try_at", Number),
    Column("started_at", Number),
    Column("finished_at", Number),
    *(Column(name, Number, nullable=False) for name in COUNTER_NAMES),
    ForeignKeyConstraint(
        ["backfill_no"],
        ["backfills.backfill_no"],
        ondelete="CASCADE",
    ),
    # What is still to be pulled, in order.
    Index(
        "backfill_partitions_open",
        *("backfill_no", "partition"),
        sqlite_where=text("state IN ('waiting', 'running')"),
    ),
)

# Processes that serve: who they are, and when they last said so.
workers = Table(
    "workers",
    metadata,
    Column("owner", Word, primary_key=True),
    Column("kind", Word, nullable=False),
    Column("version", Word, nullable=False),
    Column("slots", Number, nullable=False),
    Column("busy", Number, nullable=False),
    Column("started_at", Number, nullable=False),
    Column("beat_at", Number, nullable=False),
)

# Views that were made for readers, each with a hash of its text; not looked at but for changes.
views = Table(
    "views",
    metadata,
    Column("name", Word, primary_key=True),
    Column("mark", Word, nullable=False),
)

# What one of all workers does every so often, and when one last did.
turns = Table(
    "turns",
    metadata,
    Column("what", Word, primary_key=True),
    Column("taken_at", Number, nullable=False),
)

# What somebody is told: once for each cause, until it is over.
notices = Table(
    "notices",
    metadata,
    Column("notice_no", Number, primary_key=True),
    Column("workspace", Word, nullable=False),
    Column("connection", Word, nullable=False),
    Column("stream", Word, nullable=False),
    Column("cause", Word, nullable=False),
    Column("detail", Word, nullable=False),
    Column("since", Number, nullable=False),
    Column("attempts", Number, nullable=False),
    Column("sent_at", Number),
    Column("cleared_at", Number),
    Index(
        "notices_open",
        *("workspace", "connection", "stream", "cause"),
        unique=True,
        sqlite_where=text("cleared_at IS NULL"),
    ),
)

# PostgreSQL only: what was committed and has no place in the feed yet, with the transaction that
# wrote it. A unit's references are one row. See `postgres_feed`.
feed_inbox = Table(
    "feed_inbox",
    metadata,
    Column("inbox_no", Number, primary_key=True),
    Column("txid", Number, nullable=False),
    Column("kind", Word, nullable=False),
    Column("refs", ARRAY(BigInteger), nullable=False),
    info={"dialect": "postgresql"},
)

# As the migration tool makes it, so that a new file needs no import of that tool.
revision = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
