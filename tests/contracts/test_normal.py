"""RFC 8785 against a second implementation, where names beyond U+FFFF sort differently."""

from __future__ import annotations

import json

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from penstock.contracts import normal
from tests.contracts.examples import accepted, invoice

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUES, max_size=6))
def test_the_bytes_are_those_of_rfc_8785(value):
    content = normal.dumps(value)
    assert content == rfc8785.dumps(value)
    assert normal.loads(content) == value


def test_names_sort_by_utf_16_unit_and_not_by_code_point():
    names = ["\U0001f600", "\ufb33", "\u20ac", "1", "\r", "\x80", "\u00f6"]  # RFC 8785, 3.2.3
    content = normal.dumps(dict.fromkeys(names, "x"))
    assert list(json.loads(content)) == ["\r", "1", "\x80", "ö", "€", "😀", "\ufb33"]


def test_open_maps_of_a_payload_sort_that_way_too():
    labels = {"\ufb33": "a", "\U0001f600": "b"}
    payload = invoice(
        metadata=labels, source_values={"acme": {"\uffff": 1, "😀": {"y": 1, "x": 2}}}
    )
    content = accepted("invoice", payload).content
    assert content == rfc8785.dumps(payload)
