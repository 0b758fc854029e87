"""Pagers: from the last request and its response to the next request, or to None at the end.

A pager is a frozen value and its `next` a pure function; the resume point is therefore the next
request itself. Those that count are in `counted`, those that follow links in `links`, relay
connections in `graphql`. Adding one: a class with `first` and `next`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

from penstock.errors import ConnectorError, PageRefusedError
from penstock.upstream.fields import MISSING, Path
from penstock.upstream.request import CREDENTIAL_HEADERS, Request, Response
from penstock.upstream.wire import BadRecordError

LAST = "last."
"""How a path into the last record begins."""


@dataclass(frozen=True, slots=True)
class PageView:
    """What a pager may look at.

    document: the response without its records. count: records fetched, before anybody filters.
    last: decodes the last record; only called where count is above zero. raw: the records as they
    came.
    """

    response: Response
    document: Any
    count: int
    last: Callable[[], Any]
    raw: Sequence[bytes] = ()


class Pager(Protocol):
    """How a collection goes on."""

    def first(self, request: Request) -> Request:
        """The request for the first page."""

    def next(self, request: Request, page: PageView) -> Request | None:
        """The request behind this one, None where the enumeration is complete."""


@dataclass(frozen=True, slots=True)
class SinglePage:
    """Everything comes in one response."""

    def first(self, request: Request) -> Request:
        return request

    def next(self, request: Request, page: PageView) -> Request | None:  # noqa: ARG002
        return None


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a request that a mark goes to: a query parameter, a header field, or a path in
    the JSON body."""

    param: str | None = None
    header: str | None = None
    json: str | None = None

    @property
    def is_one(self) -> bool:
        return sum(place is not None for place in (self.param, self.header, self.json)) == 1

    def put(self, request: Request, mark: str | int | Decimal) -> Request:
        """The request with the mark in it; a body keeps the mark's own type."""
        if self.json is not None:
            return replace(request, json=Path.parse(self.json).put(request.json, mark))
        text = format(mark, "f") if isinstance(mark, Decimal) else str(mark)
        if self.header is None:
            return request.with_params((str(self.param), text))
        if not (text.isascii() and text.isprintable()):
            raise _refused("the cursor holds characters that no header field can carry")
        return request.with_headers((self.header, text))

    def number(self, request: Request, default: int) -> int:
        """The number that stands there, `default` where there is none."""
        if self.json is not None:
            return whole_number(Path.parse(self.json).get(request.json), default)
        return whole_number(request.param(str(self.param)), default)


@dataclass(frozen=True, slots=True)
class Cursor:
    """An opaque mark in each response names the next page.

    The mark is taken from one place: `path` in the document, the response header `header`, or,
    without either, the field `record` of the last record ("last.id"). It is sent as the query
    parameter `param`, as the header field `request_header`, or at the path `json` in the body.
    `more` is the path of a flag: false ends the enumeration; absent, an empty mark or, for marks
    from records, an empty page does. keep: the mark outlives the enumeration; the next run starts
    with `kept`.
    """

    path: str | None = None
    _: KW_ONLY
    param: str | None = None
    header: str | None = None
    json: str | None = None
    record: str = "last.id"
    more: str = "has_more"
    keep: bool = False
    request_header: str | None = None

    def __post_init__(self) -> None:
        if not self._slot.is_one:
            raise ConnectorError(
                "Cursor needs param=, request_header= or json=, one of them: where the mark goes"
            )
        if (self.request_header or "").lower() in CREDENTIAL_HEADERS:
            raise ConnectorError(
                f"Cursor request_header={self.request_header!r} is for credentials"
            )
        if self.path is not None and self.header is not None:
            raise ConnectorError("Cursor takes its mark from a path or a header, not from both")
        if not self.record.startswith(LAST):
            raise ConnectorError(f"Cursor record={self.record!r} must begin with {LAST!r}")

    def first(self, request: Request) -> Request:
        return request

    def next(self, request: Request, page: PageView) -> Request | None:
        if self._has_ended(page):
            return None
        return self._with_mark(request, self._mark(page))

    def kept(self, request: Request, page: PageView) -> Request | None:
        """With keep=True, what the next run starts with after the last page; else None."""
        if not self.keep or (self._from_record and not page.count):
            return None
        return self._with_mark(request, self._mark(page))

    @property
    def _slot(self) -> Slot:
        return Slot(self.param, self.request_header, self.json)

    @property
    def _from_record(self) -> bool:
        return self.path is None and self.header is None

    def _has_ended(self, page: PageView) -> bool:
        more = Path.parse(self.more).get(page.document)
        if more is not MISSING and more in (None, False, 0, "", "false", "0"):
            return True
        if not self._from_record or page.count:
            return False
        if more is MISSING:
            return True
        raise _refused(f"{self.more!r} announces more, but the page has no record to go on from")

    def _mark(self, page: PageView) -> Any:
        if self.path is not None:
            return Path.parse(self.path).get(page.document)
        if self.header is not None:
            return page.response.headers.get(self.header)
        field = self.record.removeprefix(LAST)
        try:
            mark = Path.parse(field).get(page.last())
        except BadRecordError as error:
            raise _refused(f"the last record cannot be read: {error.message}") from error
        if mark is MISSING or mark in (None, ""):
            raise _refused(f"the last record has no {field!r} to go on from")
        return mark

    def _with_mark(self, request: Request, mark: Any) -> Request | None:
        if mark is MISSING or mark in (None, ""):
            return None
        if isinstance(mark, bool) or not isinstance(mark, (str, int, Decimal)):
            raise _refused(f"the cursor is a {type(mark).__name__}, not a text or a number")
        return self._slot.put(request, mark)


def whole_number(value: Any, default: int) -> int:
    """A whole number, also spelled as text; else `default`."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return default
    return value


def _refused(message: str) -> PageRefusedError:
    return PageRefusedError(message, code="invalid_page")
