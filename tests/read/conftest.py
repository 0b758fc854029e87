"""A real store with a few things in it, put there as a pipeline would."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from penstock.app import open_store
from penstock.contracts.registry import contract
from penstock.model.identity import document_id, letter_id
from penstock.model.outcome import Counters
from penstock.model.run import NewRun, RunKind
from penstock.model.unit import ArchivedPage, DocumentState, NewLetter, NewVersion, UnitOfWork
from penstock.read.service import ReadService
from penstock.store.roles import Store
from tests.database import url_in

NOON = 1_772_445_600_000_000
"""2026-03-02T10:00:00Z in microseconds."""

PAGE = ArchivedPage(
    url="https://api.acme.test/customers?limit=200",
    status=200,
    content_type="application/json",
    received_at=NOON,
    sha256=bytes(range(32)),
    size=2,
    body=b"zstd",
)


@dataclass
class Keeper:
    """Writes documents and letters of one connection into the store."""

    store: Store
    workspace: str = "default"
    connection: str = "acme"
    stream: str = "customers"

    def run(self) -> int:
        return self.store.runs.start(
            NewRun(
                workspace=self.workspace,
                connection=self.connection,
                stream=self.stream,
                kind=RunKind.POLL,
                connector="acme",
                connector_version="0.1.0",
                owner="host:1",
                started_at=NOON,
            )
        )

    def customer(
        self, source_id: str, name: str, *, key: str | None = None, state=DocumentState.LIVE, **more
    ) -> bytes:
        """Store a customer, as its first version or its next; its document id."""
        payload = {"customer_id": source_id, "name": name, **more}
        found = contract("customer").examine(payload)
        key = key or f"acme:customer:{source_id}"
        identity = document_id(self.workspace, self.connection, "customer", key)
        head = self.store.documents.heads([identity]).get(identity)
        version = NewVersion(
            document_id=identity,
            document_type="customer",
            idempotency_key=key,
            source_id=source_id,
            version=head.version + 1 if head else 1,
            previous=head.version_no if head else None,
            state=state,
            contract_version="1.0",
            payload_hash=found.payload_hash,
            raw_mark=None,
            content=found.content,
            source_version=found.source_version,
            source_updated_at=found.source_updated_at,
            as_of=NOON,
            status=found.status,
            on_date=found.on_date,
            party=found.party,
            number=found.number,
            flags=b'[{"code":"future_dated","path":"/x","message":"later","invariant":"I-D2"}]',
            page_index=0,
        )
        self.commit(versions=(version,), pages=(PAGE,), counters=Counters(submitted=1, created=1))
        return identity

    def letter(self, subject: bytes, *, reason: str = "missing_field", **more) -> bytes:
        """Set a record aside; the letter's id."""
        identity = letter_id(self.workspace, self.connection, self.stream, subject)
        values = {
            "stream": self.stream,
            "document_id": None,
            "document_type": "customer",
            "idempotency_key": "acme:customer:cus_9",
            "source_id": "cus_9",
            "contract_version": "1.0",
            "message": "name is required",
            "retryable": False,
            "errors": b'[{"code":"missing_field","path":"/name","invariant":null,'
            b'"message":"name is required"}]',
            "errors_truncated": False,
            "raw": b'{"id":"cus_9","balance":0.1234567890123456789}',
            "payload": b'{"customer_id":"cus_9","balance":0.1234567890123456789}',
            "as_of": NOON,
            "page_index": None,
        }
        letter = NewLetter(letter_id=identity, reason=reason, **(values | more))
        self.commit(letters=(letter,), counters=Counters(submitted=1, rejected=1))
        return identity

    def commit(self, **parts) -> None:
        self.store.documents.commit(
            UnitOfWork(
                workspace=self.workspace,
                connection=self.connection,
                stream=self.stream,
                run_no=self.run(),
                recorded_at=NOON + 500_000,
                **parts,
            )
        )


@pytest.fixture
def store(backend, tmp_path):
    with open_store(url_in(tmp_path)) as opened:
        yield opened


@pytest.fixture
def read(store):
    return ReadService(store, "default")


@pytest.fixture
def keeper(store):
    return Keeper(store)
