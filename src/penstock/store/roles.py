"""What a store can do, role by role: what each verb returns, what is atomic, what conflicts.

A backend is one module that fills these roles and passes `penstock.testing.store_contract`. All
instants are integers, microseconds since 1970 in UTC. Every verb may raise
StoreUnavailableError; none retries by itself. Verbs are safe to call from several threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.model.connection import Connection, ConnectionMode, ConnectionState, StreamState
from penstock.model.outcome import Counters
from penstock.model.run import NewRun, Run, RunState
from penstock.model.unit import Checkpoint, Head, Lease, LetterState, UnitOfWork


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
    """An archived response. body: zstd-compressed bytes as received."""

    page_no: int
    run_no: int
    url: str
    status: int
    content_type: str
    received_at: int
    sha256: bytes
    size: int
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter. See NewLetter for raw, payload and errors."""

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


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One step of the one order that followers read. ref: a version_no for kind "version"."""

    seq: int
    kind: str
    ref: int


class Documents(Protocol):
    """Heads and units of work: the only way documents come to be."""

    def heads(self, document_ids: Sequence[bytes]) -> dict[bytes, Head]:
        """The current heads of those documents that exist. Any number of ids; one snapshot."""

    def content(self, version_no: int) -> bytes:
        """The content bytes of one version."""

    def commit(self, unit: UnitOfWork) -> None:
        """Write all of the unit in one durable transaction, or nothing of it.

        In order: fence (lease owner, epoch and unit number compared and set, lease prolonged to
        `lease.until`), pages, versions with heads and feed rows, moved marks, letters (same
        letter_id: one more attempt, latest errors, open again), letters closed by name and those
        superseded because their document is in `accepted` or `versions`, checkpoint, counters
        added to the run. The archived pages are written only when versions or letters came of them.

        Raises LeaseLostError (epoch or owner moved on), WriteConflictError (a head is not the one
        the unit was decided upon, or a new document exists already). A unit whose unit_no is
        committed already under the same epoch is done: returns without writing.
        """


class Streams(Protocol):
    """Resume points and leases, one row for each stream (and partition)."""

    def get(
        self, workspace: str, connection: str, stream: str, partition: str = ""
    ) -> StreamState | None: ...

    def list(self, workspace: str, connection: str | None = None) -> list[StreamState]: ...

    def claim(self, lease: Lease, *, now: int, held_by: str | None = None) -> StreamState | None:
        """Take the lease: owner and until from `lease` (its epoch is ignored), epoch + 1.

        Succeeds where the lease is free, run out, or still held by `held_by` (a dead owner the
        caller has looked into); makes the row on first use. Returns the row after the claim, None
        where somebody else holds it. Compare and set: of two callers one gets it.
        """

    def release(self, lease: Lease) -> bool:
        """Give the lease back if it is still ours (owner and epoch). True if it was."""

    def set_checkpoint(
        self, workspace: str, connection: str, stream: str, checkpoint: Checkpoint, *, now: int
    ) -> None:
        """Overwrite the resume point by hand; raises StreamBusyError under a running lease."""

    def set_state(
        self,
        workspace: str,
        connection: str,
        stream: str,
        *,
        state: str,
        reason: str | None,
        now: int,
        next_run_at: int | None = None,
    ) -> None:
        """One state and one reason; `since` moves only when the state changes."""


class Runs(Protocol):
    """Runs: one row each, counters added by every unit."""

    def start(self, run: NewRun) -> int:
        """A new run in state running; its number."""

    def finish(
        self,
        run_no: int,
        *,
        state: RunState,
        reason: str | None,
        message: str | None,
        finished_at: int,
        work_us: int,
        counters: Counters | None = None,
    ) -> None:
        """End a run. counters: only for runs that commit no units (observation)."""

    def get(self, run_no: int) -> Run | None: ...

    def list(self, workspace: str, *, connection: str | None = None, limit: int = 50) -> list[Run]:
        """Latest first."""

    def interrupt(
        self, workspace: str, connection: str, stream: str, *, now: int, except_run: int
    ) -> int:
        """Mark runs of the stream still `running` (their process died) as interrupted; how many."""


class Connections(Protocol):
    """Connections and their sealed secrets."""

    def save(self, connection: Connection, secrets: Mapping[str, bytes], *, now: int) -> None:
        """Insert or replace the connection and the given sealed secrets in one transaction."""

    def get(self, workspace: str, name: str) -> Connection | None: ...

    def list(self, workspace: str) -> list[Connection]: ...

    def set(
        self,
        workspace: str,
        name: str,
        *,
        mode: ConnectionMode | None = None,
        state: ConnectionState | None = None,
    ) -> bool:
        """Change mode or state; False where there is no such connection."""

    def remove(self, workspace: str, name: str) -> bool:
        """Remove connection, secrets and stream states. Documents, letters and runs stay."""

    def sealed(self, workspace: str, name: str) -> dict[str, bytes]:
        """Field name to sealed bytes."""


class Letters(Protocol):
    """Dead letters."""

    def get(self, letter_id: bytes) -> StoredLetter | None: ...

    def list(
        self,
        workspace: str,
        *,
        connection: str | None = None,
        stream: str | None = None,
        reason: str | None = None,
        state: LetterState | None = LetterState.OPEN,
        after: bytes = b"",
        limit: int = 100,
    ) -> list[StoredLetter]:
        """In order of letter_id, beginning behind `after`; state None means all."""

    def counts(self, workspace: str, *, connection: str | None = None) -> dict[str, int]:
        """Open letters by reason."""

    def close(self, letter_ids: Sequence[bytes], state: LetterState, *, now: int) -> int:
        """Close open letters; how many were open. One transaction."""

    def write(self, unit: UnitOfWork) -> None:
        """Write the letters of a unit in a transaction of its own, without a lease.

        For the record that made a route raise: nothing else of its page is stored.
        """


class Reader(Protocol):
    """What the read service asks. Rows only; meaning is made above."""

    def documents(
        self,
        workspace: str,
        document_type: str,
        *,
        connection: str | None = None,
        after: tuple[str, str] = ("", ""),
        limit: int = 100,
    ) -> list[StoredDocument]:
        """In order of (connection, source_id), beginning behind `after`; graves left out."""

    def document(self, document_id: bytes) -> StoredDocument | None: ...

    def find(
        self, workspace: str, document_type: str, source_id: str, connection: str | None = None
    ) -> list[StoredDocument]: ...

    def history(self, document_id: bytes) -> list[StoredVersion]:
        """All versions, oldest first."""

    def page(self, page_no: int) -> StoredPage | None: ...

    def counts(
        self, workspace: str, *, connection: str | None = None
    ) -> dict[str, Mapping[str, int]]:
        """Document type to {"documents", "deleted", "versions"}."""

    def contents(
        self, workspace: str, document_type: str, *, connection: str | None = None
    ) -> Iterator[tuple[StoredDocument, bytes]]:
        """Every live document of a type with its content bytes, in order of (connection,
        source_id), with flat memory."""


class Feed(Protocol):
    """The one dense order that followers read."""

    def read(self, after: int, limit: int = 1000) -> list[FeedItem]: ...

    def head(self) -> int:
        """The greatest seq, 0 when empty."""


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What `doctor` and `db check` show. hazards: sentences, empty when all is well."""

    url: str
    dialect: str
    driver_version: str
    schema_revision: str | None
    schema_current: bool
    size_bytes: int
    hazards: tuple[str, ...]
    settings: Mapping[str, Any]


class Store(Protocol):
    """A backend: its roles, and its life. Made by the composition root only."""

    documents: Documents
    streams: Streams
    runs: Runs
    connections: Connections
    letters: Letters
    reader: Reader
    feed: Feed

    def facts(self) -> StoreFacts: ...

    def close(self) -> None: ...

    def __enter__(self) -> Store: ...

    def __exit__(self, *exc: object) -> None: ...
