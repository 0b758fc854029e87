"""Dead letters: a rejected record kept whole, with every reason. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from penstock.model.identity import letter_id
from penstock.model.rejection import Rejection
from penstock.model.unit import NewLetter
from penstock.sdk.emit import Gone

_PAYLOAD = msgspec.json.Encoder(decimal_format="string")
_RECORD = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a letter is about.

    stream: the one the record was handed over for. raw: the provider's bytes, or None where a
    route submitted payload. as_of: the event's own time, None for the time of reception. gone:
    where it was handed over as ended, whatever its mapping would make of it; source_version: which
    that end bears.
    """

    stream: str
    document_type: str
    key: object = None
    source_id: object = None
    document_id: bytes | None = None
    contract_version: str | None = None
    raw: bytes | None = None
    payload: Any = None
    page_index: int | None = None
    as_of: int | None = None
    gone: Gone | None = None
    source_version: str | None = None


@dataclass(frozen=True, slots=True)
class Postmaster:
    """Writes the letters of a run of one stream, or of what it fetches below one parent.

    A record's letter belongs to the stream its subject names, whichever runs. The same bad record
    is the same letter, one attempt more. partition: of a backfill, whose pages are not those of
    the live stream.
    """

    workspace: str
    connection: str
    stream: str
    parent_id: bytes | None = None
    partition: str = ""

    def write(self, subject: Subject, rejection: Rejection, received_at: int) -> NewLetter:
        key, payload = _storable(subject.key), _kept(subject)
        name = subject.document_id or subject.raw or (key or "").encode() + (payload or b"")
        return NewLetter(
            letter_id=self.named(subject.stream, subject.document_type, name),
            stream=subject.stream,
            document_id=subject.document_id,
            document_type=subject.document_type,
            idempotency_key=key,
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
            gone=subject.gone is not None,
            parent_id=self.parent_id,
        )

    def page_letter(self, rejection: Rejection, body: bytes, received_at: int) -> NewLetter:
        """The letter of a whole response that could not be read: one for each stream, for each
        parent in it, and for each partition of a backfill."""
        letter = self.write(Subject(self.stream, "", raw=body), rejection, received_at)
        return replace(letter, letter_id=self.page_letter_id)

    @property
    def page_letter_id(self) -> bytes:
        return self.named(self.stream, "", b"page" + self.partition.encode())

    def named(self, stream: str, document_type: str, subject: bytes) -> bytes:
        subject = document_type.encode() + b"\0" + (self.parent_id or b"") + subject
        return letter_id(self.workspace, self.connection, stream, subject)


def payload_bytes(payload: Any) -> bytes:
    """A submitted payload as JSON, whatever it is: it is kept for a person and for a replay."""
    return _encoded(payload, _PAYLOAD)


def record_bytes(record: Any) -> bytes:
    """A provider record that a route decoded, as JSON again, fractions digit for digit."""
    return _encoded(record, _RECORD)


def ending_bytes(gone: Gone, source_version: str | None) -> bytes:
    """What a letter keeps of a delete beside its record; see `ending`."""
    at = None if gone.at is None else gone.at.isoformat()
    return payload_bytes({"at": at, "source_version": source_version})


def ending(payload: bytes) -> tuple[Gone, str | None]:
    """The delete behind `ending_bytes`, and the source_version it bears."""
    told = json.loads(payload)
    at = None if told["at"] is None else datetime.fromisoformat(told["at"])
    return Gone(at), told["source_version"]


def _kept(subject: Subject) -> bytes | None:
    """What a letter keeps beside the raw record, or in its place."""
    if subject.gone is not None:
        return ending_bytes(subject.gone, subject.source_version)
    return None if subject.raw is not None else payload_bytes(subject.payload)


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
