"""A dead letter as people see it: the record as received, and every reason it was set aside."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from penstock.model.identity import as_text
from penstock.read import notation
from penstock.store.rows import StoredLetter


@dataclass(frozen=True, slots=True)
class LetterView:
    """A dead letter.

    stream: the one whose mapping made it; run: the one that met it last, perhaps another stream's.
    raw: the provider's bytes. payload: what the mapping made of them, None where it made nothing;
    where it was handed over as gone, {at, source_version}. parent_id: the document below which a
    child collection found it.
    """

    letter_id: str
    connection: str
    stream: str
    state: str
    document_type: str
    document_id: str | None
    source_id: str | None
    idempotency_key: str | None
    contract_version: str | None
    reason: str
    message: str
    retryable: bool
    errors: list[dict[str, Any]]
    errors_truncated: bool
    raw: bytes | None
    payload: Any
    attempts: int
    run: int
    page: int | None
    page_index: int | None
    first_seen_at: str | None
    last_seen_at: str | None
    closed_at: str | None
    gone: bool
    parent_id: str | None

    @classmethod
    def of(cls, row: StoredLetter) -> LetterView:
        return cls(
            letter_id=as_text(row.letter_id),
            connection=row.connection,
            stream=row.stream,
            state=row.state.value,
            document_type=row.document_type,
            document_id=as_text(row.document_id) if row.document_id else None,
            source_id=row.source_id,
            idempotency_key=row.idempotency_key,
            contract_version=row.contract_version,
            reason=row.reason,
            message=row.message,
            retryable=row.retryable,
            errors=notation.json_value(row.errors) or [],
            errors_truncated=row.errors_truncated,
            raw=row.raw,
            payload=notation.json_value(row.payload),
            attempts=row.attempts,
            run=row.run_no,
            page=row.page_no,
            page_index=row.page_index,
            first_seen_at=notation.instant(row.first_seen_at),
            last_seen_at=notation.instant(row.last_seen_at),
            closed_at=notation.instant(row.closed_at),
            gone=row.gone,
            parent_id=as_text(row.parent_id) if row.parent_id else None,
        )

    @property
    def raw_text(self) -> str | None:
        """The raw bytes as text, None where there are none or they are not UTF-8."""
        try:
            return None if self.raw is None else self.raw.decode()
        except UnicodeDecodeError:
            return None

    def as_json(self) -> dict[str, Any]:
        """`raw` is text; bytes that are not UTF-8 stand under `raw_base64` instead."""
        hidden = self.raw is not None and self.raw_text is None
        return notation.members(self) | {
            "raw": self.raw_text,
            "raw_base64": base64.b64encode(self.raw or b"").decode() if hidden else None,
        }
