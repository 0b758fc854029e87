"""The scalar notations of contracts, section 1.2: what each admits and what its normal form is.

A kind is a frozen value. `reader(spot)` binds it to one field and gives the function that every
value of that field goes through: value and governing unit in; normal form out, None for "no
value"; Found raised for anything to say. `schema()` is the same statement as JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Protocol

from penstock.contracts import temporal
from penstock.contracts.countries import COUNTRIES
from penstock.contracts.finding import Found, quote, refuse, remark, type_name
from penstock.contracts.unit import CODE_PATTERN, DECIMAL_PATTERN, DECIMAL_SHAPE, Unit
from penstock.model.identity import KEY_CHARACTERS, is_well_formed_id

Reader = Callable[[Any, Unit], Any]
TextReader = Callable[[str, Unit], Any]
Low = Literal["zero", "positive"] | None

INTEGER_MAX = 2**31 - 1
URL_CHARACTERS = 2000
CACHED_VALUES = 8192

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
NEVER = re.compile("[\x00\ud800-\udfff]")
_DECIMAL = re.compile(DECIMAL_PATTERN).fullmatch


@dataclass(frozen=True, slots=True)
class Spot:
    """Which field a reader speaks for.

    owner: document type or block. personal: messages quote nothing. zeroed: the document is void
    or deleted, so "more than 0" reads "0 or more" (contracts, section 5).
    """

    owner: str
    name: str
    personal: bool = False
    zeroed: bool = False

    def shown(self, value: object) -> str:
        return f"the value of {self.name}" if self.personal else quote(value)


class Kind(Protocol):
    """What a field's declaration needs of its kind."""

    @property
    def notation(self) -> str:
        """As the tables of contracts, section 4, write it."""

    def reader(self, spot: Spot) -> Reader: ...

    def schema(self) -> dict[str, Any]: ...


def is_blank(value: object) -> bool:
    """No value (D13): null, empty or white text, [] and {}."""
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or (isinstance(value, (list, dict)) and not value)


def exact(text: str) -> str:
    """The text itself where it comes as a subclass of str, such as a member of a StrEnum."""
    return text if type(text) is str else str.__str__(text)


def of_text(spot: Spot, wanted: str, read: TextReader, invariant: str | None = None) -> Reader:
    """A reader of text that is not blank; `wanted` ends the sentence for any other type."""

    def reader(value: Any, unit: Unit) -> Any:
        if type(value) is str and value > "!":  # not blank, and does not begin with a blank
            return read(value, unit)
        if is_blank(value):
            return None
        if isinstance(value, str):
            return read(exact(value), unit)
        raise wrong_type(spot, wanted, value, invariant)

    return reader


def wrong_type(spot: Spot, wanted: str, value: object, invariant: str | None = None) -> Found:
    shown = type_name(value)
    if shown == "a number" and not spot.personal:
        shown = f"the number {quote(value)}"
    return refuse("invalid_type", f"{spot.name} must be {wanted}, not {shown}", invariant)


@dataclass(frozen=True, slots=True)
class Id:
    """`id`, `opaque`, and with a target `→type`: a name that is compared byte for byte."""

    target: str | None = None
    opaque: bool = False

    @property
    def notation(self) -> str:
        return f"→{self.target}" if self.target else "opaque" if self.opaque else "id"

    def reader(self, spot: Spot) -> Reader:
        def read(text: str, _unit: Unit) -> str:
            if text.isprintable() and len(text) <= KEY_CHARACTERS and text[-1] != " " != text[0]:
                return text
            if is_well_formed_id(text):
                return text
            raise _malformed_id(spot, text)

        return of_text(spot, "text", read, "I-F5")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS, "pattern": _ID_SHAPE}


_ID_SHAPE = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$"


def _malformed_id(spot: Spot, text: str) -> Found:
    if NEVER.search(text):
        return unclean(spot)
    wanted = f"1 to {KEY_CHARACTERS} characters, no control characters, no white space at the ends"
    return refuse("invalid_format", f"{spot.shown(text)} is not an id: {wanted}", "I-F5")


@dataclass(frozen=True, slots=True)
class Text:
    """`text(n)`: at most n code points, free of control characters but tab and line ends."""

    characters: int

    @property
    def notation(self) -> str:
        return f"text({self.characters})"

    def reader(self, spot: Spot) -> Reader:
        characters = self.characters

        def read(text: str, _unit: Unit) -> str:
            if len(text) > characters:
                message = f"{spot.name} has {len(text)} characters; at most {characters} fit"
                raise refuse("limit_exceeded", message, "I-F8")
            if not text.isprintable() and FORBIDDEN.search(text):
                raise unclean(spot)
            return text

        return of_text(spot, "text", read)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": self.characters}


def unclean(spot: Spot) -> Found:
    return refuse("invalid_text", f"{spot.name} contains a character that text may not", "I-F9")


@dataclass(frozen=True, slots=True)
class Url:
    """text(2000) that starts with http:// or https://."""

    @property
    def notation(self) -> str:
        return f"text({URL_CHARACTERS})"

    def reader(self, spot: Spot) -> Reader:
        of_length = Text(URL_CHARACTERS).reader(spot)

        def read(text: str, unit: Unit) -> Any:
            if not text.startswith(("https://", "http://")):
                message = f"{quote(text)} does not start with https:// or http://"
                raise refuse("invalid_format", message)
            if len(text) <= URL_CHARACTERS and text.isprintable():
                return text
            return of_length(text, unit)

        return of_text(spot, "text", read)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": URL_CHARACTERS, "pattern": "^https?://"}


@dataclass(frozen=True, slots=True)
class Money:
    """`money`: a decimal string in the governing currency; low: None where it is signed."""

    low: Low = "zero"

    @property
    def notation(self) -> str:
        return "money"

    def reader(self, spot: Spot) -> Reader:
        low = _effective(self.low, spot)

        def read(text: str, unit: Unit) -> str:
            normal = unit.normal(text)
            if low is not None:
                _above(spot, low, normal, normal == unit.zero, "I-S1")
            return normal

        return _of_decimal(spot, read)

    def schema(self) -> dict[str, Any]:
        return _decimal_schema(self.low)


@dataclass(frozen=True, slots=True)
class Number:
    """`decimal` and `percent`: a decimal string without trailing zeros in normal form."""

    low: Low = None
    high: int | None = None
    invariant: str = "I-S1"

    @property
    def notation(self) -> str:
        return "percent" if self.high else "decimal"

    def reader(self, spot: Spot) -> Reader:
        low, high, invariant = _effective(self.low, spot), self.high, self.invariant
        cache: dict[str, str] = {}

        def read(text: str, _unit: Unit) -> str:
            normal = cache.get(text)
            if normal is None:
                normal = shortest_decimal(text)
                if low is not None:
                    _above(spot, low, normal, normal == "0", invariant)
                if high is not None and Decimal(normal) > high:
                    message = f"{spot.name} must be at most {high}, not {spot.shown(text)}"
                    raise refuse("out_of_range", message, invariant)
                remember(cache, text, normal)
            return normal

        return _of_decimal(spot, read)

    def schema(self) -> dict[str, Any]:
        return _decimal_schema(self.low)


PERCENT = Number("zero", 1000, "I-F8")


def shortest_decimal(text: str) -> str:
    """Normal form of a decimal: no trailing zeros, no bare point. Raises Found."""
    if _DECIMAL(text) is None:
        raise refuse("invalid_format", f"{quote(text)} {DECIMAL_SHAPE}", "I-F1")
    normal = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if normal == "-0" else normal


def _of_decimal(spot: Spot, read: TextReader) -> Reader:
    def reader(value: Any, unit: Unit) -> Any:
        if type(value) is str and value > "!":
            return read(value, unit)
        if isinstance(value, Decimal):
            return read(_plain(spot, value), unit)
        if is_blank(value):
            return None
        if isinstance(value, str):
            return read(exact(value), unit)
        sample = unit.sample(value) if _is_number(value) else "125.00"
        raise wrong_type(spot, f'a decimal string such as "{sample}"', value, "I-F1")

    return reader


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 10**15


def _plain(spot: Spot, value: Decimal) -> str:
    if not value.is_finite():
        raise refuse("invalid_type", f"{spot.name} must be a finite decimal, not {value}", "I-F1")
    # The bounds keep a hostile exponent from becoming a gigabyte of zeros.
    if value and not -40 < value.adjusted() < 40:
        raise refuse("invalid_format", f"{quote(value)} {DECIMAL_SHAPE}", "I-F1")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and not -40 < exponent < 40:
        raise refuse("invalid_format", f"{quote(value)} {DECIMAL_SHAPE}", "I-F1")
    return format(value, "f")


def _effective(low: Low, spot: Spot) -> Low:
    return "zero" if low == "positive" and spot.zeroed else low


def _above(spot: Spot, low: Low, normal: str, is_zero: bool, invariant: str) -> None:
    if normal[0] == "-" or (is_zero and low == "positive"):
        bound = "more than 0" if low == "positive" else "0 or more"
        message = f"{spot.name} must be {bound}, not {spot.shown(normal)}"
        raise refuse("out_of_range", message, invariant)


def _decimal_schema(low: Low) -> dict[str, Any]:
    pattern = DECIMAL_PATTERN if low is None else DECIMAL_PATTERN.removeprefix("-?")
    if low == "zero":
        pattern = rf"({pattern}|-0(\.0{{1,12}})?)"
    return {"type": "string", "pattern": f"^{pattern}$"}


def remember(cache: dict[str, str], text: str, normal: str) -> None:
    """Keep a normal form; a full cache starts anew, so memory stays bounded."""
    if len(cache) >= CACHED_VALUES:
        cache.clear()
    cache[text] = normal


@dataclass(frozen=True, slots=True)
class Integer:
    """`int`: a JSON number without fraction or exponent."""

    low: int = 0
    high: int = INTEGER_MAX

    @property
    def notation(self) -> str:
        return "int"

    def reader(self, spot: Spot) -> Reader:
        low, high = self.low, self.high

        def read(value: Any, _unit: Unit) -> Any:
            if type(value) is int:
                if low <= value <= high:
                    return value
                message = f"{spot.name} must be from {low} to {high}, not {quote(value)}"
                raise refuse("out_of_range", message, "I-F8")
            if is_blank(value):
                return None
            raise wrong_type(spot, "a whole JSON number", value)

        return read

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Boolean:
    """`bool`: true or false and nothing else."""

    @property
    def notation(self) -> str:
        return "bool"

    def reader(self, spot: Spot) -> Reader:
        def read(value: Any, _unit: Unit) -> Any:
            if value is True or value is False:
                return value
            if is_blank(value):
                return None
            raise wrong_type(spot, "true or false", value)

        return read

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Day:
    """`date`: a calendar day, 1970 to 2100."""

    @property
    def notation(self) -> str:
        return "date"

    def reader(self, spot: Spot) -> Reader:
        known = temporal.KNOWN_DAYS

        def read(text: str, _unit: Unit) -> str:
            return text if text in known else temporal.day(text)

        of_texts = of_text(spot, "a date such as 2026-03-02", read)

        def reader(value: Any, unit: Unit) -> Any:
            if isinstance(value, date) and not isinstance(value, datetime):
                value = value.isoformat()
            return of_texts(value, unit)

        return reader

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date", "pattern": temporal.DAY_PATTERN}


@dataclass(frozen=True, slots=True)
class Instant:
    """`instant`: a moment with its offset; UTC, cut to microseconds in normal form."""

    @property
    def notation(self) -> str:
        return "instant"

    def reader(self, spot: Spot) -> Reader:
        def read(text: str, _unit: Unit) -> str:
            return temporal.instant(text)

        of_texts = of_text(spot, "an instant such as 2026-03-02T10:00:00Z", read)

        def reader(value: Any, unit: Unit) -> Any:
            if isinstance(value, datetime):
                return temporal.moment(spot.name, value)
            return of_texts(value, unit)

        return reader

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time", "pattern": temporal.INSTANT_PATTERN}


@dataclass(frozen=True, slots=True)
class Currency:
    """`currency`: an ISO 4217 code, or a unit declared for the set of books."""

    @property
    def notation(self) -> str:
        return "currency"

    def reader(self, spot: Spot) -> Reader:
        def read(text: str, unit: Unit) -> str:
            found = unit.table.get(text)
            if found is None:
                raise _unknown_currency(text, unit)
            if found.withdrawn is not None:
                message = f"{text} was withdrawn in {found.withdrawn}"
                raise remark(text, "withdrawn_currency", message, "I-F3")
            return text

        return of_text(spot, "a currency code", read)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{CODE_PATTERN}$"}


def _unknown_currency(text: str, unit: Unit) -> Found:
    hint = f"; did you mean {text.upper()}?" if unit.table.get(text.upper()) else ""
    message = f"{quote(text)} is not a known currency{hint}"
    return refuse("invalid_currency", message, "I-F3")


@dataclass(frozen=True, slots=True)
class Country:
    """`country`: ISO 3166-1 alpha-2."""

    @property
    def notation(self) -> str:
        return "country"

    def reader(self, spot: Spot) -> Reader:
        def read(text: str, _unit: Unit) -> str:
            if text in COUNTRIES:
                return text
            known = "" if spot.personal else " such as DE"
            message = f"{spot.shown(text)} is not an ISO 3166-1 alpha-2 country{known}"
            raise refuse("invalid_format", message)

        return of_text(spot, "a country code", read)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": sorted(COUNTRIES)}


@dataclass(frozen=True, slots=True)
class Choice:
    """`enum`. steers: `other` is flagged, because posting looks at the field (I-F7)."""

    values: tuple[str, ...]
    steers: bool = False

    @property
    def notation(self) -> str:
        return "enum"

    def reader(self, spot: Spot) -> Reader:
        known: Mapping[str, str] = {value: value for value in self.values}
        steers = self.steers

        def read(text: str, _unit: Unit) -> str:
            if text not in known:
                message = (
                    f"{spot.shown(text)} is not a {spot.name} of {spot.owner}; "
                    f"allowed: {', '.join(known)}"
                )
                raise refuse("invalid_enum", message, "I-F7")
            if steers and text == "other":
                message = f"{spot.name} is other, which posting cannot place"
                raise remark("other", "unmapped_value", message, "I-F7")
            return known[text]

        return of_text(spot, "text", read)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.values)}
