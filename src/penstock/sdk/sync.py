"""What a sync route returns.

>>> @acme.sync("transactions")
... def transactions(request):
...     page = request.http.get("/transactions", params={"cursor": request.cursor}).json()
...     batch = ingest.batch("bank_transaction", page["data"], stream="transactions", ...)
...     return sync.page(batch, cursor=page["next_cursor"], has_more=page["has_more"])
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from penstock.errors import UsageError
from penstock.sdk.host import current
from penstock.sdk.results import CanonicalBatchIngestResult

CURSOR_BYTES = 64 * 1024
LONGEST_PAUSE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class SyncPage:
    """One page as a route reports it; made by `sync.page`."""

    cursor: Any
    has_more: bool
    watermark: datetime | None
    hold: bool = False
    again_in: timedelta | None = None


def page(
    batch: CanonicalBatchIngestResult | None = None,
    *,
    cursor: Any = None,
    has_more: bool = False,
    watermark: datetime | None = None,
    hold: bool = False,
    again_in: float | timedelta | None = None,
) -> SyncPage:
    """End a page: everything staged since the route was called is committed with this cursor.

    batch: for reading only; what was ingested is staged already. cursor: any JSON up to 64 KiB;
    with has_more=False it is what the next run starts with (None starts from the watermark).
    watermark: aware; without it the greatest source_updated_at of the payloads counts.

    hold: the page is part of an update that counts only as a whole. Held pages are stored with
    the checkpoint and applied in order once a page comes that has no more behind it, or is not
    held. A route that raises `Restart` drops them and gets the update's first cursor again, at
    most 5 times a run.

    again_in: seconds, or a timedelta. The page is committed, the lease given back, and the route is
    called with this cursor when the time has come: for a report that is being made. With a cursor
    the enumeration goes on then, as with has_more.

    Raises OutsideRouteError outside a route, UsageError for a cursor that is no JSON or too long,
    has_more without a cursor, a naive watermark, and an again_in that is no time to come.
    """
    current("sync.page")
    if batch is not None and not isinstance(batch, CanonicalBatchIngestResult):
        raise UsageError(
            f"sync.page takes the result of ingest.batch first, not {type(batch).__name__}; "
            "name the others: cursor=, has_more="
        )
    if has_more and cursor is None:
        raise UsageError("sync.page(has_more=True) needs a cursor, or the same page comes again")
    if watermark is not None and watermark.tzinfo is None:
        raise UsageError("sync.page: watermark must be an aware datetime")
    _check_cursor(cursor)
    pause = None if again_in is None else _pause(again_in)
    goes_on = has_more or (pause is not None and cursor is not None)
    return SyncPage(cursor, goes_on, watermark, hold, pause)


def wake(stream: str, *, full: bool = False) -> None:
    """Make another stream of the connection due at once, together with this page's commit.

    For a notification that says no more than "something has changed there". full: its next run
    enumerates everything. Nothing is woken where the page is not committed; a page that is held
    wakes when it is applied. Raises OutsideRouteError, UnknownStreamError, and UsageError for a
    stream that is not polled and for the one that runs.
    """
    current("sync.wake").wake(stream, full=full)


def _pause(again_in: float | timedelta) -> timedelta:
    try:
        pause = again_in if isinstance(again_in, timedelta) else timedelta(seconds=again_in)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"sync.page: again_in must be seconds or a timedelta: {error}") from error
    if not timedelta(0) < pause <= LONGEST_PAUSE:
        raise UsageError(f"sync.page: again_in is {pause}; it must be above 0 and at most 30 days")
    return pause


def _check_cursor(cursor: Any) -> None:
    try:
        size = len(msgspec.json.encode(cursor))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"sync.page: cursor must be JSON: {error}") from error
    if size > CURSOR_BYTES:
        raise UsageError(f"sync.page: cursor has {size} bytes, at most {CURSOR_BYTES} are kept")
