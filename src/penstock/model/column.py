"""A document type as a table: its columns, and the SQL views made of them.

Views and exported files share these columns. A store makes the views and knows no document type;
the contracts say what they hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

DECIMAL_DIGITS, DECIMAL_SCALE = 27, 12
"""What every decimal of a contract fits into: 15 digits, a point, 12 more."""


class ColumnType(StrEnum):
    """What the values of a column are. JSON: lists and open maps."""

    TEXT = "text"
    DECIMAL = "decimal"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"
    INSTANT = "instant"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """path: the members of the payload that lead to the value. default: what it means that the
    last of them is left out, where the object around it is there."""

    name: str
    type: ColumnType
    path: tuple[str, ...] = ()
    default: str | bool | None = None

    def value(self, payload: dict[str, Any]) -> Any:
        """What stands there, None for no value."""
        for member in self.path[:-1]:
            if (around := payload.get(member)) is None:
                return None
            payload = around
        return payload.get(self.path[-1], self.default)


@dataclass(frozen=True, slots=True)
class SqlView:
    """A row for each document of the type; or for each entry of the list `entries`, whose members
    the columns then are. numbered: the column that means the entry's position when left out."""

    name: str
    document_type: str
    columns: tuple[Column, ...]
    entries: str | None = None
    numbered: str | None = None
