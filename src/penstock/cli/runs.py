"""`penstock runs`: what ran, when, and how it ended."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli import output, progress
from penstock.cli.session import opened

app = typer.Typer(help="Runs: list, show.")


@app.callback(invoke_without_command=True)
def listed(
    context: typer.Context,
    *,
    connection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this connection.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 20,
    as_json: output.AsJson = False,
) -> None:
    """Runs, latest first; `runs show ID` tells of one."""
    if context.invoked_subcommand:
        return
    from penstock.read.notation import to_the_second

    with opened(context) as app:
        views = app.read.runs(connection, limit=limit)
    if as_json:
        output.show_json([view.as_json() for view in views])
        return
    output.show_table(
        ("run", "connection", "stream", "kind", "state", "started", "what it did"),
        [
            (
                v.run_no,
                v.connection,
                v.stream,
                v.kind,
                v.state,
                to_the_second(v.started_at),
                v.message or progress.told(v.counters, v.work_seconds),
            )
            for v in views
        ],
        empty="no runs yet; start one with: penstock run CONNECTION",
    )


@app.command()
def show(
    context: typer.Context,
    run: Annotated[int, typer.Argument(metavar="ID", help="The run's number.")],
    as_json: output.AsJson = False,
) -> None:
    """One run with all its counters."""
    with opened(context) as app:
        view = app.read.run(run).as_json()
    if as_json:
        output.show_json(view)
        return
    output.show_fields(list(view.items()))
