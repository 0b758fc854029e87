"""`penstock backup`: a copy of the database, made while others write to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli import output
from penstock.cli.session import opened


def backup(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A new file; one that is there is left alone.")
    ],
    as_json: output.AsJson = False,
) -> None:
    """Copy the database to a file, while others write to it.

    One moment of it, whole or not there at all. The master key is not in it.
    """
    with opened(context) as app:
        made = app.backup(file)
    if as_json:
        output.show_json(made.as_json())
        return
    output.say(f"backed up {made.size_bytes / 1_000_000:,.1f} MB to {made.file}")
    output.say(f"restore it with: {made.restore}")
    if made.key:
        output.hint(f"the secrets in it open with the master key alone, kept apart: {made.key}")
