"""A version on its way out: as a JSON object, and as a row of its type's table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from penstock.contracts.contract import Contract
from penstock.model.column import Column, ColumnType
from penstock.model.identity import as_text, version_id
from penstock.read import notation
from penstock.store.rows import FeedVersion

ENVELOPE = (
    Column("seq", ColumnType.INTEGER),
    Column("document_id", ColumnType.TEXT),
    Column("connection", ColumnType.TEXT),
    Column("source_id", ColumnType.TEXT),
    Column("state", ColumnType.TEXT),
    Column("version", ColumnType.INTEGER),
    Column("recorded_at", ColumnType.INSTANT),
    Column("source_version", ColumnType.TEXT),
    Column("source_updated_at", ColumnType.INSTANT),
)
"""What every table has before the payload's columns."""


@dataclass(frozen=True, slots=True)
class ExportedVersion:
    """seq: its place in the feed. payload: as stored, source marks put back in; a tombstone has the
    last one there was."""

    seq: int
    document_id: str
    document_version_id: str
    document_type: str
    connection_id: str
    source_id: str
    idempotency_key: str
    state: str
    version: int
    recorded_at: str | None
    payload: dict[str, Any]

    @classmethod
    def of(cls, row: FeedVersion, kind: Contract) -> ExportedVersion:
        return cls(
            seq=row.seq,
            document_id=as_text(row.document_id),
            document_version_id=as_text(version_id(row.document_id, row.version)),
            document_type=kind.document_type,
            connection_id=row.connection,
            source_id=row.source_id,
            idempotency_key=row.idempotency_key,
            state=row.state,
            version=row.version,
            recorded_at=notation.instant(row.recorded_at),
            payload=kind.read(row.content, row.source_version, row.source_updated_at),
        )

    def as_json(self) -> dict[str, Any]:
        return notation.members(self)

    def cells(self, columns: Sequence[Column]) -> Iterator[Any]:
        """A value for each column of the envelope and of the payload, None for none.

        Decimals, dates and instants are their canonical texts; lists and maps are JSON text.
        """
        yield from (self.seq, self.document_id, self.connection_id, self.source_id, self.state)
        yield from (self.version, self.recorded_at)
        yield from (self.payload.get(mark) for mark in ("source_version", "source_updated_at"))
        for column in columns:
            value = column.value(self.payload)
            yield _as_text(value) if column.type is ColumnType.JSON else value


def _as_text(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
