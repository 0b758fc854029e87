"""One record on its way into the pipeline, as author code handed it over."""

from __future__ import annotations

from typing import Any, NamedTuple

from penstock.sdk.emit import Gone


class Submission(NamedTuple):
    """payload: a canonical payload, or Gone for a tombstone.

    key and source_id are what the author gave, still unchecked: a wrong one makes a dead letter.
    as_of: microseconds of the event's own time, None for the time of reception.
    """

    document_type: str
    payload: Any | Gone
    key: object
    source_id: object = None
    source_version: str | None = None
    as_of: int | None = None

    @property
    def is_gone(self) -> bool:
        """True for a tombstone."""
        return isinstance(self.payload, Gone)
