"""JSON of our own in text columns: ASCII only, so that no backend can refuse or change it."""

from __future__ import annotations

import json
from typing import Any


def dump(value: Any) -> str | None:
    """JSON text, None for None. Raises TypeError or ValueError for what JSON cannot say."""
    return None if value is None else json.dumps(value, allow_nan=False, separators=(",", ":"))


def load(text: str | None) -> Any:
    """The value behind `dump`."""
    return None if text is None else json.loads(text)
