"""Line-bearing documents whose sums are plainly right, recognised with floats.

A float never decides here, it only excuses. Amounts are whole numbers of minor units below 1e9,
and a document short enough for the lane has fewer than a thousand of them. So sums stay below
1e12 minor units, each operation errs by less than 1e12 x 2^-53 of one, and all of them together by
less than 0.12. A sum that misses by less than `SURE_MINOR` is therefore exactly right, and a
tolerance of half a minor unit that is kept by `MARGIN_MINOR` is kept. Anything closer is left to
the exact rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

EXCUSED_CHARACTERS = 9
SURE_MINOR = 0.4
MARGIN_MINOR = 0.12
ROUNDING_MINOR = 100
_MINORS = [10.0**-exponent for exponent in range(13)]
_JUDGED_BY_SIGN = ("discount", "description")
_UNCOUNTED = ("withholding", "reverse_charge")


def lines_hold(document: Any, exponent: int | None) -> bool:
    """True only if I-L1, I-L2, I-L4, I-L5, I-T1 to I-T5, I-D3 and I-S1 surely have nothing to say.

    document: the lane's struct with money in normal form and no line numbers; exponent: of its
    currency, None where that is not known.
    """
    if exponent is None:
        return False
    minor = _MINORS[exponent]
    try:
        lines, tax_lines = _lines(document, minor)
        net = _net(document, minor, lines)
        tax = _tax(document, minor, tax_lines)
    except _Unsure:
        return False
    return net is None or abs(float(document.total_amount) - net - tax) < SURE_MINOR * minor


def _lines(document: Any, minor: float) -> tuple[float | None, list[Any]]:
    """The sum of the line amounts, and all tax lines."""
    half = (0.5 - MARGIN_MINOR) * minor
    net = 0.0
    refs: list[str] = []
    tax_lines: list[Any] = []
    for line in document.line_items or ():
        amount = float(line.amount)
        net += amount
        if (quantity := line.quantity) is not None and (price := line.unit_price) is not None:
            gap = float(quantity) * float(price) - amount
            if line.discount_amount is not None:
                gap -= float(line.discount_amount)
            if not -half < gap < half:
                raise _Unsure
        if (ref := line.line_ref) is not None:
            refs.append(ref)
        if (taxes := line.tax_lines) is not None:
            tax_lines += taxes
        if line.line_type in _JUDGED_BY_SIGN:
            raise _Unsure
        if (end := line.service_end_date) is not None and (line.service_start_date or end) > end:
            raise _Unsure
    if len(set(refs)) < len(refs) or (tax_lines and document.tax_lines):
        raise _Unsure
    return (net if document.line_items else None), tax_lines or document.tax_lines or []


class _Unsure(Exception):
    """A sum that is not plainly right."""


def _net(document: Any, minor: float, lines: float | None) -> float | None:
    """S of I-T1 less discount plus rounding, None where there is nothing to compare with."""
    net = lines
    if document.subtotal is not None:
        net = float(document.subtotal)
        if lines is not None and abs(net - lines) > SURE_MINOR * minor:
            raise _Unsure
    if net is not None and document.discount_amount is not None:
        net -= float(document.discount_amount)
    if document.rounding_amount is not None:
        rounding = float(document.rounding_amount)
        if abs(rounding) > ROUNDING_MINOR * minor:
            raise _Unsure
        net = net + rounding if net is not None else None
    return net


def _tax(document: Any, minor: float, tax_lines: Sequence[Any]) -> float:
    """T of I-T1."""
    tax = _counted(tax_lines, minor) if tax_lines else 0.0
    if document.tax_amount is not None:
        stated = float(document.tax_amount)
        if tax_lines and abs(stated - tax) > SURE_MINOR * minor:
            raise _Unsure
        return stated
    return tax


def _counted(tax_lines: Sequence[Any], minor: float) -> float:
    counted = gap = 0.0
    rated = 0
    for line in tax_lines:
        amount = float(line.tax_amount)
        if line.tax_kind not in _UNCOUNTED:
            counted += amount
        if line.taxable_amount is not None:
            taxable = float(line.taxable_amount)
            if taxable * amount < 0:
                raise _Unsure
            if line.rate_percent is not None:
                rated += 1
                gap += taxable * float(line.rate_percent) / 100 - amount
    if rated and abs(gap) > (0.5 * rated - MARGIN_MINOR) * minor:
        raise _Unsure
    return counted
