"""Pagers that count: numbered pages, and pages cut by row number."""

from __future__ import annotations

import hashlib
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

from penstock.errors import PageRefusedError
from penstock.upstream.fields import MISSING, Path
from penstock.upstream.paging import PageView, Slot, whole_number
from penstock.upstream.request import Request

UNKNOWN = 1 << 62
"""In place of a number of pages or rows that nobody told: more than there can be."""

OVERLAP_FROM = 3
"""Shorter pages are not overlapped: a step back and the row read again would eat up the way on."""


@dataclass(frozen=True, slots=True)
class PageNumber:
    """Pages are numbered. Ends at page `pages`, or where nobody tells it at an empty one.

    param: where the number goes; json: a path in the body in its place, and then size_param is one,
    too. pages: path of the number of pages in the document. size: records asked for, sent as
    `size_param`. A short page proves nothing, for providers cap what they are asked for and filter
    what they have cut; only where size stands without size_param, as the provider's own fixed
    length, is it the last one. depth: number of pages the provider serves at most; where there is
    more the run stops.
    """

    param: str = "page"
    start: int = 1
    size_param: str | None = None
    size: int | None = None
    pages: str | None = None
    _: KW_ONLY
    json: str | None = None
    depth: int | None = None

    def first(self, request: Request) -> Request:
        return self._slot.put(self._full.asked_in(request), self.start)

    def next(self, request: Request, page: PageView) -> Request | None:
        number = self._slot.number(request, self.start)
        if self._is_last(number, page):
            return None
        if self.depth is not None and number - self.start + 1 >= self.depth:
            raise _too_deep(f"{self.depth} pages")
        return self._slot.put(request, number + 1)

    @property
    def _slot(self) -> Slot:
        return Slot(json=self.json) if self.json else Slot(self.param)

    @property
    def _full(self) -> FullPage:
        return FullPage.of(self.size_param, self.size, in_body=self.json is not None)

    def _is_last(self, number: int, page: PageView) -> bool:
        told = Path.parse(self.pages).get(page.document) if self.pages else MISSING
        pages = whole_number(told, UNKNOWN)
        if pages == UNKNOWN:
            return self._full.is_over(page)
        return number - self.start + 1 >= pages


@dataclass(frozen=True, slots=True)
class Offset:
    """Pages begin at a row number. Ends where no further row comes, or at row `total`.

    Rows that are deleted or re-sorted meanwhile shift the others over a page border. So each page
    begins with the last row of the one before: where another row stands there, rows have shifted,
    and one page is read again. More than a page's rows gone between two requests are not seen;
    `penstock check` says so. param, json, size_param and size as for PageNumber. total: path of the
    number of rows in the document. depth: rows the provider lists at most; where there are more
    the run stops.
    """

    param: str = "offset"
    start: int = 0
    size_param: str | None = "limit"
    size: int | None = None
    total: str | None = None
    _: KW_ONLY
    json: str | None = None
    depth: int | None = None

    def first(self, request: Request) -> Request:
        return self._slot.put(self._full.asked_in(request), self.start)

    def next(self, request: Request, page: PageView) -> Request | None:
        row = self._slot.number(request, self.start)
        note = request.note or {}
        if self._has_shifted(note, page):
            back = max(self.start, row - note["rows"])
            return self._at(request, back, {"rows": note["rows"], "again": True})
        if self._has_ended(row, note, page):
            return None
        following, rows = row + page.count, {"rows": page.count}
        if self.depth is not None and following - self.start >= self.depth:
            raise _too_deep(f"{self.depth} rows")
        if page.count < OVERLAP_FROM or not page.raw:
            return self._at(request, following, rows)
        # The page behind one read again is taken as it comes: a provider that writes each row
        # anew every time would otherwise be read in circles.
        expected = {} if note.get("again") else {"expect": _digest(page.raw[-1])}
        return self._at(request, following - 1, rows | expected)

    @property
    def _slot(self) -> Slot:
        return Slot(json=self.json) if self.json else Slot(self.param)

    @property
    def _full(self) -> FullPage:
        return FullPage.of(self.size_param, self.size, in_body=self.json is not None)

    def _at(self, request: Request, row: int, note: dict[str, Any]) -> Request:
        """No window reaches beyond what the provider lists: it would be refused whole."""
        left = None if self.depth is None else self.depth - (row - self.start)
        request = self._full.at_most(left, replace(request, note=note))
        return self._slot.put(request, row)

    def _has_shifted(self, note: dict[str, Any], page: PageView) -> bool:
        return "expect" in note and (not page.count or _digest(page.raw[0]) != note["expect"])

    def _has_ended(self, row: int, note: dict[str, Any], page: PageView) -> bool:
        total = Path.parse(self.total).get(page.document) if self.total else MISSING
        fresh = page.count - ("expect" in note)
        told = whole_number(total, UNKNOWN)
        return fresh < 1 or self._full.is_over(page) or told <= row + page.count


@dataclass(frozen=True, slots=True)
class FullPage:
    """How many records a page has that is not the last one.

    slot: where the provider is asked for that many; None where `size` is its own fixed length.
    """

    slot: Slot | None
    size: int | None

    @classmethod
    def of(cls, size_param: str | None, size: int | None, *, in_body: bool) -> FullPage:
        if size_param is None:
            return cls(None, size)
        return cls(Slot(json=size_param) if in_body else Slot(size_param), size)

    def asked_in(self, request: Request) -> Request:
        """The request asking for pages of this size, where one is given."""
        if self.slot is None or self.size is None:
            return request
        return self.slot.put(request, self.size)

    def at_most(self, records: int | None, request: Request) -> Request:
        """The request asking for no more than so many."""
        if self.slot is None or records is None:
            return request
        asked = self.slot.number(request, self.size or 0)
        return self.slot.put(request, records) if records < asked else request

    def is_over(self, page: PageView) -> bool:
        """Whether a page proves by its length to be the last one."""
        return not page.count or (self.slot is None and page.count < (self.size or 0))


def _digest(record: bytes) -> str:
    return hashlib.sha256(record).hexdigest()[:16]


def _too_deep(limit: str) -> PageRefusedError:
    return PageRefusedError(
        f"the provider lists no more than {limit} and there are more; ask for less at a time, "
        "with a filter or Since(until=…)",
        code="depth_reached",
    )
