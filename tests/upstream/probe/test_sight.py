"""Where the records of an unknown page are, and what names one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.errors import PageRefusedError
from penstock.upstream.headers import Headers
from penstock.upstream.probe.sight import Field, Sight, look
from penstock.upstream.request import Request, Response
from tests.upstream.paged_api import URL, WHEN


def response(document: Any, **headers: str) -> Response:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Response(Request("GET", URL), 200, Headers(pairs), body, URL, WHEN)


def seen(*records: Any) -> Sight:
    return look(response({"data": records}))


ROW = {"id": 1, "lines": [{"sku": 1}, {"sku": 2}]}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([ROW], ""),
        ([], ""),
        ({"data": [ROW]}, "data"),
        ({"errors": [], "data": []}, "data"),
        ({"QueryResponse": {"Invoice": [ROW, ROW], "maxResults": 2}}, "QueryResponse.Invoice"),
        ({"included": [{"a": 1}], "data": [ROW, ROW]}, "data"),
        ({"tags": ["a", "b", "c"], "customers": [ROW]}, "customers"),
        ({"data": {"orders": {"edges": [{"node": ROW}]}}}, "data.orders.edges"),
    ],
)
def test_the_list_of_records_is_found(document, path):
    assert look(response(document)).path == path


@pytest.mark.parametrize("document", [{}, {"error": "no"}, 7, None, {"a": ["x"]}])
def test_an_answer_without_one_is_refused_with_a_hint(document):
    with pytest.raises(PageRefusedError, match="are the credentials right"):
        look(response(document))


def test_html_is_refused():
    with pytest.raises(PageRefusedError, match="HTML"):
        look(response(b"<html>Sign in</html>"))


def test_a_known_path_may_be_absent_on_the_last_page():
    assert look(response({"QueryResponse": {}}), "QueryResponse.Invoice").records == ()


@pytest.mark.parametrize(
    ("records", "name"),
    [
        ([{"id": 1, "customer_id": 7}, {"id": 2, "customer_id": 7}], "id"),
        ([{"InvoiceID": "a", "Total": 1}, {"InvoiceID": "b", "Total": 1}], "InvoiceID"),
        ([{"node": {"id": "a"}}, {"node": {"id": "b"}}], "node.id"),
        ([{"id": None, "number": "1"}, {"id": None, "number": "2"}], "number"),
        ([{"customer_id": 1, "key": "a"}, {"customer_id": 1, "key": "b"}], "key"),
        ([{"id": 1}, {"id": 1}], None),
        ([{"a": 1}, {"a": 2}], None),
    ],
)
def test_what_names_a_record_is_different_in_each(records, name):
    assert seen(*records).id == name


def test_fields_are_told_with_their_kinds_and_without_their_values():
    page = seen({"id": 1, "total": 1.5}, {"id": "x", "note": None})
    assert page.fields == (
        Field("id", ("integer", "text"), 2),
        Field("total", ("decimal",), 1),
        Field("note", ("null",), 1),
    )
