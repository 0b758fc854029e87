"""Drift: what a stream's records show that they did not show before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

DriftPolicy = Literal["allow", "warn", "pause"]
"""What a stream does about drift: keep a note of it, warn of it, or stand still until somebody
has accepted it."""


class DriftKind(StrEnum):
    NEW_FIELD = "new_field"
    VANISHED = "vanished"
    """A field that no record has any more."""
    TYPE_CHANGE = "type_change"
    NEW_VALUE = "new_value"
    """A text that an enumeration did not have."""
    NULLS = "nulls"
    """A field is null or absent far more often."""
    PRECISION = "precision"
    """A number with more digits after the point."""


class Drift(NamedTuple):
    """One difference. detail: the new type, value or number of digits, else empty."""

    kind: DriftKind
    path: str
    detail: str
    message: str


class Witnessed(NamedTuple):
    """A drift and the first record of its page that shows it. page_index: where that stands there,
    None where no single record does."""

    drift: Drift
    idempotency_key: str | None
    page_index: int | None


@dataclass(frozen=True, slots=True)
class Observed:
    """What a unit of work writes about the shape of one stream's records.

    shape: the whole of it, as bytes. drifts: those that stand there already, waiting to be
    accepted, are not written again. accepted: nobody needs to accept them.
    """

    stream: str
    shape: bytes
    drifts: tuple[Witnessed, ...] = ()
    accepted: bool = False
