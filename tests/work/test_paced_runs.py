"""Runs keep the pace of their connection: what is declared reaches every request."""

from __future__ import annotations

import textwrap

import pytest

from penstock.app import App
from penstock.config import Settings
from tests.database import KEY, url_in
from tests.upstream.clock import FakeClock
from tests.upstream.provider import Provider, page

CONNECTOR = """
from penstock import Connector, Cursor, Permissions, Rate, Stream, ingest, sync

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0", base_url="{settings.base_url}",
    settings={"type": "object", "properties": {"base_url": {"type": "string"}}},
    permissions=Permissions(http=["http://127.0.0.1/*"], documents={"customer": ["write"]}),
    rate=[Rate(1, per=10), Rate(1, per=100, name="slow"),
          Rate(10, per=100, burst=10, name="points")],
    streams=[Stream("customers", mode="poll"), Stream("people", mode="poll", rate="slow"),
             Stream("accounts", mode="poll", rate="slow"), Stream("queries", mode="poll")],
)

def declare(stream, **pace):
    @acme.collection(stream, path="/" + stream, records="data", id="id",
                     pages=Cursor("next", param="cursor"), document="customer", **pace)
    def customer(record):
        return {"customer_id": record["id"], "name": record["name"]}

declare("customers")
declare("people")
declare("queries", rate="points", cost=10)

@acme.sync("accounts")
def accounts(request):
    request.http.get("/accounts")
    return sync.page()
"""


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def app(backend, tmp_path, clock):
    with App.open(Settings(database=url_in(tmp_path), master_key=KEY), clock=clock) as opened:
        yield opened


def connected(app, tmp_path, provider):
    (tmp_path / "acme.py").write_text(textwrap.dedent(CONNECTOR))
    target = str(tmp_path / "acme.py")
    app.connect(target, "acme-main", {"base_url": provider.url}, {}, allow_loopback=True)


def customers(number, following=None):
    return page({"data": [{"id": str(number), "name": "Customer"}], "next": following})


@pytest.mark.sqlite  # elsewhere the pace goes by the database's own clock
def test_pages_of_a_collection_go_at_the_usual_rate(app, clock, tmp_path):
    with Provider([customers(1, "a"), customers(2, "b"), customers(3)]) as provider:
        connected(app, tmp_path, provider)
        (report,) = app.run("acme-main", ["customers"])
    assert (report.state, report.counters.created) == ("done", 3)
    assert clock.monotonic() == pytest.approx(20 / 0.97, abs=0.1)


@pytest.mark.sqlite  # elsewhere the pace goes by the database's own clock
def test_a_stream_of_its_own_rate_is_parked_and_goes_on_where_it_stopped(app, clock, tmp_path):
    with Provider([customers(1, "a"), customers(2)]) as provider:
        connected(app, tmp_path, provider)
        (parked,) = app.run("acme-main", ["people"])
        assert (parked.reason, parked.counters.created) == ("rate_limited", 1)
        assert "slow: 1 in 100 s" in parked.message
        clock.advance(104)
        (done,) = app.run("acme-main", ["people"])
        assert (done.state, done.counters.created) == ("done", 1)
        assert provider.received[1].target == "/people?cursor=a"


def test_a_route_counts_against_the_rate_of_its_stream(app, tmp_path):
    with Provider([page({})]) as provider:
        connected(app, tmp_path, provider)
        assert [app.run("acme-main", ["accounts"])[0].reason for _ in range(2)] == [
            None,
            "rate_limited",
        ]


def test_a_collection_says_what_its_requests_cost(app, tmp_path):
    with Provider([customers(1, "a")]) as provider:
        connected(app, tmp_path, provider)
        (parked,) = app.run("acme-main", ["queries"])
        assert (parked.reason, parked.counters.created) == ("rate_limited", 1)
        assert "points: 10 in 100 s" in parked.message
