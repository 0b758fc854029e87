"""Exact amounts."""

from __future__ import annotations

from decimal import Decimal

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.model import money
from penstock.model.currency import EXPONENTS, WITHDRAWN


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("40.50"), "40.50"),
        (Decimal("1E+2"), "100"),
        (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
        (7, "7"),
        ("-12.50", "-12.50"),
        ("-0.00", "0.00"),
        (Decimal("-0"), "0"),
        ("+5", "5"),
    ],
)
def test_amount(value: int | Decimal | str, text: str) -> None:
    """DS6, and DS7 for minus zero."""
    assert money.amount(value) == text


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1.5, "not float: a float has already lost digits"),
        (True, "not bool"),
        (None, "not NoneType"),
    ],
)
def test_amount_takes_no_float(value: object, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        money.amount(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["12,50", "1e5", "", "NaN", Decimal("NaN"), Decimal("Infinity")])
def test_amount_refuses_what_is_none(value: str | Decimal) -> None:
    with pytest.raises(ValueError, match="no "):
        money.amount(value)


@pytest.mark.parametrize(
    ("units", "currency", "text"),
    [(1999, "EUR", "19.99"), (1999, "JPY", "1999"), (15, "KWD", "0.015"), (-5, "USD", "-0.05")],
)
def test_minor(units: int, currency: str, text: str) -> None:
    assert money.minor(units, currency) == text


def test_a_provider_may_have_digits_of_its_own() -> None:
    assert money.minor(500, "ISK", exponents={"ISK": 2}) == "5.00"


def test_minor_units_are_whole_and_of_a_known_currency() -> None:
    with pytest.raises(ValueError, match="not a whole number"):
        money.minor("19.5", "EUR")
    with pytest.raises(ValueError, match="no known currency"):
        money.minor(5, "ZZZ")


@given(st.integers(-(10**14), 10**14), st.sampled_from(sorted(EXPONENTS)))
def test_minor_is_exact(units: int, currency: str) -> None:
    assert Decimal(money.minor(units, currency)) * 10 ** EXPONENTS[currency] == units


def test_the_pinned_table_is_iso_4217() -> None:
    published = {c.code: c.exponent for c in iso4217.Currency if c.exponent is not None}
    ours = {code: e for code, e in EXPONENTS.items() if code not in WITHDRAWN}
    assert ours == published
