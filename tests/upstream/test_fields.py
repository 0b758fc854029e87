from __future__ import annotations

import pytest

from penstock.errors import ConnectorError
from penstock.upstream.fields import MISSING, Path


def test_absent_null_and_empty_are_three_things():
    record = {"memo": None, "note": ""}
    assert Path.parse("memo").get(record) is None
    assert Path.parse("note").get(record) == ""
    assert Path.parse("name").get(record) is MISSING
    assert not MISSING


def test_follows_members_inwards():
    assert Path.parse("customer.address.city").get({"customer": {"address": {"city": "Köln"}}}) == (
        "Köln"
    )
    assert Path.parse("customer.city").get({"customer": "Acme"}) is MISSING
    assert Path.parse("customer.city").get(None) is MISSING
    assert Path.parse("").get([1]) == [1]


def test_optional_is_only_a_mark_on_the_last_name():
    path = Path.parse("QueryResponse.Invoice?")
    assert path == Path(("QueryResponse", "Invoice"), optional=True)
    assert str(path) == "QueryResponse.Invoice?"


@pytest.mark.parametrize("text", ["a..b", ".a", "a.", "a?.b", "?"])
def test_slips_are_refused(text):
    with pytest.raises(ConnectorError, match="is no path"):
        Path.parse(text)


def test_put_copies_and_makes_objects_on_the_way():
    body = {"query": "q", "variables": {"first": 50}}
    assert Path.parse("variables.page.after").put(body, "c1") == {
        "query": "q",
        "variables": {"first": 50, "page": {"after": "c1"}},
    }
    assert body == {"query": "q", "variables": {"first": 50}}
