"""Stripe: lists that go on from their last record, filters by creation alone, minor units.

A list shows the newest record first. No filter finds what was edited or deleted: a full run every
night does, and in between the events do, which Stripe forgets after 30 days.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock import (
    Account,
    Bearer,
    Connector,
    Cursor,
    Permissions,
    Rate,
    Since,
    Stream,
    ingest,
    money,
    sync,
    times,
)
from penstock.testing import Answer, Sent, put_through

from .server import SHARED, Line, joined

stripe = Connector(
    key="stripe",
    name="Stripe",
    provider="stripe",
    version="0.1.0",
    base_url="https://api.stripe.com",
    settings={
        "type": "object",
        "required": ["api_key"],
        "properties": {"api_key": {"type": "string", "x-secret": True}},
    },
    auth=Bearer(secret="api_key"),
    rate=Rate(100),
    permissions=Permissions(
        http=["https://api.stripe.com/*"],
        documents={"customer": ["write", "delete"], "payment": ["write"]},
    ),
    streams=[
        Stream("customers", mode="poll", schedule="*/15 * * * *", full="0 3 * * *"),
        Stream("charges", mode="poll", schedule="0 * * * *", full="0 3 * * sun"),
        Stream("events", mode="poll", schedule="*/5 * * * *"),
    ],
)

CREATED = Since(param="created[gte]", field="created", format="unix")
PAGES = Cursor(param="starting_after")
LIST: dict[str, Any] = {"params": {"limit": 100}, "records": "data", "id": "id", "pages": PAGES}
STATUS = {"succeeded": "completed", "pending": "pending", "failed": "failed"}
EXPONENTS = {"ISK": 2, "UGX": 2}  # Stripe's own, where ISO 4217 has none
KEPT = timedelta(days=30)


@stripe.discover
def account(request):
    found = request.http.get("/v1/account").json()
    name = found["settings"]["dashboard"]["display_name"]
    return Account(found["id"], name, currency=found["default_currency"].upper())


# A list refuses to go on from a record that was deleted meanwhile.
@stripe.collection(
    "customers",
    path="/v1/customers",
    **LIST,
    since=CREATED,
    document="customer",
    deletes="absent",
    expired=("resource_missing",),
)
def customer(record):
    return {
        "customer_id": record["id"],
        "name": record["name"] or record["email"] or record["id"],
        "email": record["email"],
        "tax_exempt": record["tax_exempt"] == "exempt",
    }


@stripe.collection("charges", path="/v1/charges", **LIST, since=CREATED, document="payment")
def payment(record):
    currency = record["currency"].upper()
    return {
        "payment_id": record["id"],
        "status": STATUS.get(record["status"], record["status"]),
        "currency": currency,
        "amount": money.minor(record["amount"], currency, exponents=EXPONENTS),
        "customer_id": record["customer"],
        "paid_at": times.instant(record["created"], unit="s"),
    }


@stripe.sync("events")
def events(request):
    """What was edited since; newest first, so the time to go on from is that of the first one."""
    at = request.cursor or {"after": None, "newest": None}
    since = request.watermark or request.now - KEPT
    if request.cursor is None and request.now - since >= KEPT:
        sync.wake("charges", full=True)
    page = request.http.get(
        "/v1/events",
        params={
            "type": "charge.*",
            "limit": 100,
            "created[gte]": int(since.timestamp()),
            "starting_after": at["after"],
        },
    ).json()
    for event in page["data"]:
        as_of = datetime.fromtimestamp(event["created"], UTC)
        ingest.record("charges", event["data"]["object"], as_of=as_of)
    newest = at["newest"] or (page["data"][0]["created"] if page["data"] else None)
    if page["has_more"]:
        after = page["data"][-1]["id"]
        return sync.page(cursor={"after": after, "newest": newest}, has_more=True)
    return sync.page(watermark=datetime.fromtimestamp(newest, UTC) if newest else None)


# The provider ------------------------------------------------------------------------------------

MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)
NOON = int(MONDAY.timestamp()) - 3600


@dataclass
class PaperStripe:
    """Lists of at most `size`, newest first. gone_between: deleted after the first page."""

    size: int = 2
    customers: list[dict[str, Any]] = field(default_factory=list)
    charges: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    gone_between: str | None = None

    def __call__(self, sent: Sent) -> Answer:
        if sent.path == "/v1/account":
            dashboard = {"dashboard": {"display_name": "Acme"}}
            return Answer.of({"id": "acct_1", "default_currency": "eur", "settings": dashboard})
        assert sent.headers["authorization"] == "Bearer test-api_key"
        answer = self.listing(getattr(self, sent.path.removeprefix("/v1/")), sent.params)
        if self.gone_between is not None:
            self.customers = [c for c in self.customers if c["id"] != self.gone_between]
            self.gone_between = None
        return answer

    def listing(self, records: list[dict[str, Any]], params: dict[str, str]) -> Answer:
        found = [r for r in records if r["created"] >= int(params.get("created[gte]", 0))]
        found.sort(key=lambda r: r["created"], reverse=True)
        after = params.get("starting_after")
        ids = [record["id"] for record in found]
        if after is not None and after not in ids:
            error = {"code": "resource_missing", "param": "starting_after"}
            return Answer.of({"error": error}, status=400)
        start = ids.index(after) + 1 if after else 0
        more = start + self.size < len(found)
        data = found[start : start + self.size]
        return Answer.of({"object": "list", "data": data, "has_more": more})

    def happens(self, charge: dict[str, Any], at: int) -> None:
        number = len(self.events) + 1
        event = {"id": f"evt_{number}", "created": at, "data": {"object": dict(charge)}}
        self.events.append(event)


def a_customer(number: int, **changes: Any) -> dict[str, Any]:
    name = {"name": f"Customer {number}", "email": None, "tax_exempt": "none"}
    return {"id": f"cus_{number}", "created": NOON - 60 * number, **name, **changes}


def a_charge(number: int, amount: int = 1999, currency: str = "eur") -> dict[str, Any]:
    money = {"amount": amount, "currency": currency, "customer": "cus_1", "status": "succeeded"}
    return {"id": f"ch_{number}", "created": NOON - 60 * number, **money}


@pytest.fixture
def books() -> PaperStripe:
    return PaperStripe(customers=[a_customer(n) for n in range(1, 6)])


@pytest.fixture
def line(books: PaperStripe) -> Iterator[Line]:
    with joined(stripe, books) as line:
        yield line


def test_a_list_goes_on_from_its_last_record(line):
    report = line.pull("customers")
    assert (report.counters.fetched, report.counters.created) == (5, 5)
    assert [sent.params.get("starting_after") for sent in line.asked()] == [None, "cus_2", "cus_4"]
    assert line.kit.checkpoint("customers") == (None, datetime.fromtimestamp(NOON - 60, UTC))


def test_the_next_run_asks_for_what_was_created_since(line, books):
    line.pull("customers")
    line.asked()
    books.customers.append(a_customer(9, created=NOON + 60))
    report = line.pull("customers")
    (sent,) = line.asked()
    assert sent.params == {"limit": "100", "created[gte]": str(NOON - 60)}
    assert (report.counters.fetched, report.counters.created) == (2, 1)


def test_an_edit_that_no_filter_shows_is_found_at_night(line, books):
    line.pull("customers")
    books.customers[4] |= {"name": "Customer V", "tax_exempt": "exempt"}
    line.kit.clock.advance(900)
    assert line.pull("customers").counters.updated == 0
    line.kit.clock.advance(17 * 3600)  # past three in the morning
    report = line.pull("customers")
    assert (report.kind, report.counters.fetched, report.counters.updated) == ("full", 5, 1)
    assert line.payloads("customer", "customer_id")["cus_5"]["name"] == "Customer V"
    assert line.pull("customers").kind == "poll"


def test_a_deleted_customer_is_gone_after_two_nights(line, books):
    books.customers += [a_customer(n) for n in range(6, 41)]
    books.size = 100
    line.pull("customers")
    del books.customers[2]
    for night, left in ((1, 40), (2, 39)):
        line.kit.clock.advance(24 * 3600)
        assert line.pull("customers").kind == "full", night
        assert len(line.kit.documents("customer")) == left
    assert "cus_3" not in line.payloads("customer", "customer_id")


def test_a_list_begins_again_where_its_last_record_was_deleted(line, books):
    """SA13: the place to go on from is gone; nothing is lost and nothing doubled."""
    books.gone_between = "cus_2"
    report = line.pull("customers")
    afters = [sent.params.get("starting_after") for sent in line.asked()]
    assert afters == [None, "cus_2", None, "cus_3"]
    assert line.payloads("customer", "customer_id").keys() == {f"cus_{n}" for n in range(1, 6)}
    assert (report.counters.created, report.counters.unchanged) == (5, 1)


def test_amounts_come_in_minor_units_of_their_currency(line, books):
    books.charges = [a_charge(1), a_charge(2, 1999, "jpy"), a_charge(3, 500, "isk")]
    line.pull("charges")
    payments = line.payloads("payment", "payment_id")
    assert {key: (p["amount"], p["currency"]) for key, p in payments.items()} == {
        "ch_1": ("19.99", "EUR"),
        "ch_2": ("1999", "JPY"),
        "ch_3": ("5", "ISK"),
    }


def test_events_tell_what_was_edited(line, books):
    books.charges = [a_charge(1)]
    line.pull("charges")
    line.pull("events")
    now = int(MONDAY.timestamp())
    books.happens(books.charges[0] | {"status": "pending"}, NOON)  # before it was listed
    for second, status in enumerate(("pending", "failed", "failed")):
        books.happens(books.charges[0] | {"status": status}, now + 300 + second)
    line.kit.clock.advance(600)
    line.asked()
    report = line.pull("events")
    assert [s.params.get("starting_after") for s in line.asked()] == [None, "evt_3"]
    assert report.counters.fetched == 4
    assert line.payloads("payment", "payment_id")["ch_1"]["status"] == "failed"
    # A minute is kept back, for events that appear late.
    assert line.kit.checkpoint("events")[1] == datetime.fromtimestamp(now + 302, UTC)


def test_after_a_silence_longer_than_events_are_kept_everything_is_read(line, books):
    books.charges = [a_charge(1)]
    assert line.pull("charges").kind == "poll"
    books.happens(books.charges[0], NOON)
    line.pull("events")
    assert line.pull("charges").kind == "full"  # the first one had no past to go on from
    assert line.pull("charges").kind == "poll"
    line.kit.clock.advance(31 * 24 * 3600)
    line.pull("events")
    assert line.pull("charges").kind == "full"


def test_a_limit_that_names_no_time_is_waited_out(books):
    with joined(stripe, books, fault="throttled_silently", at=2) as line:
        assert line.pull("customers").counters.created == 5
        assert len(line.kit.clock.slept) >= 2
        assert len(line.asked()) == 3 + 2


def test_the_account_is_asked_once(line):
    assert line.kit.discover() == [Account("acct_1", "Acme", currency="EUR")]


def test_it_survives_its_provider(books):
    put_through(stripe, "customers", books)


@pytest.mark.skipif(
    not (SHARED / "stripe" / "fixtures3.json").exists(),
    reason="Stripe's examples are not beside the repository (../shared/data/stripe)",
)
def test_stripes_own_examples(line, books):
    resources = json.loads((SHARED / "stripe" / "fixtures3.json").read_text())["resources"]
    books.customers, books.charges = [resources["customer"]], [resources["charge"]]
    assert line.pull("customers").counters.created == 1
    assert line.pull("charges").counters.created == 1
    (found,), (paid,) = line.kit.documents("customer"), line.kit.documents("payment")
    assert found["name"] == found["customer_id"]  # it has neither name nor address
    assert (paid["amount"], paid["currency"], paid["status"]) == ("1.00", "USD", "completed")
