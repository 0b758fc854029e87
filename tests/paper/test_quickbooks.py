"""QuickBooks Online: rows counted inside a query language, and a record of changes.

A query says its own offset (STARTPOSITION, MAXRESULTS), knows no deleted records, and is read once
and then every week. In between /cdc tells what changed since a time, up to 1,000 records of a kind
and 30 days back; deleted ones have a status and no more. The company (realm) comes with consent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from penstock import (
    Account,
    Connector,
    Gone,
    OAuth2,
    Offset,
    Permissions,
    Rate,
    Stream,
    ingest,
    money,
    sync,
    times,
)
from penstock.app import App
from penstock.config import Settings
from penstock.testing import Answer, HostileProvider, ManualClock, Sent, put_through

from .server import Line, joined


@dataclass(frozen=True)
class Query:
    """An Offset that is spelled out in the query; of parameters beside it QuickBooks knows none."""

    select: str
    rows: Offset = field(default_factory=lambda: Offset("startposition", 1, "maxresults", 1000))

    def first(self, request):
        return self.spelled(self.rows.first(request))

    def next(self, request, page):
        following = self.rows.next(request, page)
        return None if following is None else self.spelled(following)

    def spelled(self, request):
        start, size = request.param("startposition"), request.param("maxresults")
        query = f"{self.select} ORDERBY Id STARTPOSITION {start} MAXRESULTS {size}"
        return request.with_params(("query", query))


quickbooks = Connector(
    key="quickbooks",
    name="QuickBooks Online",
    provider="quickbooks",
    version="0.1.0",
    base_url="{settings.api_url}",
    settings={
        "type": "object",
        "required": ["client_id", "client_secret"],
        "properties": {
            "api_url": {"type": "string", "default": "https://quickbooks.api.intuit.com"},
            "oauth_url": {"type": "string", "default": "https://oauth.platform.intuit.com"},
            "client_id": {"type": "string"},
            "client_secret": {"type": "string", "x-secret": True},
        },
    },
    auth=OAuth2(
        grant="authorization_code",
        authorize_url="https://appcenter.intuit.com/connect/oauth2",
        token_url="{settings.oauth_url}/oauth2/v1/tokens/bearer",
        scopes=["com.intuit.quickbooks.accounting"],
        facts={"realm": "callback.realmId"},
    ),
    rate=Rate(500, per=60),
    concurrency=10,
    permissions=Permissions(
        http=["{settings.api_url}/*", "{settings.oauth_url}/*"],
        documents={"customer": ["write", "delete"], "invoice": ["write", "delete"]},
    ),
    streams=[
        Stream("customers", mode="poll", schedule="0 3 * * sun"),
        Stream("invoices", mode="poll", schedule="0 4 * * sun"),
        Stream("changes", mode="poll", schedule="*/5 * * * *"),
    ],
)

COMPANY = "/v3/company/{facts.realm}"
KINDS = {"customers": "Customer", "invoices": "Invoice"}
KEPT, MOST = timedelta(days=30), 1000


@quickbooks.discover
def company(request):
    realm = request.facts["realm"]
    info = request.http.get(f"/v3/company/{realm}/companyinfo/{realm}").json()["CompanyInfo"]
    return Account(realm, info["CompanyName"])


def changed(record):
    return times.instant(record["MetaData"]["LastUpdatedTime"])


@quickbooks.collection(
    "customers",
    path=f"{COMPANY}/query",
    records="QueryResponse.Customer?",
    id="Id",
    pages=Query("SELECT * FROM Customer WHERE Active IN (true, false)"),
    document="customer",
)
def customer(record):
    if record.get("status") == "Deleted":
        return Gone(datetime.fromisoformat(changed(record)))
    return {
        "customer_id": record["Id"],
        "name": record["DisplayName"],
        "active": record["Active"],
        "source_updated_at": changed(record),
    }


@quickbooks.collection(
    "invoices",
    path=f"{COMPANY}/query",
    records="QueryResponse.Invoice?",
    id="Id",
    pages=Query("SELECT * FROM Invoice"),
    document="invoice",
)
def invoice(record):
    if record.get("status") == "Deleted":
        return Gone(datetime.fromisoformat(changed(record)))
    total = money.amount(record["TotalAmt"])
    return {
        "invoice_id": record["Id"],
        "customer_id": record["CustomerRef"]["value"],
        "document_number": record["DocNumber"],
        "document_date": record["TxnDate"],
        "status": "paid" if not record["Balance"] else "open",
        "currency": record["CurrencyRef"]["value"],
        "total_amount": total,
        "line_items": [{"amount": total}],
        "source_updated_at": changed(record),
    }


@quickbooks.sync("changes")
def changes(request):
    since = request.watermark
    if since is None or request.now - since >= KEPT:
        for stream in KINDS if since else ():
            sync.wake(stream)
        since = request.now - KEPT + timedelta(hours=1)
    path = f"/v3/company/{request.facts['realm']}/cdc"
    asked = {"entities": ",".join(KINDS.values()), "changedSince": since}
    answer = request.http.get(path, params=asked).json()
    told = [kind for part in answer["CDCResponse"] for kind in part["QueryResponse"]]
    for stream, kind in KINDS.items():
        records = next((part[kind] for part in told if kind in part), [])
        ingest.records(stream, records)
        if len(records) >= MOST:
            sync.wake(stream)
    return sync.page(watermark=datetime.fromisoformat(answer["time"]))


# The provider ------------------------------------------------------------------------------------

QUERY = re.compile(
    r"SELECT \* FROM (\w+)(?: WHERE .*)? ORDERBY Id STARTPOSITION (\d+) MAXRESULTS (\d+)"
)
TIME = "%Y-%m-%dT%H:%M:%S-08:00"
MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)


@dataclass
class PaperQuickBooks:
    """A company's books. between: called once, after the first page of a query."""

    records: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    deleted: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    clock: ManualClock = field(default_factory=ManualClock)
    between: tuple[str, int] | None = None
    most: int = 1000
    listed: int = 10

    def __call__(self, sent: Sent) -> Answer:
        if sent.path == "/oauth2/v1/tokens/bearer":
            return Answer.of({"access_token": "at-1", "refresh_token": "rt-1", "expires_in": 3600})
        assert sent.headers["authorization"] in ("Bearer test-token", "Bearer at-1")
        assert sent.path.startswith("/v3/company/9130/")
        if sent.path.endswith("/companyinfo/9130"):
            return Answer.of({"CompanyInfo": {"CompanyName": "Acme Inc."}})
        if sent.path.endswith("/cdc"):
            return self.cdc(sent)
        return self.query(sent.params["query"])

    def query(self, query: str) -> Answer:
        kind, start, size = QUERY.fullmatch(query).groups()  # type: ignore[union-attr]
        rows = list(self.records.get(kind, {}).values())
        page = rows[int(start) - 1 :][: min(int(size), self.listed)]
        if self.between is not None:
            self.delete(*self.between)
            self.between = None
        return Answer.of({"QueryResponse": {kind: page} if page else {}, "time": self.now})

    def cdc(self, sent: Sent) -> Answer:
        since = datetime.fromisoformat(sent.params["changedSince"])
        assert self.clock.now() - since < timedelta(days=30), "too long ago"
        answers: list[dict[str, Any]] = []
        for kind in sent.params["entities"].split(","):
            rows = [*self.records.get(kind, {}).values(), *self.deleted.get(kind, [])]
            found = [row for row in rows if moment(row) >= since]
            answers.append({kind: found[: self.most]} if found else {})
        return Answer.of({"CDCResponse": [{"QueryResponse": answers}], "time": self.now})

    @property
    def now(self) -> str:
        return (self.clock.now() - timedelta(hours=8)).strftime(TIME)

    def put(self, kind: str, number: int, **members: Any) -> None:
        known = self.records.setdefault(kind, {}).get(number, {"Id": str(number)})
        stamp = {"MetaData": {"LastUpdatedTime": self.now}}
        self.records[kind][number] = {**known, **members, **stamp}

    def delete(self, kind: str, number: int) -> None:
        del self.records[kind][number]
        stamp = {"MetaData": {"LastUpdatedTime": self.now}}
        gone = {"domain": "QBO", "status": "Deleted", "Id": str(number), **stamp}
        self.deleted.setdefault(kind, []).append(gone)

    def put_invoice(self, number: int, total: str, balance: str) -> None:
        self.put(
            "Invoice",
            number,
            DocNumber=str(1000 + number),
            TxnDate="2026-03-01",
            CustomerRef={"value": "1"},
            CurrencyRef={"value": "USD"},
            TotalAmt=Decimal(total),
            Balance=Decimal(balance),
        )


def moment(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(row["MetaData"]["LastUpdatedTime"])


SETTINGS, FACTS = {"client_id": "app"}, {"realm": "9130"}


@pytest.fixture
def books() -> PaperQuickBooks:
    books = PaperQuickBooks()
    for number in range(1, 26):
        books.put("Customer", number, DisplayName=f"Customer {number}", Active=number != 3)
    books.put_invoice(1, "120.00", "120.00")
    return books


@pytest.fixture
def line(books: PaperQuickBooks) -> Iterator[Line]:
    with joined(quickbooks, books, settings=SETTINGS, facts=FACTS) as line:
        books.clock = line.kit.clock
        yield line


def test_rows_are_counted_inside_the_query(line):
    report = line.pull("customers")
    assert report.counters.created == 25
    starts = [QUERY.fullmatch(sent.params["query"])[2] for sent in line.asked()]
    # Each page begins with the last row of the one before; the last one proves the end.
    assert starts == ["1", "10", "19", "25"]
    assert line.payloads("customer", "customer_id")["3"]["active"] is False


def test_a_row_that_left_meanwhile_does_not_take_another_along(line, books):
    """SA14: everything behind it shifts up by one; the page is read again."""
    books.between = ("Customer", 2)
    line.pull("customers")
    assert line.payloads("customer", "customer_id").keys() == {str(n) for n in range(1, 26)}
    assert line.pull("changes").counters.updated == 1  # which tells that it is gone
    assert "2" not in line.payloads("customer", "customer_id")


def test_a_kind_without_records_is_an_empty_list(line, books):
    books.records["Invoice"].clear()
    assert line.pull("invoices").counters.fetched == 0


def test_changes_are_one_request_for_all_kinds(line, books):
    for stream in ("customers", "invoices", "changes"):
        line.pull(stream)
    watermark = line.kit.checkpoint("changes")[1]
    line.asked()
    line.kit.clock.advance(300)
    books.put_invoice(1, "120.00", "0")
    books.put("Customer", 7, DisplayName="Seven")
    books.delete("Customer", 9)
    report = line.pull("changes")
    (sent,) = line.asked()
    assert datetime.fromisoformat(sent.params["changedSince"]) == watermark
    assert (report.counters.fetched, report.counters.updated) == (3, 3)
    assert line.kit.documents("invoice")[0]["status"] == "paid"
    customers = line.payloads("customer", "customer_id")
    assert (customers["7"]["name"], "9" in customers) == ("Seven", False)
    # The last minute is asked for again, for what may appear late.
    line.kit.clock.advance(300)
    assert line.pull("changes").counters.unchanged == 3
    line.kit.clock.advance(300)
    assert line.pull("changes").counters.fetched == 0


@pytest.mark.parametrize(("days", "woken"), [(29, {}), (31, dict.fromkeys(KINDS, False))])
def test_after_thirty_days_everything_is_read_again(line, days, woken):
    line.pull("changes")
    watermark = line.kit.checkpoint("changes")[1]
    line.kit.clock.advance(days * 24 * 3600)
    assert line.kit.call("changes", watermark=watermark).woken == woken


def test_a_full_answer_may_not_be_all(line, books):
    books.listed = 1000
    for number in range(30, 30 + MOST):
        books.put("Customer", number, DisplayName=f"Customer {number}", Active=True)
    call = line.kit.call("changes")
    assert len(call.ingested) == MOST + 1
    assert call.woken == {"customers": False}


def test_it_survives_its_provider(books):
    put_through(quickbooks, "customers", books, settings=SETTINGS, facts=FACTS)


@dataclass
class Agreeing:
    """Somebody who always agrees. asked: the consent page's parameters."""

    redirect_uri: str = "http://127.0.0.1:8400/callback"
    asked: dict[str, str] = field(default_factory=dict)

    def answer(self, consent: Any) -> Mapping[str, str]:
        self.asked = dict(parse_qsl(urlsplit(consent.url).query))
        return {"code": "c-1", "state": self.asked["state"], "realmId": "9130"}


def test_the_company_comes_with_the_consent(books, tmp_path):
    clock, person = ManualClock(), Agreeing()
    settings = Settings(database=f"sqlite:///{tmp_path}/penstock.db")
    with (
        HostileProvider(books, clock=clock) as provider,
        App.open(settings, clock=clock) as app,
    ):
        books.clock = clock
        connection = app.connect(
            f"{__name__}:quickbooks",
            "books",
            {"client_id": "app", "api_url": provider.url, "oauth_url": provider.url},
            {"client_secret": "shh"},
            allow_loopback=True,
            callback=person,
        )
        assert connection.facts == {"realm": "9130"}
        assert connection.account == Account("9130", "Acme Inc.")
        assert person.asked["scope"] == "com.intuit.quickbooks.accounting"
        reports = {report.stream: report for report in app.run("books")}
        assert reports["customers"].counters.created == 25
        assert reports["changes"].counters.unchanged == 26
