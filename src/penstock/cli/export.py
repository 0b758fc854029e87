"""`penstock export`: documents out again, as lines, a table or a file for analysis."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import output
from penstock.cli.new_file import new_file
from penstock.cli.session import opened
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.read.exports import Export, Written

DONE, CUT_OFF = 0, 3


def export(
    context: typer.Context,
    document_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="A document type; see `penstock contracts list`.")
    ],
    *,
    format_name: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="jsonl, csv or parquet.")
    ],
    after: Annotated[
        int | None,
        typer.Option(metavar="SEQ", min=0, help="Only what came after an earlier export."),
    ] = None,
    all_versions: Annotated[
        bool, typer.Option("--all-versions", help="Every version instead of the current one.")
    ] = False,
    connection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this connection.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; standard output unless given.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --out: what was written, as JSON on stdout.")
    ] = False,
) -> int:
    """Documents of a type in the order in which they were recorded.

    The last place is told when it is done: `--after` goes on from there, with what has been
    recorded since and with documents that have ended.
    """
    from penstock.read.exports import FORMATS, NEEDS_A_FILE

    if format_name not in FORMATS:
        raise UsageError(f"--format {format_name!r} is none of {', '.join(FORMATS)}")
    if out is None and (as_json or format_name in NEEDS_A_FILE):
        what = "--json" if as_json else f"--format {format_name}"
        raise UsageError(f"{what} needs --out FILE: standard output is where documents go")
    with opened(context) as app:
        asked = app.read.export(document_type, connection, after=after, all_versions=all_versions)
        if out is None:
            return _to_stdout(asked, format_name)
        with new_file(out) as file:
            written = asked.write(format_name, file)
    _tell(written, out, as_json=as_json)
    return DONE


def _to_stdout(asked: Export, format_name: str) -> int:
    try:
        written = asked.write(format_name, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Whoever read has seen enough; what is still buffered has nowhere to go when we exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        output.hint("the export was cut off: standard output was closed before its end")
        return CUT_OFF
    _tell(written)
    return DONE


def _tell(written: Written, out: Path | None = None, *, as_json: bool = False) -> None:
    if as_json:
        output.show_json({"file": str(out), "versions": written.versions, "after": written.seq})
        return
    output.say(f"{output.counted(written.versions, 'version')}, the last at {written.seq}")
    output.hint(f"what comes later: --after {written.seq}")
