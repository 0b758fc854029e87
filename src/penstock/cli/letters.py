"""`penstock dead-letters`: records that were set aside, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import output, progress
from penstock.cli.session import opened
from penstock.errors import UsageError
from penstock.model.identity import from_text

if TYPE_CHECKING:
    from penstock.app import App, ReplayReport
    from penstock.model.unit import LetterState

app = typer.Typer(help="Dead letters: list, show, replay, discard.", no_args_is_help=True)

DONE, STILL_OPEN = 0, 1

MaybeId = Annotated[str | None, typer.Argument(metavar="[ID]", help="One dead letter.")]
OfConnection = Annotated[
    str | None, typer.Option("--connection", metavar="NAME", help="Those of this connection.")
]
OfStream = Annotated[
    str | None, typer.Option("--stream", metavar="STREAM", help="Those of this stream.")
]
OfReason = Annotated[
    str | None, typer.Option("--reason", metavar="CODE", help="Those with this reason code.")
]


@app.command("list")
def listed(
    context: typer.Context,
    *,
    connection: OfConnection = None,
    stream: OfStream = None,
    reason: OfReason = None,
    state: Annotated[
        str, typer.Option(help="open, replayed, superseded, discarded, or all.")
    ] = "open",
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 100,
    after: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Go on where an earlier list ended.")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Dead letters, open ones unless --state says otherwise."""
    wanted = _state(state)
    with opened(context) as app:
        listing = app.read.letters(
            connection=connection,
            stream=stream,
            reason=reason,
            state=wanted,
            limit=limit,
            after=after,
        )
    if as_json:
        output.show_json(listing.as_json())
        return
    output.show_table(
        ("id", "stream", "reason", "key", "message"),
        [(v.letter_id, v.stream, v.reason, v.idempotency_key, v.message) for v in listing.items],
        empty="no dead letters",
    )
    if listing.after:
        output.hint(f"there are more: --after {listing.after}")


@app.command()
def show(
    context: typer.Context,
    letter: Annotated[str, typer.Argument(metavar="ID", help="A dead letter.")],
    as_json: output.AsJson = False,
) -> None:
    """One dead letter: the record as received, and every reason."""
    with opened(context) as app:
        view = app.read.letter(letter)
    if as_json:
        output.show_json(view.as_json())
        return
    names = (
        "letter_id",
        "state",
        "connection",
        "stream",
        "document_type",
        "source_id",
        "idempotency_key",
        "gone",
        "parent_id",
        "attempts",
        "first_seen_at",
        "last_seen_at",
    )
    output.show_fields([(name, getattr(view, name)) for name in names])
    typer.echo()
    output.show_table(
        ("path", "code", "invariant", "message"),
        [(e.get("path"), e.get("code"), e.get("invariant"), e.get("message")) for e in view.errors],
        empty=view.message,
    )
    record = view.raw_text or (output.json_text(view.payload) if view.payload is not None else "")
    typer.echo("\n" + output.clean(record))
    if view.state == "open":
        output.hint(f"after mending: penstock dead-letters replay {view.letter_id}")


@app.command()
def replay(
    context: typer.Context,
    letter: MaybeId = None,
    *,
    connection: OfConnection = None,
    stream: OfStream = None,
    reason: OfReason = None,
    as_json: output.AsJson = False,
) -> int:
    """Take letters through mapping and contract again.

    All open ones when none is named. Ends with 1 when some stay open.
    """
    with opened(context) as app, progress.shown() as show:
        report = app.replay(
            letter=from_text(app.read.letter(letter).letter_id) if letter else None,
            connection=connection,
            stream=stream,
            reason=reason,
            progress=show,
        )
    if as_json:
        output.show_json(report.as_json())
    else:
        _tell(report)
    return STILL_OPEN if report.still_open else DONE


@app.command()
def discard(
    context: typer.Context,
    letter: MaybeId = None,
    *,
    connection: OfConnection = None,
    stream: OfStream = None,
    reason: OfReason = None,
    as_json: output.AsJson = False,
) -> None:
    """Close letters without replaying them; they stay readable."""
    from penstock.clock import SystemClock
    from penstock.model.times import microseconds
    from penstock.model.unit import LetterState

    if not (letter or connection or stream or reason):
        raise UsageError("say which letters: ID, --connection, --stream or --reason")
    with opened(context) as app:
        chosen = (
            [from_text(app.read.letter(letter).letter_id)]
            if letter
            else list(_open(app, connection, stream, reason))
        )
        now = microseconds(SystemClock().now())
        closed = app.store.letters.close(chosen, LetterState.DISCARDED, now=now)
    if as_json:
        output.show_json({"discarded": closed})
    else:
        output.say(
            f"discarded {output.counted(closed, 'dead letter')}"
            if closed
            else "no open dead letters"
        )


def _tell(report: ReplayReport) -> None:
    if not report.letters:
        output.say("no dead letters")
        return
    for message in report.messages:
        output.say(message)
    skipped = f", {report.skipped} skipped" if report.skipped else ""
    output.say(
        f"{output.counted(report.letters, 'dead letter')}: {report.replayed} replayed, "
        f"{report.still_open} still open{skipped}"
    )


def _open(
    app: App, connection: str | None, stream: str | None, reason: str | None
) -> Iterator[bytes]:
    after: str | None = None
    while True:
        listing = app.read.letters(
            connection=connection, stream=stream, reason=reason, limit=1000, after=after
        )
        yield from (from_text(view.letter_id) for view in listing.items)
        after = listing.after
        if after is None:
            return


def _state(text: str) -> LetterState | None:
    from penstock.model.unit import LetterState

    try:
        return None if text == "all" else LetterState(text)
    except ValueError as error:
        known = ", ".join(state.value for state in LetterState)
        raise UsageError(f"--state {text!r}: one of {known}, all") from error
