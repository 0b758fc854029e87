"""`penstock deletes`: deletes that wait for a person, and the word that makes them."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli import output
from penstock.cli.run import DONE, FAILED
from penstock.cli.session import opened

app = typer.Typer(help="Deletes that wait to be confirmed: list, confirm.")


@app.callback(invoke_without_command=True)
def listed(
    context: typer.Context,
    *,
    connection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this connection.")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Streams of which too much is gone at once; `deletes confirm` makes the deletes."""
    if context.invoked_subcommand:
        return
    from penstock.read.notation import to_the_second

    with opened(context) as app:
        waiting = app.read.deletes(connection)
    if as_json:
        output.show_json([view.as_json() for view in waiting])
        return
    output.show_table(
        ("connection", "stream", "gone", "of", "proved"),
        [
            (v.connection, v.stream, v.gone, v.documents, to_the_second(v.proved_at))
            for v in waiting
        ],
        empty="no deletes wait to be confirmed",
    )
    for view in waiting:
        output.hint(f"penstock deletes confirm {view.connection} {view.stream}")


@app.command()
def confirm(
    context: typer.Context,
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="Which connection.")],
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="Which stream.")],
    *,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long for a busy stream.")
    ] = 60.0,
    as_json: output.AsJson = False,
) -> int:
    """Make the deletes that wait.

    What has come back meanwhile stays. Ends with 3 where the stream was busy.
    """
    with opened(context) as app:
        report = app.confirm_deletes(connection, stream, wait_s=wait)
    if as_json:
        output.show_json(report.as_json())
    elif not report.failed:
        gone = output.counted(report.counters.absent, "document")
        output.say(f"{connection} {stream}: {gone} deleted")
    if report.failed:
        output.error(f"{stream}: {report.message or report.reason or report.state}")
    return FAILED if report.failed else DONE
