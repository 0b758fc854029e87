"""A worker that drives a store as the pipeline does, and the values it commits.

Part of the store contract; there for a backend's own tests, too.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

from penstock.model.connection import Account, Connection, ConnectionMode, ConnectionState
from penstock.model.identity import document_id, letter_id
from penstock.model.outcome import Counters
from penstock.model.run import NewRun, RunKind
from penstock.model.unit import (
    ArchivedPage,
    DocumentState,
    Lease,
    NewLetter,
    NewVersion,
    UnitOfWork,
)
from penstock.store.roles import Store

NOW = 1_772_445_600_000_000
SECOND = 1_000_000
UNTIL = datetime(2026, 3, 2, 11, tzinfo=UTC)
UNTIL_US = NOW + 3600 * SECOND

TEXTS = (
    *("plain", "Zoë", "Zoe\u0308", "発票", "a\u200bb", "'; --", '"', "%_"),
    *("👩‍👩‍👧", "ǅ", "x" * 255),
)
EVERY_BYTE = bytes(range(256)) * 4


class Worker:
    """One run of one stream: holds the lease, counts the units, commits."""

    def __init__(
        self,
        store: Store,
        *,
        workspace: str = "default",
        connection: str = "acme",
        stream: str = "invoices",
        owner: str = "worker 1",
        now: int = NOW,
        partition: str = "",
    ) -> None:
        self.store = store
        self.workspace, self.connection, self.stream = workspace, connection, stream

        kind = RunKind.POLL
        run = NewRun(workspace, connection, stream, kind, "acme", "0.1.0", owner, now, partition)
        self.run_no = store.runs.start(run)
        asked = Lease(workspace, connection, stream, owner, 0, UNTIL, partition)
        state = store.streams.claim(asked, now=now)
        assert state is not None, f"{stream} is held by somebody else"
        self.lease = replace(asked, epoch=state.epoch)
        self.unit_no = state.unit_no

    def unit(self, *versions: NewVersion, accepted: tuple[bytes, ...] = ()) -> UnitOfWork:
        """The next unit, to be changed with dataclasses.replace."""
        made = len(versions)
        return UnitOfWork(
            workspace=self.workspace,
            connection=self.connection,
            stream=self.stream,
            run_no=self.run_no,
            recorded_at=NOW + self.unit_no,
            lease=self.lease,
            unit_no=self.unit_no + 1,
            versions=versions,
            accepted=accepted or tuple(version.document_id for version in versions),
            counters=Counters(pages=1, submitted=made, created=made),
        )

    def commit(self, *versions: NewVersion, unit: UnitOfWork | None = None) -> None:
        """Commit the versions, or a unit of one's own, and count it."""
        self.store.documents.commit(unit or self.unit(*versions))
        self.unit_no += 1

    def invoice(self, number: str) -> NewVersion:
        """The first version of invoice `number`, to be changed with _replace."""
        key = f"acme:invoice:{number}"
        return NewVersion(
            document_id=document_id(self.workspace, self.connection, "invoice", key),
            document_type="invoice",
            idempotency_key=key,
            source_id=number,
            version=1,
            previous=None,
            state=DocumentState.LIVE,
            contract_version="1.0",
            payload_hash=hashlib.sha256(key.encode()).digest(),
            raw_mark=b"mark of 16 bytes",
            content=b'{"invoice_id":"' + number.encode() + b'"}',
            source_version="7",
            source_updated_at=NOW - SECOND,
            as_of=NOW,
            status="open",
            on_date="2026-03-02",
            party="customer 1",
            number="INV-" + number,
            flags=b"[]",
            page_index=0,
        )

    def grave(self, number: str) -> NewVersion:
        """The memory of a delete that came before any content."""
        return self.invoice(number)._replace(state=DocumentState.GRAVE, version=0, content=b"")

    def next_version(self, number: str, content: bytes) -> NewVersion:
        """The version that follows the stored one."""
        first = self.invoice(number)
        head = self.store.documents.heads([first.document_id])[first.document_id]
        return first._replace(
            version=head.version + 1,
            previous=head.version_no,
            content=content,
            payload_hash=hashlib.sha256(content).digest(),
        )

    def letter(self, number: str, reason: str = "missing_field") -> NewLetter:
        """Invoice `number`, rejected."""
        document = self.invoice(number).document_id
        return NewLetter(
            letter_id=letter_id(self.workspace, self.connection, self.stream, document),
            stream=self.stream,
            document_id=document,
            document_type="invoice",
            idempotency_key=f"acme:invoice:{number}",
            source_id=number,
            contract_version="1.0",
            reason=reason,
            message="total is missing",
            retryable=False,
            errors=b'[{"code":"missing_field"}]',
            errors_truncated=True,
            raw=b'{"id":1}',
            payload=b'{"invoice_id":"1"}',
            as_of=NOW,
            page_index=3,
        )


def page(body: bytes = b"zstd") -> ArchivedPage:
    """A response as the pipeline archives it."""
    url = "https://api.acme.test/invoices?limit=200"
    return ArchivedPage(url, 200, "application/json", NOW, b"h" * 32, 4_000, body)


def connection(name: str = "acme", *, workspace: str = "default") -> Connection:
    """A connection with everything filled in."""
    return Connection(
        workspace=workspace,
        name=name,
        target="penstock_acme:acme",
        connector="acme",
        settings={"base_url": "https://api.acme.test", "deep": [1, None, {"ä": "\x00 \ud800"}]},
        account=Account("42", "Zoë GmbH", "EUR", "Europe/Berlin", {"realm": "9"}),
        mode=ConnectionMode.LIVE,
        state=ConnectionState.ACTIVE,
        allow_loopback=True,
        created_at=NOW,
    )
