"""Pagers: from the last request and its response to the next request, or to None at the end.

A pager is a frozen value and its `next` a pure function; the resume point is therefore the next
request itself. Adding one: a class with `first` and `next`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

from penstock.errors import ConnectorError, PageRefusedError
from penstock.upstream.fields import MISSING, Path
from penstock.upstream.request import Request, Response

LAST = "last."
"""How a path into the last record begins."""


@dataclass(frozen=True, slots=True)
class PageView:
    """What a pager may look at.

    document: the response without its records. count: records fetched, before anybody filters.
    last: decodes the last record; only called where count is above zero.
    """

    response: Response
    document: Any
    count: int
    last: Callable[[], Any]


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
class Cursor:
    """An opaque mark in each response names the next page.

    The mark is taken from one place: `path` in the document, the response header `header`, or,
    without either, the field `record` of the last record ("last.id"). It is sent as the query
    parameter `param` or at the path `json` in the body. `more` is the path of a flag: false ends
    the enumeration; absent, an empty mark or, for marks from records, an empty page does.
    keep: the mark outlives the enumeration; the next run starts with `kept`.
    """

    path: str | None = None
    _: KW_ONLY
    param: str | None = None
    header: str | None = None
    json: str | None = None
    record: str = "last.id"
    more: str = "has_more"
    keep: bool = False

    def __post_init__(self) -> None:
        if (self.param is None) == (self.json is None):
            raise ConnectorError("Cursor needs param= or json=, one of them: where the mark goes")
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
        mark = Path.parse(field).get(page.last())
        if mark is MISSING or mark in (None, ""):
            raise _refused(f"the last record has no {field!r} to go on from")
        return mark

    def _with_mark(self, request: Request, mark: Any) -> Request | None:
        if mark is MISSING or mark in (None, ""):
            return None
        if isinstance(mark, bool) or not isinstance(mark, (str, int, Decimal)):
            raise _refused(f"the cursor is a {type(mark).__name__}, not a text or a number")
        if self.json is not None:
            return replace(request, json=Path.parse(self.json).put(request.json, mark))
        text = format(mark, "f") if isinstance(mark, Decimal) else str(mark)
        return request.with_params((str(self.param), text))


@dataclass(frozen=True, slots=True)
class PageNumber:
    """Pages are numbered. Ends at an empty page, at page `pages`, or at a page that is too short.

    size: records asked for, sent as `size_param`; without it the request's own `size_param`
    parameter counts. Give a size that the provider honours: if it sends fewer than asked, its
    first page already looks like the last one. pages: path of the number of pages in the document.
    """

    param: str = "page"
    start: int = 1
    size_param: str | None = None
    size: int | None = None
    pages: str | None = None

    def first(self, request: Request) -> Request:
        if self.size_param is not None and self.size is not None:
            request = request.with_params((self.size_param, str(self.size)))
        return request.with_params((self.param, str(self.start)))

    def next(self, request: Request, page: PageView) -> Request | None:
        number = int(request.param(self.param) or self.start)
        if page.count < max(self._size(request), 1) or self._is_last(number, page):
            return None
        return request.with_params((self.param, str(number + 1)))

    def _size(self, request: Request) -> int:
        if self.size is not None:
            return self.size
        asked = request.param(self.size_param) if self.size_param else None
        return int(asked) if asked and asked.isdecimal() else 0

    def _is_last(self, number: int, page: PageView) -> bool:
        total = Path.parse(self.pages).get(page.document) if self.pages else MISSING
        return isinstance(total, int) and number - self.start + 1 >= total


def _refused(message: str) -> PageRefusedError:
    return PageRefusedError(message, code="invalid_page")
