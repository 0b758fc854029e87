"""Logs for machines: one JSON object a line.

    {"at": "2026-03-02T10:00:00.000000Z", "level": "info", "event": "run.finished", "run": 7, …}

`at`, `level` and `event` come first; then the event's fields as members. What is no named event, of
another library for instance, has its `logger` and `message`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

_PLAIN = (bool, int, float, type(None))


class JsonLines(logging.Formatter):
    """redact: takes secrets out of every text before it is written."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()

        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON, without a line break in it."""
        return json.dumps(self._members(record), ensure_ascii=False)

    def _members(self, record: logging.LogRecord) -> dict[str, Any]:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        members = {"at": at, "level": record.levelname.lower()}
        name: str | None = getattr(record, "event", None)
        if name is None:
            said = {"logger": record.name, "message": self._redact(record.getMessage())}
        else:
            fields: Mapping[str, object] = getattr(record, "fields", {})
            said = {"event": name} | {key: self._plain(value) for key, value in fields.items()}
        if record.exc_info:
            said |= {"trace": self._redact(self.formatException(record.exc_info))}
        return members | {key: value for key, value in said.items() if key not in members}

    def _plain(self, value: object) -> Any:
        return value if isinstance(value, _PLAIN) else self._redact(str(value))
