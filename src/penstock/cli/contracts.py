"""`penstock contracts`: the canonical document types and what each accepts."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli import output

app = typer.Typer(help="Contracts: list, show.", no_args_is_help=True)


@app.command("list")
def listed(as_json: output.AsJson = False) -> None:
    """All document types that are served."""
    from penstock.contracts import registry

    contracts = [registry.contract(name) for name in registry.types()]
    columns = ("document_type", "version", "natural_id")
    rows = [tuple(getattr(contract, name) for name in columns) for contract in contracts]
    if as_json:
        output.show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        output.show_table(("type", "version", "natural id"), rows, empty="no contracts")


@app.command()
def show(
    document_type: Annotated[str, typer.Argument(metavar="TYPE", help="A document type.")],
    json_schema: Annotated[
        bool, typer.Option("--json-schema", help="The JSON Schema instead of the reference page.")
    ] = False,
    as_json: output.AsJson = False,
) -> None:
    """The reference page of a type, or its JSON Schema."""
    from penstock.contracts import registry

    contract = registry.contract(document_type)
    if json_schema or as_json:
        output.show_json(contract.json_schema())
    else:
        typer.echo(contract.reference())
