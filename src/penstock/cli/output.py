"""What commands print: one JSON document or a table on stdout, sentences on stderr."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TextIO

import typer

from penstock.telemetry import event
from penstock.telemetry.json_lines import JsonLines

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

# Without a terminal nothing is cut, so that other programs get whole values.
UNBOUNDED = 10_000
GAP = 2
LEAST = 8
"""Places that a text keeps when it is cut."""

_NET: list[Callable[[str], str]] = []

SAID = "cli.said"
"""The event that a sentence is where logs are JSON."""


def hide_with(redact: Callable[[str], str]) -> None:
    """From now on nothing goes to stderr that `redact` takes out: the last net, of several."""
    _NET[:] = [redact]


def say(sentence: str) -> None:
    """A sentence for the person, on stderr."""
    _say(sentence, logging.INFO)


def error(sentence: str) -> None:
    """What went wrong."""
    _say(f"error: {sentence}", logging.ERROR)


def _say(sentence: str, level: int) -> None:
    if any(isinstance(handler.formatter, JsonLines) for handler in _ours()):
        event(SAID, level, message=sentence)
    else:
        typer.echo(clean(_hidden(sentence)), err=True)


def hint(sentence: str) -> None:
    """What to do next."""
    say(f"hint: {sentence}")


TOLD_ANYWAY = frozenset({"drift.seen", "cursor.doubtful", "deletes.waiting"})
"""Events that a command tells in a sentence when it ends."""


def log_to_stderr(form: str) -> None:
    """Log to stderr. form: "text" for warnings of all parts, and with PENSTOCK_DEBUG=1 everything;
    "json" for one object a line, of everything and of the sentences too."""
    for handler in _ours():
        logging.root.removeHandler(handler)
    debugging = os.environ.get("PENSTOCK_DEBUG") == "1"
    handler = _Handler(sys.stderr)
    if form == "json":
        handler.setFormatter(JsonLines(_hidden))
        logging.root.addHandler(handler)
    else:
        handler.setFormatter(_Formatter("%(levelname)s %(name)s %(message)s"))
        if not debugging:
            handler.addFilter(lambda record: getattr(record, "event", None) not in TOLD_ANYWAY)
        logging.basicConfig(handlers=[handler])
    logging.root.setLevel(logging.INFO if debugging or form == "json" else logging.WARNING)


def _ours() -> list[logging.Handler]:
    return [handler for handler in logging.root.handlers if isinstance(handler, _Handler)]


def show_json(value: Any) -> None:
    """One JSON document on stdout; a Decimal keeps its digits."""
    typer.echo(json_text(value))


def json_text(value: Any) -> str:
    """JSON text of plain values and Decimals, two spaces deep."""
    import msgspec

    encoder = msgspec.json.Encoder(decimal_format="number")
    return msgspec.json.format(encoder.encode(value), indent=2).decode()


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """Rows under headings on stdout; `empty` is said on stderr where there are none.

    On a terminal that is too narrow the columns stand closer, counts that are all zero are left
    out, and texts are cut from the last column on: ids and names come first.
    """
    if not rows:
        say(empty)
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED
    typer.echo(table_text(columns, rows, width))


def table_text(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> str:
    """The table as text without trailing spaces, made to fit `width` as far as that goes."""
    table = [
        _Column.of(heading, [row[place] for row in rows]) for place, heading in enumerate(columns)
    ]
    gap = GAP
    if _width(table, gap) > width:
        gap, table = 1, [column for column in table if not column.is_zero]
    lines = zip(*(column.lines() for column in _cut(table, gap, width)), strict=True)
    return "\n".join((" " * gap).join(line).rstrip() for line in lines)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a table, its heading on top. width: what it may take, in places of a terminal."""

    cells: tuple[str, ...]
    width: int
    is_number: bool
    is_zero: bool

    @classmethod
    def of(cls, heading: str, values: Sequence[Any]) -> _Column:
        from rich.cells import cell_len

        cells = (heading, *map(cell, values))
        return cls(
            cells,
            max(map(cell_len, cells)),
            all(map(_is_number, values)),
            all(_is_number(value) and value == 0 for value in values),
        )

    def cut(self, places: int) -> _Column:
        """Narrower by at most so many places; a number stays whole, and so does the heading."""
        least = self.width if self.is_number else min(self.width, max(len(self.cells[0]), LEAST))
        return replace(self, width=max(self.width - places, least))

    def lines(self) -> list[str]:
        from rich.cells import cell_len, set_cell_size

        fitting = [
            text if cell_len(text) <= self.width else set_cell_size(text, self.width - 1) + "…"
            for text in self.cells
        ]
        if self.is_number:
            return [" " * (self.width - cell_len(text)) + text for text in fitting]
        return [set_cell_size(text, self.width) for text in fitting]


def _width(table: Sequence[_Column], gap: int) -> int:
    return sum(column.width + gap for column in table) - gap


def _cut(table: Sequence[_Column], gap: int, width: int) -> list[_Column]:
    """The columns, cut from the last one on until they fit; the first one is never cut."""
    fitted = list(table)
    for place in reversed(range(1, len(fitted))):
        fitted[place] = fitted[place].cut(max(_width(fitted, gap) - width, 0))
    return fitted


def show_fields(fields: Sequence[tuple[str, Any]]) -> None:
    """Names and values, one a line, on stdout."""
    longest = max(len(name) for name, _ in fields)
    for name, value in fields:
        typer.echo(f"{name:<{longest}}  {cell(value)}")


def counted(number: int, noun: str) -> str:
    """How many of a thing, as one says it."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def cell(value: Any) -> str:
    """A value on one line: a dash for nothing, thousands marked, no control characters."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    first, newline, _ = str(value).partition("\n")
    return clean(first) + " …" * bool(newline)


def clean(text: str) -> str:
    """Text without control characters: what others sent never steers the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


class _Handler(logging.StreamHandler[TextIO]):
    """The one that these commands have made, among those of others."""


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return clean(_hidden(super().format(record)))


def _hidden(text: str) -> str:
    for redact in _NET:
        text = redact(text)
    return text


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
