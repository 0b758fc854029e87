"""What a payload becomes when it passes its contract."""

from __future__ import annotations

from typing import NamedTuple

from penstock.model.rejection import Flag


class Facets(NamedTuple):
    """What documents are filtered and sorted by. on_date: the document date, resolved in UTC."""

    status: str | None
    on_date: str | None
    party: str | None
    number: str | None


class Accepted(NamedTuple):
    """A payload in normal form, with everything the store and the pipeline want to know of it.

    content: RFC 8785 bytes without the two source marks. payload_hash: the 32 bytes of SHA-256 over
    them. source_updated_at: microseconds since 1970 in UTC. status, on_date, party, number: the
    four facets to filter by; on_date is the document date as resolved in UTC (contracts, 1.5).
    """

    content: bytes
    payload_hash: bytes
    source_id: str
    source_version: str | None
    source_updated_at: int | None
    lifecycle: str | None
    status: str | None
    on_date: str | None
    party: str | None
    number: str | None
    flags: tuple[Flag, ...]
