"""The SQL of the views, one way to write it for each dialect. Pure: definitions in, text out.

Both read the current version of documents, graves left out. SQLite has no decimals, dates or
instants: there such columns are TEXT, to the digit as it is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from penstock.model.column import Column, ColumnType, SqlView


class Dialect(Protocol):
    """How one database spells it; documents are d, their versions v, entries of a list entry."""

    def envelope(self) -> str:
        """The columns that every view has."""

    def versions(self) -> str:
        """What documents are joined with to have their content as JSON, v.content."""

    def entries(self, name: str) -> str:
        """What that is joined with to have a row for each entry of a list of the content."""

    def content(self, *, of_entry: bool) -> str: ...

    def position(self) -> str: ...

    def is_there(self, content: str, path: tuple[str, ...]) -> str: ...

    def value(self, content: str, column: Column) -> str: ...

    def literal(self, value: str | bool, kind: ColumnType) -> str: ...


def create(view: SqlView, dialect: Dialect) -> str:
    """The CREATE VIEW statement."""
    lines = [
        f"CREATE VIEW {name(view.name)} AS SELECT",
        ",\n".join([dialect.envelope(), *_columns(view, dialect)]),
        "FROM documents AS d",
        dialect.versions(),
        dialect.entries(view.entries) if view.entries else "",
        f"WHERE d.document_type = {_text(view.document_type)} AND d.state <> 'grave'",
    ]
    return "\n".join(line for line in lines if line)


def drop(view: str) -> str:
    """The statement that removes a view, where it is there."""
    return f"DROP VIEW IF EXISTS {name(view)}"


def name(word: str) -> str:
    """A name of ours as SQL takes it, whatever words a dialect reserves."""
    return f'"{word}"'


def _columns(view: SqlView, dialect: Dialect) -> Iterator[str]:
    if view.entries:
        yield f'{dialect.position()} AS "position"'
    content = dialect.content(of_entry=bool(view.entries))
    for column in view.columns:
        value = dialect.value(content, column)
        if column.name == view.numbered:
            value = f"coalesce({value}, {dialect.position()})"
        elif column.default is not None:
            value = _or_default(value, content, column, column.default, dialect)
        yield f"{value} AS {name(column.name)}"


def _or_default(
    value: str, content: str, column: Column, default: str | bool, dialect: Dialect
) -> str:
    """An object that is not there has no member that could be left out."""
    value = f"coalesce({value}, {dialect.literal(default, column.type)})"
    around = column.path[:-1]
    return f"CASE WHEN {dialect.is_there(content, around)} THEN {value} END" if around else value


class Postgres:
    """Columns are text, numeric, bigint, boolean, date, timestamptz, jsonb and uuid."""

    _types = {  # noqa: RUF012
        ColumnType.TEXT: "text",
        ColumnType.DECIMAL: "numeric",
        ColumnType.INTEGER: "bigint",
        ColumnType.BOOLEAN: "boolean",
        ColumnType.DATE: "date",
        ColumnType.INSTANT: "timestamptz",
    }

    def envelope(self) -> str:
        return f"""
    d.workspace, encode(d.document_id, 'hex')::uuid AS document_id, d.connection, d.source_id,
    d.state, d.version, {self._moment("v.recorded_at")} AS recorded_at, d.source_version,
    {self._moment("d.source_updated_at")} AS source_updated_at"""

    def versions(self) -> str:
        # OFFSET 0 keeps the planner from parsing the bytes again for every column.
        return """JOIN LATERAL (
    SELECT recorded_at, convert_from(content, 'UTF8')::jsonb AS content
    FROM document_versions WHERE version_no = d.version_no OFFSET 0
) AS v ON true"""

    def entries(self, name: str) -> str:
        return (
            f"CROSS JOIN LATERAL jsonb_array_elements(v.content -> {_text(name)})\n"
            "    WITH ORDINALITY AS entry (content, position)"
        )

    def content(self, *, of_entry: bool) -> str:
        return "entry.content" if of_entry else "v.content"

    def position(self) -> str:
        return "entry.position"

    def is_there(self, content: str, path: tuple[str, ...]) -> str:
        return f"{content} #> {_array(path)} IS NOT NULL"

    def value(self, content: str, column: Column) -> str:
        if column.type is ColumnType.JSON:
            return f"{content} #> {_array(column.path)}"
        return f"({content} #>> {_array(column.path)})::{self._types[column.type]}"

    def literal(self, value: str | bool, kind: ColumnType) -> str:
        written = str(value).lower() if isinstance(value, bool) else value
        return f"{_text(written)}::{self._types[kind]}"

    def _moment(self, column: str) -> str:
        return f"timestamptz 'epoch' + {column} * interval '1 microsecond'"


class Sqlite:
    """Columns are TEXT, or INTEGER for whole numbers and for true and false."""

    def envelope(self) -> str:
        hexed = "lower(hex(d.document_id))"
        parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        identity = " || '-' || ".join(f"substr({hexed}, {at}, {n})" for at, n in parts)
        return f"""
    d.workspace, {identity} AS document_id, d.connection, d.source_id,
    d.state, d.version, {self._moment("v.recorded_at")} AS recorded_at, d.source_version,
    {self._moment("d.source_updated_at")} AS source_updated_at"""

    def versions(self) -> str:
        # As bytes its functions would take the content for SQLite's own binary JSON.
        return """JOIN (
    SELECT version_no, recorded_at, CAST(content AS TEXT) AS content FROM document_versions
) AS v ON v.version_no = d.version_no"""

    def entries(self, name: str) -> str:
        return f"JOIN json_each(v.content, {_place((name,))}) AS entry"

    def content(self, *, of_entry: bool) -> str:
        return "entry.value" if of_entry else "v.content"

    def position(self) -> str:
        return "entry.key + 1"

    def is_there(self, content: str, path: tuple[str, ...]) -> str:
        return f"json_type({content}, {_place(path)}) IS NOT NULL"

    def value(self, content: str, column: Column) -> str:
        return f"json_extract({content}, {_place(column.path)})"

    def literal(self, value: str | bool, kind: ColumnType) -> str:  # noqa: ARG002
        return str(int(value)) if isinstance(value, bool) else _text(value)

    def _moment(self, column: str) -> str:
        """As the canonical text of an instant, without trailing zeros in its fraction."""
        seconds = f"strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000000, 'unixepoch')"
        fraction = f"rtrim(rtrim(printf('.%06d', {column} % 1000000), '0'), '.')"
        return f"{seconds} || {fraction} || 'Z'"


def _text(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


def _array(path: tuple[str, ...]) -> str:
    return f"ARRAY[{', '.join(map(_text, path))}]"


def _place(path: tuple[str, ...]) -> str:
    return _text("$." + ".".join(f'"{member}"' for member in path))
