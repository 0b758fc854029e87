"""One listing, paged in every way that APIs page, behind any transport."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from penstock.upstream import wire
from penstock.upstream.counted import Offset, PageNumber
from penstock.upstream.graphql import GraphQL
from penstock.upstream.headers import Headers
from penstock.upstream.links import LinkHeader, NextUrl
from penstock.upstream.paging import Cursor, Pager, PageView, SinglePage
from penstock.upstream.request import Request, Response, address

URL = "https://api.acme.test/v1/customers"
WHEN = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Asked:
    """What a request says, however it came."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any

    def number(self, name: str, default: int) -> int:
        return int(self.query.get(name, default))


@dataclass(frozen=True)
class Answered:
    document: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Listing:
    """The provider's rows. None: a row that its own filter takes out after the page was cut.

    cap: the longest page it serves, whatever is asked for. usual: where nothing is asked for.
    """

    rows: list[Any]
    cap: int = 100
    usual: int = 3

    @property
    def visible(self) -> list[Any]:
        return [row for row in self.rows if row is not None]

    def cut(self, start: int, size: int) -> tuple[list[Any], int | None]:
        """(visible rows of one page, where the next one begins)."""
        end = start + min(size, self.cap)
        page = [row for row in self.rows[start:end] if row is not None]
        return page, end if end < len(self.rows) else None


Style = Callable[[Listing, Asked], Answered]


def cursor_in_body(listing: Listing, asked: Asked) -> Answered:
    page, after = listing.cut(asked.number("cursor", 0), asked.number("limit", listing.usual))
    return Answered({"data": page, "next_cursor": None if after is None else str(after)})


def cursor_in_header(listing: Listing, asked: Asked) -> Answered:
    page, after = listing.cut(asked.number("cursor", 0), listing.usual)
    return Answered({"data": page}, {} if after is None else {"X-Next-Cursor": str(after)})


def cursor_sent_in_header(listing: Listing, asked: Asked) -> Answered:
    page, after = listing.cut(int(asked.headers.get("x-cursor", 0)), listing.usual)
    return Answered({"data": page, "next": after})


def cursor_sent_in_body(listing: Listing, asked: Asked) -> Answered:
    start = int(((asked.body or {}).get("page") or {}).get("after", 0))
    page, after = listing.cut(start, listing.usual)
    return Answered({"data": page, "has_more": after is not None, "next": str(after)})


def last_record(listing: Listing, asked: Asked) -> Answered:
    ids = [row["id"] for row in listing.visible]
    start = ids.index(asked.query["starting_after"]) + 1 if "starting_after" in asked.query else 0
    page = listing.visible[start : start + listing.usual]
    return Answered({"data": page, "has_more": start + listing.usual < len(ids)})


def link_header(listing: Listing, asked: Asked) -> Answered:
    page, after = listing.cut(asked.number("from", 0), listing.usual)
    links = [f'<{URL}>; rel="first"; title="all, from 0"']
    links += [] if after is None else [f'<?from={after}&x=%2f>; rel="next"']
    return Answered(page, {"Link": ", ".join(links)})


def next_url(listing: Listing, asked: Asked) -> Answered:
    page, after = listing.cut(asked.number("from", 0), listing.usual)
    link = None if after is None else {"href": f"/v1/customers?from={after}"}
    return Answered({"data": page, "_links": {"self": {"href": URL}, "next": link}})


def odata(listing: Listing, asked: Asked) -> Answered:
    page, after = listing.cut(asked.number("$skiptoken", 0), listing.usual)
    link = {} if after is None else {"@odata.nextLink": f"{URL}?$skiptoken={after}"}
    return Answered({"value": page, **link})


def page_number(listing: Listing, asked: Asked) -> Answered:
    size = min(asked.number("per_page", listing.usual), listing.cap)
    page, _ = listing.cut((asked.number("page", 1) - 1) * size, size)
    return Answered({"data": page, "page": asked.number("page", 1)})


def page_number_told(listing: Listing, asked: Asked) -> Answered:
    size = min(asked.number("per_page", listing.usual), listing.cap)
    pages = -(-len(listing.rows) // size)
    told = page_number(listing, asked).document
    return Answered(told | {"per_page": size, "total_pages": pages})


def offset(listing: Listing, asked: Asked) -> Answered:
    start = asked.number("offset", 0)
    size = min(asked.number("limit", listing.usual), listing.cap)
    return Answered({"data": listing.rows[start : start + size], "offset": start})


def offset_told(listing: Listing, asked: Asked) -> Answered:
    told = offset(listing, asked).document
    return Answered(told | {"total": len(listing.rows), "limit": min(listing.usual, listing.cap)})


def graphql(listing: Listing, asked: Asked) -> Answered:
    start = int((asked.body.get("variables") or {}).get("after") or 0)
    page, after = listing.cut(start, listing.usual)
    info = {"hasNextPage": after is not None, "endCursor": after and str(after)}
    return Answered({"data": {"customers": {"nodes": page, "pageInfo": info}}})


def single(listing: Listing, asked: Asked) -> Answered:
    return Answered({"data": listing.visible})


@dataclass(frozen=True)
class Way:
    """A way to page: what the API does, what the author writes. filters: its own filter may make
    pages look short, or empty."""

    style: Style
    pager: Pager
    records: str = "data"
    filters: bool = False
    params: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    body: Any = None

    def first(self) -> Request:
        asked = Request(self.method, URL, params=self.params, json=self.body)
        return self.pager.first(asked)


QUERY = {"query": "query ($after: String) { customers(after: $after) { nodes { id } } }"}

WAYS = {
    "cursor in body": Way(cursor_in_body, Cursor("next_cursor", param="cursor"), filters=True),
    "cursor in header": Way(
        cursor_in_header, Cursor(header="X-Next-Cursor", param="cursor"), filters=True
    ),
    "cursor sent in header": Way(
        cursor_sent_in_header, Cursor("next", request_header="X-Cursor"), filters=True
    ),
    "cursor sent in body": Way(
        cursor_sent_in_body, Cursor("next", json="page.after"), filters=True, method="POST"
    ),
    "last record": Way(last_record, Cursor(param="starting_after")),
    "link header": Way(link_header, LinkHeader(), records="", filters=True),
    "next url": Way(next_url, NextUrl("_links.next.href"), filters=True),
    "odata": Way(odata, NextUrl("@odata.nextLink"), records="value", filters=True),
    "page number": Way(page_number, PageNumber()),
    "page number of a size": Way(page_number, PageNumber(size_param="per_page", size=7)),
    "page number told": Way(page_number_told, PageNumber(pages="total_pages"), filters=True),
    "offset": Way(offset, Offset()),
    "offset of a size": Way(offset, Offset(size=7)),
    "offset told": Way(offset_told, Offset(total="total")),
    "graphql": Way(
        graphql,
        GraphQL("data.customers"),
        records="data.customers.nodes",
        filters=True,
        body=QUERY,
    ),
    "single": Way(single, SinglePage(), filters=True),
}


@dataclass
class PagedApi:
    """A listing behind one way of paging. limits: header fields on every answer."""

    listing: Listing
    style: Style
    limits: Mapping[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def answer(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes
    ) -> tuple[Mapping[str, str], bytes]:
        self.requests.append(f"{method} {url}")
        query = parse_qs(urlsplit(url).query, keep_blank_values=True)
        asked = Asked(
            {name: values[-1] for name, values in query.items()},
            {name.lower(): value for name, value in headers.items()},
            json.loads(content) if content else None,
        )
        answered = self.style(self.listing, asked)
        return {**self.limits, **answered.headers}, json.dumps(answered.document).encode()

    def send(self, request: Request) -> Response:
        """As a client does it, without one."""
        content = b"" if request.json is None else json.dumps(request.json).encode()
        url = address(request)
        headers, body = self.answer(request.method, url, dict(request.headers), content)
        return Response(request, 200, Headers(headers.items()), body, url, WHEN)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """As a transport that takes the place of sockets."""
        headers, body = self.answer(
            request.method, str(request.url), request.headers, request.read()
        )
        return httpx2.Response(200, headers=dict(headers), content=body)


def view(response: Response, records: str) -> PageView:
    envelope = wire.split(response.body, records)
    raw = envelope.records
    return PageView(response, envelope.rest, len(raw), lambda: wire.decode_record(raw[-1]), raw)
