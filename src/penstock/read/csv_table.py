"""CSV: a heading and a row for each version, UTF-8, lines ended by a line feed.

No value is an empty cell. A text that a spreadsheet would take for a formula gets an apostrophe
before it, and so does one that looks as if it had: taking one off such cells gives all texts back.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from typing import Any, BinaryIO

from penstock.model.column import Column, ColumnType
from penstock.read.exported import ENVELOPE, ExportedVersion

_FORMULA = re.compile(r"'*[=+\-@\t\r]").match
"""What spreadsheets run (OWASP, CSV injection)."""


def write(versions: Iterable[ExportedVersion], columns: Sequence[Column], out: BinaryIO) -> None:
    """The heading, then one row for each version."""
    table = (*ENVELOPE, *columns)
    text = TextIOWrapper(out, encoding="utf-8", newline="")
    try:
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(column.name for column in table)
        for version in versions:
            cells = zip(table, version.cells(columns), strict=True)
            rows.writerow(_cell(column, value) for column, value in cells)
    finally:
        text.detach()  # flushed; the file is the caller's to close


def _cell(column: Column, value: Any) -> Any:
    if column.type is ColumnType.TEXT:
        return guarded(value)
    return str(value).lower() if isinstance(value, bool) else value


def guarded(text: str | None) -> str | None:
    """The text as a cell that no spreadsheet runs."""
    return f"'{text}" if text and _FORMULA(text) else text
