"""What a caller of a listing may ask, and its opaque cursor."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from penstock.simulator.entry import Key

LIMIT_DEFAULT, LIMIT_MOST = 100, 1000


class BadQueryError(ValueError):
    """A query member that means nothing; the argument says which and what would do."""


@dataclass(frozen=True, slots=True)
class Query:
    """limit: records on the page. after: the last key already seen. since (inclusive) and before
    (exclusive): Unix seconds with their fraction."""

    limit: int = LIMIT_DEFAULT
    after: Key | None = None
    since: float | None = None
    before: float | None = None

    @classmethod
    def parse(cls, members: Mapping[str, str]) -> Query:
        """Raises BadQueryError for the first member that cannot be understood."""
        return cls(
            limit=_limit(members.get("limit", str(LIMIT_DEFAULT))),
            after=read_cursor(members["cursor"]) if members.get("cursor") else None,
            since=_moment(members, "updated_since"),
            before=_moment(members, "updated_before"),
        )


def write_cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> Key:
    """Raises BadQueryError for anything write_cursor did not write."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        stamp, name = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError) as error:
        raise BadQueryError("cursor was not handed out by this API") from error
    if type(stamp) is not int or type(name) is not str:
        raise BadQueryError("cursor was not handed out by this API")
    return stamp, name


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= LIMIT_MOST:
        raise BadQueryError(f"limit must be a whole number from 1 to {LIMIT_MOST}")
    return int(text)


def _moment(members: Mapping[str, str], name: str) -> float | None:
    text = members.get(name)
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadQueryError(f"{name} must be RFC 3339 or Unix seconds") from error
    if moment.tzinfo is None:
        raise BadQueryError(f"{name} must carry an offset, such as Z")
    return moment.timestamp()
