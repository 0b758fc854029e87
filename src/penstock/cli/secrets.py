"""`penstock secrets`: which there are, setting one, and rotating the keys they are sealed with."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli import given, output
from penstock.cli.session import opened
from penstock.errors import UsageError

app = typer.Typer(help="Secrets: list, set, rotate.", no_args_is_help=True)

Connection = Annotated[str, typer.Argument(metavar="CONNECTION", help="Whose secret it is.")]
Given = Annotated[
    str,
    typer.Argument(
        metavar="NAME[=VALUE]",
        help="NAME (asked for, unseen), NAME=@FILE, NAME=env:VARIABLE or NAME=VALUE.",
    ),
]


@app.command("list")
def listed(
    context: typer.Context,
    *,
    connection: Annotated[
        str | None, typer.Option(help="Only of this connection.", metavar="NAME")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """The secrets there are, by name only."""
    with opened(context) as app:
        views = [app.read.connection(connection)] if connection else app.read.connections()
    names = [(view.name, name) for view in views for name in view.secrets]
    if as_json:
        output.show_json([{"connection": owner, "name": name} for owner, name in names])
        return
    output.show_table(
        ("connection", "name"),
        names,
        empty="no secrets; set one with: penstock secrets set CONNECTION NAME",
    )


@app.command("set")
def change(context: typer.Context, connection: Connection, secret: Given) -> None:
    """Set a secret of a connection.

    The provider is asked whether it is still the same account.
    """
    with opened(context) as app:
        connector = app.connector(app.read.connection(connection).target)
        name = secret.partition("=")[0]
        if name not in connector.secret_names:  # perhaps it is the secret itself: not shown
            known = ", ".join(connector.secret_names) or "none"
            raise UsageError(f"{connector.key} has no such secret; its secrets: {known}")
        app.reconfigure(connection, {}, given.secret(secret))
    output.say(f"set {name} of {connection}")


@app.command()
def rotate(
    context: typer.Context,
    *,
    master: Annotated[
        bool, typer.Option("--master", help="Wrap all data keys with a new master key.")
    ] = False,
    as_json: output.AsJson = False,
) -> None:
    """Seal all secrets of the workspace with a new data key.

    With --master the data keys of all workspaces are wrapped with a new master key. A rotation
    that was interrupted is finished; until then the old key opens what is not done yet.
    """
    with opened(context) as app:
        rotated, given_key = app.rotate_secrets(master=master), app.settings.master_key
    if as_json:
        output.show_json(rotated.as_json())
        return
    wrapped = f"{output.counted(rotated.rewrapped, 'data key')} and " if master else ""
    output.say(
        f"{'finished a rotation' if rotated.resumed else 'rotated'}: {wrapped}"
        f"{output.counted(rotated.resealed, 'secret')}, now under key {rotated.key}"
    )
    if master and given_key:
        output.hint("take the old key out of PENSTOCK_MASTER_KEY wherever it is set")
