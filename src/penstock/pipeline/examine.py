"""A submission meets its contract: a candidate, or a rejection with every reason. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from penstock.contracts.contract import Contract
from penstock.model import times
from penstock.model.identity import document_namer, is_well_formed_id
from penstock.model.rejection import Rejection, rejected
from penstock.pipeline.candidate import Candidate
from penstock.sdk.emit import Gone
from penstock.sdk.submission import Submission


class Origin(NamedTuple):
    """What is known of a record beside its submission.

    received_at: microseconds. key, document_id: what a first glance at the record showed already.
    as_of: the event's own time, None for the time of reception. gone: where the record was handed
    over as ended, which nothing in it says.
    """

    received_at: int
    observed_on: date
    raw: bytes | None = None
    raw_mark: bytes | None = None
    page_index: int | None = None
    key: str | None = None
    document_id: bytes | None = None
    as_of: int | None = None
    gone: Gone | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """Examines what is handed over for one stream of a connection as one document type."""

    stream: str
    contract: Contract
    name: Callable[[str], bytes]

    @classmethod
    def for_type(cls, workspace: str, connection: str, stream: str, contract: Contract) -> Desk:
        return cls(stream, contract, document_namer(workspace, connection, contract.document_type))

    def examine(self, submission: Submission, origin: Origin) -> Candidate | Rejection:
        key, source_id = submission.key, submission.source_id
        seen = key is origin.key and origin.document_id is not None
        if not seen and (fault := key_fault(key)):
            return fault
        if source_id is not None and (fault := source_id_fault(source_id)):
            return fault
        assert isinstance(key, str)  # key_fault has seen to it
        named = source_id if isinstance(source_id, str) else None
        if isinstance(submission.payload, Gone):
            return self._gone(submission, submission.payload, key, named, origin)
        accepted = self.contract.examine(submission.payload, named, origin.observed_on)
        if isinstance(accepted, Rejection):
            return accepted
        return Candidate(
            (seen and origin.document_id) or self.name(key),
            self.stream,
            self.contract.document_type,
            self.contract.version,
            key,
            accepted.source_id,
            accepted,
            accepted.source_version,
            accepted.source_updated_at,
            origin.received_at if submission.as_of is None else submission.as_of,
            origin.raw_mark,
            submission.payload if origin.raw is None else None,
            origin.page_index,
        )

    def _gone(
        self, submission: Submission, gone: Gone, key: str, source_id: str | None, origin: Origin
    ) -> Candidate | Rejection:
        if gone.at is not None and gone.at.tzinfo is None:
            return rejected("invalid_format", "the time of a delete must carry its zone")
        return Candidate(
            self.name(key),
            self.stream,
            self.contract.document_type,
            self.contract.version,
            key,
            source_id,
            None,
            submission.source_version,
            None if gone.at is None else times.microseconds(gone.at),
            origin.received_at if submission.as_of is None else submission.as_of,
            None,
            None,
            origin.page_index,
        )


def key_fault(key: object) -> Rejection | None:
    """Why an idempotency key cannot name a document, None if it can."""
    if type(key) is str and is_well_formed_id(key):
        return None
    if isinstance(key, Exception):
        return rejected(
            "missing_idempotency_key",
            f"the idempotency_key function raised {type(key).__name__}: {str(key)[:64]}",
        )
    if key is None or (isinstance(key, str) and not key.strip()):
        return rejected(
            "missing_idempotency_key",
            "idempotency_key is missing or blank; give every record a stable name such as "
            "'acme:invoice:inv_1'",
        )
    return rejected(
        "invalid_idempotency_key",
        "idempotency_key must be a string of 1 to 255 characters without control characters or "
        f"outer white space, not {_shown(key)}",
    )


def source_id_fault(source_id: object) -> Rejection | None:
    """Why the source_id of a call is not one, None if it is or none was given."""
    if source_id is None or is_well_formed_id(source_id):
        return None
    return rejected(
        "invalid_source_id",
        "source_id must be a string of 1 to 255 characters without control characters or outer "
        f"white space, not {_shown(source_id)}",
    )


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"{value[:48]!a} ({len(value)} characters)"
    return f"{type(value).__name__} {ascii(value)[:48]}"
