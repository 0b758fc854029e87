"""A provider whose records change while they are read; it knows its past, so it is the model."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import formatdate
from enum import StrEnum
from typing import Any

import httpx2

COARSE = 30
"""Stamps are multiples of so many seconds, so that equal ones are common."""
LATE = 60
"""A change carries a stamp of at most so many seconds ago: the default settle window."""
NUMBER = 5
"""A display_name that no contract takes, and that a mended mapping makes a text of."""


class Doing(StrEnum):
    """What happens to a record. EDIT makes it where it is not there, and brings it back to life.
    VANISH takes it from the list without a word."""

    EDIT = "edit"
    TOUCH = "touch"
    NUMBER = "number"
    NAMELESS = "nameless"
    DELETE = "delete"
    VANISH = "vanish"


@dataclass(frozen=True, slots=True)
class Change:
    """age: how many steps of COARSE the stamp lies back, as far as LATE allows. quiet: against the
    promise of a source, the stamp does not tell of the change."""

    record_id: str
    doing: Doing
    name: str = "Ann"
    age: int = 0
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """What the source does at one page: refuse, garble it, or answer and then move on.

    refusals: answers 503 before the page. expired: it no longer knows the cursor, where there is
    one. seconds: what its clock moves on after the answer.
    """

    refusals: int = 0
    garbled: bool = False
    expired: bool = False
    changes: tuple[Change, ...] = ()
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A record as it stands. name: NUMBER or None where it is faulty; stamp: Unix seconds."""

    record_id: str
    name: str | int | None
    stamp: int
    deleted: bool = False
    listed: bool = True

    @property
    def place(self) -> tuple[int, str]:
        return self.stamp, self.record_id

    @property
    def updated_at(self) -> str:
        return f"{datetime.fromtimestamp(self.stamp, UTC):%Y-%m-%dT%H:%M:%SZ}"

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": self.record_id, "updated_at": self.updated_at}
        if self.name is not None:
            shown["display_name"] = self.name
        return shown | ({"deleted": True} if self.deleted else {})


class Source:
    """Cursor pages in order of (updated_at, id), `updated_since` inclusive.

    past: for each record what it has been, oldest first; None for gone, "" for nameless.
    """

    boundary_included = True

    def __init__(self, now: int, limit: int) -> None:
        self.now = now
        self.limit = limit

        self.rows: dict[str, Row] = {}
        self.past: dict[str, list[str | None]] = defaultdict(list)
        self.turns: deque[Turn] = deque()
        self.fired: Counter[str] = Counter()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request with the next turn."""
        turn = self.turns.popleft() if self.turns else Turn()
        if turn.refusals:
            self.fired["refused"] += 1
            self.turns.appendleft(replace(turn, refusals=turn.refusals - 1))
            return httpx2.Response(503)
        if turn.expired and "cursor" in request.url.params:
            self.fired["expired"] += 1
            return httpx2.Response(410)
        if turn.garbled:
            self.fired["garbled"] += 1
            return httpx2.Response(200, content=b'{"data": [')
        answer = self.page(request.url.params)
        self.move(turn.changes, turn.seconds)
        return answer

    def hindrances(self) -> int:
        """How often it kept a run from going its way."""
        return sum(self.fired[what] for what in ("refused", "garbled", "expired"))

    def page(self, query: httpx2.QueryParams) -> httpx2.Response:
        rows = [row for row in self.rows.values() if self.asked(row, query)]
        rows.sort(key=lambda row: row.place)
        shown, more = rows[: self.limit], len(rows) > self.limit
        following = "/".join(map(str, shown[-1].place)) if more else None
        records = [row.as_json() for row in shown]
        return httpx2.Response(
            200,
            json={"data": records, "next_cursor": following, "has_more": more},
            headers={"date": formatdate(self.now, usegmt=True)},
        )

    def asked(self, row: Row, query: httpx2.QueryParams) -> bool:
        if not row.listed:
            return False
        if since := query.get("updated_since"):
            bound = datetime.fromisoformat(since).timestamp()
            if row.stamp < bound or (row.stamp == bound and not self.boundary_included):
                return False
        if cursor := query.get("cursor"):
            stamp, _, record_id = cursor.partition("/")
            return row.place > (int(stamp), record_id)
        return True

    def move(self, changes: Iterable[Change], seconds: int) -> None:
        for change in changes:
            self.apply(change)
        self.now += seconds

    def apply(self, change: Change) -> None:
        before = self.rows.get(change.record_id)
        row = before or Row(change.record_id, change.name, 0)
        if before is None and change.doing in {Doing.TOUCH, Doing.VANISH}:
            return
        self.fired["quiet" if change.quiet else str(change.doing)] += 1
        row = replace(row, stamp=self.stamp(change, before))
        match change.doing:
            case Doing.EDIT:
                row = replace(row, name=change.name, deleted=False, listed=True)
            case Doing.NUMBER:
                row = replace(row, name=NUMBER, deleted=False, listed=True)
            case Doing.NAMELESS:
                row = replace(row, name=None, deleted=False, listed=True)
            case Doing.DELETE:
                row = replace(row, deleted=True, listed=True)
            case Doing.VANISH:
                row = replace(row, listed=False)
        self.rows[row.record_id] = row
        self.remember(row)

    def stamp(self, change: Change, before: Row | None) -> int:
        """By the source's own clock, coarse and a little late, never back for the same record."""
        if change.quiet:
            return self.now - self.now % COARSE - 3600 if before is None else before.stamp
        oldest = self.now - LATE + (LATE - self.now) % COARSE
        newest = self.now - self.now % COARSE
        stamp = max(oldest, newest - change.age * COARSE)
        return stamp if before is None else max(stamp, before.stamp)

    def remember(self, row: Row) -> None:
        gone = row.deleted or not row.listed
        self.past[row.record_id].append(None if gone else str(row.name or ""))
