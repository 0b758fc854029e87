"""Exact JSON: what the provider's bytes say, or a refusal; never something close to it.

Fractions become Decimal. Refused are NaN and Infinity, bad UTF-8, byte-order marks, doubled member
names, and whatever passes the limits below. A page is cut into the raw bytes of its records first,
so that one bad record does not spoil the others.

The decoder is msgspec. What it lets pass is found by tests that are cheap on a whole page and
exact on the suspects they name:

* Doubled names (the last one would win). Encode the decoded value again: the same bytes prove
  that nothing is lost. Other spellings and white space make other bytes; then count the quotation
  marks: a lost member takes at least the two around its name with it, and nothing else changes
  the count, except that a quotation mark spelled as an escape code grows by one.
* Nesting: there is none deeper than there are opening brackets.
* Whole numbers of endless digits leave a run of digits in every 16th byte.
* A long member name leaves a long way between two quotation marks, with a colon behind the second.
* Many values take many bytes; shorter texts are not counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import (
    Clamped,
    Context,
    Inexact,
    InvalidOperation,
    Overflow,
    Rounded,
    Subnormal,
    Underflow,
)
from typing import Any

import msgspec

from penstock.errors import PageRefusedError
from penstock.upstream import tokens
from penstock.upstream.body import BODY_BYTES
from penstock.upstream.fields import Path

DEPTH = 128
NUMBER_DIGITS = 128
NUMBER_EXPONENT = 64
"""Of a number in scientific form, d.ddd times ten to the exponent: within plus and minus this."""
RECORD_BYTES = 2 * 1024 * 1024
RECORD_VALUES = 100_000
PAGE_RECORDS = 100_000
VALUES = 4_000_000
"""Of a whole response: each takes three bytes of it or two, but a hundred once decoded."""
MEMBERS = 100_000
"""Of one object."""
NAME_BYTES = 1024
"""Of a member name."""
TEXT_BYTES = 16 * 1024 * 1024
"""Of one string, as it is spelled, escapes and all."""

_NUMBERS = Context(
    prec=NUMBER_DIGITS,
    Emax=NUMBER_EXPONENT,
    Emin=-NUMBER_EXPONENT,
    traps=[Clamped, Inexact, InvalidOperation, Overflow, Rounded, Subnormal, Underflow],
)
"""Refuses in C what a check in Python would have to look at number by number."""

_DECODER = msgspec.json.Decoder(float_hook=_NUMBERS.create_decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])

_STRIDE = 16
_DIGITS_ONLY = bytes(ord("0") if chr(c) in "0123456789" else ord("-") for c in range(256))
_RUN = b"0" * (NUMBER_DIGITS // _STRIDE)
_ENDLESS = re.compile(rb"\d{%d}" % (NUMBER_DIGITS + 1))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_QUOTE_CODE = re.compile(rb"\\u0022")
_ESCAPE_IN_NAME = re.compile(rb'\\"[^"]*+"[ \t\r\n]*+:')
_COLON = re.compile(rb"[ \t\r\n]*+:")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_NUMBER_LIMIT = (
    f"a number has more than {NUMBER_DIGITS} digits or an exponent beyond {NUMBER_EXPONENT}"
)


class BadRecordError(ValueError):
    """One record that cannot be read exactly; a value in `decode_records`, raised elsewhere.

    code: malformed_payload, payload_too_large or invalid_text. broken: the text is no JSON at all.
    raw: the bytes it stands for, where it travels among records.
    """

    raw: bytes | None = None

    def __init__(
        self, message: str, *, code: str = "malformed_payload", broken: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.broken = broken

    def with_raw(self, raw: bytes) -> BadRecordError:
        """This error, to be handed on in the record's place."""
        self.raw = raw
        return self


@dataclass(frozen=True, slots=True)
class Envelope:
    """A page taken apart. records: raw bytes of each. rest: the document, decoded, with an empty
    list where the records stood (absent records stay absent)."""

    records: tuple[bytes, ...]
    rest: Any


def decode(data: bytes | str) -> Any:
    """The value of a whole JSON text. Raises PageRefusedError, code invalid_page."""
    try:
        return _exact(data.encode() if isinstance(data, str) else data)
    except UnicodeEncodeError as error:
        raise _refused("the text holds a lone surrogate") from error
    except BadRecordError as error:
        raise _refused(error.message) from error


def decode_record(raw: bytes) -> Any:
    """The value of one record. Raises BadRecordError."""
    if len(raw) > RECORD_BYTES:
        raise BadRecordError(
            f"the record has {len(raw)} bytes, the limit is {RECORD_BYTES}",
            code="payload_too_large",
        )
    return _exact(raw, RECORD_VALUES)


def decode_records(records: Sequence[bytes]) -> list[Any]:
    """The value of each record, in order, with a BadRecordError in place of each bad one."""
    joined = b"[" + b",".join(records) + b"]"
    if len(joined) > RECORD_VALUES and any(_holds_more(raw, RECORD_VALUES) for raw in records):
        return [_value_or_error(raw) for raw in records]
    try:
        values: list[Any] = _DECODER.decode(joined)
    except (ValueError, ArithmeticError, RecursionError):
        return [_value_or_error(raw) for raw in records]
    for index in _suspects(records, values, joined):
        values[index] = _value_or_error(records[index])
    return values


def split(body: bytes, records_path: str) -> Envelope:
    """Cut a page into its records without decoding them.

    records_path: "data", "QueryResponse.Invoice?" (may be absent when its parent is there), "" for
    a top-level array. Raises PageRefusedError: invalid_page where the whole is no exact JSON,
    records_path_missing where something else than a list is there.
    """
    path = Path.parse(records_path)
    try:
        _require_utf8(body)
        _require_few_values(body, VALUES * _times_usual(body))
        rest, records = _cut(body, path) or _cut_closely(body, path)
    except BadRecordError as error:
        raise _refused(error.message) from error
    limit = PAGE_RECORDS * _times_usual(body)
    if len(records) > limit:
        raise _refused(f"the page holds {len(records)} records, the limit is {limit}")
    return Envelope(tuple(records), decode(rest))


def _cut(body: bytes, path: Path) -> tuple[bytes, list[bytes]] | None:
    """(the document with an empty list where the records stood, the records); None when unsure."""
    try:
        rest, array = _lift(body, path.names)
        records = [bytes(raw) for raw in _ARRAY.decode(array)]
    except (msgspec.DecodeError, RecursionError):
        return None
    return (rest, records) if _kept_all(body, rest, array) else None


def _lift(text: bytes | msgspec.Raw, names: tuple[str, ...]) -> tuple[bytes, bytes]:
    if not names:
        return b"[]", bytes(text)
    members = _OBJECT.decode(text)
    if names[0] not in members or any('"' in name for name in members):
        raise msgspec.DecodeError("not plain enough")
    rest, array = _lift(members[names[0]], names[1:])
    return msgspec.json.encode(members | {names[0]: msgspec.Raw(rest)}), array


def _kept_all(body: bytes, rest: bytes, array: bytes) -> bool:
    """Whether no doubled name got lost on the way from body to rest and array.

    Writing again never lengthens, so equal lengths prove it; else white space was left out, and
    the quotation marks decide.
    """
    return len(body) == len(rest) + len(array) - len(b"[]") or (
        body.count(b'"') == rest.count(b'"') + array.count(b'"')
    )


def _cut_closely(body: bytes, path: Path) -> tuple[bytes, list[bytes]]:
    """The same for any page, with a sentence for what is wrong."""
    try:
        rest, array = _lift_closely(body.strip(tokens.SPACE), path, 0)
        records = [] if array is None else list(tokens.parts(array))
    except tokens.TornError as error:
        raise BadRecordError(str(error), broken=True) from error
    for record in records:
        _require_json(record)
    return rest, records


def _lift_closely(text: bytes, path: Path, level: int) -> tuple[bytes, bytes | None]:
    here, ahead = path.names[:level], path.names[level:]
    if not ahead:
        return _lift_list(text, path)
    if text[:1] != b"{":
        raise _elsewhere(text, path, here)
    members = [tokens.member(part) for part in tokens.parts(text)]
    names = [_exact(name) for name, _ in members]
    if ahead[0] not in names:
        if path.optional and len(ahead) == 1:
            return text, None
        raise _elsewhere(text, path, here, names)
    place = len(names) - 1 - names[::-1].index(ahead[0])
    rest, array = _lift_closely(members[place][1], path, level + 1)
    members[place] = (members[place][0], rest)
    return b"{" + b",".join(name + b":" + value for name, value in members) + b"}", array


def _lift_list(text: bytes, path: Path) -> tuple[bytes, bytes | None]:
    if text == b"null" and path.optional:
        return text, None
    if text[:1] != b"[":
        raise _elsewhere(text, path, path.names)
    return b"[]", text


def _elsewhere(
    text: bytes, path: Path, here: tuple[str, ...], names: Iterable[str] = ()
) -> PageRefusedError:
    """The error for a page whose records are not where they should be; `text` stands at `here`."""
    _require_json(text)
    place = f"{'.'.join(here)!r}" if here else "the response"
    found = _KINDS.get(text[:1], "a plain value")
    if listed := ", ".join(sorted(names)[:10]):
        found += f" with {listed}"
    wanted = (
        "a list of records" if here == path.names else f"an object with {path.names[len(here)]!r}"
    )
    return PageRefusedError(
        f"{place} should be {wanted}, but is {found}", code="records_path_missing"
    )


_KINDS = {b"{": "an object", b"[": "a list", b'"': "a text", b"n": "null"}


def _exact(text: bytes, limit: int | None = None) -> Any:
    """The value of a JSON text, exact, or BadRecordError. limit: values in it at most."""
    _require_utf8(text)
    _require_few_values(text, limit or VALUES * _times_usual(text))
    try:
        value = _DECODER.decode(text)
    except RecursionError as error:
        raise BadRecordError(f"nested deeper than {DEPTH} levels") from error
    except ArithmeticError as error:
        raise BadRecordError(_NUMBER_LIMIT) from error
    except ValueError as error:
        raise _diagnosed(text, error) from error
    if _brackets(text) > DEPTH and tokens.depth(text) > DEPTH:
        raise BadRecordError(f"nested deeper than {DEPTH} levels")
    if _may_be_endless(text) and _ENDLESS.search(tokens.without_strings(text)):
        raise BadRecordError(_NUMBER_LIMIT)
    if len(text) > TEXT_BYTES and tokens.longest_string(text) > TEXT_BYTES:
        raise BadRecordError(f"a text has more than {TEXT_BYTES} bytes")
    if (
        _QUOTE_CODE.search(text)
        or _may_have_long_name(text)
        or _holds_more(text, MEMBERS)
        or text.count(b'"') != _marks_again(value)
    ):
        _require_plain_names(text)
    return value


def _suspects(records: Sequence[bytes], values: list[Any], joined: bytes) -> Iterable[int]:
    """The places of the records that need a close look; none on nearly every page."""
    found = {i for i, brackets in enumerate(map(_brackets, records)) if brackets > DEPTH}
    if len(joined) > RECORD_BYTES:
        found |= {i for i, raw in enumerate(records) if len(raw) > RECORD_BYTES}
    if _may_be_endless(joined):
        found |= {i for i, raw in enumerate(records) if _may_be_endless(raw)}
    if _may_have_long_name(joined):
        found |= {i for i, raw in enumerate(records) if _may_have_long_name(raw)}
    again = _ENCODER.encode(values)
    if again == joined:
        return found
    if _QUOTE_CODE.search(joined):
        found |= {i for i, raw in enumerate(records) if _QUOTE_CODE.search(raw)}
    if not found and joined.count(b'"') == again.count(b'"'):
        return found
    clear = [i for i in range(len(records)) if i not in found]
    marks = sum(records[i].count(b'"') for i in clear)
    return found if marks == _marks_again([values[i] for i in clear]) else range(len(records))


def _value_or_error(raw: bytes) -> Any:
    try:
        return decode_record(raw)
    except BadRecordError as error:
        return error


def _brackets(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")


def _may_be_endless(text: bytes) -> bool:
    """Whether there may be more than NUMBER_DIGITS digits in a row. Never False when there are."""
    return _RUN in text[::_STRIDE].translate(_DIGITS_ONLY)


def _may_have_long_name(text: bytes) -> bool:
    """Whether there may be a member name beyond NAME_BYTES. Never False when there is.

    Goes from mark to mark in the longest steps a name may take, over whatever lies between.
    """
    mark, last = text.find(b'"'), len(text) - NAME_BYTES
    while 0 <= mark < last:
        ahead = text.rfind(b'"', mark + 1, mark + NAME_BYTES + 2)
        if ahead < 0:
            ahead = text.find(b'"', mark + NAME_BYTES + 2)
            if ahead >= 0 and _COLON.match(text, ahead + 1):
                return True
        mark = ahead
    return b"\\" in text and _ESCAPE_IN_NAME.search(text) is not None


def _times_usual(body: bytes) -> int:
    """A body that a connector allows beyond the usual size may hold more in proportion."""
    return -(-len(body) // BODY_BYTES) or 1


def _holds_more(text: bytes, limit: int) -> bool:
    """Whether there are more values in it. At most two of three bytes count, as in "[],[],[]"."""
    if 2 * len(text) <= 3 * limit or _values(text) <= limit:
        return False
    return _values(tokens.without_strings(text)) > limit


def _values(text: bytes) -> int:
    """Entries and members, and those that are empty twice."""
    return text.count(b",") + _brackets(text)


def _marks_again(value: Any) -> int:
    """Quotation marks in the value written again."""
    return _ENCODER.encode(value).count(b'"')


def _require_utf8(text: bytes) -> None:
    try:
        text.isascii() or text.decode()
    except UnicodeDecodeError as error:
        what = "but UTF-16" if text.startswith(_UTF_16_MARKS) else error.reason
        raise BadRecordError(
            f"the text is not UTF-8, {what} at byte {error.start}", broken=True
        ) from error


def _require_json(text: bytes) -> None:
    """Raise what `_exact` raises, but only where the text is no JSON at all."""
    try:
        _exact(text)
    except BadRecordError as error:
        if error.broken:
            raise


def _require_few_values(text: bytes, limit: int) -> None:
    if _holds_more(text, limit):
        if tokens.depth(text) > DEPTH:
            raise BadRecordError(f"nested deeper than {DEPTH} levels")
        raise BadRecordError(f"there are more than {limit} values in it", code="payload_too_large")


def _require_plain_names(text: bytes) -> None:
    """Every object with not too many members, under names that are short and its own."""

    def object_of(pairs: list[tuple[str, Any]]) -> None:
        if len(pairs) > MEMBERS:
            raise BadRecordError(f"an object has more than {MEMBERS} members")
        names: set[str] = set()
        for name, _ in pairs:
            if len(name) > NAME_BYTES or len(name.encode()) > NAME_BYTES:
                raise BadRecordError(f"a member name has more than {NAME_BYTES} bytes")
            if name in names:
                raise BadRecordError(f"the member name {name[:64]!r} stands twice in one object")
            names.add(name)

    json.loads(text, object_pairs_hook=object_of, parse_int=str, parse_float=str)


def _diagnosed(text: bytes, error: ValueError) -> BadRecordError:
    """What is wrong with a text that the decoder does not take."""
    masked = _SURROGATE.sub(b"\\\\u0020", text)
    if masked != text and _decodes(masked):
        return BadRecordError("a text holds half of a surrogate pair", code="invalid_text")
    if isinstance(error, msgspec.ValidationError):
        return BadRecordError(_NUMBER_LIMIT)
    start = text[:16].lstrip()
    if not start:
        return BadRecordError("there is nothing where JSON was expected", broken=True)
    if start.startswith(_BYTE_ORDER_MARK):
        return BadRecordError("the text begins with a byte-order mark", broken=True)
    if b"\0" in start:
        return BadRecordError("the text is not UTF-8, but UTF-16 or UTF-32", broken=True)
    if start.startswith(b"<"):
        return BadRecordError("the text is HTML or XML, not JSON", broken=True)
    return BadRecordError(f"the text is no JSON: {error}", broken=True)


def _decodes(text: bytes) -> bool:
    try:
        _exact(text)
    except BadRecordError as error:
        return not error.broken
    return True


def _refused(message: str) -> PageRefusedError:
    return PageRefusedError(f"the response cannot be read: {message}", code="invalid_page")
