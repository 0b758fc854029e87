"""How values are written for people: instants, hashes, JSON kept as bytes, views as objects."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import Any

import msgspec

from penstock.model import times

_EXACT = msgspec.json.Decoder(float_hook=Decimal)


def instant(micros: int | None) -> str | None:
    """Canonical text of microseconds since 1970."""
    return None if micros is None else times.write(times.moment(micros))


def to_the_second(instant: str | None) -> str | None:
    """Canonical instant text without its fraction; finer is only for machines."""
    return None if instant is None else instant[: len("2026-03-02T10:00:00")] + "Z"


def digits(value: bytes | None) -> str | None:
    """Lower-case hex."""
    return None if value is None else value.hex()


def json_value(data: bytes | None) -> Any:
    """What JSON bytes say, every fraction a Decimal; None where there are none.

    Bytes that are no JSON come back as text: they belong to a record that was refused.
    """
    if data is None:
        return None
    try:
        return _EXACT.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return data.decode(errors="replace")


def members(view: Any) -> dict[str, Any]:
    """A view's fields as the members of a JSON object; values that are views are written too."""
    return {field.name: _written(getattr(view, field.name)) for field in fields(view)}


def _written(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_written(item) for item in value]
    return value.as_json() if hasattr(value, "as_json") else value
