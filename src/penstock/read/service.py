"""The read service: every question a face may ask, answered from the store's roles."""

from __future__ import annotations

from penstock.contracts.registry import contract
from penstock.errors import UsageError
from penstock.model.backfill import number_of
from penstock.model.identity import as_text, from_text
from penstock.model.shape import Shape
from penstock.model.unit import DocumentState, LetterState
from penstock.read import health
from penstock.read.backfills import BackfillView, PartitionView
from penstock.read.connections import ConnectionView
from penstock.read.counts import Counts
from penstock.read.deletes import WaitingDeletes
from penstock.read.documents import DocumentStory, DocumentView, Provenance, VersionView
from penstock.read.drift import DriftView, ShapeView
from penstock.read.exported import ExportedVersion
from penstock.read.exports import Export
from penstock.read.letters import LetterView
from penstock.read.listing import Listing, cut, read_number, read_place, write_place
from penstock.read.pulse import Pulse, Vantage
from penstock.read.runs import RunView
from penstock.read.streams import StreamView
from penstock.store.roles import Store
from penstock.store.rows import StoredDocument

LIMIT = 100


class ReadService:
    """Answers about one workspace. Whatever belongs to another one does not exist here.

    Questions about a thing that is not there raise UsageError with a sentence.
    """

    def __init__(self, store: Store, workspace: str) -> None:
        self._store = store
        self._workspace = workspace

    def documents(
        self,
        document_type: str,
        connection: str | None = None,
        *,
        limit: int = LIMIT,
        after: str | None = None,
    ) -> Listing[DocumentView]:
        """Documents of a type in order of connection and source id, deleted ones included.

        Documents that share one source id stay together, so a listing may pass its limit for them.
        after: `Listing.after` of the listing before. Raises UnknownDocumentTypeError.
        """
        contract(document_type)
        first, second = read_place(after, 2) if after else ("", "")
        rows = self._store.reader.documents(
            self._workspace,
            document_type,
            connection=connection,
            after=(first, second),
            limit=_checked(limit),
        )
        views = tuple(DocumentView.of(row, self._content(row)) for row in rows)
        return Listing(views, self._place_behind(rows, connection) if len(rows) >= limit else None)

    def document(
        self,
        reference: str,
        document_type: str | None = None,
        connection: str | None = None,
    ) -> DocumentStory:
        """One document with its history.

        reference: a document id, or the provider's own id of the record (source id); type and
        connection narrow the search for the latter. Raises UsageError where none or several match.
        """
        row = self._by_id(reference) or self._by_source_id(reference, document_type, connection)
        versions = self._store.reader.history(row.document_id)
        current = versions[-1]
        page = None if current.page_no is None else self._store.reader.page(current.page_no)
        return DocumentStory(
            document=DocumentView.of(row, current.content),
            versions=tuple(VersionView.of(version, row.document_type) for version in versions),
            provenance=Provenance.of(current, self._store.runs.get(current.run_no), page),
        )

    def export(
        self,
        document_type: str,
        connection: str | None = None,
        *,
        after: int | None = None,
        all_versions: bool = False,
    ) -> Export:
        """Documents of a type as they are now, or all their versions, in the order of the feed.

        after: only what was recorded behind that place, `Written.seq` of the export before.
        Documents that have ended are left out unless `after` or `all_versions` is given: then
        their tombstones say so. One snapshot, which is read when the export is written. Raises
        UnknownDocumentTypeError, and UsageError for a place that the feed has not reached.
        """
        kind = contract(document_type)
        self._check_place(after or 0)
        rows = self._store.feed.versions(
            self._workspace,
            document_type,
            connection=connection,
            after=after or 0,
            every=all_versions,
            ended=all_versions or after is not None,
        )
        versions = (ExportedVersion.of(row, kind) for row in rows)
        return Export(document_type, after or 0, versions)

    def letters(
        self,
        *,
        connection: str | None = None,
        stream: str | None = None,
        reason: str | None = None,
        state: LetterState | None = LetterState.OPEN,
        limit: int = LIMIT,
        after: str | None = None,
    ) -> Listing[LetterView]:
        """Dead letters in the order of their ids; state None means all, closed ones too."""
        rows = self._store.letters.list(
            self._workspace,
            connection=connection,
            stream=stream,
            reason=reason,
            state=state,
            after=_identity(after, "dead letter") if after else b"",
            limit=_checked(limit) + 1,
        )
        return cut([LetterView.of(row) for row in rows], limit, lambda view: view.letter_id)

    def letter(self, letter_id: str) -> LetterView:
        """One dead letter by its id."""
        row = self._store.letters.get(_identity(letter_id, "dead letter"))
        if row is None or row.workspace != self._workspace:
            raise UsageError(f"there is no dead letter {letter_id}")
        return LetterView.of(row)

    def runs(self, connection: str | None = None, *, limit: int = 50) -> tuple[RunView, ...]:
        """Latest first."""
        rows = self._store.runs.list(self._workspace, connection=connection, limit=_checked(limit))
        return tuple(RunView.of(run) for run in rows)

    def run(self, run_no: int) -> RunView:
        """One run by its number."""
        run = self._store.runs.get(run_no)
        if run is None or run.workspace != self._workspace:
            raise UsageError(f"there is no run {run_no}")
        return RunView.of(run)

    def streams(self, connection: str | None = None) -> tuple[StreamView, ...]:
        """Streams that ran or were set at least once; what backfills keep is told with those."""
        rows = self._store.streams.list(self._workspace, connection)
        its = {each.name: each for each in self._store.connections.list(self._workspace)}
        views = (StreamView.of(row) for row in rows if number_of(row.partition) is None)
        return tuple(v.under(its[v.connection]) if v.connection in its else v for v in views)

    def drifts(
        self,
        connection: str | None = None,
        stream: str | None = None,
        *,
        accepted: bool | None = False,
        limit: int = LIMIT,
        after: str | None = None,
    ) -> Listing[DriftView]:
        """Drift that waits to be accepted, as it was seen; accepted None means all of it."""
        if connection is not None:
            self.connection(connection)
        behind = read_number(after) if after else 0
        rows = self._store.shapes.drifts(
            self._workspace,
            connection=connection,
            stream=stream,
            accepted=accepted,
            after=behind,
            limit=_checked(limit) + 1,
        )
        return cut([DriftView.of(row) for row in rows], limit, lambda v: write_place(str(v.id)))

    def shape(self, connection: str, stream: str) -> ShapeView:
        """What the records of a stream look like; without fields before the first ones."""
        self.connection(connection)
        stored = self._store.shapes.get(self._workspace, connection, stream)
        shape = Shape() if stored is None else Shape.from_bytes(stored)
        return ShapeView.of(connection, stream, shape)

    def deletes(self, connection: str | None = None) -> tuple[WaitingDeletes, ...]:
        """Streams of which too much is gone at once, so that a person is asked."""
        if connection is not None:
            self.connection(connection)
        waiting = self._store.sweeps.waiting(self._workspace, connection)
        return tuple(map(WaitingDeletes.of, waiting))

    def backfills(
        self, connection: str | None = None, *, limit: int = 50
    ) -> tuple[BackfillView, ...]:
        """Latest first."""
        if connection is not None:
            self.connection(connection)
        rows = self._store.backfills.latest(
            self._workspace, connection=connection, limit=_checked(limit)
        )
        return tuple(map(BackfillView.of, rows))

    def backfill(self, backfill_no: int) -> BackfillView:
        """One backfill by its number."""
        row = self._store.backfills.get(self._workspace, backfill_no)
        if row is None:
            raise UsageError(f"there is no backfill {backfill_no}")
        return BackfillView.of(row)

    def partitions(self, backfill_no: int) -> tuple[PartitionView, ...]:
        """The partitions of a backfill, in order."""
        self.backfill(backfill_no)
        return tuple(map(PartitionView.of, self._store.backfills.partitions(backfill_no)))

    def connections(self) -> tuple[ConnectionView, ...]:
        """All connections, by name."""
        rows = self._store.connections.list(self._workspace)
        return tuple(
            ConnectionView.of(row, self._secrets(row.name))
            for row in sorted(rows, key=lambda row: row.name)
        )

    def connection(self, name: str) -> ConnectionView:
        """One connection by its name."""
        row = self._store.connections.get(self._workspace, name)
        if row is None:
            known = ", ".join(c.name for c in self._store.connections.list(self._workspace))
            raise UsageError(f"there is no connection {name!r}; there are: {known or 'none'}")
        return ConnectionView.of(row, self._secrets(name))

    def counts(self, connection: str | None = None) -> Counts:
        """Documents by type, open dead letters by reason, waiting drift by kind."""
        return Counts(
            documents=self._store.reader.counts(self._workspace, connection=connection),
            letters=self._store.letters.counts(self._workspace, connection=connection),
            drift=self._store.shapes.counts(self._workspace, connection=connection),
        )

    def health(self, vantage: Vantage | None = None) -> health.Health:
        """What `doctor` shows; without a vantage point nothing of what lives."""
        facts = self._store.facts()
        connections = self._store.connections.list(self._workspace)
        counts = self.counts()
        pulse = Pulse.of(self._store, self._workspace, vantage) if vantage else None
        found = health.findings(
            facts, connections, list(self.streams()), counts, self.deletes(), self.backfills()
        )
        return health.Health(
            workspace=self._workspace,
            store=facts,
            connections=len(connections),
            counts=counts,
            findings=(*(pulse.findings() if pulse else ()), *found),
            pulse=pulse,
        )

    def _check_place(self, after: int) -> None:
        if after and not 0 < after <= (head := self._store.feed.head()):
            raise UsageError(
                f"{after} is no place in this database, whose feed ends at {head}: begin anew, "
                "without a place"
            )

    def _place_behind(self, rows: list[StoredDocument], connection: str | None) -> str | None:
        """Where the rest begins, None where these rows were the last."""
        last = rows[-1]
        place = (last.connection, last.source_id)
        rest = self._store.reader.documents(
            self._workspace, last.document_type, connection=connection, after=place, limit=1
        )
        return write_place(*place) if rest else None

    def _content(self, row: StoredDocument) -> bytes:
        return self._store.documents.content(row.version_no)

    def _secrets(self, connection: str) -> tuple[str, ...]:
        return tuple(sorted(self._store.connections.sealed(self._workspace, connection)))

    def _by_id(self, reference: str) -> StoredDocument | None:
        try:
            row = self._store.reader.document(from_text(reference))
        except ValueError:
            return None
        if row is None or row.workspace != self._workspace or row.state == DocumentState.GRAVE:
            return None
        return row

    def _by_source_id(
        self, source_id: str, document_type: str | None, connection: str | None
    ) -> StoredDocument:
        types = [document_type] if document_type else list(self._types())
        found = [
            row
            for name in types
            for row in self._store.reader.find(self._workspace, name, source_id, connection)
            if row.state != DocumentState.GRAVE
        ]
        if not found:
            raise UsageError(f"there is no document {source_id!r}")
        if len(found) > 1:
            shown = ", ".join(
                f"{row.document_type} of {row.connection} {as_text(row.document_id)}"
                for row in found
            )
            raise UsageError(f"several documents are called {source_id!r}: {shown}; name one id")
        return found[0]

    def _types(self) -> list[str]:
        return sorted(self._store.reader.counts(self._workspace))


def _checked(limit: int) -> int:
    if limit < 1:
        raise UsageError(f"a limit of {limit} shows nothing; give 1 or more")
    return limit


def _identity(text: str, noun: str) -> bytes:
    try:
        return from_text(text)
    except ValueError as error:
        raise UsageError(f"{text[:64]!r} is no {noun} id") from error
