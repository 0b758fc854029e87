"""Units: exponents, declarations, and amounts judged many at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.contracts.finding import Found
from penstock.contracts.unit import ISO, are_normal, minor, units


@pytest.mark.parametrize(
    "declared", [{"btc": 8}, {"BTC": 13}, {"BTC": -1}, {"BTC": True}, {"B": 2}]
)
def test_a_declared_unit_needs_a_code_and_an_exponent(declared):
    with pytest.raises(ValueError, match="needs a code"):
        units(declared)


def test_declared_units_stand_beside_iso():
    table = units({"BTC": 8, "JPY": 2})
    assert table.get("BTC").exponent == 8
    assert table.get("JPY").exponent == 2
    assert table.get("EUR").exponent == 2
    assert units(None) is units({}) is ISO
    assert ISO.get("BTC") is None


@given(st.integers(1 - 10**15, 10**15 - 1), st.sampled_from(["JPY", "EUR", "KWD"]))
def test_minor_units_and_text_are_one_thing(number, code):
    unit = ISO.get(code)
    text = unit.text(number)
    assert unit.normal(text) == text
    assert minor(text) == number
    assert minor(None) == 0


TEXTS = st.lists(
    st.from_regex(r"-?[0-9]{1,9}(\.[0-9]{0,4})?", fullmatch=True)
    | st.sampled_from(["", ",", "1,00", "0.00", "00.00", "1.00", "١.00", "1.0 ", "1000000.00"])
    | st.text(max_size=4),
    min_size=1,
    max_size=6,
)


@given(TEXTS, st.sampled_from(["JPY", "EUR", "KWD"]))
def test_what_looks_normal_at_one_glance_is_normal(texts, code):
    unit = ISO.get(code)
    if are_normal([text for text in texts if text] or ["0"], unit):
        for text in filter(None, texts):
            assert unit.normal(text) == text
            assert minor(text) >= 0


def test_the_glance_sees_ordinary_amounts():
    assert are_normal(["0.00", "12.50", "999999.99"], ISO.get("EUR"))
    assert are_normal(["0", "1200"], ISO.get("JPY"))
    assert not are_normal(["12.5"], ISO.get("EUR"))
    assert not are_normal(["1.00"], ISO.unknown)
    assert not are_normal(["1,200"], ISO.get("JPY"))


def test_without_a_known_currency_only_the_pattern_is_checked():
    assert ISO.unknown.normal("1.23456") == "1.23456"
    with pytest.raises(Found):
        ISO.unknown.normal("1,2")
