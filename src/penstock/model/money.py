"""Exact amounts: provider numbers become canonical decimal strings, never through a float.

>>> from decimal import Decimal
>>> money.amount(Decimal("40.50"))
'40.50'
>>> money.minor(1999, "EUR")
'19.99'
>>> money.minor(1999, "JPY")
'1999'
>>> money.minor(500, "ISK", exponents={"ISK": 2})
'5.00'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation

from penstock.model.currency import EXPONENTS

EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])
"""Arithmetic in which an inexact result is an error (contracts, 1.3)."""

_DECIMAL = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?")


def amount(value: int | Decimal | str) -> str:
    """A decimal string with the digits as given: no exponent, no plus sign, no leading zeros.

    Raises ValueError for NaN, infinity, text that is no plain decimal number, and TypeError for
    float (a float has already lost digits) and bool.
    """
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            raise ValueError(f"{value[:64]!r} is no decimal number such as '125.00'")
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        why = ": a float has already lost digits" if isinstance(value, float) else ""
        raise TypeError(f"money.amount takes int, Decimal or str, not {type(value).__name__}{why}")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(f"{value} is no amount")
    text = format(number, "f")
    return text if number else text.removeprefix("-")


def minor(value: int | Decimal | str, currency: str, exponents: Mapping[str, int] = {}) -> str:
    """The amount behind a whole number of minor units (cents, pence, yen).

    exponents: the provider's own digits where they differ from ISO 4217 (contracts, 1.10).
    Raises ValueError for an unknown currency or a value that is not whole.
    """
    exponent = exponents.get(currency, EXPONENTS.get(currency))
    if exponent is None:
        raise ValueError(f"{currency[:12]!r} is no known currency; give exponents={{...: digits}}")
    number = Decimal(amount(value))
    if number != number.to_integral_value():
        raise ValueError(f"{value} is not a whole number of minor units of {currency}")
    return amount(EXACT.scaleb(number, -exponent).quantize(Decimal(1).scaleb(-exponent)))
