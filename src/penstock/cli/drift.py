"""`penstock drift`: how providers' records have changed, and accepting it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import output
from penstock.cli.session import opened
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.app import App
    from penstock.read.drift import DriftView, FieldView, ShapeView
    from penstock.read.listing import Listing


def drift(
    context: typer.Context,
    connection: Annotated[
        str | None, typer.Argument(metavar="CONNECTION", help="Only of this connection.")
    ] = None,
    stream: Annotated[
        str | None, typer.Argument(metavar="STREAM", help="Only of this stream.")
    ] = None,
    *,
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept it: a stream that waits for that goes on.")
    ] = False,
    number: Annotated[
        int | None, typer.Option("--id", metavar="N", help="Accept only this one.")
    ] = None,
    shape: Annotated[
        bool, typer.Option("--shape", help="Show what the stream's records look like.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="What was accepted, too.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 100,
    after: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Go on where an earlier list ended.")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """How the provider's records differ from what they were.

    Each difference is listed once, with the first record that showed it, until it is accepted.
    """
    if number is not None and not accept:
        raise UsageError("--id says which one to accept: give --accept too")
    with opened(context) as app:
        if connection is not None and stream is not None:
            app.connector(app.read.connection(connection).target).stream(stream)
        if accept:
            _show_accepted(_accept(app, connection, stream, number), as_json=as_json)
        elif shape:
            _show_shape(_shape(app, connection, stream), as_json=as_json)
        else:
            wanted = None if everything else False
            listing = app.read.drifts(connection, stream, accepted=wanted, limit=limit, after=after)
            _show(listing, as_json=as_json)


def _accept(app: App, connection: str | None, stream: str | None, number: int | None) -> int:
    from penstock.clock import SystemClock
    from penstock.model.times import microseconds

    if connection is None:
        raise UsageError("say whose drift to accept: penstock drift CONNECTION [STREAM] --accept")
    app.read.connection(connection)
    accepted = app.store.shapes.accept(
        app.settings.workspace,
        connection,
        stream,
        drift_no=number,
        now=microseconds(SystemClock().now()),
    )
    if number is not None and not accepted:
        raise UsageError(f"no drift {number} of {connection} waits to be accepted")
    return accepted


def _shape(app: App, connection: str | None, stream: str | None) -> ShapeView:
    if connection is None or stream is None:
        raise UsageError("say which shape: penstock drift CONNECTION STREAM --shape")
    return app.read.shape(connection, stream)


def _show(listing: Listing[DriftView], *, as_json: bool) -> None:
    if as_json:
        output.show_json(listing.as_json())
        return
    from penstock.read.notation import to_the_second

    output.show_table(
        ("id", "connection", "stream", "kind", "first seen", "record", "message"),
        [
            (
                v.id,
                v.connection,
                v.stream,
                v.kind,
                to_the_second(v.first_seen_at),
                v.idempotency_key,
                v.message,
            )
            for v in listing.items
        ],
        empty="no drift",
    )
    if listing.after:
        output.hint(f"there is more: --after {listing.after}")
    elif any(view.accepted_at is None for view in listing.items):
        output.hint("when the mapping is right: penstock drift CONNECTION [STREAM] --accept")


def _show_accepted(accepted: int, *, as_json: bool) -> None:
    if as_json:
        output.show_json({"accepted": accepted})
    else:
        said = output.counted(accepted, "difference")
        output.say(f"accepted {said}" if accepted else "no drift to accept")


def _show_shape(view: ShapeView, *, as_json: bool) -> None:
    if as_json:
        output.show_json(view.as_json())
        return
    output.show_table(
        ("path", "types", "seen", "absent", "null", "values"),
        [
            (f.path, " ".join(f.types), f.seen, f.seen - f.present, f.nulls, _told(f))
            for f in view.fields
        ],
        empty="no records seen yet",
    )
    if not view.learnt:
        output.hint("still learning: records are compared once a first enumeration is complete")
    if view.crowded:
        output.hint("there are more fields than are watched")


def _told(field: FieldView) -> str:
    """The values of an enumeration, or the precision of a number."""
    if field.scale is not None:
        return f"{field.digits}.{field.scale} digits"
    return ", ".join(field.values or ())
