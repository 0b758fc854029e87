"""Xero: numbered pages, a filter in a header that is answered by 304, /Date()/ instants, tenants.

The token opens several organisations; which one is meant is a setting, and its id a header of every
request. Two limits hold together: 60 a minute and 5,000 a day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from penstock import (
    Account,
    Connector,
    OAuth2,
    PageNumber,
    Permissions,
    Rate,
    Since,
    Stream,
    money,
    times,
)
from penstock.errors import SettingsError
from penstock.testing import Answer, Sent, connector_runtime, put_through

from .server import SHARED, Line, joined

xero = Connector(
    key="xero-paper",
    name="Xero",
    provider="xero",
    version="0.1.0",
    base_url="https://api.xero.com",
    settings={
        "type": "object",
        "required": ["client_id", "client_secret"],
        "properties": {
            "client_id": {"type": "string"},
            "client_secret": {"type": "string", "x-secret": True},
            "tenant_id": {"type": "string"},
        },
    },
    auth=OAuth2(
        grant="authorization_code",
        authorize_url="https://login.xero.com/identity/connect/authorize",
        token_url="https://identity.xero.com/connect/token",
        scopes=["offline_access", "accounting.transactions.read", "accounting.contacts.read"],
    ),
    rate=[Rate(60, per=60), Rate(5000, per=86_400, resets="00:00Z")],
    concurrency=5,
    permissions=Permissions(
        http=["https://api.xero.com/*", "https://identity.xero.com/*"],
        documents={"customer": ["write"], "invoice": ["write"]},
    ),
    streams=[
        Stream("contacts", mode="poll", schedule="*/30 * * * *"),
        Stream("invoices", mode="poll", schedule="*/15 * * * *"),
    ],
)

API, TENANT = "/api.xro/2.0", {"Xero-Tenant-Id": "{account.id}"}
PAGES = PageNumber(size_param="pageSize", size=100, pages="pagination.pageCount")
CHANGED = Since(header="If-Modified-Since", field="UpdatedDateUTC", format="%Y-%m-%dT%H:%M:%S")
STATUS = {"AUTHORISED": "open", "PAID": "paid", "VOIDED": "void", "DRAFT": "draft"}


@xero.discover
def organisations(request):
    found = request.http.get("/connections").json()
    wanted = request.settings.get("tenant_id")
    chosen = [one for one in found if wanted in (None, one["tenantId"])]
    return [Account(one["tenantId"], one["tenantName"]) for one in chosen]


@xero.collection(
    "contacts",
    path=f"{API}/Contacts",
    params={"includeArchived": True, "order": "ContactID ASC"},
    headers=TENANT,
    records="Contacts",
    id="ContactID",
    pages=PAGES,
    since=CHANGED,
    document="customer",
)
def customer(record):
    return {
        "customer_id": record["ContactID"],
        "name": record["Name"],
        "active": record.get("ContactStatus") != "ARCHIVED",
        "source_updated_at": times.instant(record["UpdatedDateUTC"]),
    }


@xero.collection(
    "invoices",
    path=f"{API}/Invoices",
    params={"order": "InvoiceID ASC", "unitdp": 4},
    headers=TENANT,
    records="Invoices",
    id="InvoiceID",
    pages=PAGES,
    since=CHANGED,
    document="invoice",
)
def invoice(record):
    if record["Type"] != "ACCREC":
        return None
    return {
        "invoice_id": record["InvoiceID"],
        "customer_id": record["Contact"]["ContactID"],
        "document_number": record.get("InvoiceNumber"),
        "document_date": times.date(record["Date"]),
        "status": STATUS.get(record["Status"], record["Status"]),
        "currency": record["CurrencyCode"],
        "total_amount": money.amount(record["Total"]),
        "tax_amount": money.amount(record["TotalTax"]),
        "line_items": [{"amount": money.amount(record["SubTotal"])}],
        "source_updated_at": times.instant(record["UpdatedDateUTC"]),
    }


# The provider ------------------------------------------------------------------------------------

MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)
TENANTS = [
    {"tenantId": "t-1", "tenantType": "ORGANISATION", "tenantName": "Acme NZ"},
    {"tenantId": "t-2", "tenantType": "ORGANISATION", "tenantName": "Acme AU"},
]


@dataclass
class PaperXero:
    """Pages of at most `most`, in the order of ids; 304 where nothing changed since."""

    most: int = 3
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __call__(self, sent: Sent) -> Answer:
        assert sent.headers["authorization"] == "Bearer test-token"
        if sent.path == "/connections":
            return Answer.of(TENANTS)
        if sent.headers.get("xero-tenant-id") != "t-1":
            return Answer.of({"Title": "Forbidden"}, status=403)
        name = sent.path.removeprefix(f"{API}/")
        since = sent.headers.get("if-modified-since")
        found = [r for r in self.records[name] if since is None or stamp_of(r) >= since]
        if since is not None and not found:
            return Answer(304)
        found.sort(key=lambda record: str(record[f"{name.removesuffix('s')}ID"]))
        number, size = int(sent.params["page"]), min(int(sent.params["pageSize"]), self.most)
        pagination = {"page": number, "pageCount": -(-len(found) // size), "itemCount": len(found)}
        page = found[(number - 1) * size : number * size]
        return Answer.of({"Status": "OK", "pagination": pagination, name: page})


def stamp_of(record: dict[str, Any]) -> str:
    return times.instant(record["UpdatedDateUTC"])[:19]


def told(moment: datetime) -> str:
    return f"/Date({int(moment.timestamp() * 1000)}+0000)/"


def an_invoice(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "Type": "ACCREC",
        "InvoiceID": f"inv-{number}",
        "InvoiceNumber": f"INV-{number}",
        "Contact": {"ContactID": "con-1"},
        "Status": "AUTHORISED",
        "CurrencyCode": "NZD",
        "Date": "/Date(1772323200000+0000)/",
        "SubTotal": Decimal("100.00"),
        "TotalTax": Decimal("15.00"),
        "Total": Decimal("115.00"),
        "UpdatedDateUTC": told(MONDAY - timedelta(hours=number, milliseconds=-250)),
        **changes,
    }


@pytest.fixture
def books() -> PaperXero:
    return PaperXero(records={"Invoices": [an_invoice(n) for n in range(1, 8)]})


SETTINGS, ACCOUNT = {"client_id": "app"}, Account("t-1", "Acme NZ")


@pytest.fixture
def line(books: PaperXero) -> Iterator[Line]:
    with joined(xero, books, settings=SETTINGS, account=ACCOUNT) as line:
        yield line


def test_pages_are_numbered_up_to_the_number_that_is_told(line):
    assert line.pull("invoices").counters.created == 7
    asked = line.asked()
    assert [sent.params["page"] for sent in asked] == ["1", "2", "3"]
    assert all("if-modified-since" not in sent.headers for sent in asked)


def test_microsofts_instants_are_read_to_the_millisecond(line):
    line.pull("invoices")
    first = line.payloads("invoice", "invoice_id")["inv-1"]
    assert first["source_updated_at"] == "2026-03-02T09:00:00.25Z"
    assert (first["document_date"], first["total_amount"]) == ("2026-03-01", "115.00")
    watermark = datetime(2026, 3, 2, 9, 0, 0, 250_000, tzinfo=UTC)
    assert line.kit.checkpoint("invoices") == (None, watermark)


def test_the_next_run_asks_for_changes_in_a_header(line, books):
    line.pull("invoices")
    line.asked()
    books.records["Invoices"][4] |= {"Status": "VOIDED", "UpdatedDateUTC": told(MONDAY)}
    report = line.pull("invoices")
    (sent,) = line.asked()
    assert sent.headers["if-modified-since"] == "2026-03-02T09:00:00"  # cut down, never up
    assert (report.counters.fetched, report.counters.updated) == (2, 1)
    assert line.payloads("invoice", "invoice_id")["inv-5"]["status"] == "void"


def test_nothing_new_is_a_complete_enumeration_of_nothing(line, books):
    line.pull("invoices")
    before = line.kit.checkpoint("invoices")
    books.records["Invoices"].clear()
    report = line.pull("invoices")
    assert (report.state, report.counters.fetched) == ("done", 0)
    assert line.kit.checkpoint("invoices") == before
    assert len(line.kit.documents("invoice")) == 7


def test_a_run_that_broke_off_goes_on_at_its_page(books):
    with joined(xero, books, settings=SETTINGS, account=ACCOUNT, fault="outage", at=2) as line:
        assert line.run("invoices").reason == "upstream_unavailable"
        assert len(line.kit.documents("invoice")) == 3
        line.provider.calm()
        line.kit.clock.advance(7200)
        line.asked()
        assert line.pull("invoices").counters.created == 4
        assert [sent.params["page"] for sent in line.asked()] == ["2", "3"]


def test_a_day_s_budget_is_shared_by_all_streams(line):
    """60 a minute go out evenly; nobody sleeps in author code."""
    for _ in range(3):
        line.pull("invoices", full=True)
    assert len(line.asked()) == 9
    assert all(0 < pause <= 1.1 for pause in line.kit.clock.slept)
    assert line.kit.clock.slept


def test_the_tenant_is_one_of_those_the_token_opens(books):
    with joined(xero, books, settings=SETTINGS) as line:
        assert [one.id for one in line.kit.discover()] == ["t-1", "t-2"]
        report = line.run("invoices")  # as long as nobody says which
        assert (report.state, "403" in str(report.message)) == ("failed", True)
    with joined(xero, books, settings=SETTINGS | {"tenant_id": "t-1"}) as line:
        assert line.kit.discover() == [ACCOUNT]
        assert line.pull("invoices").counters.created == 7


def test_a_wrong_setting_is_told_before_anything_is_asked():
    with pytest.raises(SettingsError), connector_runtime(xero, settings={"tenant_id": 7}):
        pass


def test_it_survives_its_provider(books):
    put_through(xero, "invoices", books, settings=SETTINGS, account=ACCOUNT)


@pytest.mark.skipif(
    not (SHARED / "xero" / "Contacts.json").exists(),
    reason="Xero's examples are not beside the repository (../shared/data/xero)",
)
def test_xeros_own_examples(line, books):
    books.most = 100
    for name in ("Contacts", "Invoices"):
        example = json.loads((SHARED / "xero" / f"{name}.json").read_text(), parse_float=Decimal)
        books.records[name] = example[name] if name in example else example["value"][name]
    contacts, invoices = line.pull("contacts").counters, line.pull("invoices").counters
    assert contacts.created + contacts.rejected == len(books.records["Contacts"])
    assert invoices.fetched == len(books.records["Invoices"])
    assert contacts.created
