"""`penstock record`: a provider's own answers, for the tests of a connector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli import output
from penstock.cli.session import opened


def record(
    context: typer.Context,
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="Which connection.")],
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="Which stream.")],
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="An empty or new folder.")],
    hide: Annotated[
        list[str] | None,
        typer.Option("--hide", metavar="NAME", help="JSON members whose values are replaced."),
    ] = None,
    requests: Annotated[
        int, typer.Option("--requests", metavar="N", min=1, help="At most so many.")
    ] = 50,
    as_json: output.AsJson = False,
) -> None:
    """Write a stream's requests and answers down, for tests.

    Nothing is stored. `connector_runtime(...).replay(DIR)` answers with them in a test. Secrets are
    taken out; what customers are called stays unless `--hide` names it.
    """
    with opened(context) as app:
        files = app.record(connection, stream, to, hide=hide or (), limit=requests)
    if as_json:
        output.show_json([str(file) for file in files])
        return
    output.say(f"{len(files)} exchanges recorded in {to}")
    output.say("no secret is in them; names, amounts and addresses are: see --hide")
