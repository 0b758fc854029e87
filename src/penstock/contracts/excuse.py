"""Line-bearing documents whose sums are plainly right, recognised with floats.

A float never decides here, it only excuses. Amounts are taken in minor units, whole numbers, so a
sum that misses by less than `SURE_MINOR` in floats is exactly right, as long as the floats' own
error stays below the rest. It does: with at most `LARGEST_MINOR` in all amounts together each
operation errs by less than 1e9 x 2^-52, and a document short enough for the lane has fewer than a
thousand of them. Anything closer is left to the exact rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SURE_MINOR = 0.4
LARGEST_MINOR = 1e9
ROUNDING_MINOR = 100
_JUDGED_BY_SIGN = ("discount", "description")
_UNCOUNTED = ("withholding", "reverse_charge")


def lines_hold(document: Any, exponent: int) -> bool:
    """True only if I-L1, I-L2, I-L4, I-L5, I-T1 to I-T5, I-D3 and I-S1 surely have nothing to say.

    document: the lane's struct with money in normal form and no line numbers; exponent: of its
    currency.
    """
    scale = 10.0**exponent
    try:
        lines, tax_lines = _lines(document, scale)
        net = _net(document, scale, lines)
        tax = _tax(document, scale, tax_lines)
    except _Unsure:
        return False
    total = float(document.total_amount) * scale
    return net is None or (total < LARGEST_MINOR and abs(total - net - tax) < SURE_MINOR)


def _lines(document: Any, scale: float) -> tuple[float | None, list[Any]]:
    """The sum of the line amounts and all tax lines."""
    if not document.line_items:
        return None, document.tax_lines or []
    net = size = 0.0
    refs: list[str] = []
    tax_lines: list[Any] = []
    for line in document.line_items:
        amount = float(line.amount) * scale
        net += amount
        size += abs(amount)
        if line.quantity is not None and line.unit_price is not None:
            _price(line, amount, scale)
        if line.line_ref is not None:
            refs.append(line.line_ref)
        if line.tax_lines:
            tax_lines += line.tax_lines
        if line.service_end_date is not None and line.service_start_date is not None:
            _span(line)
        if line.line_type in _JUDGED_BY_SIGN:
            raise _Unsure
    if len(set(refs)) < len(refs) or size > LARGEST_MINOR or (tax_lines and document.tax_lines):
        raise _Unsure
    return net, tax_lines or document.tax_lines or []


def _price(line: Any, amount: float, scale: float) -> None:
    discount = float(line.discount_amount) * scale if line.discount_amount is not None else 0.0
    gap = float(line.quantity) * float(line.unit_price) * scale - discount - amount
    if abs(gap) > SURE_MINOR or discount > LARGEST_MINOR:
        raise _Unsure


def _span(line: Any) -> None:
    if line.service_start_date > line.service_end_date:
        raise _Unsure


class _Unsure(Exception):  # noqa: N818 - a signal inside this module
    """A sum that is not plainly right."""


def _net(document: Any, scale: float, lines: float | None) -> float | None:
    """S of I-T1 less discount plus rounding, None where there is nothing to compare with."""
    net = lines
    if document.subtotal is not None:
        net = float(document.subtotal) * scale
        if lines is not None and abs(net - lines) > SURE_MINOR:
            raise _Unsure
    if net is not None and document.discount_amount is not None:
        net -= float(document.discount_amount) * scale
    if document.rounding_amount is not None:
        rounding = float(document.rounding_amount) * scale
        if abs(rounding) > ROUNDING_MINOR:
            raise _Unsure
        net = net + rounding if net is not None else None
    return net


def _tax(document: Any, scale: float, tax_lines: Sequence[Any]) -> float:
    """T of I-T1."""
    tax = _counted(tax_lines, scale) if tax_lines else 0.0
    if document.tax_amount is not None:
        stated = float(document.tax_amount) * scale
        if tax_lines and abs(stated - tax) > SURE_MINOR:
            raise _Unsure
        return stated
    return tax


def _counted(tax_lines: Sequence[Any], scale: float) -> float:
    counted = size = gap = 0.0
    rated = 0
    for line in tax_lines:
        amount = float(line.tax_amount) * scale
        size += abs(amount)
        if line.tax_kind not in _UNCOUNTED:
            counted += amount
        if line.taxable_amount is not None:
            taxable = float(line.taxable_amount) * scale
            size += abs(taxable)
            if taxable * amount < 0:
                raise _Unsure
            if line.rate_percent is not None:
                rated += 1
                gap += taxable * float(line.rate_percent) / 100 - amount
    if size > LARGEST_MINOR or (rated and abs(gap) > 0.5 * rated - (0.5 - SURE_MINOR)):
        raise _Unsure
    return counted
