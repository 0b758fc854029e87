"""What a store gives back: rows as values, without a meaning of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from penstock.model.backfill import BackfillState, Part, PartitionState, Step, Tally
from penstock.model.outcome import Counters
from penstock.model.unit import Head, LetterState


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document with its current version; see StoredVersion for the rest of the content."""

    document_id: bytes
    workspace: str
    connection: str
    document_type: str
    idempotency_key: str
    source_id: str
    state: str
    version: int
    version_no: int
    status: str | None
    on_date: str | None
    party: str | None
    number: str | None
    source_version: str | None
    source_updated_at: int | None


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version as written. content: the normal form without source marks, as JSON bytes.

    page_no and page_index say where the raw bytes stand (None where nothing was archived).
    """

    version_no: int
    document_id: bytes
    version: int
    previous: int | None
    state: str
    contract_version: str
    payload_hash: bytes
    content: bytes
    source_version: str | None
    source_updated_at: int | None
    as_of: int
    flags: bytes | None
    run_no: int
    page_no: int | None
    page_index: int | None
    recorded_at: int


@dataclass(frozen=True, slots=True)
class StoredPage:
    """An archived response. body: zstd-compressed bytes as received, empty once forgotten.

    asked: see ArchivedPage. parts: of how many responses of its unit it is the first, 0 for the
    others.
    """

    page_no: int
    run_no: int
    url: str
    status: int
    content_type: str
    received_at: int
    sha256: bytes
    size: int
    body: bytes
    asked: str | None = None
    parts: int = 1


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter. See NewLetter for what the record brought. run_no: of the last try."""

    letter_id: bytes
    workspace: str
    connection: str
    stream: str
    state: LetterState
    document_id: bytes | None
    document_type: str
    idempotency_key: str | None
    source_id: str | None
    contract_version: str | None
    reason: str
    message: str
    retryable: bool
    errors: bytes
    errors_truncated: bool
    raw: bytes | None
    payload: bytes | None
    as_of: int
    run_no: int
    page_no: int | None
    page_index: int | None
    attempts: int
    first_seen_at: int
    last_seen_at: int
    closed_at: int | None
    closed_by: int | None
    gone: bool = False
    parent_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class HeldPage:
    """A page of an update that is not complete yet. body: as the pipeline wrote it."""

    unit_no: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a stream with proven deletes remembers of its enumerations.

    began, began_at: first unit and start (microseconds) of the last complete one; before,
    before_at: of the one before it. swept: the `began` whose consequences are drawn. waiting,
    members: so many of so many documents are gone, to be confirmed; else None.
    """

    sweep_no: int
    workspace: str
    connection: str
    stream: str
    partition: str
    began: int | None
    began_at: int | None
    before: int | None
    before_at: int | None
    swept: int | None
    waiting: int | None
    members: int | None


@dataclass(frozen=True, slots=True)
class Absence:
    """gone: of the live documents (members) that a stream has ever seen."""

    gone: int
    members: int


@dataclass(frozen=True, slots=True)
class GoneDocument:
    document_id: bytes
    document_type: str
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One step of the one order that followers read. ref: a version_no for kind "version"."""

    seq: int
    kind: str
    ref: int


class FeedVersion(NamedTuple):
    """A version at its place in the order, with what is known of its document."""

    seq: int
    document_id: bytes
    connection: str
    source_id: str
    idempotency_key: str
    state: str
    version: int
    recorded_at: int
    source_version: str | None
    source_updated_at: int | None
    content: bytes


@dataclass(frozen=True, slots=True)
class StoredDrift:
    """A drift as it was written with the page that showed it first. idempotency_key, page_index: of
    the first record there; page_no: None where no response was archived. accepted_at: None while it
    waits."""

    drift_no: int
    workspace: str
    connection: str
    stream: str
    kind: str
    path: str
    detail: str
    message: str
    idempotency_key: str | None
    run_no: int
    page_no: int | None
    page_index: int | None
    first_seen_at: int
    accepted_at: int | None


@dataclass(frozen=True, slots=True)
class StoredTokens:
    """The tokens of one connection, each pair sealed. See `Tokens`."""

    generation: int
    attempt: str
    sealed: bytes | None
    previous: bytes | None
    spare: bytes | None
    lost: str | None


@dataclass(frozen=True, slots=True)
class StoredBackfill:
    """A backfill with the tally of its partitions. reason: why it is paused, or failed."""

    backfill_no: int
    workspace: str
    connection: str
    stream: str
    from_at: int
    to_at: int
    by: Step
    parallel: int
    state: BackfillState
    reason: str | None
    cutoff_at: int
    created_at: int
    finished_at: int | None
    tally: Tally


@dataclass(frozen=True, slots=True)
class StoredPartition:
    """One partition of a backfill.

    attempts: begun since one last ended by itself, or got further than the one before it.
    failures: failed attempts in a row. next_try_at: None for at once. started_at: of the latest
    attempt. counters: of all attempts, of a running one up to its last page.
    """

    backfill_no: int
    part: Part
    state: PartitionState
    reason: str | None
    attempts: int
    failures: int
    next_try_at: int | None
    started_at: int | None
    finished_at: int | None
    counters: Counters


@dataclass(frozen=True, slots=True)
class DuePartition:
    """A partition that somebody may pull now."""

    workspace: str
    connection: str
    stream: str
    partition: str


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What `doctor` and `db check` show. hazards: sentences, empty when all is well. free_bytes: of
    the disk, None where that is another machine's."""

    url: str
    dialect: str
    driver_version: str
    schema_revision: str | None
    schema_current: bool
    size_bytes: int
    hazards: tuple[str, ...]
    settings: Mapping[str, Any]
    free_bytes: int | None = None


class CopiedTable(NamedTuple):
    """A table as it was copied elsewhere. sha256: over its rows in order of their key."""

    table: str
    rows: int
    sha256: str


class Trace(NamedTuple):
    """Where the raw record of a document's current version stands.

    page_no, page_index: None where it was not archived. kept: size of the page's body, 0 where it
    was forgotten or never was. newer: whether a later record, which changed nothing and is not
    archived, has moved the head's marks since. has_letter: whether a later one waits as a dead
    letter.
    """

    head: Head
    document_type: str
    page_no: int | None
    page_index: int | None
    kept: int
    newer: bool
    has_letter: bool
    content: bytes


class Forgotten(NamedTuple):
    """bytes: of compressed bodies. last: number of the last page looked at, None at the end."""

    pages: int
    bytes: int
    last: int | None


class PlannedStream(NamedTuple):
    """schedule: the manifest's, by which its next run was reckoned; None without one."""

    workspace: str
    connection: str
    stream: str
    schedule: str | None


class DueStream(NamedTuple):
    """due_at: microseconds. lease_owner: empty where nobody ever held it, or has given it back."""

    workspace: str
    connection: str
    stream: str
    due_at: int
    lease_owner: str


class OverdueStream(NamedTuple):
    """A stream whose time has come and gone. schedule: the manifest's, None without one."""

    workspace: str
    connection: str
    stream: str
    schedule: str | None
    due_at: int


class WorkerRow(NamedTuple):
    """A process that works for penstock. kind: serve or worker. busy: of its slots. beat_at: when
    it last said that it lives."""

    owner: str
    kind: str
    version: str
    slots: int
    busy: int
    started_at: int
    beat_at: int
