"""How routes hand records over.

>>> ingest.canonical("customer", payload, stream="customers", idempotency_key="acme:customer:c1")
>>> ingest.batch("invoice", payloads, stream="invoices", continue_on_error=True,
...              idempotency_key=lambda p: f"acme:invoice:{p['invoice_id']}")
>>> ingest.delete("invoice", stream="invoices", idempotency_key="acme:invoice:in_9")
>>> ingest.records("invoices", page["data"])

Each raises OutsideRouteError outside a route, UnknownStreamError, UnknownDocumentTypeError and
PermissionDeniedError for a wrong call, whatever continue_on_error says. A bad record raises
RecordRejectedError, or travels in `failed_records` of a batch with continue_on_error.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, overload

from penstock.contracts.payloads import BankAccountPayload, BankTransactionPayload
from penstock.errors import UsageError
from penstock.model import times
from penstock.sdk.emit import Gone
from penstock.sdk.host import Host, current
from penstock.sdk.results import (
    CanonicalBatchFailedRecord,
    CanonicalBatchIngestResult,
    CanonicalIngestResult,
)
from penstock.sdk.submission import Submission

Named = str | Callable[..., str]

Answers = Sequence[CanonicalIngestResult | CanonicalBatchFailedRecord]


@overload
def canonical(
    document_type: Literal["bank_account"],
    payload: BankAccountPayload,
    *,
    stream: str,
    idempotency_key: Named,
    source_id: Named | None = None,
) -> CanonicalIngestResult: ...
@overload
def canonical(
    document_type: Literal["bank_transaction"],
    payload: BankTransactionPayload,
    *,
    stream: str,
    idempotency_key: Named,
    source_id: Named | None = None,
) -> CanonicalIngestResult: ...
@overload
def canonical(
    document_type: Literal["customer", "invoice", "payment"],
    payload: Mapping[str, Any],
    *,
    stream: str,
    idempotency_key: Named,
    source_id: Named | None = None,
) -> CanonicalIngestResult: ...
def canonical(
    document_type: str,
    payload: Any,
    *,
    stream: str,
    idempotency_key: Named,
    source_id: Named | None = None,
) -> CanonicalIngestResult:
    """Stage one record. idempotency_key, source_id: text, or a function of (payload)."""
    host = current("ingest.canonical")
    submission = _submission(document_type, payload, 0, idempotency_key, source_id)
    return _one(host, stream, submission)


@overload
def batch(
    document_type: Literal["bank_account"],
    payloads: Sequence[BankAccountPayload],
    *,
    stream: str,
    idempotency_key: Named,
    source_id: Named | None = None,
    continue_on_error: bool = False,
) -> CanonicalBatchIngestResult: ...
@overload
def batch(
    document_type: Literal["bank_transaction"],
    payloads: Sequence[BankTransactionPayload],
    *,
    stream: str,
    idempotency_key: Named,
    source_id: Named | None = None,
    continue_on_error: bool = False,
) -> CanonicalBatchIngestResult: ...
@overload
def batch(
    document_type: Literal["customer", "invoice", "payment"],
    payloads: Sequence[Mapping[str, Any]],
    *,
    stream: str,
    idempotency_key: Named,
    source_id: Named | None = None,
    continue_on_error: bool = False,
) -> CanonicalBatchIngestResult: ...
def batch(
    document_type: str,
    payloads: Sequence[Any],
    *,
    stream: str,
    idempotency_key: Named,
    source_id: Named | None = None,
    continue_on_error: bool = False,
) -> CanonicalBatchIngestResult:
    """Stage many records of one type.

    idempotency_key, source_id: text, or a function of (payload) or (payload, index). With
    continue_on_error a bad record becomes a dead letter and the others go on.
    """
    host = current("ingest.batch")
    submissions = [
        _submission(document_type, payload, index, idempotency_key, source_id)
        for index, payload in enumerate(payloads)
    ]
    answers = host.ingest(stream, submissions, continue_on_error=continue_on_error)
    return _summary(host, document_type, answers)


def delete(
    document_type: str,
    *,
    stream: str,
    idempotency_key: str,
    source_id: str | None = None,
    source_version: str | None = None,
    deleted_at: datetime | None = None,
) -> CanonicalIngestResult:
    """Stage a tombstone: a version that says the record has ended.

    An unknown key counts as unchanged and leaves a grave, so that an older page does not bring
    the record to life. deleted_at: aware, when the provider says so.
    """
    host = current("ingest.delete")
    submission = Submission(
        document_type, Gone(at=deleted_at), idempotency_key, source_id, source_version
    )
    return _one(host, stream, submission)


def record(
    stream: str, record: Any, *, gone: bool = False, as_of: datetime | None = None
) -> CanonicalBatchIngestResult:
    """Run the stream's mapping over one provider record; see `records`."""
    return records(stream, [record], gone=gone, as_of=as_of)


def records(
    stream: str, records: Sequence[Any], *, gone: bool = False, as_of: datetime | None = None
) -> CanonicalBatchIngestResult:
    """Run the stream's mapping and key over provider records, as a collection would.

    gone: the records have ended; only their ids are read. as_of: the event's own time, aware
    (an event carries old state). Bad records become dead letters; filtered ones are counted and
    do not appear.
    """
    host = current("ingest.records")
    moment = None if as_of is None else _micros(as_of)
    document_type, answers = host.ingest_records(stream, records, gone=gone, as_of=moment)
    return _summary(host, document_type, answers)


def _one(host: Host, stream: str, submission: Submission) -> CanonicalIngestResult:
    (answer,) = host.ingest(stream, [submission], continue_on_error=False)
    if isinstance(answer, CanonicalBatchFailedRecord):  # a host raises instead
        raise TypeError("the host answered a failed record without continue_on_error")
    return answer


def _summary(host: Host, document_type: str, answers: Answers) -> CanonicalBatchIngestResult:
    accepted = tuple(a for a in answers if isinstance(a, CanonicalIngestResult))
    failed = tuple(a for a in answers if isinstance(a, CanonicalBatchFailedRecord))
    return CanonicalBatchIngestResult(
        status=host.status(),
        document_type=document_type,
        count=len(answers),
        imported=len(accepted),
        failed=len(failed),
        results=accepted,
        failed_records=failed,
    )


def _submission(
    document_type: str, payload: Any, index: int, key: Named, source_id: Named | None
) -> Submission:
    return Submission(
        document_type, payload, _named(key, payload, index), _named(source_id, payload, index)
    )


def _named(name: Named | None, payload: Any, index: int) -> object:
    """What the author's text or function gives; its exception is that record's own problem."""
    if not callable(name):
        return name
    try:
        return name(payload, index) if _takes_index(name) else name(payload)
    except Exception as error:
        return error


def _takes_index(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    bound = 1 if inspect.ismethod(function) else 0
    return int(code.co_argcount) - bound - len(function.__defaults__ or ()) >= 2


def _micros(moment: datetime) -> int:
    try:
        return times.microseconds(moment)
    except ValueError as error:
        raise UsageError(f"as_of: {error}") from error
