"""`penstock db`: the schema of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from penstock.cli import output
from penstock.cli.session import settings

if TYPE_CHECKING:
    from penstock.store.schema import SchemaState

app = typer.Typer(help="Database: check, upgrade.", no_args_is_help=True)

CURRENT, OUTDATED = 0, 1


@app.command()
def check(context: typer.Context, as_json: output.AsJson = False) -> int:
    """Is the schema the one this penstock needs?

    Ends with 1 when it is not.
    """
    from penstock.store import schema

    state = schema.check(settings(context).database)
    if as_json:
        output.show_json(_as_json(state))
    elif state.current:
        output.say(f"the schema is current ({state.found})")
    else:
        output.say(f"the database has schema {state.found or 'none'}, wanted is {state.wanted}")
        output.hint("penstock db upgrade")
    return CURRENT if state.current else OUTDATED


@app.command()
def upgrade(context: typer.Context, as_json: output.AsJson = False) -> None:
    """Bring the schema up to date; make a new database."""
    chosen = settings(context)
    from penstock.app import upgrade_store

    state = upgrade_store(chosen.database)
    if as_json:
        output.show_json(_as_json(state))
    else:
        output.say(f"the schema is current ({state.found})")


def _as_json(state: SchemaState) -> dict[str, str | bool | None]:
    return {"found": state.found, "wanted": state.wanted, "current": state.current}
