"""HubSpot: a search that shows 10,000 results and no more.

What was changed since a time is searched for in windows of time; a window that holds too many is
halved. Results are counted, so what leaves a window while it is read moves the rest up: a window
whose total changed is read again. A limit says whether it is that of a second or that of a day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock import Bearer, Connector, Fail, Later, Permissions, Rate, Stream, ingest, sync
from penstock.testing import Answer, Sent, put_through

from .server import Line, joined

MOST = 10_000
FOUNDED = datetime(2006, 1, 1, tzinfo=UTC)


def verdict(response):
    """A limit a second is waited for; that of a day comes back at the provider's midnight."""
    if response.status == 429 and b'"DAILY"' in response.body:
        return Later(timedelta(hours=1))
    return None


hubspot = Connector(
    key="hubspot",
    name="HubSpot",
    provider="hubspot",
    version="0.1.0",
    base_url="https://api.hubapi.com",
    settings={
        "type": "object",
        "required": ["token"],
        "properties": {"token": {"type": "string", "x-secret": True}},
    },
    auth=Bearer(secret="token"),
    rate=Rate(4, name="search"),
    verdict=verdict,
    permissions=Permissions(
        http=["https://api.hubapi.com/*"], documents={"customer": ["write", "delete"]}
    ),
    streams=[Stream("companies", mode="poll", schedule="*/15 * * * *")],
)


@hubspot.mapping("companies", id="id", document="customer")
def company(record):
    properties = record["properties"]
    return {
        "customer_id": record["id"],
        "name": properties["name"],
        "entity_type": "company",
        "source_updated_at": properties["hs_lastmodifieddate"],
    }


@hubspot.sync("companies")
def companies(request):
    """Windows that are still to be searched, the oldest first."""
    place = request.cursor or beginning(request.watermark or FOUNDED, request.now)
    (since, until), *later = place["windows"]
    found = search(request, since, until, place["after"])
    if found["total"] > MOST:
        return onward([*halves(since, until), *later])
    if place["total"] not in (None, found["total"]):
        return onward(place["windows"], total=found["total"])
    ingest.records("companies", found["results"])
    after = found.get("paging", {}).get("next", {}).get("after")
    return onward(place["windows"], found["total"], after) if after else onward(later)


def beginning(since, now):
    window = [int(since.timestamp() * 1000), int(now.timestamp() * 1000)]
    return {"windows": [window], "total": None, "after": None}


def onward(windows, total=None, after=None):
    if not windows:
        return sync.page()
    return sync.page(cursor={"windows": windows, "total": total, "after": after}, has_more=True)


def halves(since, until):
    if until - since < 2:
        raise Fail(f"more than {MOST} companies were changed in one millisecond, {since}")
    middle = (since + until) // 2
    return [[since, middle], [middle, until]]


def search(request, since, until, after):
    changed = "hs_lastmodifieddate"
    bounds = [("GTE", since), ("LT", until)]
    body = {
        "filterGroups": [
            {
                "filters": [
                    {"propertyName": changed, "operator": operator, "value": str(value)}
                    for operator, value in bounds
                ]
            }
        ],
        "sorts": [{"propertyName": changed, "direction": "ASCENDING"}],
        "properties": ["name", changed],
        "limit": 200,
        **({"after": after} if after else {}),
    }
    path = "/crm/v3/objects/companies/search"
    return request.http.post(path, json=body, safe=True, rate="search").json()


# The provider ------------------------------------------------------------------------------------

MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)


@dataclass
class PaperHubSpot:
    """companies: id to the time of its last change. most: results that a search shows. touched:
    a company that somebody changes behind the first page of a window."""

    companies: dict[int, datetime] = field(default_factory=dict)
    most: int = MOST
    touched: int | None = None
    refused: dict[str, Any] | None = None

    def __call__(self, sent: Sent) -> Answer:
        assert (sent.method, sent.path) == ("POST", "/crm/v3/objects/companies/search")
        assert sent.headers["authorization"] == "Bearer test-token"
        if self.refused:
            refused, self.refused = self.refused, None
            return Answer.of(refused, 429)
        since, until = (
            datetime.fromtimestamp(int(bound["value"]) / 1000, UTC)
            for bound in sent.json["filterGroups"][0]["filters"]
        )
        found = [number for number, at in self.by_time if since <= at < until]
        start, limit = int(sent.json.get("after", 0)), sent.json["limit"]
        if start + limit > self.most:
            return Answer.of({"category": "VALIDATION_ERROR"}, 400)
        page = found[start : start + limit]
        body = {"total": len(found), "results": [self.shown(number) for number in page]}
        if start + limit < len(found):
            body["paging"] = {"next": {"after": str(start + limit)}}
            self.touch()
        return Answer.of(body)

    @property
    def by_time(self) -> list[tuple[int, datetime]]:
        return sorted(self.companies.items(), key=lambda company: company[1])

    def touch(self) -> None:
        if self.touched is not None:
            self.companies[self.touched], self.touched = MONDAY + timedelta(seconds=30), None

    def shown(self, number: int) -> dict[str, Any]:
        at = self.companies[number].strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        named = {"name": f"Company {number}", "hs_lastmodifieddate": at}
        return {"id": str(number), "properties": named}


def portal(count: int) -> PaperHubSpot:
    """Companies of which one was changed every minute."""
    changed = {n: MONDAY - timedelta(hours=1, minutes=n) for n in range(1, count + 1)}
    return PaperHubSpot(changed)


@pytest.fixture
def hub() -> PaperHubSpot:
    return portal(450)


@pytest.fixture
def line(hub: PaperHubSpot) -> Iterator[Line]:
    with joined(hubspot, hub, settings={}) as line:
        yield line


def test_pages_of_a_window(line):
    assert line.pull("companies").counters.created == 450
    assert [sent.json.get("after") for sent in line.asked()] == [None, "200", "400"]


def test_the_next_run_searches_from_the_newest_change(line, hub):
    line.pull("companies")
    line.asked()
    hub.companies[7] = MONDAY + timedelta(seconds=20)
    report = line.pull("companies")
    assert (report.counters.updated, report.counters.unchanged) == (0, 2)  # same name, newer mark
    since = int(line.asked()[0].json["filterGroups"][0]["filters"][0]["value"])
    assert since == int((MONDAY - timedelta(hours=1, minutes=1)).timestamp() * 1000)


def test_a_window_with_too_many_is_halved_until_it_fits():
    """12,000 in the last nine days of twenty years: the old halves are empty."""
    hub = portal(12_000)
    with joined(hubspot, hub, settings={}) as line:
        assert line.pull("companies").counters.created == 12_000
        windows = {
            tuple(int(bound["value"]) for bound in sent.json["filterGroups"][0]["filters"])
            for sent in line.asked()
        }
        assert len(windows) > 10
        assert max(until - since for since, until in windows) > 20 * 365 * 24 * 3600 * 1000


def test_more_than_fit_into_a_millisecond_end_the_run_with_a_sentence():
    hub = PaperHubSpot(dict.fromkeys(range(MOST + 1), MONDAY - timedelta(hours=1)))
    with joined(hubspot, hub, settings={}) as line:
        report = line.run("companies")
        assert (report.state, "one millisecond" in str(report.message)) == ("failed", True)


def test_what_leaves_a_window_takes_nothing_along(line, hub):
    """SA14: company 450 is the oldest; without it, number 201 of the window is the 200th."""
    hub.touched = 450
    report = line.pull("companies")
    stored = line.payloads("customer", "customer_id")
    assert stored.keys() == {str(number) for number in range(1, 451)}
    assert report.counters.created == 450
    assert hub.touched is None
    # The window is read from its beginning once its total is another.
    assert [sent.json.get("after") for sent in line.asked()] == [None, "200", None, "200", "400"]


def test_the_limit_of_a_second_is_waited_for(line, hub):
    hub.refused = {"policyName": "SECONDLY"}
    assert line.pull("companies").counters.created == 450
    assert line.kit.clock.slept


def test_the_limit_of_a_day_parks_the_stream(line, hub):
    hub.refused = {"policyName": "DAILY"}
    report = line.run("companies")
    assert report.state == "parked"
    assert report.stopped.until - MONDAY >= timedelta(hours=1)
    line.kit.clock.advance(3600)
    assert line.pull("companies").counters.created == 450


def test_it_survives_its_provider(hub):
    put_through(hubspot, "companies", hub, settings={})
