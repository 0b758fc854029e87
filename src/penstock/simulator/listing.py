"""One collection of the API: rows rendered once, in order of (updated_at, id), and cut to pages."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from penstock.simulator.entry import Key
from penstock.simulator.query import Query, write_cursor


class Page(NamedTuple):
    """body: the whole JSON answer."""

    records: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Listing:
    """A state of one collection. It never changes: a tick puts another one in its place, so a
    page is always cut from one state, and a cursor stays good in the next one."""

    keys: tuple[Key, ...]
    rows: tuple[bytes, ...]

    @classmethod
    def of(cls, rendered: Iterable[tuple[Key, bytes]]) -> Listing:
        ordered = sorted(rendered)
        return cls(tuple(key for key, _ in ordered), tuple(row for _, row in ordered))

    def page(self, query: Query) -> Page:
        start, end = self._start(query), self._end(query)
        rows = self.rows[start : min(start + query.limit, end)]
        more = start + len(rows) < end
        cursor = f'"{write_cursor(self.keys[start + len(rows) - 1])}"' if more else "null"
        tail = f'],"next_cursor":{cursor},"has_more":{"true" if more else "false"}}}'
        return Page(len(rows), b'{"data":[' + b",".join(rows) + tail.encode())

    def _start(self, query: Query) -> int:
        start = 0
        if query.since is not None:
            start = bisect_left(self.keys, (query.since,))
        if query.after is not None:
            start = max(start, bisect_right(self.keys, query.after))
        return start

    def _end(self, query: Query) -> int:
        return len(self.rows) if query.before is None else bisect_left(self.keys, (query.before,))
