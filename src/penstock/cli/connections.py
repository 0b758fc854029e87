"""`penstock connections`: what is connected, and changing, pausing, testing, removing it."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli import given, output
from penstock.cli.session import opened
from penstock.errors import NeedsReauthError, UsageError
from penstock.model.connection import ConnectionMode, ConnectionState

app = typer.Typer(help="Connections: list, set, pause, resume, test, remove.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The connection.")]


@app.callback(invoke_without_command=True)
def listed(context: typer.Context, as_json: output.AsJson = False) -> None:
    """Connections: list, set, pause, resume, test, remove. Without a subcommand: list."""
    if context.invoked_subcommand:
        return
    with opened(context) as app:
        views = app.read.connections()
    if as_json:
        output.show_json([view.as_json() for view in views])
        return
    output.show_table(
        ("name", "connector", "state", "mode", "account", "target"),
        [
            (v.name, v.connector, v.state, v.mode, v.account and v.account.name, v.target)
            for v in views
        ],
        empty="no connections; make one with: penstock connect TARGET --name NAME",
    )
    for view in views:
        if view.reason:
            output.say(view.reason)


@app.command("set")
def change(
    context: typer.Context,
    name: Name,
    *,
    changed: given.Set = None,
    secrets: given.Secret = None,
    observe: Annotated[
        bool | None,
        typer.Option("--observe/--live", help="Only decide and count, or store documents."),
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Change settings, secrets or mode; what is not named stays."""
    modes = {True: ConnectionMode.OBSERVE, False: ConnectionMode.LIVE, None: None}
    if not changed and not secrets and observe is None:
        raise UsageError("nothing to change: give --set, --secret, --observe or --live")
    with opened(context) as app:
        schema = app.connector(app.read.connection(name).target).settings
        app.reconfigure(
            name,
            given.settings(changed or (), schema),
            given.secrets(secrets or ()),
            mode=modes[observe],
        )
        view = app.read.connection(name)
    if as_json:
        output.show_json(view.as_json())
    else:
        output.say(f"changed {name}")


@app.command()
def pause(context: typer.Context, name: Name) -> None:
    """Let no stream of the connection run until it is resumed."""
    _switch(context, name, ConnectionState.PAUSED)
    output.hint(f"penstock connections resume {name}")


@app.command()
def resume(context: typer.Context, name: Name) -> None:
    """Let a paused connection run again."""
    _switch(context, name, ConnectionState.ACTIVE)


def _switch(context: typer.Context, name: str, state: ConnectionState) -> None:
    with opened(context) as app:
        view = app.read.connection(name)
        if view.state == ConnectionState.NEEDS_REAUTH:
            raise NeedsReauthError(view.reason or f"{name} must be connected again")
        app.store.connections.set(app.settings.workspace, name, state=state)
    output.say(f"{name} is {state.value}")


@app.command("test")
def ask(context: typer.Context, name: Name, as_json: output.AsJson = False) -> None:
    """Ask the provider which account this is; nothing is stored."""
    with opened(context) as app:
        accounts = app.test(name)
    if as_json:
        output.show_json([account.as_json() for account in accounts])
        return
    output.show_table(
        ("account", "name", "currency", "time zone"),
        [(a.id, a.name, a.currency, a.timezone) for a in accounts],
        empty=f"{name} answers; its connector discovers no accounts",
    )


@app.command()
def remove(context: typer.Context, name: Name) -> None:
    """Remove a connection, its secrets and resume points.

    Its documents, dead letters and runs stay.
    """
    with opened(context) as app:
        app.read.connection(name)
        app.store.connections.remove(app.settings.workspace, name)
    output.say(f"removed {name}; its documents, dead letters and runs stay")
