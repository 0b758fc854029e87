"""Money of one currency as text: the digits it may have, its normal form, its minor units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from penstock.contracts.finding import quote, refuse
from penstock.model.currency import EXPONENTS, WITHDRAWN

DECIMAL_PATTERN = r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,12})?"
CODE_PATTERN = r"[A-Z][A-Z0-9]{1,11}"
EXPONENT_MAX = 12
DECIMAL_SHAPE = "is not a decimal such as 125.00: up to 15 digits, a point, up to 12 more"

_DECIMAL = re.compile(DECIMAL_PATTERN).fullmatch
_CODE = re.compile(CODE_PATTERN).fullmatch


class Unit:
    """A currency, or another unit declared with its exponent.

    exponent: None where the currency is missing or unknown; then only the pattern is checked.
    table: where the units of other fields of the same payload are looked up.
    """

    __slots__ = ("code", "exponent", "table", "withdrawn", "zero")

    def __init__(self, code: str, exponent: int | None, table: Units) -> None:
        self.code = code
        self.exponent = exponent
        self.table = table

        self.withdrawn = WITHDRAWN.get(code)
        self.zero = "0" if not exponent else "0." + "0" * exponent

    def normal(self, text: str) -> str:
        """Exactly as many fraction digits as the exponent. Raises Found."""
        match = _DECIMAL(text)
        if match is None:
            raise refuse("invalid_format", f"{quote(text)} {DECIMAL_SHAPE}", "I-F1")
        if self.exponent is None:
            return text
        whole, fraction = match.start(2), match[2] or ""
        if len(fraction) == self.exponent + 1 and self.exponent:
            kept = text
        else:
            kept = self._scaled(text, text[:whole] if fraction else text, fraction[1:])
        return kept if kept[0] != "-" or kept.strip("-0.") else self.zero

    def _scaled(self, text: str, whole: str, digits: str) -> str:
        exponent = self.exponent or 0
        if digits[exponent:].strip("0"):
            message = (
                f"{quote(text)} has a non-zero digit beyond "
                f"the {exponent} fraction digits of {self.code}"
            )
            raise refuse("scale_exceeds_currency", message, "I-F4")
        return f"{whole}.{digits[:exponent].ljust(exponent, '0')}" if exponent else whole

    def text(self, minor: int) -> str:
        """The normal form of a whole number of minor units."""
        exponent = self.exponent or 0
        digits = str(abs(minor)).rjust(exponent + 1, "0")
        sign = "-" if minor < 0 else ""
        return sign + (f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits)

    def sample(self, number: float | Decimal) -> str:
        """The number as its sender may have meant it, for a message."""
        try:
            text = format(Decimal(str(number)).quantize(Decimal(1).scaleb(-(self.exponent or 0))))
        except (ArithmeticError, ValueError):
            return "125.00"
        return text if _DECIMAL(text) else "125.00"


def minor(text: str | None) -> int:
    """Minor units behind a money text in normal form; an absent amount counts 0."""
    return int(text.replace(".", "", 1)) if text is not None else 0


def are_normal(texts: list[str], unit: Unit) -> bool:
    """Whether all texts surely are money ≥ 0 in normal form, in one look at all of them.

    Digits are read as 0, which leaves the shape: "000.00,00.00". False also for what only a close
    look can tell: a sign, a long amount.
    """
    if unit.exponent is None or not (joined := f",{','.join(texts)},").isascii():
        return False
    shapes = joined.encode().translate(_DIGITS_AS_ZERO).split(b",")
    if len(shapes) != len(texts) + 2 or not _shapes(unit.exponent).issuperset(shapes):
        return False
    return joined.count(",0") == joined.count(",0." if unit.exponent else ",0,")


_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
LOOKED_AT_CHARACTERS = 9


@lru_cache(maxsize=16)
def _shapes(exponent: int) -> frozenset[bytes]:
    """What amounts of up to nine characters look like; the empty piece is before the first."""
    fraction = b"." + b"0" * exponent if exponent else b""
    wholes = range(1, LOOKED_AT_CHARACTERS - len(fraction) + 1)
    return frozenset({b"", *(b"0" * digits + fraction for digits in wholes)})


class Units:
    """ISO 4217 and what a set of books declares beside it."""

    __slots__ = ("_units", "unknown")

    def __init__(self, declared: Mapping[str, int]) -> None:
        exponents = EXPONENTS | dict(declared)
        self._units = {code: Unit(code, exponents[code], self) for code in exponents}
        self.unknown = Unit("", None, self)

    def get(self, code: object) -> Unit | None:
        return self._units.get(code) if isinstance(code, str) else None

    def governing(self, code: object, otherwise: Unit) -> Unit:
        """The unit a member names; `otherwise` without a value, `unknown` for a bad one."""
        if (found := self.get(code)) is not None:
            return found
        blank = code.isspace() or not code if isinstance(code, str) else code in (None, [], {})
        return otherwise if blank else self.unknown


ISO = Units({})


def units(declared: Mapping[str, int] | None) -> Units:
    """ISO 4217 plus declared units, for instance {"BTC": 8}. Raises ValueError for a bad one."""
    return _declared(tuple(sorted(declared.items()))) if declared else ISO


@lru_cache(maxsize=64)
def _declared(pairs: tuple[tuple[str, int], ...]) -> Units:
    for code, exponent in pairs:
        if not _CODE(code) or type(exponent) is not int or not 0 <= exponent <= EXPONENT_MAX:
            raise ValueError(
                f"unit {code!r} needs a code like {CODE_PATTERN} and an exponent from 0 to 12"
            )
    return Units(dict(pairs))
