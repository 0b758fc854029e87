"""Salesforce: a query whose pages lie behind locators, below a URL that comes with the token.

`queryAll` tells deleted records too. A locator is good for some days, and then the query begins
again. The limit is one of calls a day, told in a header of every answer and shared with everybody
who uses the company's account; when it is spent, the answer is a 403.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from penstock import (
    Budget,
    Connector,
    Gone,
    OAuth2,
    Permissions,
    Rate,
    Restart,
    Stream,
    Throttled,
    ingest,
    sync,
    times,
)
from penstock.app import App
from penstock.config import Settings
from penstock.testing import Answer, HostileProvider, ManualClock, Sent, put_through

from .server import Line, joined

API = "/services/data/v62.0"


def calls_a_day(response):
    told = response.headers.get("sforce-limit-info", "")
    used, _, limit = told.removeprefix("api-usage=").partition("/")
    if not limit:
        return None
    # Calls of the last 24 hours count: they come back one by one.
    size = int(limit)
    return Budget(
        left=size - int(used), limit=size, restore=size / timedelta(days=1).total_seconds()
    )


def verdict(response):
    if response.status == 403 and b"REQUEST_LIMIT_EXCEEDED" in response.body:
        return Throttled(after=3600)
    if response.status == 400 and b"INVALID_QUERY_LOCATOR" in response.body:
        return Restart("the query locator has expired")
    return None


salesforce = Connector(
    key="salesforce",
    name="Salesforce",
    provider="salesforce",
    version="0.1.0",
    base_url="{facts.instance_url}",
    settings={
        "type": "object",
        "required": ["client_id", "client_secret"],
        "properties": {
            "login_url": {"type": "string", "default": "https://login.salesforce.com"},
            "client_id": {"type": "string"},
            "client_secret": {"type": "string", "x-secret": True},
        },
    },
    auth=OAuth2(
        grant="authorization_code",
        authorize_url="{settings.login_url}/services/oauth2/authorize",
        token_url="{settings.login_url}/services/oauth2/token",
        scopes=["api", "refresh_token"],
        facts={"instance_url": "token.instance_url"},
    ),
    rate=Rate(100_000, per=86_400, burst=25, read=calls_a_day),
    verdict=verdict,
    permissions=Permissions(
        http=["{facts.instance_url}/*", "{settings.login_url}/*"],
        documents={"customer": ["write", "delete"]},
    ),
    streams=[Stream("accounts", mode="poll", schedule="*/30 * * * *")],
)


@salesforce.mapping("accounts", id="Id", document="customer")
def account(record):
    changed = times.instant(record["SystemModstamp"])
    if record["IsDeleted"]:
        return Gone(datetime.fromisoformat(changed))
    return {
        "customer_id": record["Id"],
        "name": record["Name"],
        "entity_type": "company",
        "source_updated_at": changed,
    }


@salesforce.sync("accounts")
def accounts(request):
    if request.cursor is None:
        answer = request.http.get(f"{API}/queryAll", params={"q": soql(request.watermark)})
    else:
        answer = request.http.get(request.cursor)
    page = answer.json()
    ingest.records("accounts", page["records"])
    return sync.page(cursor=page.get("nextRecordsUrl"), has_more=not page["done"])


def soql(since):
    bound = f" WHERE SystemModstamp >= {since:%Y-%m-%dT%H:%M:%SZ}" if since else ""
    return f"SELECT Id, Name, IsDeleted, SystemModstamp FROM Account{bound} ORDER BY SystemModstamp"


# The provider ------------------------------------------------------------------------------------

MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)
INSTANCE = "https://acme.my.salesforce.com"


@dataclass
class PaperSalesforce:
    """used: calls of the day. expired: how often a locator is not known any more. instance: the URL
    that comes with a token."""

    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    size: int = 4
    used: int = 18
    limit: int = 5000
    expired: int = 0
    spent: bool = False
    instance: str = INSTANCE
    queries: list[str] = field(default_factory=list)

    def __call__(self, sent: Sent) -> Answer:
        if sent.path == "/services/oauth2/token":
            granted = {
                "access_token": "at-1",
                "refresh_token": "rt-1",
                "issued_at": "1772445600000",
            }
            return Answer.of({**granted, "instance_url": self.instance, "token_type": "Bearer"})
        assert sent.headers["authorization"] in ("Bearer test-token", "Bearer at-1")
        told = {"Sforce-Limit-Info": f"api-usage={self.used}/{self.limit}"}
        if self.spent:
            error = {
                "errorCode": "REQUEST_LIMIT_EXCEEDED",
                "message": "TotalRequests Limit exceeded.",
            }
            return Answer.of([error], 403, told)
        if sent.path == f"{API}/queryAll":
            self.queries.append(sent.params["q"])
            return self.page(len(self.queries) - 1, 0, told)
        assert sent.params == {}
        if self.expired:
            self.expired -= 1
            error = {"errorCode": "INVALID_QUERY_LOCATOR", "message": "invalid query locator"}
            return Answer.of([error], 400, told)
        query, _, start = sent.path.rpartition("/")[2].rpartition("-")
        return self.page(int(query.removeprefix("01g")), int(start), told)

    def page(self, query: int, start: int, told: Mapping[str, str]) -> Answer:
        since = self.queries[query].partition(">= ")[2][:19]
        rows = [row for row in self.accounts.values() if row["SystemModstamp"] >= since]
        rows.sort(key=lambda row: str(row["SystemModstamp"]))
        end = start + self.size
        body: dict[str, Any] = {"totalSize": len(rows), "done": end >= len(rows)}
        if end < len(rows):
            body["nextRecordsUrl"] = f"{API}/query/01g{query}-{end}"
        return Answer.of({**body, "records": rows[start:end]}, headers=told)

    def put(self, number: int, name: str, at: datetime, *, deleted: bool = False) -> None:
        key = f"001{number:012d}"
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        row = {"Id": key, "Name": name, "IsDeleted": deleted, "SystemModstamp": stamp}
        self.accounts[key] = {"attributes": {"type": "Account"}, **row}


FACTS = {"instance_url": INSTANCE}
SETTINGS = {"client_id": "app"}


@pytest.fixture
def org() -> PaperSalesforce:
    org = PaperSalesforce()
    for number in range(1, 11):
        org.put(number, f"Account {number}", MONDAY - timedelta(hours=number))
    return org


@pytest.fixture
def line(org: PaperSalesforce) -> Iterator[Line]:
    with joined(salesforce, org, settings=SETTINGS, facts=FACTS) as line:
        yield line


def test_locators_are_followed_below_the_instance(line):
    assert line.pull("accounts").counters.created == 10
    asked = line.asked()
    assert {sent.headers["host"] for sent in asked} == {"acme.my.salesforce.com"}
    paths = [sent.path.removeprefix(API) for sent in asked]
    assert paths == ["/queryAll", "/query/01g0-4", "/query/01g0-8"]


def test_the_next_run_asks_for_what_changed_and_hears_of_deletes(line, org):
    line.pull("accounts")
    org.put(2, "Account Two", MONDAY)
    org.put(5, "Account 5", MONDAY, deleted=True)
    report = line.pull("accounts")
    assert org.queries[1].endswith(
        "WHERE SystemModstamp >= 2026-03-02T09:00:00Z ORDER BY SystemModstamp"
    )
    assert (report.counters.updated, report.counters.unchanged) == (2, 1)
    stored = line.payloads("customer", "customer_id")
    assert stored["001000000000002"]["name"] == "Account Two"
    assert "001000000000005" not in stored


def test_an_expired_locator_begins_the_query_again(line, org):
    org.expired = 1
    report = line.pull("accounts")
    assert (report.counters.created, report.counters.unchanged) == (10, 4)
    assert len(org.queries) == 2


def test_a_locator_that_always_expires_ends_the_run(line, org):
    org.expired = 1000
    report = line.run("accounts")
    assert report.failed
    assert len(line.asked()) < 10


def test_the_days_calls_that_are_spent_park_the_stream(line, org):
    org.spent = True
    report = line.run("accounts")
    assert report.state == "parked"
    assert report.stopped.until - MONDAY >= timedelta(hours=1)
    org.spent = False
    line.kit.clock.advance(3600)
    assert line.pull("accounts").counters.created == 10


def test_calls_that_others_make_are_told_in_the_header(line, org):
    """By our own count there are thousands left; the account has been used up by somebody else."""
    line.pull("accounts")
    assert line.kit.clock.slept == []
    org.used = org.limit
    line.pull("accounts", full=True)
    assert sum(line.kit.clock.slept) == pytest.approx(2 * 86_400 / org.limit, rel=0.1)


def test_it_survives_its_provider(org):
    put_through(salesforce, "accounts", org, settings=SETTINGS, facts=FACTS)


@dataclass
class Agreeing:
    """Somebody who always agrees."""

    redirect_uri: str = "http://127.0.0.1:8400/callback"

    def answer(self, consent: Any) -> Mapping[str, str]:
        asked = dict(parse_qsl(urlsplit(consent.url).query))
        return {"code": "c-1", "state": asked["state"]}


def test_the_instance_comes_with_the_token(org, tmp_path):
    clock = ManualClock()
    settings = Settings(database=f"sqlite:///{tmp_path}/penstock.db")
    with HostileProvider(org, clock=clock) as provider, App.open(settings, clock=clock) as app:
        org.instance = provider.url
        connection = app.connect(
            f"{__name__}:salesforce",
            "crm",
            {"client_id": "app", "login_url": provider.url},
            {"client_secret": "shh"},
            allow_loopback=True,
            callback=Agreeing(),
        )
        assert connection.facts == {"instance_url": provider.url}
        (report,) = app.run("crm")
        assert report.counters.created == 10
