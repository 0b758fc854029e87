"""Xero's own printed examples, where they lie beside the repository: every record is accounted for.

They come from Xero-OpenAPI (MIT) and are served as they stand, digit for digit. Nothing of them is
kept here. They are documentation: ids of one file need not turn up in another, and some paged
listings print invoices without their lines, which Xero itself does not send.
"""

from __future__ import annotations

import json
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from penstock.app import App
from penstock.config import Settings
from penstock.connectors import xero
from penstock.model.outcome import Counters
from tests.database import url_in

from .serving import API, IDS, TENANT, TOKEN, Asked, served

EXAMPLES = Path(__file__).parents[2].parent / "shared" / "data" / "xero"

pytestmark = pytest.mark.skipif(
    not (EXAMPLES / "index.json").exists(),
    reason="Xero's examples are not beside the repository (../shared/data/xero)",
)

RESOURCE = {
    "accounts": "Accounts",
    "contacts": "Contacts",
    "invoices": "Invoices",
    "payments": "Payments",
    "bank_transactions": "BankTransactions",
}

NOT_COVERED = {
    "BankTransfers",
    "BatchPayments",
    "BrandingThemes",
    "Budgets",
    "ContactGroups",
    "CreditNotes",
    "Currencies",
    "ExpenseClaims",
    "InvoiceReminders",
    "Items",
    "Journals",
    "LinkedTransactions",
    "ManualJournals",
    "Organisation",
    "Overpayments",
    "PaymentServices",
    "Prepayments",
    "PurchaseOrders",
    "Quotes",
    "Receipts",
    "RepeatingInvoices",
    "Reports",
    "TaxRates",
    "TrackingCategories",
    "Users",
}
"""Resources of Xero that this connector does not read (Organisation it asks for its discovery)."""


@dataclass
class Examples:
    """The files behind their paths. day: which example of a resource its listing shows today."""

    folder: Path
    day: int = 0
    asked: list[Asked] = field(default_factory=list)

    @cached_property
    def index(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads((self.folder / "index.json").read_text())
        return listed

    def files_of(self, resource: str) -> list[str]:
        """The listing and the single records of a resource, without what hangs below a record."""
        return [
            row["file"]
            for row in self.index
            if row["path"].split("/")[1] == resource and row["records_key"] == resource
        ]

    def records(self, file: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.folder / file).read_text())[
            file.partition(".")[0]
        ]
        return found

    def __call__(self, asked: Asked) -> tuple[int, bytes]:
        self.asked.append(asked)
        name = asked.path.removeprefix(f"{API}/")
        if asked.path == "/connections":
            tenant = {"tenantId": TENANT, "tenantType": "ORGANISATION", "tenantName": "Examples"}
            return 200, json.dumps([tenant]).encode()
        if name in IDS:
            files = self.files_of(name)
            if self.day >= len(files) or asked.query.get("page", "1") != "1":
                return 200, json.dumps({name: []}).encode()
            return 200, (self.folder / files[self.day]).read_bytes()
        for row in self.index:
            if row["path"] == f"/{name}":
                return 200, (self.folder / row["file"]).read_bytes()
        return 404, b"{}"


@pytest.fixture
def examples() -> Examples:
    return Examples(EXAMPLES)


@pytest.fixture
def app(backend: str, tmp_path: Path, examples: Examples) -> Iterator[App]:
    key = b64encode(bytes(32)).decode()
    with (
        served(examples) as url,
        App.open(Settings(database=url_in(tmp_path), master_key=key)) as opened,
    ):
        opened.connect(
            "xero", "books", {"base_url": url}, {"access_token": TOKEN}, allow_loopback=True
        )
        yield opened


def test_every_record_is_a_document_a_dead_letter_or_filtered_by_a_named_rule(app, examples):
    days = max(len(examples.files_of(resource)) for resource in RESOURCE.values())
    total = dict.fromkeys(RESOURCE, Counters())
    for examples.day in range(days):
        for report in app.run("books", full=True):
            assert report.message is None
            assert report.counters.balanced
            assert_day(examples, report.stream, report.counters)
            total[report.stream] += report.counters
    documents, letters = kept(app)
    for stream, resource in RESOURCE.items():
        for record in every_record(examples, resource):
            key = key_of(stream, record)
            rule = xero.KEPT.get(stream)
            if rule is not None and not rule(record):
                assert key not in documents | letters, (rule.__name__, key)
            else:
                assert (key in documents) != (key in letters), key
    told = {s: (c.fetched, c.filtered, c.set_aside) for s, c in total.items()}
    assert told == {
        "accounts": (3, 2, 0),
        "contacts": (4, 1, 0),
        "invoices": (4, 0, 2),
        "payments": (3, 1, 0),
        "bank_transactions": (4, 0, 0),
    }


def test_what_is_set_aside_has_its_reasons(app):
    app.run("books", full=True)
    letters = app.read.letters().items
    assert {(letter.stream, letter.reason, letter.message) for letter in letters} == {
        ("invoices", "missing_field", "line_items is required")
    }
    assert len(letters) == 2


def test_the_amounts_are_those_that_were_printed(app, examples):
    examples.day = 1
    app.run("books", full=True)
    (invoice,) = app.read.documents("invoice").items
    assert invoice.payload["total_amount"] == "148062.76"
    assert [line["amount"] for line in invoice.payload["line_items"]] == ["148062.76"]
    assert invoice.payload["document_date"] == "2019-03-07"
    (payment,) = app.read.documents("payment").items
    assert (payment.payload["amount"], payment.payload["payment_date"]) == ("46.00", "2018-11-29")


def test_the_other_examples_are_there_and_are_nobodys_business_here(examples):
    read = {file for resource in RESOURCE.values() for file in examples.files_of(resource)}
    with served(examples) as url:
        for row in examples.index:
            if row["path"].strip("/") in IDS:
                continue
            with urllib.request.urlopen(f"{url}{API}{row['path']}") as answer:
                assert answer.read() == (EXAMPLES / row["file"]).read_bytes()
    left = [row for row in examples.index if row["file"] not in read]
    assert (len(examples.index), len(read), len(left)) == (82, 11, 71)
    assert {row["path"].split("/")[1] for row in left} - set(IDS) == NOT_COVERED
    below_ours = {row["path"] for row in left if row["path"].split("/")[1] in IDS}
    assert {path.rpartition("/")[2] for path in below_ours} == {
        "Attachments",
        "CISSettings",
        "OnlineInvoice",
    }


def assert_day(examples: Examples, stream: str, counts: Counters) -> None:
    """Today's file is fetched whole, and its records are filtered exactly where the rule says."""
    files = examples.files_of(RESOURCE[stream])
    records = examples.records(files[examples.day]) if examples.day < len(files) else []
    rule = xero.KEPT.get(stream, lambda record: True)
    assert counts.fetched == len(records)
    assert counts.filtered == sum(not rule(record) for record in records)


def every_record(examples: Examples, resource: str) -> list[dict[str, Any]]:
    return [r for file in examples.files_of(resource) for r in examples.records(file)]


def key_of(stream: str, record: dict[str, Any]) -> str:
    document = xero.xero.mappings[stream].document
    return f"xero:{document}:{record[IDS[RESOURCE[stream]]]}"


def kept(app: App) -> tuple[set[str], set[str]]:
    """Idempotency keys of all documents, and of all open dead letters."""
    types = {mapping.document for mapping in xero.xero.mappings.values()}
    documents = {v.idempotency_key for t in types for v in app.read.documents(t).items}
    return documents, {str(letter.idempotency_key) for letter in app.read.letters().items}
