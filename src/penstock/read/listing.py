"""A listing: some items in a fixed order, and where the rest goes on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from penstock.errors import UsageError


class View(Protocol):
    """Anything a face can show."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; a fraction that a provider sent stays a Decimal."""


T = TypeVar("T", bound=View)


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """after: hand it back to get the items behind these, None where these were the last."""

    items: tuple[T, ...]
    after: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"items": [item.as_json() for item in self.items], "after": self.after}


def cut(items: Sequence[T], limit: int, place: Callable[[T], str]) -> Listing[T]:
    """A listing of at most `limit`, from items that were asked for with one more than that."""
    kept = tuple(items[:limit])
    return Listing(kept, place(kept[-1]) if len(items) > limit else None)


def write_place(*parts: str) -> str:
    """Where a listing goes on, as text that is safe in a URL and means nothing outside."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).rstrip(b"=").decode()


def read_number(text: str) -> int:
    """The number again, where the place is one. Raises UsageError likewise."""
    (number,) = read_place(text, 1)
    if not number.isdecimal():
        raise UsageError(f"{text[:64]!r} belongs to another listing")
    return int(number)


def read_place(text: str, parts: int) -> tuple[str, ...]:
    """The parts again. Raises UsageError for text that `write_place` did not make."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        found = msgspec.json.decode(data, type=tuple[str, ...])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise UsageError(f"{text[:64]!r} is no place that an earlier listing gave") from error
    if len(found) != parts:
        raise UsageError(f"{text[:64]!r} belongs to another listing")
    return found
