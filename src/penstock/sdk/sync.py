"""What a sync route returns.

>>> @acme.sync("transactions")
... def transactions(request):
...     page = request.http.get("/transactions", params={"cursor": request.cursor}).json()
...     batch = ingest.batch("bank_transaction", page["data"], stream="transactions", ...)
...     return sync.page(batch, cursor=page["next_cursor"], has_more=page["has_more"])
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from penstock.errors import UsageError
from penstock.sdk.host import current
from penstock.sdk.results import CanonicalBatchIngestResult

CURSOR_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class SyncPage:
    """One page as a route reports it; made by `sync.page`."""

    cursor: Any
    has_more: bool
    watermark: datetime | None


def page(
    batch: CanonicalBatchIngestResult | None = None,
    *,
    cursor: Any = None,
    has_more: bool = False,
    watermark: datetime | None = None,
) -> SyncPage:
    """End a page: everything staged since the route was called is committed with this cursor.

    batch: for reading only; what was ingested is staged already. cursor: any JSON up to 64 KiB;
    with has_more=False it is what the next run starts with (None starts from the watermark).
    watermark: aware; without it the greatest source_updated_at of the payloads counts.
    Raises OutsideRouteError outside a route, UsageError for a cursor that is no JSON or too long,
    has_more without a cursor, and a naive watermark.
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
    return SyncPage(cursor, has_more, watermark)


def _check_cursor(cursor: Any) -> None:
    try:
        size = len(msgspec.json.encode(cursor))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"sync.page: cursor must be JSON: {error}") from error
    if size > CURSOR_BYTES:
        raise UsageError(f"sync.page: cursor has {size} bytes, at most {CURSOR_BYTES} are kept")
