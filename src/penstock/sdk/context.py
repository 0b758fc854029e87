"""What a mapping may know beside the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.model.connection import Account


@dataclass(frozen=True, slots=True)
class Context:
    """account and facts as discovered; settings without secrets; parent: the parent's record of a
    child collection, else None; received_at: when the response or delivery came, aware UTC."""

    account: Account | None
    facts: Mapping[str, Any]
    settings: Mapping[str, Any]
    received_at: datetime
    parent: Mapping[str, Any] | None = None
