"""What ingest calls answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from penstock.model.outcome import Outcome
from penstock.model.rejection import RecordError

IngestStatus = Literal["ingested", "observed"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a document came from and what happened to it.

    stream: the one that runs, whichever one the call names. index: position of the record in the
    call, from 0; documents that one record became share it.
    """

    outcome: Outcome
    connector: str
    connector_version: str
    connection: str
    stream: str
    run: int
    source_id: str
    idempotency_key: str
    index: int
    note: str | None = None


@dataclass(frozen=True, slots=True)
class CanonicalIngestResult:
    """One accepted record. Ids are UUID text, payload_hash is 64 hex digits.

    Provisional until the route returns: the run's counters say what was committed.
    """

    status: IngestStatus
    document_type: str
    document_id: str
    document_version_id: str
    payload_hash: str
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class CanonicalBatchFailedRecord:
    """One rejected record of a batch; it stands in the dead letters with the same reasons.

    index: position of the record in the call, from 0.
    """

    failed: Literal[True]
    reason: str
    message: str
    retryable: bool
    document_type: str
    source_id: str | None
    idempotency_key: str | None
    index: int
    errors: tuple[RecordError, ...]
    errors_truncated: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "failed": True,
            "reason": self.reason,
            "message": self.message,
            "retryable": self.retryable,
            "document_type": self.document_type,
            "source_id": self.source_id,
            "idempotency_key": self.idempotency_key,
            "index": self.index,
            "errors_truncated": self.errors_truncated,
            "errors": [error.as_json() for error in self.errors],
        }


@dataclass(frozen=True, slots=True)
class CanonicalBatchIngestResult:
    """A batch: count = imported + failed; imported includes unchanged and stale records.

    results holds the accepted ones in submitted order, failed_records the others.
    """

    status: IngestStatus
    document_type: str
    count: int
    imported: int
    failed: int
    results: tuple[CanonicalIngestResult, ...]
    failed_records: tuple[CanonicalBatchFailedRecord, ...]
