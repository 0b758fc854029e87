"""What a store can do, role by role: what each verb returns, what is atomic, what conflicts.

A backend is one module that fills these roles and passes `penstock.testing.store_contract`. All
instants are integers, microseconds since 1970 in UTC. Every verb may raise
StoreUnavailableError; none retries by itself, but for a commit whose answer was lost. Verbs are
safe to call from several threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from penstock.model.column import SqlView
from penstock.model.connection import Connection, ConnectionMode, ConnectionState, StreamState
from penstock.model.outcome import Counters
from penstock.model.pace import PaceKey, PaceState
from penstock.model.run import NewRun, Run, RunState
from penstock.model.sealed import SealedCell, WrappedKey
from penstock.model.standing import Standing
from penstock.model.unit import Checkpoint, Head, Lease, LetterState, UnitOfWork
from penstock.store.rows import (
    Absence,
    FeedItem,
    FeedVersion,
    Forgotten,
    GoneDocument,
    HeldPage,
    StoredDocument,
    StoredDrift,
    StoredLetter,
    StoredPage,
    StoredTokens,
    StoredVersion,
    StoreFacts,
    Sweep,
    Trace,
)
from penstock.store.work_roles import Agenda, Backfills, Notices, Workers

T = TypeVar("T")


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
        superseded because their document is in `accepted` or `versions`, held pages released and
        kept, sightings and the seal, woken streams, shapes and drifts (the same one only once while
        it waits), checkpoint, counters added to the run. The archived pages are written only when
        versions, letters or drifts came of them.

        Raises LeaseLostError (epoch or owner moved on), WriteConflictError (a head is not the one
        the unit was decided upon, or a new document exists already). A unit whose unit_no is
        committed already under the same epoch is done: returns without writing. So a unit under a
        lease may be committed again after StoreUnavailableError, which leaves open whether it is
        there.
        """


class HeldPages(Protocol):
    """Pages of updates that count only as a whole; units write them (`held`, `released`)."""

    def first(
        self, workspace: str, connection: str, stream: str, partition: str = ""
    ) -> HeldPage | None:
        """The page that is held longest, None where none is."""


class Sweeps(Protocol):
    """Deletes proven by absence; units write sightings and seals (`sighted`, `seal`).

    A live document is gone where its stream has not seen it since before the last two complete
    enumerations, and nobody else has brought news of it since the first of them was asked for.
    """

    def get(
        self, workspace: str, connection: str, stream: str, partition: str = ""
    ) -> Sweep | None:
        """The stream's sweep, None before its first sighting."""

    def waiting(self, workspace: str, connection: str | None = None) -> list[Sweep]:
        """Those with deletes to be confirmed, in order of connection and stream."""

    def absence(self, sweep: Sweep) -> Absence:
        """How many of the live documents it has seen are gone."""

    def gone(self, sweep: Sweep, *, after: bytes = b"", limit: int = 500) -> list[GoneDocument]:
        """The gone ones, in order of document_id, beginning behind `after`."""

    def settle(self, sweep: Sweep, waiting: Absence | None) -> None:
        """The consequences of its last enumeration are drawn, or wait to be confirmed."""


class Streams(Protocol):
    """Resume points and leases, one row for each stream (and partition)."""

    def get(
        self, workspace: str, connection: str, stream: str, partition: str = ""
    ) -> StreamState | None: ...

    def unwell(self) -> list[StreamState]:
        """Streams of all workspaces whose condition is neither ok nor new, partitions left out."""

    def held(self) -> list[StreamState]:
        """Streams and partitions of all workspaces under a lease, living or not."""

    def list(self, workspace: str, connection: str | None = None) -> list[StreamState]: ...

    def conditions(self) -> dict[tuple[str, str], int]:
        """(workspace, condition) to the number of streams, partitions left out."""

    def claim(self, lease: Lease, *, now: int, held_by: str | None = None) -> StreamState | None:
        """Take the lease: owner and until from `lease` (its epoch is ignored), epoch + 1.

        Succeeds where the lease is free, run out, or still held by `held_by` (a dead owner the
        caller has looked into); makes the row on first use. Returns the row after the claim, None
        where somebody else holds it. Compare and set: of two callers one gets it.
        """

    def release(self, lease: Lease) -> bool:
        """Give the lease back if it is still ours (owner and epoch). True if it was."""

    def release_all(self, owners: str) -> int:
        """Give back every lease whose owner's name begins so; how many. Whoever still works under
        one of them writes nothing more."""

    def set_checkpoint(
        self, workspace: str, connection: str, stream: str, checkpoint: Checkpoint, *, now: int
    ) -> None:
        """Overwrite the resume point by hand; raises StreamBusyError under a running lease."""

    def note(self, workspace: str, connection: str, stream: str, notes: tuple[str, ...]) -> None:
        """What is doubtful about the stream's cursor, in place of what was noted before."""

    def set_standing(
        self,
        workspace: str,
        connection: str,
        stream: str,
        standing: Standing,
        *,
        now: int,
        partition: str = "",
    ) -> None:
        """One condition and one reason; `since` moves only when the condition changes."""


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
        standing: Standing | None = None,
        was_due_at: int | None = None,
    ) -> None:
        """End a run, and say where its stream stands, in one transaction.

        counters: only for runs that commit no units (observation). standing: None where the
        stream is not this run's to speak for. was_due_at: the stream's next_run_at when the run
        began; what has woken the stream since stays.
        """

    def get(self, run_no: int) -> Run | None: ...

    def list(self, workspace: str, *, connection: str | None = None, limit: int = 50) -> list[Run]:
        """Latest first."""

    def interrupt(
        self,
        workspace: str,
        connection: str,
        stream: str,
        *,
        now: int,
        except_run: int,
        partition: str = "",
    ) -> int:
        """Mark runs of the stream (or of that partition of a backfill) still `running` as
        interrupted, since their process died; how many."""

    def forget(self, before: int, *, limit: int) -> int:
        """Remove runs of all workspaces that ended before and that no version came of, at most so
        many; how many. Those of backfills stay, which are counted from them."""


class Connections(Protocol):
    """Connections and their sealed secrets."""

    def save(
        self,
        connection: Connection,
        secrets: Mapping[str, bytes],
        *,
        now: int,
        tokens: bytes | None = None,
    ) -> None:
        """Insert or replace the connection and the given sealed secrets in one transaction.

        tokens: a new grant, sealed, in place of whatever there was; None leaves it.
        """

    def get(self, workspace: str, name: str) -> Connection | None: ...

    def list(self, workspace: str | None = None) -> list[Connection]:
        """By name; of all workspaces unless one is named."""

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
        """Remove connection, secrets and stream states. Documents, letters and runs stay.

        With the last sealed cell of a workspace its data keys go.
        """

    def sealed(self, workspace: str, name: str) -> dict[str, bytes]:
        """Field name to sealed bytes."""


class Tokens(Protocol):
    """What a provider granted to connections, one row each, and who renews it.

    generation counts saved pairs. Every change names the generation it was decided upon and does
    nothing when that has moved on.
    """

    def get(self, workspace: str, connection: str) -> StoredTokens | None:
        """The row. lost: the connection's reason where it needs_reauth, else None."""

    def begin(
        self, workspace: str, connection: str, generation: int, attempt: str, *, over: str, now: int
    ) -> bool:
        """Write down who is about to refresh; makes the row of generation 0. True where done.

        over: the attempt that is taken over, "" for none. False where the row says another one, or
        the connection needs_reauth: of two callers one gets it.
        """

    def save(
        self, workspace: str, connection: str, generation: int, sealed: bytes, *, now: int
    ) -> bool:
        """The pair that a refresh brought. True: it is current, the old one is previous, nobody
        refreshes, and a connection that needs_reauth is active again; generation + 1. False: the
        generation has moved, and the pair is kept as spare."""

    def abandon(self, workspace: str, connection: str, attempt: str) -> None:
        """This attempt is over, with no answer."""

    def worked(self, workspace: str, connection: str, generation: int) -> None:
        """The current pair was good: previous and spare go."""

    def lose(
        self,
        workspace: str,
        connection: str,
        generation: int,
        attempt: str,
        *,
        reason: str,
        now: int,
    ) -> bool:
        """No pair is good any more: the connection needs_reauth, with that reason; nobody
        refreshes. False where the generation has moved, or the attempt was taken over."""


class Sealed(Protocol):
    """Sealed cells in all tables that have them, and the wrapped data keys. Only bytes."""

    def data_keys(self, workspace: str | None = None) -> list[WrappedKey]:
        """Data keys, of all workspaces unless one is named; highest generation first."""

    def add(self, key: WrappedKey) -> bool:
        """Write a new data key; False where the workspace has this generation already."""

    def rewrap(self, key: WrappedKey, wrapped: bytes) -> bool:
        """Replace the wrapped bytes; False where they are no longer those of `key`."""

    def finish(self, key: WrappedKey, *, now: int) -> None:
        """Everything is sealed with this key; forget those older than the one before it."""

    def cells(self, workspace: str | None = None) -> list[SealedCell]:
        """Every sealed cell, of all workspaces unless one is named."""

    def reseal(self, cell: SealedCell, sealed: bytes) -> bool:
        """Replace the bytes of a cell; False where they are no longer those of `cell`."""


class Pace(Protocol):
    """How fast others' APIs were asked, one small state for each rate, shared by all processes.

    Time here passes by one clock for everybody (see `Store.ahead`). `now` is asked for inside the
    transaction, behind whoever was there first.
    """

    def look(
        self, keys: Sequence[PaceKey], *, now: Callable[[], int]
    ) -> tuple[Sequence[PaceState], int]:
        """The states, untouched ones where there are none, and the instant of looking."""

    def change(
        self,
        keys: Sequence[PaceKey],
        decide: Callable[[Sequence[PaceState], int], tuple[T, Sequence[PaceState]]],
        *,
        now: Callable[[], int],
    ) -> T:
        """Give states and instant to a decision, keep the states it makes, return its answer.

        One short transaction: of several callers one after the other decides, each on what the
        one before it left. What did not change is not written. `decide` must be quick and pure.
        """


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

    def totals(self) -> dict[tuple[str, str], int]:
        """(workspace, reason) to the number of open letters."""

    def close(self, letter_ids: Sequence[bytes], state: LetterState, *, now: int) -> int:
        """Close open letters; how many were open. One transaction."""

    def forget(self, before: int, *, limit: int) -> int:
        """Remove letters of all workspaces that were closed before, at most so many; how many."""

    def write(self, unit: UnitOfWork) -> None:
        """Write the letters of a unit in a transaction of its own, without a lease.

        For the record that made a route raise: nothing else of its page is stored.
        """


class Shapes(Protocol):
    """What streams' records look like, and how that drifted; units write both (`observed`)."""

    def get(self, workspace: str, connection: str, stream: str) -> bytes | None:
        """The shape as the last unit wrote it, None before the first."""

    def drifts(
        self,
        workspace: str,
        *,
        connection: str | None = None,
        stream: str | None = None,
        accepted: bool | None = False,
        after: int = 0,
        limit: int = 100,
    ) -> list[StoredDrift]:
        """In order of drift_no, beginning behind `after`; accepted None means all."""

    def counts(self, workspace: str, *, connection: str | None = None) -> dict[str, int]:
        """Waiting drifts by kind."""

    def waiting(self) -> dict[tuple[str, str, str], tuple[int, int]]:
        """(workspace, connection, stream) to how many drifts wait, and since when the first."""

    def accept(
        self,
        workspace: str,
        connection: str,
        stream: str | None = None,
        *,
        drift_no: int | None = None,
        now: int,
    ) -> int:
        """Accept waiting drifts: all of the connection, of one stream, or one; how many.

        Streams that were paused by drift and have none waiting any more are well again, in the same
        transaction.
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
        """In order of (connection, source_id), beginning behind `after`; graves left out.

        Documents that share one source_id stay on one page, which may pass `limit` for them:
        `after` could not name a place between them.
        """

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


class Archive(Protocol):
    """Archived pages, and which of their records the documents' current versions came from."""

    def last(self) -> int:
        """The greatest version_no there is, 0 where there is none."""

    def cut(self, upto: int) -> int:
        """`upto`, or the version_no behind it up to which the versions of its page go on."""

    def traces(
        self, workspace: str, connection: str, stream: str, *, after: int, upto: int
    ) -> list[Trace]:
        """Of the documents whose current version is one of (after, upto] and was written by a run
        of that stream; in order of version_no. Left out are those that have ended without a record
        that says so."""

    def unit(self, page_no: int) -> list[StoredPage]:
        """The responses of one unit, in order; page_no: of the first."""

    def forget(self, *, before: int, after: int = 0, limit: int = 500) -> Forgotten:
        """Empty the bodies of pages received before that instant, of all workspaces, `limit` pages
        beyond the number `after`; one transaction.

        What is known of a page stays, its hash too. Kept whole are pages that an open letter or a
        waiting drift points at, with all of their unit.
        """


class Feed(Protocol):
    """The one dense order that followers read."""

    def read(self, after: int, limit: int = 1000) -> list[FeedItem]: ...

    def head(self) -> int:
        """The greatest seq, 0 when empty."""

    def versions(
        self,
        workspace: str,
        document_type: str,
        *,
        connection: str | None = None,
        after: int = 0,
        every: bool = False,
        ended: bool = False,
    ) -> Iterator[FeedVersion]:
        """Versions of a type's documents behind `after`, in order, with flat memory; one snapshot.

        Only those that are current, unless `every`; and only those of living documents, unless
        `ended`.
        """


class Views(Protocol):
    """Readable SQL views over the documents, for whoever looks with another program."""

    def keep(self, wanted: Sequence[SqlView]) -> list[str]:
        """Make what is missing or would be written differently now, drop what nobody wants.

        The names of those that were touched; none, and nothing written, where all is as it should
        be. One transaction. Raises DatabaseError where the user may not, or where views of
        somebody else's depend on one that has changed.
        """


class Store(Protocol):
    """A backend: its roles, and its life. Made by the composition root only."""

    documents: Documents
    streams: Streams
    runs: Runs
    connections: Connections
    tokens: Tokens
    sealed: Sealed
    letters: Letters
    reader: Reader
    archive: Archive
    feed: Feed
    held_pages: HeldPages
    sweeps: Sweeps
    pace: Pace
    shapes: Shapes
    backfills: Backfills
    agenda: Agenda
    workers: Workers
    notices: Notices
    views: Views

    def facts(self) -> StoreFacts: ...

    def ahead(self, now: Callable[[], datetime]) -> timedelta:
        """By how much the database's clock is ahead of `now`; 0 where all are on one host."""

    def backup(self, file: Path) -> None:
        """Copy the database to a new file while others write: one moment of it, whole or not at
        all. Raises DatabaseError where that cannot be, UsageError where a program is missing."""

    def close(self) -> None: ...

    def __enter__(self) -> Store: ...

    def __exit__(self, *exc: object) -> None: ...
