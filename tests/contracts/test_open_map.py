"""`map` and `source_values`: open to names, closed to what hashes differently elsewhere."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.contracts.examples import invoice, kept, reasons


def leftovers(**values):
    return invoice(source_values={"acme": values})


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (3, 3),
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**53), "-9007199254740992"),
        (Decimal("0.10"), "0.10"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-50"), "1E-50"),
        (True, True),
        ("a\x01b", "a\x01b"),
        ([1, None, "", {}, {"a": None}], [1, None, "", {}, {}]),
        ({"a": {"b": None, "c": [0]}}, {"a": {"c": [0]}}),
    ],
)
def test_source_values_keep_what_json_readers_agree_on(value, stored):
    found = kept("invoice", leftovers(x=value))
    assert found["source_values"] == {"acme": {"x": stored}}
    assert kept("invoice", found) == found


@pytest.mark.parametrize(
    ("value", "code", "path"),
    [
        (1.5, "invalid_type", "/source_values/acme/x"),
        ([0, float("nan")], "invalid_type", "/source_values/acme/x/1"),
        (Decimal("NaN"), "invalid_type", "/source_values/acme/x"),
        (b"x", "invalid_type", "/source_values/acme/x"),
        pytest.param(10**5000, "limit_exceeded", "/source_values/acme/x", id="endless"),
        ("x" * 65_536, "limit_exceeded", "/source_values"),
    ],
)
def test_source_values_refuse_the_rest(value, code, path):
    assert [(c, p) for c, p, _ in reasons("invoice", leftovers(x=value))] == [(code, path)]


def test_source_values_hold_64_kib_to_the_byte():
    room = 65_536 - len('{"acme":{"x":""}}')
    assert reasons("invoice", leftovers(x="y" * room)) == []
    assert reasons("invoice", leftovers(x="y" * (room + 1))) == [
        ("limit_exceeded", "/source_values", "I-F8")
    ]


def test_source_values_are_objects_by_provider():
    assert reasons("invoice", invoice(source_values={"acme": 5})) == [
        ("invalid_type", "/source_values/acme", None)
    ]
    assert reasons("invoice", invoice(source_values=["acme"])) == [
        ("invalid_type", "/source_values", None)
    ]
    assert reasons("invoice", invoice(source_values={"acme": None})) == []


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ({"a": "x" * 500}, []),
        ({"a": "x" * 501}, [("limit_exceeded", "/metadata/a", "I-F8")]),
        ({"n" * 64: "x"}, []),
        ({"n" * 65: "x"}, [("limit_exceeded", "/metadata/" + "n" * 65, "I-F8")]),
        ({"": "x"}, [("limit_exceeded", "/metadata/", "I-F8")]),
        ({"a": "x\x02"}, [("invalid_text", "/metadata/a", "I-F9")]),
        ({"a\x02": "x"}, [("invalid_text", "/metadata/a\x02", "I-F9")]),
        ({"a": None, "b": "", "c": " "}, []),
        ({"a": True}, [("invalid_type", "/metadata/a", None)]),
        ("a", [("invalid_type", "/metadata", None)]),
    ],
)
def test_labels_are_short_texts(labels, found):
    assert reasons("invoice", invoice(metadata=labels)) == found


def test_blank_labels_are_dropped():
    assert kept("invoice", invoice(metadata={"a": "1", "b": " "}))["metadata"] == {"a": "1"}
