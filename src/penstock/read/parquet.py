"""Parquet: real decimals, dates and UTC timestamps; lists and maps are JSON text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO

from penstock.errors import UsageError
from penstock.model.column import DECIMAL_DIGITS, DECIMAL_SCALE, Column, ColumnType
from penstock.read.exported import ENVELOPE, ExportedVersion

_ROWS_HELD = 2_000
"""A row group, which is in memory as a whole."""

_READ: dict[ColumnType, Callable[[str], Any]] = {
    ColumnType.DECIMAL: Decimal,
    ColumnType.DATE: date.fromisoformat,
    ColumnType.INSTANT: datetime.fromisoformat,
}
"""Canonical text to what pyarrow takes; values of other types are that already."""


def write(versions: Iterable[ExportedVersion], columns: Sequence[Column], out: BinaryIO) -> None:
    """A file with all columns, even of no version at all. Raises UsageError without pyarrow."""
    arrow, parquet = _libraries()
    table = (*ENVELOPE, *columns)
    schema = arrow.schema([(column.name, _type(arrow, column)) for column in table])
    rows = (version.cells(columns) for version in versions)
    with parquet.ParquetWriter(out, schema) as file:
        while group := list(islice(rows, _ROWS_HELD)):
            arrays = [
                arrow.array(map(_reader(column), values), field.type, size=len(group))
                for column, field, values in zip(
                    table, schema, zip(*group, strict=True), strict=True
                )
            ]
            file.write_batch(arrow.record_batch(arrays, schema=schema))


def _libraries() -> tuple[Any, Any]:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise UsageError("Parquet needs pyarrow: pip install 'penstock[parquet]'") from error
    return arrow, parquet


def _type(arrow: Any, column: Column) -> Any:
    match column.type:
        case ColumnType.DECIMAL:
            return arrow.decimal128(DECIMAL_DIGITS, DECIMAL_SCALE)
        case ColumnType.INTEGER:
            return arrow.int64()
        case ColumnType.BOOLEAN:
            return arrow.bool_()
        case ColumnType.DATE:
            return arrow.date32()
        case ColumnType.INSTANT:
            return arrow.timestamp("us", tz="UTC")
        case _:
            return arrow.string()


def _reader(column: Column) -> Callable[[Any], Any]:
    read = _READ.get(column.type)
    return lambda value: value if value is None or read is None else read(value)
