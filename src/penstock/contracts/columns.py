"""The columns that a document type has as a table, and the SQL views it is read through.

An object with fixed members becomes a column for each (`billing_address_city`); lists and open maps
stay JSON. Lists whose entries carry amounts get a view of their own beside.
"""

from __future__ import annotations

from collections.abc import Iterator

from penstock.contracts.description import Description
from penstock.contracts.field import Block, Field, Many, Nested
from penstock.contracts.kind import Boolean, Day, Instant, Integer, Kind, Money, Number
from penstock.contracts.open_map import Labels, SourceValues
from penstock.model.column import Column, ColumnType, SqlView


def columns(described: Description) -> tuple[Column, ...]:
    """Those of the type's payload; source marks are not part of it."""
    return tuple(_columns(described.fields))


def views(described: Description) -> tuple[SqlView, ...]:
    """`penstock_<type>`, and `penstock_<type>_<list>` for each list with amounts."""
    name = f"penstock_{described.document_type}"
    whole = SqlView(name, described.document_type, columns(described))
    return (whole, *_views_of_lists(described, name))


def _columns(fields: tuple[Field, ...], around: tuple[str, ...] = ()) -> Iterator[Column]:
    for declared in fields:
        path = (*around, declared.name)
        if isinstance(declared.kind, Nested):
            yield from _columns(declared.kind.block.fields, path)
        elif not declared.outside:
            default = declared.default
            assert default is None or isinstance(default, str | bool)
            yield Column("_".join(path), _type(declared.kind), path, default)


def _type(kind: Kind) -> ColumnType:
    match kind:
        case Money() | Number():
            return ColumnType.DECIMAL
        case Integer():
            return ColumnType.INTEGER
        case Boolean():
            return ColumnType.BOOLEAN
        case Day():
            return ColumnType.DATE
        case Instant():
            return ColumnType.INSTANT
        case Many() | Labels() | SourceValues():
            return ColumnType.JSON
        case _:
            return ColumnType.TEXT


def _views_of_lists(described: Description, name: str) -> Iterator[SqlView]:
    for declared in described.fields:
        kind = declared.kind
        if isinstance(kind, Many) and isinstance(kind.of, Nested) and _has_amounts(kind.of.block):
            block = kind.of.block
            yield SqlView(
                f"{name}_{declared.name}",
                described.document_type,
                tuple(_columns(block.fields)),
                entries=declared.name,
                numbered=block.numbered,
            )


def _has_amounts(block: Block) -> bool:
    return any(isinstance(declared.kind, Money) for declared in block.fields)
