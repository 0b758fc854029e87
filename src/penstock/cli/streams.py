"""`penstock streams`: where each stream stands, when it runs, and its resume point by hand."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli import output
from penstock.cli.run import moment
from penstock.cli.session import opened
from penstock.errors import PenstockError, UsageError

if TYPE_CHECKING:
    from penstock.app import App
    from penstock.model.unit import Checkpoint
    from penstock.read.streams import StreamView

app = typer.Typer(help="Streams: list, pause, resume, run-now, state.")
state = typer.Typer(help="A stream's resume point: show, set, reset.", no_args_is_help=True)
app.add_typer(state, name="state")

ConnectionName = Annotated[str, typer.Argument(metavar="CONNECTION", help="Which connection.")]
StreamKey = Annotated[str, typer.Argument(metavar="STREAM", help="Which stream.")]


@app.callback(invoke_without_command=True)
def listed(
    context: typer.Context,
    *,
    connection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this connection.")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Streams, where they stand and when they run next; `streams state` works on a resume point."""
    if context.invoked_subcommand:
        return
    from penstock.read.notation import to_the_second

    with opened(context) as app:
        views = _all(app, connection)
    if as_json:
        output.show_json([view.as_json() for view in views])
        return
    columns = ("connection", "stream", "state", "next run", "watermark", "worker", "reason")
    rows = [
        (
            v.connection,
            v.stream,
            v.standing,
            to_the_second(v.next_run_at),
            to_the_second(v.watermark),
            v.lease_owner,
            v.reason,
        )
        for v in views
    ]
    shown = 6 if sys.stdout.isatty() else 7  # reasons are long: on a terminal they follow below
    output.show_table(
        columns[:shown],
        [row[:shown] for row in rows],
        empty="no streams; connect something first: penstock connect TARGET --name NAME",
    )
    for view in views:
        if view.reason and shown < len(columns):
            output.say(f"{view.connection} {view.stream}: {view.reason}")
        for note in view.notes:
            output.say(f"warning: {view.connection} {view.stream}: {note}")


def _all(app: App, connection: str | None) -> list[StreamView]:
    """Stored streams, and the declared ones that never ran."""
    from penstock.read.streams import StreamView

    stored = app.read.streams(connection)
    seen = {(view.connection, view.stream) for view in stored}
    named = [app.read.connection(connection)] if connection else app.read.connections()
    missing = [
        StreamView.never_run(view.name, key).under(view)
        for view in named
        for key in _declared(app, view.target)
        if (view.name, key) not in seen
    ]
    return sorted((*stored, *missing), key=lambda view: (view.connection, view.stream))


def _declared(app: App, target: str) -> tuple[str, ...]:
    """Stream keys of a connector; none where it does not load, since its rows still show."""
    try:
        return tuple(app.connector(target).streams)
    except PenstockError as error:
        output.say(f"warning: {error.message}")
        return ()


@app.command()
def pause(context: typer.Context, connection: ConnectionName, stream: StreamKey) -> None:
    """Let a stream not run by itself until it is resumed.

    A run under way goes on to its end.
    """
    with opened(context) as app:
        paused = app.pause_stream(connection, stream)
    output.say(f"{connection} {stream} {'is paused' if paused else 'was paused already'}")
    output.hint(f"penstock streams resume {connection} {stream}")


@app.command()
def resume(context: typer.Context, connection: ConnectionName, stream: StreamKey) -> None:
    """Let a paused stream run again: once at once, whatever was missed, then by its schedule."""
    with opened(context) as app:
        resumed = app.resume_stream(connection, stream)
    output.say(f"{connection} {stream} {'is due now' if resumed else 'is not paused'}")


@app.command("run-now")
def run_now(context: typer.Context, connection: ConnectionName, stream: StreamKey) -> None:
    """Let whoever serves this database run a stream at once.

    It may try again after crashes, too.
    """
    with opened(context) as app:
        if not app.run_now(connection, stream):
            raise UsageError(
                f"{connection} {stream} is paused; `penstock streams resume {connection} {stream}`"
            )
    output.say(f"{connection} {stream} is due now, for `penstock serve` or a worker")


@state.command()
def show(
    context: typer.Context,
    connection: ConnectionName,
    stream: StreamKey,
    as_json: output.AsJson = False,
) -> None:
    """The resume point of a stream."""
    with opened(context) as app:
        view = _one(app, connection, stream).as_json()
    if as_json:
        output.show_json(view)
        return
    for name in ("cursor", "enumeration"):
        view[name] = None if view[name] is None else json.dumps(view[name])
    output.show_fields(list(view.items()))


@state.command("set")
def change(
    context: typer.Context,
    connection: ConnectionName,
    stream: StreamKey,
    *,
    cursor: Annotated[
        str | None, typer.Option(metavar="JSON", help="The connector's own resume point.")
    ] = None,
    watermark: Annotated[
        str | None, typer.Option(metavar="T", help="A date or instant, UTC without an offset.")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Overwrite the resume point.

    What is not named stays. An enumeration under way is given up.
    """
    if cursor is None and watermark is None:
        raise UsageError("nothing to set: give --cursor or --watermark")
    from penstock.model.times import microseconds
    from penstock.model.unit import Checkpoint

    with opened(context) as app:
        stored = app.store.streams.get(app.settings.workspace, connection, stream)
        kept_cursor = stored.cursor if stored else None
        kept_mark = stored.watermark if stored else None
        _save(
            app,
            connection,
            stream,
            Checkpoint(
                cursor=kept_cursor if cursor is None else _json(cursor),
                watermark=kept_mark if watermark is None else microseconds(moment(watermark)),
            ),
        )
        view = _one(app, connection, stream)
    if as_json:
        output.show_json(view.as_json())
    else:
        output.say(f"{connection} {stream} goes on from the new resume point")


@state.command()
def reset(context: typer.Context, connection: ConnectionName, stream: StreamKey) -> None:
    """Forget the resume point.

    The next run enumerates everything; stored documents stay.
    """
    from penstock.model.unit import Checkpoint

    with opened(context) as app:
        _save(app, connection, stream, Checkpoint())
    output.say(f"{connection} {stream} starts from the beginning")
    output.hint(f"penstock run {connection} {stream}")


def _save(app: App, connection: str, stream: str, checkpoint: Checkpoint) -> None:
    from penstock.clock import SystemClock
    from penstock.model.times import microseconds

    app.connector(app.read.connection(connection).target).stream(stream)
    workspace = app.settings.workspace
    now = microseconds(SystemClock().now())
    app.store.streams.set_checkpoint(workspace, connection, stream, checkpoint, now=now)


def _one(app: App, connection: str, stream: str) -> StreamView:
    app.read.connection(connection)
    for view in _all(app, connection):
        if view.stream == stream:
            return view
    raise UsageError(f"connection {connection} has no stream {stream!r}")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"--cursor: {text[:64]!r} is no JSON; text needs quotes") from error
