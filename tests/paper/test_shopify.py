"""Shopify: pages by Link header over REST, and whole exports by a GraphQL bulk operation.

REST has a bucket of 40 requests that 2 a second fill; GraphQL one of points, told in the body of
every answer. An export is asked for, waited for, and then lies as JSON lines behind a signed URL on
another host, where the shop's token has no business.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock import (
    ApiKey,
    Budget,
    Connector,
    Fail,
    LinkHeader,
    Permissions,
    Rate,
    Since,
    Stream,
    Throttled,
    ingest,
    money,
    sync,
)
from penstock.testing import Answer, Sent, put_through

from .server import Line, joined

BULK = """{ orders(query: "updated_at:>='%s'") { edges { node {
  id name createdAt updatedAt cancelledAt displayFinancialStatus
  customer { id } totalPriceSet { shopMoney { amount currencyCode } }
  lineItems { edges { node { id title quantity
    originalTotalSet { shopMoney { amount } } } } } } } } }"""
START = """mutation($query: String!) { bulkOperationRunQuery(query: $query, groupObjects: true) {
  bulkOperation { id } userErrors { message } } }"""
LOOK = "query($id: ID!) { node(id: $id) { ... on BulkOperation { status errorCode url } } }"


def bucket(response):
    used, size = response.headers["x-shopify-shop-api-call-limit"].split("/")
    return Budget(left=int(size) - int(used), limit=int(size))


def points(response):
    cost = response.json()["extensions"]["cost"]
    told = cost["throttleStatus"]
    return Budget(
        left=told["currentlyAvailable"],
        limit=told["maximumAvailable"],
        restore=told["restoreRate"],
        cost=cost["actualQueryCost"],
    )


def verdict(response):
    """GraphQL refuses in the body of a 200."""
    if response.status == 200 and b'"THROTTLED"' in response.body:
        return Throttled()
    return None


shopify = Connector(
    key="shopify",
    name="Shopify",
    provider="shopify",
    version="0.1.0",
    base_url="https://{settings.shop}.myshopify.com/admin/api/2026-01",
    settings={
        "type": "object",
        "required": ["shop", "access_token"],
        "properties": {
            "shop": {"type": "string", "pattern": "^[a-z0-9-]+$"},
            "access_token": {"type": "string", "x-secret": True},
        },
    },
    auth=ApiKey(secret="access_token", header="X-Shopify-Access-Token"),
    rate=[
        Rate(2, burst=40, read=bucket),
        Rate(100, burst=2000, name="points", read=points),
        Rate(10, name="files"),
    ],
    verdict=verdict,
    permissions=Permissions(
        http=["https://{settings.shop}.myshopify.com/*", "https://storage.googleapis.com/*"],
        documents={"customer": ["write"], "invoice": ["write"]},
    ),
    streams=[
        Stream("customers", mode="poll", schedule="*/10 * * * *"),
        Stream("orders", mode="poll", schedule="0 * * * *", rate="points"),
    ],
)


@shopify.collection(
    "customers",
    path="/customers.json",
    params={"limit": 250, "order": "updated_at asc"},
    records="customers",
    id="id",
    pages=LinkHeader(),
    since=Since(param="updated_at_min", field="updated_at"),
    document="customer",
)
def customer(record):
    names = [record["first_name"], record["last_name"]]
    return {
        "customer_id": str(record["id"]),
        "name": " ".join(name for name in names if name) or record["email"],
        "email": record["email"],
        "source_updated_at": record["updated_at"],
    }


@shopify.mapping("orders", id="id", document="invoice")
def invoice(order):
    paid = order["displayFinancialStatus"] == "PAID"
    total = order["totalPriceSet"]["shopMoney"]
    return {
        "invoice_id": number(order["id"]),
        "customer_id": number(order["customer"]["id"]),
        "document_number": order["name"],
        "issued_at": order["createdAt"],
        "status": "void" if order["cancelledAt"] else "paid" if paid else "open",
        "currency": total["currencyCode"],
        "total_amount": money.amount(total["amount"]),
        "line_items": [
            {
                "amount": money.amount(line["originalTotalSet"]["shopMoney"]["amount"]),
                "description": line["title"],
                "quantity": str(line["quantity"]),
            }
            for line in order["lines"]
        ],
        "source_updated_at": order["updatedAt"],
    }


def number(gid):
    return gid.rpartition("/")[2]


@shopify.sync("orders")
def orders(request):
    """Start an export; look after it every half a minute; read it, 500 orders to a page."""
    if request.cursor is None:
        since = request.watermark or datetime(2000, 1, 1, tzinfo=UTC)
        made = graphql(request, START, {"query": BULK % since.isoformat()})["bulkOperationRunQuery"]
        if made["userErrors"]:
            raise Fail("no export: " + made["userErrors"][0]["message"])
        yield sync.page(cursor=made["bulkOperation"]["id"], again_in=30)
        return None
    job = graphql(request, LOOK, {"id": request.cursor})["node"]
    if job["status"] in ("CREATED", "RUNNING"):
        return sync.page(cursor=request.cursor, again_in=30)
    if job["status"] != "COMPLETED":
        raise Fail(f"the export ended {job['status']}: {job['errorCode']}")
    if job["url"] is not None:  # there is none where nothing changed
        lines = request.http.stream(job["url"], rate="files").json_lines()
        for some in batched(with_lines(lines), 500):
            ingest.records("orders", some)
            yield sync.page(cursor=request.cursor)
    return None


def graphql(request, query, variables):
    body = {"query": query, "variables": variables}
    answer = request.http.post("/graphql.json", json=body, safe=query == LOOK, cost=10).json()
    return answer["data"]


def with_lines(lines):
    """Orders with their lines, which follow them in the file."""
    order = None
    for line in lines:
        if "__parentId" in line:
            order["lines"].append(line)
            continue
        if order is not None:
            yield order
        order = line | {"lines": []}
    if order is not None:
        yield order


def batched(values, size):
    batch = []
    for value in values:
        batch.append(value)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


# The provider ------------------------------------------------------------------------------------

MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)
SHOP, FILES = "acme.myshopify.com", "storage.googleapis.com"


@dataclass
class PaperShopify:
    """available: points left; looks: how often an export is still running; status: how it ends."""

    size: int = 2
    used: int = 1
    customers: list[dict[str, Any]] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    available: int = 2000
    looks: int = 1
    status: str = "COMPLETED"
    refusal: str | None = None
    throttled: int = 0
    asked_since: str = ""

    def __call__(self, sent: Sent) -> Answer:
        if sent.headers["host"] == FILES:
            assert "x-shopify-access-token" not in sent.headers
            assert sent.params["X-Goog-Signature"] == "5ig"
            return Answer(200, self.file, {"Content-Type": "application/jsonl"})
        assert sent.headers["host"] == SHOP
        assert sent.headers["x-shopify-access-token"] == "test-access_token"
        if sent.path.endswith("/graphql.json"):
            return self.graphql(sent.json)
        return self.listing(sent)

    def listing(self, sent: Sent) -> Answer:
        assert not ("page_info" in sent.params and "updated_at_min" in sent.params)
        since, start = sent.params.get("updated_at_min", ""), 0
        if mark := sent.params.get("page_info"):
            since, _, place = mark.partition("|")
            start = int(place)
        found = sorted(self.customers, key=lambda c: str(c["updated_at"]))
        found = [c for c in found if c["updated_at"] >= since]
        here = f"https://{SHOP}{sent.path}?limit=250&page_info={since}%7C"
        links = [(start - self.size, "previous"), (start + self.size, "next")]
        shown = [f'<{here}{at}>; rel="{rel}"' for at, rel in links if 0 <= at < len(found)]
        headers = {"X-Shopify-Shop-Api-Call-Limit": f"{self.used}/40", "Link": ", ".join(shown)}
        return Answer.of({"customers": found[start : start + self.size]}, headers=headers)

    def graphql(self, body: dict[str, Any]) -> Answer:
        if self.throttled:
            self.throttled -= 1
            error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
            return Answer.of({"errors": [error], "extensions": self.cost(0)})
        if body["query"] == START:
            self.asked_since = body["variables"]["query"].partition(">='")[2].partition("'")[0]
            assert self.asked_since
            errors = [{"message": self.refusal}] if self.refusal else []
            made = {"bulkOperation": {"id": "gid://shopify/BulkOperation/7"}, "userErrors": errors}
            return Answer.of({"data": {"bulkOperationRunQuery": made}, "extensions": self.cost(10)})
        assert body["variables"] == {"id": "gid://shopify/BulkOperation/7"}
        running, self.looks = self.looks > 0, self.looks - 1
        url = f"https://{FILES}/shopify/bulk-7.jsonl?X-Goog-Signature=5ig"
        node = {
            "status": "RUNNING" if running else self.status,
            "errorCode": "TIMEOUT" if self.status == "FAILED" else None,
            "url": None if running or not self.found else url,
        }
        return Answer.of({"data": {"node": node}, "extensions": self.cost(1)})

    def cost(self, actual: int) -> dict[str, Any]:
        told = {"currentlyAvailable": self.available, "maximumAvailable": 2000, "restoreRate": 100}
        return {
            "cost": {"requestedQueryCost": 10, "actualQueryCost": actual, "throttleStatus": told}
        }

    @property
    def found(self) -> list[dict[str, Any]]:
        return [order for order in self.orders if order["updatedAt"] >= self.asked_since[:19]]

    @property
    def file(self) -> bytes:
        """Lines of an order stand behind it."""
        lines = []
        for order in self.found:
            lines.append({name: value for name, value in order.items() if name != "lines"})
            lines += [line | {"__parentId": order["id"]} for line in order["lines"]]
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def a_customer(number: int, **changes: Any) -> dict[str, Any]:
    name = {"first_name": "Ann", "last_name": f"No {number}", "email": f"{number}@acme.test"}
    return {"id": number, **name, "updated_at": stamp(number), **changes}


def an_order(number: int, **changes: Any) -> dict[str, Any]:
    amount = {"shopMoney": {"amount": "10.00", "currencyCode": "CAD"}}
    return {
        "id": f"gid://shopify/Order/{number}",
        "name": f"#{1000 + number}",
        "createdAt": "2026-03-01T08:00:00Z",
        "updatedAt": stamp(number),
        "cancelledAt": None,
        "displayFinancialStatus": "PAID",
        "customer": {"id": "gid://shopify/Customer/1"},
        "totalPriceSet": {"shopMoney": {"amount": "20.00", "currencyCode": "CAD"}},
        "lines": [
            {"id": f"line/{number}/{n}", "title": "Tea", "quantity": 1, "originalTotalSet": amount}
            for n in range(2)
        ],
        **changes,
    }


def stamp(minutes_ago: int) -> str:
    return (MONDAY - timedelta(minutes=10 + minutes_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


SETTINGS = {"shop": "acme"}


@pytest.fixture
def shop() -> PaperShopify:
    return PaperShopify(
        customers=[a_customer(n) for n in range(1, 6)], orders=[an_order(n) for n in range(1, 4)]
    )


@pytest.fixture
def line(shop: PaperShopify) -> Iterator[Line]:
    with joined(shopify, shop, settings=SETTINGS) as line:
        yield line


def exported(line: Line) -> Any:
    """Run the stream until its export is read."""
    for _ in range(10):
        report = line.run("orders")
        if report.state != "parked":
            return report
    raise AssertionError("the export never came")


class TestRest:
    def test_links_are_followed_as_they_stand(self, line):
        assert line.pull("customers").counters.created == 5
        asked = [sent.params for sent in line.asked()]
        assert asked[0] == {"limit": "250", "order": "updated_at asc"}
        assert [params.get("page_info") for params in asked] == [None, "|2", "|4"]
        assert "order" not in asked[1]

    def test_the_next_run_filters_its_first_page_only(self, line, shop):
        line.pull("customers")
        shop.customers += [a_customer(n, updated_at=stamp(0)) for n in range(7, 10)]
        line.asked()
        report = line.pull("customers")
        asked = [sent.params for sent in line.asked()]
        assert [params.get("updated_at_min") for params in asked] == [stamp(1), None]
        assert (report.counters.created, report.counters.unchanged) == (3, 1)

    def test_a_bucket_that_is_told_is_waited_for(self, line, shop):
        """By our own count 40 requests may go at once; others use the shop, too."""
        line.pull("customers")
        assert line.kit.clock.slept == []
        shop.used = 40
        line.pull("customers", full=True)
        assert sum(line.kit.clock.slept) == pytest.approx(2 * 0.5, abs=0.1)

    def test_a_limit_with_its_time(self, shop):
        with joined(shopify, shop, settings=SETTINGS, fault="throttled", at=2) as line:
            assert line.pull("customers").counters.created == 5
            assert 2 <= line.kit.clock.slept[0] < 4

    def test_it_survives_its_provider(self, shop):
        put_through(shopify, "customers", shop, settings=SETTINGS)


class TestAnExport:
    def test_is_started_waited_for_and_read(self, line, shop):
        first = line.run("orders")
        assert (first.state, "2026-03-02T10:00:30Z" in str(first.message)) == ("parked", True)
        assert line.kit.checkpoint("orders")[0] == "gid://shopify/BulkOperation/7"
        report = exported(line)
        assert (report.counters.fetched, report.counters.created) == (3, 3)
        hosts = [sent.headers["host"] for sent in line.asked()]
        assert hosts == [SHOP, SHOP, SHOP, FILES]
        invoice = line.payloads("invoice", "invoice_id")["2"]
        assert (invoice["total_amount"], len(invoice["line_items"])) == ("20.00", 2)

    def test_asks_the_next_time_for_what_changed(self, line, shop):
        exported(line)
        assert line.kit.checkpoint("orders")[0] is None
        shop.orders.append(an_order(0, displayFinancialStatus="PENDING"))
        shop.looks = 0
        report = exported(line)
        assert shop.asked_since == "2026-03-02T09:49:00+00:00"  # the newest of the first export
        assert (report.counters.fetched, report.counters.unchanged) == (2, 1)

    def test_of_nothing_has_no_file(self, line, shop):
        shop.orders.clear()
        assert exported(line).counters.fetched == 0
        assert FILES not in {sent.headers["host"] for sent in line.asked()}

    def test_that_failed_ends_the_run_and_the_next_one_starts_another(self, line, shop):
        shop.status = "FAILED"
        report = exported(line)
        assert (report.state, "TIMEOUT" in str(report.message)) == ("failed", True)
        shop.status = "COMPLETED"
        assert exported(line).counters.created == 3

    def test_that_is_refused_says_why(self, line, shop):
        shop.refusal = "A bulk query operation for this app and shop is already in progress"
        assert "already in progress" in str(line.run("orders").message)

    def test_whose_file_is_cut_is_fetched_again_and_never_half_read(self, shop):
        shop.looks = 0
        with joined(shopify, shop, settings=SETTINGS, fault="cut", at=3) as line:
            assert exported(line).counters.created == 3
            assert [s.headers["host"] for s in line.asked()] == [SHOP, SHOP, FILES, FILES]

    def test_a_limit_in_the_body_of_a_200(self, line, shop):
        shop.throttled = 2
        report = line.run("orders")
        assert report.state == "parked"
        assert len(line.asked()) == 1  # a mutation is not sent twice by itself
        line.kit.clock.advance(60)
        shop.throttled = 0
        assert exported(line).counters.created == 3
