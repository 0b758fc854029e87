"""The company's own calendar: it begins on a fixed day and moves only when somebody ticks.

No clock is read anywhere in the simulator, so the same seed gives the same bytes on any day.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

FOUNDED = datetime(2025, 1, 1, 8, 0, tzinfo=UTC)
MIGRATED = datetime(2025, 3, 17, 3, 0, tzinfo=UTC)
"""The night everything older moved in from another system, all under one and the same stamp."""

OPENED = datetime(2025, 6, 30, 6, 0, tzinfo=UTC)
"""`now` of a new company, before its first tick."""

DAY = timedelta(days=1)
OFFICE = timezone(timedelta(hours=1))
"""The offset the payment desk writes its times with."""

_GRID = timedelta(hours=12)


def change_stamp(happened: datetime) -> datetime:
    """When the provider says a record of the past changed last.

    Coarse on purpose: many records share one stamp, and the migrated ones share a single stamp
    across whole pages, because that is where incremental readers lose records.
    """
    return max(MIGRATED, happened - (happened - FOUNDED) % _GRID)


def rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def unix(moment: datetime) -> int:
    """Seconds since 1970."""
    return int(moment.timestamp())
