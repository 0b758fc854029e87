"""What a mapping may return besides a payload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Gone:
    """The record has ended at the provider. at: when, an aware datetime, if the provider says."""

    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Emit:
    """One of several documents that one record becomes.

    id: names the document where one record makes several of a type; None takes the record's id.
    """

    document: str
    payload: Mapping[str, Any] | Gone
    id: str | None = None
