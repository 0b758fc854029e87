"""Paths, fields and bounds of a shape."""

from __future__ import annotations

import pytest

from penstock.model import shape
from penstock.model.shape import Field, Shape


def test_a_path_names_members_from_the_outside_in() -> None:
    assert shape.member("", "id") == "id"
    assert shape.member("customer", "name") == "customer.name"
    assert shape.member("lines[]", "net") == "lines[].net"
    assert shape.any_member("metadata") == "metadata.*"


@pytest.mark.parametrize(
    ("path", "outer"),
    [
        ("id", ""),
        ("customer.name", "customer"),
        ("lines[]", "lines"),
        ("lines[].net", "lines[]"),
        ("metadata.*", "metadata"),
        ("[]", ""),
        ("", ""),
    ],
)
def test_each_path_lies_in_another(path: str, outer: str) -> None:
    assert shape.parent(path) == outer
    assert shape.within(path, outer) or outer == ""


def test_a_path_lies_in_no_namesake() -> None:
    assert shape.within("customer", "customer")
    assert not shape.within("customers", "customer")


def test_what_has_a_meaning_in_a_path_is_escaped_in_a_name() -> None:
    assert shape.member("", "@odata.type") == "@odata%2Etype"
    assert shape.member("a", "b[]*%") == "a.b%5B%5D%2A%25"
    assert shape.member("a", "x\x00\x1b[31m") == "a.x%00%1B%5B31m"
    assert shape.parent(shape.member("a", "b.c")) == "a"


def test_a_long_name_is_cut() -> None:
    longest = "n" * shape.NAME_CHARACTERS
    assert shape.member("", longest + "and more") == longest


def test_fields_of_two_pages_add_up() -> None:
    one = Field(10, 9, 1, 0, frozenset({"text"}), {"open": 7, "paid": 1}, 0, 0)
    other = Field(5, 5, 0, 2, frozenset({"number"}), {"paid": 3}, 4, 2)
    both = Field(15, 14, 1, 2, frozenset({"text", "number"}), {"open": 7, "paid": 4}, 4, 2)
    assert one + other == both
    assert (both.absent, both.empty, both.filled) == (1, 2, 13)


def test_too_many_values_are_no_enumeration() -> None:
    most = {f"value {chr(97 + n)}": 1 for n in range(shape.VALUES)}
    assert shape.together(most, {}) == most
    assert shape.together(most, {"one more": 1}) is None
    assert shape.together(most, None) is None


@pytest.mark.parametrize(
    "text", ["open", "PAID", "net_30", "sehr gut", "", "B2B", "Ж", "x" * shape.VALUE_CHARACTERS]
)
def test_a_word_may_be_a_value(text: str) -> None:
    assert shape.is_value(text)


@pytest.mark.parametrize(
    "text",
    ["x" * (shape.VALUE_CHARACTERS + 1), "in_007", "2026-03-02", "12.50", "7", "a\nb", "\x1b[m"],
)
def test_an_id_a_date_an_amount_and_a_long_text_are_none(text: str) -> None:
    assert not shape.is_value(text)


def test_a_shape_comes_back_from_its_bytes() -> None:
    field = Field(2, 2, 0, 0, frozenset({"text", "number"}), {"ä": 1}, 3, 2)
    whole = Shape({"": Field(objects=2), "state": field}, {"state": Field(1)}, 7, crowded=True)
    assert Shape.from_bytes(whole.as_bytes()) == whole
    assert Shape.from_bytes(Shape().as_bytes()) == Shape()
