"""A document as people see it: its envelope, its payload, its history, where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.contracts.registry import contract
from penstock.model.identity import as_text, version_id
from penstock.model.run import Run
from penstock.model.unit import DocumentState
from penstock.read import notation
from penstock.store.rows import StoredDocument, StoredPage, StoredVersion


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document with the payload of its current version, source marks put back."""

    document_id: str
    document_version_id: str
    document_type: str
    connection_id: str
    source_id: str
    idempotency_key: str
    state: str
    version: int
    lifecycle: str | None
    status: str | None
    on_date: str | None
    party: str | None
    number: str | None
    payload: dict[str, Any]

    @classmethod
    def of(cls, row: StoredDocument, content: bytes) -> DocumentView:
        """The view of a stored document and the content bytes of its current version."""
        kind = contract(row.document_type)
        deleted = row.state == DocumentState.DELETED
        return cls(
            document_id=as_text(row.document_id),
            document_version_id=as_text(version_id(row.document_id, row.version)),
            document_type=row.document_type,
            connection_id=row.connection,
            source_id=row.source_id,
            idempotency_key=row.idempotency_key,
            state=row.state,
            version=row.version,
            lifecycle="deleted" if deleted else kind.lifecycle(content),
            status=row.status,
            on_date=row.on_date,
            party=row.party,
            number=row.number,
            payload=kind.read(content, row.source_version, row.source_updated_at),
        )

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version as written. observed_at: when the provider sent it; recorded_at: committed.

    page and page_index say which archived response holds its raw bytes, None where none does.
    """

    document_version_id: str
    version: int
    state: str
    contract_version: str
    payload_hash: str
    payload: dict[str, Any]
    flags: list[Any]
    observed_at: str | None
    recorded_at: str | None
    run: int
    page: int | None
    page_index: int | None

    @classmethod
    def of(cls, row: StoredVersion, document_type: str) -> VersionView:
        kind = contract(document_type)
        return cls(
            document_version_id=as_text(version_id(row.document_id, row.version)),
            version=row.version,
            state=row.state,
            contract_version=row.contract_version,
            payload_hash=row.payload_hash.hex(),
            payload=kind.read(row.content, row.source_version, row.source_updated_at),
            flags=notation.json_value(row.flags) or [],
            observed_at=notation.instant(row.as_of),
            recorded_at=notation.instant(row.recorded_at),
            run=row.run_no,
            page=row.page_no,
            page_index=row.page_index,
        )

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who brought the current version in, and the bytes it was made from."""

    connector: str | None
    connector_version: str | None
    stream: str | None
    run: int
    page: int | None
    page_index: int | None
    url: str | None
    received_at: str | None
    raw_sha256: str | None

    @classmethod
    def of(cls, version: StoredVersion, run: Run | None, page: StoredPage | None) -> Provenance:
        return cls(
            connector=run.connector if run else None,
            connector_version=run.connector_version if run else None,
            stream=run.stream if run else None,
            run=version.run_no,
            page=version.page_no,
            page_index=version.page_index,
            url=page.url if page else None,
            received_at=notation.instant(page.received_at) if page else None,
            raw_sha256=notation.digits(page.sha256) if page else None,
        )

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)


@dataclass(frozen=True, slots=True)
class DocumentStory:
    """One document whole. versions: all of them, oldest first, the last one being current."""

    document: DocumentView
    versions: tuple[VersionView, ...]
    provenance: Provenance

    def as_json(self) -> dict[str, Any]:
        """The document with its current version's envelope, and without the history."""
        current = self.versions[-1].as_json()
        origin = self.provenance.as_json()
        return self.document.as_json() | {
            **{name: current[name] for name in ("contract_version", "payload_hash", "flags")},
            **{name: current[name] for name in ("observed_at", "recorded_at")},
            "provenance": origin,
        }

    def with_history(self) -> dict[str, Any]:
        """`as_json` with every version under `history`, oldest first."""
        return self.as_json() | {"history": [version.as_json() for version in self.versions]}
