"""Rates and budgets as authors declare them."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest

from penstock import Connector, Stream
from penstock.errors import ConnectorError
from penstock.model.pace import Level, Limit
from penstock.sdk.request import Http
from penstock.upstream.pace import Budget, Rate
from penstock.upstream.request import Request

S = 1_000_000


def connector(**changes):
    return Connector(key="acme", name="Acme", provider="acme", version="0.1.0", **changes)


def test_a_rate_without_a_burst_is_spread_over_its_window():
    assert Rate(20).limit == Limit.bucket(20, S, None)
    assert Rate(20).limit.burst == 1
    assert Rate(5_000, per=3_600).limit.burst == 50


def test_a_burst_is_the_size_of_the_bucket():
    assert Rate(2, burst=40).limit == Limit.bucket(2, S, 40)


@pytest.mark.parametrize(
    ("resets", "opens_s"),
    [("00:00Z", 0), ("09:30Z", 34_200), ("00:00+02:00", -7_200), ("16:00-08:00", 86_400)],
)
def test_a_fixed_window_opens_at_its_time(resets, opens_s):
    limit = Rate(5_000, per=86_400, resets=resets).limit
    assert limit == Limit.window(5_000, 86_400 * S, opens_s * S)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"requests": 0}, "requests must be a whole number from 1, not 0"),
        ({"requests": 2.5}, "requests must be a whole number from 1"),
        ({"requests": True}, "requests must be a whole number from 1"),
        ({"requests": 1, "per": 0}, "per must be seconds"),
        ({"requests": 1, "per": "1s"}, "per must be seconds"),
        ({"requests": 1, "burst": 0}, "burst must be a whole number from 1"),
        ({"requests": 1, "name": "Search"}, "rate name 'Search' must be lower case"),
        ({"requests": 1, "scope": "host"}, "scope must be one of connection, app"),
        ({"requests": 1, "per": 86_400, "resets": "midnight"}, "must look like '00:00Z'"),
        ({"requests": 1, "per": 86_400, "resets": "24:00Z"}, "must look like '00:00Z'"),
        ({"requests": 1, "per": 7, "resets": "00:00Z"}, "must divide a day evenly; 7 s do not"),
        ({"requests": 1, "per": 60, "resets": "00:00Z", "burst": 2}, "has no burst"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(given, sentence):
    with pytest.raises(ConnectorError) as refused:
        Rate(**given)
    assert sentence in refused.value.message


def test_a_budget_is_read_on_the_careful_side():
    told = Budget(left=Decimal("19.9"), limit=1_000, restore=Decimal("50.0"), cost=7.2)
    assert told.level(10) == Level(left=19, limit=1_000, per_second=50.0, returned=2)
    assert Budget(left=-3).level(1) == Level(left=0)
    assert Budget().level(1) == Level()


def test_a_connector_takes_one_rate_or_several():
    assert connector(rate=Rate(20)).rates == (Rate(20),)
    several = [Rate(20), Rate(5_000, per=86_400, resets="00:00Z"), Rate(30, per=60, name="search")]
    assert connector(rate=several).rates == tuple(several)
    assert connector().rates == ()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rate": [Rate(20), Rate(30)]}, "rate default is declared twice for 1 s"),
        ({"rate": [20]}, "rate must be a Rate or several"),
        ({"concurrency": 0}, "concurrency must be a whole number from 1, not 0"),
        (
            {"rate": Rate(5), "streams": [Stream("customers", mode="poll", rate="serch")]},
            "stream customers: no rate is named 'serch'; the connector declares: default",
        ),
    ],
)
def test_a_connector_refuses_a_pace_that_cannot_be_meant(given, sentence):
    with pytest.raises(ConnectorError) as refused:
        connector(**given)
    assert sentence in refused.value.message


def test_a_stream_with_a_wrong_rate_is_found_by_its_line():
    with pytest.raises(ConnectorError) as refused:
        connector(streams=[Stream("customers", mode="poll", rate="serch")])
    assert refused.value.file == __file__


@pytest.mark.parametrize("given", [{"rate": "serch"}, {"cost": 0}, {"cost": "5"}])
def test_a_collection_with_a_pace_that_is_none_is_refused(given):
    acme = connector(streams=[Stream("customers", mode="poll")])
    with pytest.raises(ConnectorError):
        acme.collection("customers", path="/c", id="id", document="customer", **given)


def test_a_route_says_rate_and_cost_of_a_request():
    sent = []
    http = Http(SimpleNamespace(send=sent.append))
    http.get("/search", rate="search")
    http.post("/query", json={}, cost=12)
    assert [(request.rate, request.cost) for request in sent] == [("search", 1), (None, 12)]
    with pytest.raises(ConnectorError, match="cost of a request"):
        http.get("/search", cost=0)


def test_rate_and_cost_stay_with_a_stored_request():
    request = Request("GET", "https://api.acme.test/search", rate="search", cost=12)
    assert Request.from_json(request.as_json()) == request
    assert request.as_json().keys() == {"method", "url", "rate", "cost"}
