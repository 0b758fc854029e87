"""The company's currencies and exact rounding in them; its own table, not penstock's."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

DIGITS = {"EUR": 2, "USD": 2, "GBP": 2, "JPY": 0}
_UNIT = {currency: Decimal(1).scaleb(-digits) for currency, digits in DIGITS.items()}


def rounded(value: Decimal | int, currency: str) -> Decimal:
    """Half up to the minor unit, with exactly as many digits as the currency has."""
    return Decimal(value).quantize(_UNIT[currency], rounding=ROUND_HALF_UP)


def from_minor(units: int, currency: str) -> Decimal:
    return rounded(Decimal(units).scaleb(-DIGITS[currency]), currency)


def to_minor(value: Decimal, currency: str) -> int:
    return int(value.scaleb(DIGITS[currency]))
