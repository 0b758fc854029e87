"""Dead letters: a rejected record kept whole, with every reason. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec

from penstock.model.identity import letter_id
from penstock.model.rejection import Rejection
from penstock.model.unit import NewLetter

_PAYLOAD = msgspec.json.Encoder(decimal_format="string")
_RECORD = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a letter is about.

    raw: the provider's bytes, or None where a route submitted payload. as_of: the event's own
    time, None for the time of reception.
    """

    document_type: str
    key: object = None
    source_id: object = None
    document_id: bytes | None = None
    contract_version: str | None = None
    raw: bytes | None = None
    payload: Any = None
    page_index: int | None = None
    as_of: int | None = None


@dataclass(frozen=True, slots=True)
class Postmaster:
    """Writes letters for one stream. The same bad record is the same letter, one attempt more."""

    workspace: str
    connection: str
    stream: str

    def write(self, subject: Subject, rejection: Rejection, received_at: int) -> NewLetter:
        payload = None if subject.raw is not None else payload_bytes(subject.payload)
        name = subject.document_id or subject.raw or payload or b""
        return NewLetter(
            letter_id=self.named(subject.document_type, name),
            document_id=subject.document_id,
            document_type=subject.document_type,
            idempotency_key=_storable(subject.key),
            source_id=_storable(subject.source_id),
            contract_version=subject.contract_version,
            reason=rejection.reason,
            message=_clean(rejection.message),
            retryable=rejection.retryable,
            errors=msgspec.json.encode([_clean_error(e.as_json()) for e in rejection.errors]),
            errors_truncated=rejection.errors_truncated,
            raw=subject.raw,
            payload=payload,
            as_of=received_at if subject.as_of is None else subject.as_of,
            page_index=subject.page_index,
        )

    def page_letter(self, rejection: Rejection, body: bytes, received_at: int) -> NewLetter:
        """The letter of a whole response that could not be read: one for each stream."""
        letter = self.write(Subject(document_type="", raw=body), rejection, received_at)
        return replace(letter, letter_id=self.page_letter_id)

    @property
    def page_letter_id(self) -> bytes:
        return self.named("", b"page")

    def named(self, document_type: str, subject: bytes) -> bytes:
        return letter_id(
            self.workspace, self.connection, self.stream, document_type.encode() + b"\0" + subject
        )


def payload_bytes(payload: Any) -> bytes:
    """A submitted payload as JSON, whatever it is: it is kept for a person and for a replay."""
    return _encoded(payload, _PAYLOAD)


def record_bytes(record: Any) -> bytes:
    """A provider record that a route decoded, as JSON again, fractions digit for digit."""
    return _encoded(record, _RECORD)


def _encoded(value: Any, encoder: msgspec.json.Encoder) -> bytes:
    try:
        return encoder.encode(value)
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError):
        return _as_well_as_it_goes(value)


def _as_well_as_it_goes(payload: Any) -> bytes:
    try:
        return json.dumps(payload, default=_plain, skipkeys=True).encode()
    except (TypeError, ValueError, RecursionError):
        return json.dumps({"unreadable": ascii(type(payload))}).encode()


def _plain(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else ascii(value)


def _storable(value: object) -> str | None:
    """Text that both databases take: an unusable key is shown escaped."""
    if value is None or isinstance(value, Exception):
        return None
    return _clean(str(value))[:300]


def _clean(text: str) -> str:
    """No NUL and no lone surrogates: PostgreSQL takes neither."""
    if text.isprintable():
        return text
    return text.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()


def _clean_error(error: dict[str, Any]) -> dict[str, Any]:
    return {k: _clean(v) if isinstance(v, str) else v for k, v in error.items()}
