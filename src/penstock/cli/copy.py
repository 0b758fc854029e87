"""`penstock copy`: a database moves from SQLite to PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import output
from penstock.cli.session import expect_many_records, settings

if TYPE_CHECKING:
    from penstock.cli.session import Choices


def copy(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE_URL", help="sqlite:///FILE")],
    target: Annotated[
        str, typer.Argument(metavar="TARGET_URL", help="postgresql://…, an empty database.")
    ],
    as_json: output.AsJson = False,
) -> None:
    """Move an SQLite database to PostgreSQL, whole or not at all.

    All workspaces, unless --workspace names one. Nothing is changed in the source.
    """
    chosen: Choices = context.find_root().obj
    settings(context)
    from penstock.app.copying import copy as move

    expect_many_records()
    copied = move(source, target, chosen.workspace)
    if as_json:
        output.show_json([table._asdict() for table in copied])
    else:
        rows = [(table.table, table.rows, table.sha256[:16]) for table in copied if table.rows]
        output.show_table(("table", "rows", "sha256"), rows, empty="the source is empty")
        output.say("every table has the same rows on both sides; the source is as it was")
    output.hint(
        "give the same master key there: PENSTOCK_MASTER_KEY_FILE may name the key file that lies "
        "beside the source"
    )
