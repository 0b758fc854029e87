"""`penstock connect`: make a connection of a connector to one account."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli import given, output
from penstock.cli.session import opened

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A connector: an installed key, module:attribute, or a path such as ./acme.py.",
    ),
]


def connect(
    context: typer.Context,
    target: Target,
    *,
    name: Annotated[str, typer.Option(help="What the connection is called from now on.")],
    settings: given.Set = None,
    secrets: given.Secret = None,
    observe: Annotated[
        bool, typer.Option("--observe", help="Decide and count, but store no documents.")
    ] = False,
    allow_loopback: Annotated[
        bool, typer.Option("--allow-loopback", help="Let it talk to this machine, over http too.")
    ] = False,
    redirect_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Where a consent comes back to, as the provider knows it."
        ),
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Connect a connector to an account, or connect it again.

    Again: one that has lost its access, or any with OAuth. What is not given then stays.
    """
    from penstock.app import spent_secrets
    from penstock.cli.callback import USUAL, LoopbackCallback
    from penstock.sdk.settings import missing_secrets

    with opened(context) as app:
        connector = app.connector(target)
        plain = given.settings(settings or (), connector.settings)
        sealed = given.secrets(secrets or ())
        kept = app.store.connections.sealed(app.settings.workspace, name)
        good = {field: "" for field in kept if field not in spent_secrets(connector)}
        sealed |= given.asked(missing_secrets(connector, good | plain | sealed))
        app.connect(
            target,
            name,
            plain,
            sealed,
            observe=observe,
            allow_loopback=allow_loopback,
            callback=LoopbackCallback(redirect_url or USUAL),
        )
        view = app.read.connection(name)
    if as_json:
        output.show_json(view.as_json())
        return
    account = f" to {view.account.name}" if view.account else ""
    output.say(f"connected {name}{account} ({view.connector}, {view.mode})")
    output.hint(f"penstock run {name}")
