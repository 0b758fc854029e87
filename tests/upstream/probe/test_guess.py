"""First pages as well-known APIs send them, and the pager that reads them."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.upstream.counted import Offset, PageNumber
from penstock.upstream.graphql import GraphQL
from penstock.upstream.links import LinkHeader, NextUrl
from penstock.upstream.paging import Cursor
from penstock.upstream.probe.guess import guesses
from penstock.upstream.probe.sight import look
from penstock.upstream.request import Request
from tests.upstream.paged_api import URL

from .test_sight import response

ROWS = [{"id": f"cus_{number}"} for number in range(3)]
QUERY = {"query": "query ($c: String) { x(first: 5, after: $c) { nodes { id } } }"}


ASKED = Request("GET", URL)


def first(document: Any, request: Request = ASKED, **headers: str) -> Any:
    found = guesses(look(response(document, **headers)), request)
    return found[0].pager if found else None


@pytest.mark.parametrize(
    ("document", "pager"),
    [
        (
            {"object": "list", "has_more": True, "data": ROWS},
            Cursor(param="starting_after"),
        ),
        (
            {"results": ROWS, "paging": {"next": {"after": "3", "link": f"{URL}?after=3"}}},
            NextUrl("paging.next.link"),
        ),
        (
            {"results": ROWS, "paging": {"next": {"after": "3"}}},
            Cursor("paging.next.after", param="after"),
        ),
        (
            {"_embedded": {"payments": ROWS}, "_links": {"next": {"href": f"{URL}?from=x"}}},
            NextUrl("_links.next.href"),
        ),
        ({"value": ROWS, "@odata.nextLink": f"{URL}?$skip=3"}, NextUrl("@odata.nextLink")),
        ({"records": ROWS, "done": False, "nextRecordsUrl": "/q/01-3"}, NextUrl("nextRecordsUrl")),
        ({"items": ROWS, "nextPageToken": "CAM"}, Cursor("nextPageToken", param="pageToken")),
        (
            {"data": ROWS, "meta": {"next_cursor": "x", "hasMore": True}},
            Cursor("meta.next_cursor", param="cursor", more="meta.hasMore"),
        ),
        ({"data": ROWS, "page": 0, "total_pages": 3}, PageNumber(start=0, pages="total_pages")),
        ({"data": ROWS, "pagination": {"pageCount": 3}}, PageNumber(pages="pagination.pageCount")),
        (
            {"data": ROWS, "startAt": 0, "total": 12},
            Offset("startAt", size_param=None, total="total"),
        ),
        ({"data": ROWS, "offset": 0, "count": 3}, Offset(size_param=None)),
        ({"data": ROWS, "total": 12}, PageNumber()),
        ({"data": ROWS, "next": None, "has_more": False}, None),
        ({"data": ROWS}, None),
    ],
)
def test_the_likeliest_pager(document, pager):
    assert first(document) == pager


def test_a_link_header():
    assert first(ROWS, link=f'<{URL}?page=2>; rel="next"') == LinkHeader()
    assert first(ROWS, link=f'<{URL}?page=1>; rel="last"') is None


@pytest.mark.parametrize(
    ("name", "pager"),
    [
        ("X-Next-Cursor", Cursor(header="x-next-cursor", param="cursor")),
        ("x-ms-continuation", Cursor(header="x-ms-continuation", param="ms-continuation")),
    ],
)
def test_a_header_of_its_own(name, pager):
    found = first(ROWS, **{name.replace("-", "_"): "opaque"})
    assert isinstance(found, Cursor)
    assert found.header == pager.header


def test_the_variable_of_a_relay_query_is_read_from_the_query():
    page = {"x": {"nodes": ROWS, "pageInfo": {"hasNextPage": True, "endCursor": "c"}}}
    asked = Request("POST", URL, json=QUERY)
    assert first({"data": page}, asked) == GraphQL("data.x", variable="c")


def test_parameters_of_the_request_itself_come_first():
    asked = Request("GET", URL, params=(("after", ""), ("page_size", "3")))
    assert first({"data": ROWS, "cursor": "x"}, asked) == Cursor("cursor", param="after")
    asked = Request("GET", URL, params=(("p", "1"), ("page_size", "3")))
    assert first({"data": ROWS, "pages": 4}, asked) == PageNumber(
        "p", size_param="page_size", pages="pages"
    )
