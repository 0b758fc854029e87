"""Relay connections: the cursor goes into the variables, and errors under status 200 are errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.errors import PageRefusedError
from penstock.upstream.graphql import GraphQL
from penstock.upstream.headers import Headers
from penstock.upstream.paging import PageView
from penstock.upstream.request import Request, Response

QUERY = "query ($after: String) { invoices(after: $after) { nodes { id } } }"
ASKED = Request("GET", "https://api.acme.test/graphql", json={"query": QUERY})
PAGER = GraphQL("data.invoices")


def answer(body: Any) -> Response:
    content = json.dumps(body).encode()
    return Response(ASKED, 200, Headers(), content, ASKED.url, datetime(2026, 3, 2, tzinfo=UTC))


def seen(info: Any, **more: Any) -> PageView:
    document = {"data": {"invoices": {"nodes": [], "pageInfo": info}}, **more}
    return PageView(answer(document), document, 1, lambda: {})


def test_a_query_is_posted_and_may_be_repeated():
    first = PAGER.first(ASKED)
    assert (first.method, first.safe, first.json) == ("POST", True, {"query": QUERY})


def test_the_cursor_goes_into_the_variables():
    following = PAGER.next(ASKED, seen({"hasNextPage": True, "endCursor": "c2"}))
    assert following is not None
    assert following.json == {"query": QUERY, "variables": {"after": "c2"}}
    other = GraphQL("data.invoices", variable="cursor")
    asked = Request("POST", ASKED.url, json={"query": QUERY, "variables": {"first": 50}})
    following = other.next(asked, seen({"hasNextPage": True, "endCursor": "c2"}))
    assert following is not None
    assert following.json["variables"] == {"first": 50, "cursor": "c2"}


def test_the_last_page_ends():
    assert PAGER.next(ASKED, seen({"hasNextPage": False, "endCursor": "c2"})) is None


@pytest.mark.parametrize("info", [None, {}, {"endCursor": "c2"}, {"hasNextPage": "yes"}])
def test_an_answer_without_page_info_does_not_pass_for_the_end(info):
    with pytest.raises(PageRefusedError, match="ask for pageInfo"):
        PAGER.next(ASKED, seen(info))


@pytest.mark.parametrize("cursor", [None, "", 7])
def test_more_without_a_cursor_is_refused(cursor):
    with pytest.raises(PageRefusedError, match="no endCursor"):
        PAGER.next(ASKED, seen({"hasNextPage": True, "endCursor": cursor}))


def test_errors_beside_data_refuse_the_page():
    errors = [{"message": "Field 'total'\nis deprecated"}, "odd"]
    with pytest.raises(PageRefusedError, match="Field 'total' is deprecated; odd") as refusal:
        PAGER.next(ASKED, seen({"hasNextPage": False}, errors=errors))
    assert refusal.value.code == "graphql_errors"


def test_errors_in_place_of_data_say_why_there_are_no_records():
    with pytest.raises(PageRefusedError, match="Throttled"):
        PAGER.refuse(answer({"data": None, "errors": [{"message": "Throttled"}]}))
    PAGER.refuse(answer({"data": None, "errors": []}))
