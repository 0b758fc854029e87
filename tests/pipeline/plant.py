"""A whole plant in a test: provider without sockets, connector, real store, a clock to turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2

from penstock import Bearer, Connector, Cursor, Permissions, Since, Stream
from penstock.app import open_store
from penstock.contracts import registry
from penstock.model.connection import Account, Connection, ConnectionMode, ConnectionState
from penstock.model.unit import LetterState
from penstock.pipeline.pull import Start
from penstock.pipeline.reading import Installation
from penstock.pipeline.replay import Replayer
from penstock.pipeline.unit import UnitWriter
from penstock.sdk.loader import Loaded
from penstock.store.roles import Store
from penstock.store.rows import StoredLetter
from penstock.testing.store_case import placed
from penstock.upstream.auth import Credentials, InTurn
from penstock.upstream.client import Client
from penstock.upstream.guard import Egress
from penstock.vault.redaction import NOTHING_HIDDEN
from penstock.work.runner import RunReport, StreamRunner
from penstock.work.sources import SourceMaker
from tests.database import url_in
from tests.upstream.clock import FakeClock

URL = "https://api.acme.test"
Answer = Callable[[httpx2.Request], httpx2.Response]


def customer(number: int, **changes: Any) -> dict[str, Any]:
    """A customer as the provider of these tests delivers it."""
    record = {
        "id": f"cus_{number}",
        "display_name": f"Customer {number}",
        "updated_at": f"2026-03-01T09:{number // 60:02d}:{number % 60:02d}Z",
    }
    return record | changes


@dataclass
class Provider:
    """Cursor pages over `records`, in order of (updated_at, id), with updated_since inclusive
    and updated_before exclusive.

    answers: takes the place of the next answers, one by one (None: answer as usual).
    """

    records: list[Any] = field(default_factory=list)
    limit: int = 2
    answers: list[httpx2.Response | Answer | None] = field(default_factory=list)
    requests: list[httpx2.Request] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        planned = self.answers.pop(0) if self.answers else None
        if planned is not None:
            return planned(request) if callable(planned) else planned
        return self.page(request)

    def page(self, request: httpx2.Request) -> httpx2.Response:
        query = request.url.params
        since, cursor = query.get("updated_since", ""), query.get("cursor", "")
        before = query.get("updated_before", "~")
        rows = sorted(self.records, key=_order)
        rows = [r for r in rows if since <= _order(r)[0] < before]
        rows = [r for r in rows if "/".join(_order(r)) > cursor]
        more = len(rows) > self.limit
        mark = "/".join(_order(rows[self.limit - 1])) if more else None
        return page_of(rows[: self.limit], next_cursor=mark, has_more=more)

    def put(self, record: dict[str, Any]) -> None:
        self.records = [r for r in self.records if r["id"] != record["id"]] + [record]


def page_of(records: Iterable[Any], **rest: Any) -> httpx2.Response:
    return httpx2.Response(200, json={"data": list(records), **rest})


def raw_page(*records: str) -> httpx2.Response:
    """A page whose records are written byte by byte."""
    body = '{"data": [' + ", ".join(records) + '], "next_cursor": null}'
    return httpx2.Response(200, content=body.encode("utf-8", "surrogatepass"))


def _order(record: Any) -> tuple[str, str]:
    return (str(record["updated_at"]), str(record["id"])) if isinstance(record, dict) else ("", "")


def acme(mapping: Callable[..., Any] | None = None, **changes: Any) -> Connector:
    """The connector of these tests: one stream of customers."""
    declared: dict[str, Any] = {
        "path": "/customers",
        "records": "data",
        "id": "id",
        "pages": Cursor("next_cursor", param="cursor"),
        "since": Since(param="updated_since", field="updated_at"),
        "document": "customer",
    }
    connector = empty("customers")
    connector.collection("customers", **declared | changes)(mapping or to_customer)
    return connector


def empty(*streams: str, documents: Iterable[str] = ("customer",)) -> Connector:
    return Connector(
        key="acme",
        name="Acme Billing",
        provider="acme",
        version="0.1.0",
        base_url=URL,
        settings={"type": "object", "properties": {"api_key": {"x-secret": True}}},
        auth=Bearer(secret="api_key"),
        permissions=Permissions(
            http=[f"{URL}/*"], documents={name: ["write", "delete"] for name in documents}
        ),
        streams=[Stream(key, mode="poll") for key in streams],
    )


def to_customer(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "customer_id": record["id"],
        "name": record["display_name"],
        "email": record.get("email"),
        "source_updated_at": record["updated_at"],
    }


class Plant:
    """Everything but the command line."""

    def __init__(
        self,
        folder: Path,
        provider: Answer,
        connector: Connector | None = None,
        *,
        store: Store | None = None,
    ) -> None:
        self.provider = provider
        self.clock = FakeClock()
        self.reads_beside = False
        self.redact = NOTHING_HIDDEN
        self.between_pages: Callable[[], None] | None = None
        self.store = store or open_store(url_in(folder))
        self.connection = Connection(
            workspace="default",
            name="acme-main",
            target="acme",
            connector="acme",
            settings={},
            account=Account("acct_1", "Acme", currency="EUR", facts={"region": "eu"}),
            mode=ConnectionMode.LIVE,
            state=ConnectionState.ACTIVE,
            allow_loopback=False,
            created_at=0,
        )
        self.install(connector or acme())

    def install(self, connector: Connector, code: bytes = b"1") -> None:
        """Put another version of the connector's code in place."""
        self.installation = Installation(Loaded(connector, "acme", (), code), self.connection)

    def run(
        self,
        stream: str = "customers",
        *,
        full: bool = False,
        since: int | None = None,
        observing: bool = False,
        confirmed: bool = False,
    ) -> RunReport:
        """Run a stream. Checks the laws that hold for every run."""
        start = Start(full=full, since=since, confirmed=confirmed)
        report = self.runner(observing=observing).run(stream, start, wait_s=0)
        self.clock.advance(60)
        self._check_laws(report)
        return report

    def runner(self, *, observing: bool = False) -> StreamRunner:
        client = Client(
            URL,
            egress=Egress.of([f"{URL}/*"]),
            clock=self.clock,
            auth=InTurn(self.installation.loaded.connector.auth),
            credentials=Credentials({"api_key": "canary-secret"}),
            transport=httpx2.MockTransport(self.provider),
        )
        sources = SourceMaker(
            self.installation,
            client,
            self.store.documents.heads,
            self.clock,
            self.reads_beside,
        )
        runner = StreamRunner(
            self.store, self.installation, sources, self.clock, observing, self.redact
        )
        return replace(runner, between_pages=self.between_pages)

    def replay(self, letter: StoredLetter) -> Any:
        writer = UnitWriter(self.store.documents, self.store.documents.commit)
        return Replayer(self.installation, writer, self.clock).replay(letter, run_no=1)

    def payloads(self, document_type: str = "customer") -> dict[str, dict[str, Any]]:
        """Source id to payload, of the live documents."""
        contract = registry.contract(document_type)
        return {
            stored.source_id: contract.read(
                content, stored.source_version, stored.source_updated_at
            )
            for stored, content in self.store.reader.contents("default", document_type)
        }

    def names(self) -> dict[str, str]:
        return {key: payload["name"] for key, payload in self.payloads().items()}

    def letters(self, state: LetterState | None = LetterState.OPEN) -> list[StoredLetter]:
        return self.store.letters.list("default", state=state)

    def reasons(self) -> dict[str, int]:
        return self.store.letters.counts("default")

    def versions(self) -> int:
        counts = self.store.reader.counts("default")
        return sum(count["versions"] for count in counts.values())

    def checkpoint(self, stream: str = "customers") -> tuple[Any, int | None]:
        """(cursor, watermark) as stored."""
        state = self.store.streams.get("default", "acme-main", stream)
        assert state is not None
        return state.cursor, state.watermark

    def observe(self) -> None:
        self.connection = replace(self.connection, mode=ConnectionMode.OBSERVE)

    def _check_laws(self, report: RunReport) -> None:
        assert report.counters.balanced, report.counters
        if report.run_no is None:
            return
        run = self.store.runs.get(report.run_no)
        assert run is not None
        assert run.counters == report.counters
        state = self.store.streams.get("default", "acme-main", report.stream)
        assert state is not None
        assert not state.lease_owner
        feed = [item.seq for item in placed(self.store, self.versions())]
        assert feed == list(range(1, len(feed) + 1))
        assert len(feed) == self.versions()


def errors_of(letter: StoredLetter) -> list[tuple[str, str]]:
    """(code, path) of every reason of a letter."""
    return [(error["code"], error["path"]) for error in json.loads(letter.errors)]
