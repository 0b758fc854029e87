"""What commands print: one JSON document or a table on stdout, sentences on stderr."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

# Without a terminal nothing is cut, so that other programs get whole values.
UNBOUNDED = 10_000
GAP = 2


def say(sentence: str) -> None:
    """A sentence for the person, on stderr."""
    typer.echo(clean(sentence), err=True)


def error(sentence: str) -> None:
    """What went wrong."""
    say(f"error: {sentence}")


def hint(sentence: str) -> None:
    """What to do next."""
    say(f"hint: {sentence}")


def log_to_stderr() -> None:
    """Warnings of all parts on stderr; everything with PENSTOCK_DEBUG=1."""
    level = logging.INFO if os.environ.get("PENSTOCK_DEBUG") == "1" else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s %(name)s %(message)s")


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

    Columns of ids and names come first and stay whole; on a narrow terminal the last one is cut.
    """
    if not rows:
        say(empty)
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED
    typer.echo(table_text(columns, rows, width))


def table_text(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> str:
    """The table as text without trailing spaces; its last column is cut to fit `width`."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="")
    for place, heading in enumerate(columns):
        numbers = all(_is_number(row[place]) for row in rows)
        table.add_column(heading, justify="right" if numbers else "left", no_wrap=True)
    cells = [[Text(cell(value)) for value in row] for row in rows]
    taken = sum(
        max(len(heading), *(row[place].cell_len for row in cells)) + GAP
        for place, heading in enumerate(columns[:-1])
    )
    for row in cells:
        row[-1].truncate(max(len(columns[-1]), width - taken), overflow="ellipsis")
        table.add_row(*row)
    console = Console(width=UNBOUNDED, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


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


def to_the_second(instant: str | None) -> str | None:
    """Canonical instant text without its fraction; finer is only for machines."""
    return None if instant is None else instant[: len("2026-03-02T10:00:00")] + "Z"


def clean(text: str) -> str:
    """Text without control characters: what others sent never steers the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
