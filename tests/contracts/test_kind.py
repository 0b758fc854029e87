"""Scalars of section 1.2: what each admits and its normal form."""

from __future__ import annotations

import pytest

from penstock.contracts.finding import Found
from penstock.contracts.kind import (
    Boolean,
    Country,
    Currency,
    Day,
    Id,
    Instant,
    Integer,
    Money,
    Number,
    Spot,
    Text,
)
from penstock.contracts.unit import ISO, units

SPOT = Spot("thing", "field")


def read(kind, value, currency="EUR", table=ISO):
    """The normal form, or the code of the first refusal."""
    try:
        return kind.reader(SPOT)(value, table.get(currency) or table.unknown)
    except Found as found:
        return f"!{found.findings[0].code}"


@pytest.mark.parametrize(
    ("kind", "value", "normal"),
    [
        (Id(), "a", "a"),
        (Id(), "x" * 255, "x" * 255),
        (Id(), "x" * 256, "!invalid_format"),
        (Id(), "é 1", "é 1"),
        (Id(), "a\u00a0", "!invalid_format"),
        (Id(), "a\u2060b", "a\u2060b"),
        (Id(), "\u3000a", "!invalid_format"),
        (Id(), "a\tb", "!invalid_format"),
        (Id(), "a\x00", "!invalid_text"),
        (Id(), "", None),
        (Id(), 5, "!invalid_type"),
        (Text(3), "abc", "abc"),
        (Text(3), "😀😀😀", "😀😀😀"),
        (Text(3), "abcd", "!limit_exceeded"),
        (Text(3), " a ", " a "),
        (Text(3), "   ", None),
        (Text(3), "     ", None),
        (Text(3), "a\x7f", "!invalid_text"),
        (Text(3), "a\x85", "!invalid_text"),
        (Text(3), "\n\ta", "\n\ta"),
        (Text(9), "e\u0301", "e\u0301"),
        (Text(9), ["a"], "!invalid_type"),
        (Text(9), [], None),
        (Money(None), "-0.00", "0.00"),
        (Money(None), "-0", "0.00"),
        (Money(None), "1", "1.00"),
        (Money(None), "1.5", "1.50"),
        (Money(None), "1.500000000000", "1.50"),
        (Money(None), "-1.05", "-1.05"),
        (Money(None), "1.005", "!scale_exceeds_currency"),
        (Money(None), "01.00", "!invalid_format"),
        (Money(None), "+1.00", "!invalid_format"),
        (Money(None), "1.", "!invalid_format"),
        (Money(None), ".5", "!invalid_format"),
        (Money(None), "1e2", "!invalid_format"),
        (Money(None), "1 000", "!invalid_format"),
        (Money(None), "1.0000000000000", "!invalid_format"),
        (Money(None), "999999999999999", "999999999999999.00"),
        (Money(None), "1000000000000000", "!invalid_format"),
        (Money(None), "١", "!invalid_format"),
        (Money(None), "1.00\n", "!invalid_format"),
        (Money("zero"), "-0.01", "!out_of_range"),
        (Money("positive"), "0.00", "!out_of_range"),
        (Number(), "10.00", "10"),
        (Number(), "100", "100"),
        (Number(), "0.50", "0.5"),
        (Number(), "-0.000", "0"),
        (Number("zero", 1000, "I-F8"), "1000.000", "1000"),
        (Number("zero", 1000, "I-F8"), "1000.001", "!out_of_range"),
        (Number("zero", 1000, "I-F8"), "-1", "!out_of_range"),
        (Integer(1), 1, 1),
        (Integer(1), 0, "!out_of_range"),
        (Integer(), 2**31, "!out_of_range"),
        (Integer(), 2**31 - 1, 2**31 - 1),
        (Integer(), 1.0, "!invalid_type"),
        (Integer(), True, "!invalid_type"),
        (Integer(), "1", "!invalid_type"),
        (Boolean(), False, False),
        (Boolean(), 0, "!invalid_type"),
        (Boolean(), "true", "!invalid_type"),
        (Boolean(), None, None),
        (Day(), "2026-03-02", "2026-03-02"),
        (Day(), "2100-12-31", "2100-12-31"),
        (Day(), "2101-01-01", "!invalid_format"),
        (Day(), "2026-3-2", "!invalid_format"),
        (Day(), "20260302", "!invalid_format"),
        (Day(), "2026-W10-1", "!invalid_format"),
        (Day(), "2026-03-02T00:00:00Z", "!invalid_format"),
        (Instant(), "2026-03-02T10:00:00Z", "2026-03-02T10:00:00Z"),
        (Instant(), "2026-03-02T10:00:00.000Z", "2026-03-02T10:00:00Z"),
        (Instant(), "2026-03-02T10:00:00.1234567Z", "2026-03-02T10:00:00.123456Z"),
        (Instant(), "2026-03-02T10:00:00.9999999Z", "2026-03-02T10:00:00.999999Z"),
        (Instant(), "2026-03-02T10:00:00+05:30", "2026-03-02T04:30:00Z"),
        (Instant(), "2026-03-02T10:00:00-00:00", "2026-03-02T10:00:00Z"),
        (Instant(), "2026-03-02T24:00:00Z", "!invalid_format"),
        (Instant(), "2026-03-02T23:59:60Z", "!invalid_format"),
        (Instant(), "2026-03-02T10:00:00+01:60", "!invalid_format"),
        (Instant(), "2026-03-02T10:00:00+24:00", "!invalid_format"),
        (Instant(), "2026-02-30T10:00:00Z", "!invalid_format"),
        (Instant(), "2026-03-02 10:00:00Z", "!invalid_format"),
        (Instant(), "2026-03-02T10:00Z", "!invalid_format"),
        (Instant(), "2026-03-02T10:00:00.1234567890Z", "!invalid_format"),
        (Instant(), "2026-03-02T10:00:00", "!invalid_format"),
        (Instant(), "2100-12-31T23:30:00-01:00", "!invalid_format"),
        (Instant(), "1969-12-31T23:30:00-01:00", "1970-01-01T00:30:00Z"),
        (Instant(), 1772445600, "!invalid_type"),
        (Currency(), "EUR", "EUR"),
        (Currency(), "eur", "!invalid_currency"),
        (Currency(), "XAU", "!invalid_currency"),
        (Country(), "DE", "DE"),
        (Country(), "de", "!invalid_format"),
    ],
)
def test_a_value_becomes_its_normal_form_or_is_refused(kind, value, normal):
    assert read(kind, value) == normal


@pytest.mark.parametrize(
    ("currency", "value", "normal"),
    [
        ("JPY", "1200.00", "1200"),
        ("JPY", "1200.50", "!scale_exceeds_currency"),
        ("KWD", "1.2", "1.200"),
        ("CLF", "1.23456", "!scale_exceeds_currency"),
        ("BTC", "0.00000001", "0.00000001"),
        ("BTC", "1", "1.00000000"),
    ],
)
def test_money_has_the_digits_of_its_currency(currency, value, normal):
    """DS6: so 1.1 and 1.10 are one amount, and one hash."""
    assert read(Money(None), value, currency, units({"BTC": 8})) == normal


def test_a_code_in_lower_case_is_answered_with_the_one_that_is_meant():
    with pytest.raises(Found) as caught:
        Currency().reader(SPOT)("eur", ISO.unknown)
    assert caught.value.findings[0].message == "eur is not a known currency; did you mean EUR?"


def test_full_caches_start_anew_and_answer_the_same():
    reader = Number().reader(SPOT)
    for n in range(20_000):
        assert reader(f"{n}.50", ISO.unknown) == f"{n}.5"
    assert reader("0.50", ISO.unknown) == "0.5"
    day = Day().reader(SPOT)
    for year in range(1970, 2101):
        for month in range(1, 13):
            for number in (1, 10, 11, 12, 13, 14, 28):
                text = f"{year}-{month:02}-{number:02}"
                assert day(text, ISO.unknown) == text
