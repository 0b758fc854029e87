"""The unit of work: everything one page does to the store, as one value.

The pipeline decides it without I/O; the store writes it in one transaction. Rows are named
tuples, because the store hands thousands of them to the driver as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from penstock.model.drift import Observed
from penstock.model.outcome import Counters


class DocumentState(StrEnum):
    """Where a document stands. A grave is the memory of a delete that came before any content."""

    LIVE = "live"
    DELETED = "deleted"
    GRAVE = "grave"


class Head(NamedTuple):
    """What the store knows of a document: its current version and marks.

    version_no: number of the current version's row (store-wide); 0 for a grave.
    raw_mark: 16 bytes over raw record and mapping that last confirmed the version, or None.
    Instants are microseconds since 1970 in UTC.
    """

    document_id: bytes
    version: int
    version_no: int
    state: str
    payload_hash: bytes
    raw_mark: bytes | None
    source_id: str
    source_version: str | None
    source_updated_at: int | None
    as_of: int


class NewVersion(NamedTuple):
    """A version to write, with the head it leaves behind.

    previous: `version_no` of the version it follows, 0 where it follows a grave; None makes the
    document. Ids and hashes are
    raw bytes; content is the normal form without the two source marks, empty for a grave (which
    makes a head and no version). flags: JSON, or None.
    """

    document_id: bytes
    document_type: str
    idempotency_key: str
    source_id: str
    version: int
    previous: int | None
    state: str
    contract_version: str
    payload_hash: bytes
    raw_mark: bytes | None
    content: bytes
    source_version: str | None
    source_updated_at: int | None
    as_of: int
    status: str | None
    on_date: str | None
    party: str | None
    number: str | None
    flags: bytes | None
    page_index: int | None


class MovedMarks(NamedTuple):
    """An unchanged document whose marks move: found with `version_no`, its head gets the rest."""

    document_id: bytes
    version_no: int
    raw_mark: bytes | None
    source_version: str | None
    source_updated_at: int | None
    as_of: int


class LetterState(StrEnum):
    OPEN = "open"
    REPLAYED = "replayed"
    SUPERSEDED = "superseded"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A record set aside. The same letter_id again counts one more attempt.

    stream: the one it was handed over for, which need not be the one that runs; its mapping is
    what a replay uses. raw: the provider's record as received (None where a route submitted a
    payload of its own); payload: the submitted payload as JSON (None where the mapping made none);
    errors: JSON array of {code, path, invariant, message}. gone: it was handed over as ended, and
    payload is {at, source_version} of that end. parent_id: the document that a child collection
    was fetched below.
    """

    letter_id: bytes
    stream: str
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
    page_index: int | None
    gone: bool = False
    parent_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class ClosedLetter:
    """A letter to close. version_no of the document it made is filled in by the store."""

    letter_id: bytes
    state: LetterState


@dataclass(frozen=True, slots=True)
class ArchivedPage:
    """One response as received, compressed.

    url: without credentials. body: zstd; sha256 and size are of the bytes before compression.
    asked: JSON, of the first response of a unit: what a route was called with, or which parent the
    page was fetched below; None where the connector alone knows how to read it.
    """

    url: str
    status: int
    content_type: str
    received_at: int
    sha256: bytes
    size: int
    body: bytes
    asked: str | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a stream goes on.

    cursor: the connector's opaque resume point (JSON). enumeration: what the platform carries
    through the pages of one enumeration (started_at, high, full, ...), None between two of them.
    watermark: microseconds, or None. full_at: when the enumeration of everything began that ends
    here, microseconds; None where none does: what is stored stays.
    """

    cursor: Any = None
    enumeration: dict[str, Any] | None = None
    watermark: int | None = None
    full_at: int | None = None


class Wake(NamedTuple):
    """Another stream of the connection is due at once; full: with an enumeration of everything."""

    stream: str
    full: bool = False


class Seal(NamedTuple):
    """A complete enumeration of everything: number of its first unit, and when it was asked for
    (microseconds, our clock)."""

    began: int
    began_at: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for one stream until `until`; the epoch fences it."""

    workspace: str
    connection: str
    stream: str
    owner: str
    epoch: int
    until: datetime
    partition: str = ""


@dataclass(frozen=True, slots=True)
class UnitOfWork:
    """What one page, one delivery or one replay does to the store, in one transaction.

    unit_no: the number this unit gets in its stream, one more than the last committed one. It is
    the identity to look up after a lost answer: a unit that is there already is not written twice.
    0 for units without a lease.
    """

    workspace: str
    connection: str
    stream: str
    run_no: int
    recorded_at: int
    lease: Lease | None = None
    unit_no: int = 0
    pages: tuple[ArchivedPage, ...] = ()
    """The responses this unit came from; versions and letters point at the first one."""
    page_no: int | None = None
    """In place of pages: the archived one that its records were derived from once more. They tell
    nothing new, so no letter is superseded by them."""
    versions: tuple[NewVersion, ...] = ()
    marks: tuple[MovedMarks, ...] = ()
    letters: tuple[NewLetter, ...] = ()
    closed: tuple[ClosedLetter, ...] = ()
    accepted: tuple[bytes, ...] = ()
    """Ids of all accepted documents, unchanged and stale ones too: their open letters close."""
    checkpoint: Checkpoint | None = None
    counters: Counters = field(default_factory=Counters)
    held: bytes | None = None
    """A page of an update that counts only as a whole: kept under this unit's number."""
    released: int | None = None
    """Held pages up to this unit number go."""
    sighted: tuple[bytes, ...] = ()
    """Ids of documents whose records the source showed, where absence proves a delete."""
    seal: Seal | None = None
    """With this unit an enumeration is complete."""
    wakes: tuple[Wake, ...] = ()
    observed: tuple[Observed, ...] = ()
    """What the records' shapes are now, and how they differ from before."""
