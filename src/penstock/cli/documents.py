"""`penstock documents`: what is stored, and how it came to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import output
from penstock.cli.session import opened

if TYPE_CHECKING:
    from penstock.read.documents import DocumentStory

app = typer.Typer(help="Documents: list, show.", no_args_is_help=True)

OfConnection = Annotated[
    str | None, typer.Option("--connection", metavar="NAME", help="Only of this connection.")
]


@app.command("list")
def listed(
    context: typer.Context,
    document_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="A document type; see `penstock contracts list`.")
    ],
    *,
    connection: OfConnection = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 100,
    after: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Go on where an earlier list ended.")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Documents of a type, in order of connection and source id."""
    with opened(context) as app:
        listing = app.read.documents(document_type, connection, limit=limit, after=after)
    if as_json:
        output.show_json(listing.as_json())
        return
    output.show_table(
        ("source id", "connection", "version", "state", "status", "date", "number", "id"),
        [
            (
                v.source_id,
                v.connection_id,
                v.version,
                v.state,
                v.status,
                v.on_date,
                v.number,
                v.document_id,
            )
            for v in listing.items
        ],
        empty=f"no documents of type {document_type}",
    )
    if listing.after:
        output.hint(f"there are more: --after {listing.after}")


@app.command()
def show(
    context: typer.Context,
    reference: Annotated[
        str, typer.Argument(metavar="ID", help="A document id, or the provider's id of the record.")
    ],
    *,
    document_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Narrows a provider's id.")
    ] = None,
    connection: OfConnection = None,
    history: Annotated[
        bool, typer.Option("--history", help="Every version, oldest first.")
    ] = False,
    as_json: output.AsJson = False,
) -> None:
    """One document with its payload and where it came from."""
    with opened(context) as app:
        story = app.read.document(reference, document_type, connection)
    if as_json:
        output.show_json(story.with_history() if history else story.as_json())
    else:
        _show(story, history=history)


def _show(story: DocumentStory, *, history: bool) -> None:
    current, origin = story.versions[-1], story.provenance
    envelope = story.as_json()
    plain = (
        "document_id",
        "document_type",
        "connection_id",
        "source_id",
        "idempotency_key",
        "version",
        "state",
        "lifecycle",
        "payload_hash",
        "observed_at",
        "recorded_at",
    )
    output.show_fields(
        [
            *((name, str(envelope[name] or "")) for name in plain),
            (
                "from",
                f"run {origin.run}, stream {origin.stream}, {origin.connector} "
                f"{origin.connector_version}",
            ),
            *((flag.get("code", "flag"), flag.get("message")) for flag in current.flags),
        ]
    )
    if history:
        for version in story.versions:
            typer.echo(f"\nversion {version.version}, {version.state}, {version.recorded_at}")
            typer.echo(output.clean(output.json_text(version.payload)))
    else:
        typer.echo("\n" + output.clean(output.json_text(story.document.payload)))
