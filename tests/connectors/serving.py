"""Xero on loopback: a real HTTP server that answers from books, or from files as they stand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from penstock import times

API = "/api.xro/2.0"
TOKEN = "xero-access-token"
TENANT = "70784a63-d24b-46a9-a4db-0e70a274b056"

IDS = {
    "Accounts": "AccountID",
    "Contacts": "ContactID",
    "Invoices": "InvoiceID",
    "Payments": "PaymentID",
    "BankTransactions": "BankTransactionID",
}
PAGED = IDS.keys() - {"Accounts"}

_WRITE = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


Answer = Callable[[Asked], tuple[int, bytes]]


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1 until the block ends; its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = answer(Asked(url.path, dict(parse_qsl(url.query)), headers))
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Tests read `asked` instead."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Books:
    """The books of one organisation, answering as Xero does: by page, order and modification time.

    tenants: what /connections lists. asked: the requests so far.
    """

    organisation: dict[str, Any]
    tenants: list[dict[str, Any]]
    records: dict[str, list[dict[str, Any]]]
    asked: list[Asked] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Books:
        return cls(
            organisation=_read(folder / "Organisation.json"),
            tenants=_read(folder / "connections.json"),
            records={name: _read(folder / f"{name}.json")[name] for name in IDS},
        )

    def change(self, name: str, record_id: str, **members: Any) -> None:
        """Somebody edits the record of that id."""
        (found,) = [record for record in self.records[name] if record[IDS[name]] == record_id]
        found.update(members)

    def last_asked(self, name: str) -> Asked:
        return [asked for asked in self.asked if asked.path == f"{API}/{name}"][-1]

    def __call__(self, asked: Asked) -> tuple[int, bytes]:
        self.asked.append(asked)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, b'{"Title":"Unauthorized","Detail":"TokenExpired"}'
        if asked.path == "/connections":
            return 200, _WRITE(self.tenants)
        if asked.headers.get("xero-tenant-id") != TENANT:
            return 403, b'{"Title":"Forbidden","Detail":"AuthenticationUnsuccessful"}'
        name = asked.path.removeprefix(f"{API}/")
        if name == "Organisation":
            return 200, _WRITE(self.organisation)
        return 200, _WRITE({"Id": "1", "Status": "OK", **self._listing(name, asked)})

    def _listing(self, name: str, asked: Asked) -> dict[str, Any]:
        found = [record for record in self.records[name] if _changed_since(record, asked)]
        if "includeArchived" not in asked.query:
            found = [r for r in found if r.get("ContactStatus") != "ARCHIVED"]
        if name not in PAGED:
            return {name: found}
        assert asked.query["order"] == f"{IDS[name]} ASC"
        found.sort(key=lambda record: str(record[IDS[name]]))
        number, size = int(asked.query["page"]), int(asked.query["pageSize"])
        pagination = {
            "page": number,
            "pageSize": size,
            "pageCount": -(-len(found) // size),
            "itemCount": len(found),
        }
        return {"pagination": pagination, name: found[(number - 1) * size : number * size]}


def _changed_since(record: dict[str, Any], asked: Asked) -> bool:
    bound = asked.headers.get("if-modified-since")
    if bound is None or "UpdatedDateUTC" not in record:
        return True
    moment = datetime.strptime(bound, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return times.read(times.instant(record["UpdatedDateUTC"])) >= times.microseconds(moment)


def _read(file: Path) -> Any:
    return json.loads(file.read_text(), parse_float=Decimal)
