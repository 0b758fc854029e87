"""`penstock backfill`: pull a stream's past, cut into partitions, beside the live stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import output, progress
from penstock.cli.run import DONE, FAILED, REJECTED, moment
from penstock.cli.session import expect_many_records, opened
from penstock.errors import UsageError
from penstock.model.backfill import Step

if TYPE_CHECKING:
    from penstock.app import App
    from penstock.read.backfills import BackfillView


def backfill(
    context: typer.Context,
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="Which connection.")],
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="Which stream.")],
    *,
    from_: Annotated[
        str, typer.Option("--from", metavar="D", help="From this date or instant on, UTC.")
    ],
    to: Annotated[
        str | None, typer.Option(metavar="D", help="Up to and without this one; now if not given.")
    ] = None,
    by: Annotated[Step, typer.Option(help="How long the slices are.")] = Step.MONTH,
    partition: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Limit the slices; repeat for more of them."),
    ] = None,
    parallel: Annotated[
        int, typer.Option(metavar="N", help="So many partitions at the same time.")
    ] = 2,
    detach: Annotated[
        bool, typer.Option("--detach", help="Only write it down; `penstock serve` pulls it.")
    ] = False,
    as_json: output.AsJson = False,
) -> int:
    """Pull the past of a stream, slice by slice, and never over what the live stream stored since.

    Ends with 0 when all is done, 1 when records were rejected, 3 when partitions are not done.
    """
    first, last = moment(from_), moment(to) if to else None
    keys = [_pair(text) for text in partition or ()]
    expect_many_records()
    with opened(context) as app:
        from penstock.app.backfilling import Backfilling

        view = Backfilling(app).start(
            connection, stream, first, last, by, keys=keys, parallel=parallel
        )
        partitions = output.counted(view.total, "partition")
        output.say(f"backfill {view.backfill_no} of {connection} {stream}: {partitions}")
        if not detach:
            return pulled(app, view, as_json=as_json)
    if as_json:
        output.show_json(view.as_json())
    else:
        output.hint(f"penstock serve, or: penstock backfills run {view.backfill_no}")
    return DONE


def pulled(app: App, view: BackfillView, *, as_json: bool) -> int:
    """Pull a backfill in this process, tell how far it has come and how it ended; the exit code."""
    from penstock.app.backfilling import Backfilling
    from penstock.work.stop import Stop

    number = view.backfill_no
    try:
        with progress.of_backfills() as show:
            view = Backfilling(app).pull(number, Stop(), show)
    except KeyboardInterrupt:
        output.say(
            f"nothing is lost: backfill {number} goes on with whoever comes, `penstock serve` or "
            f"`penstock backfills run {number}`; `penstock backfills pause {number}` lets it rest"
        )
        raise
    if as_json:
        output.show_json(view.as_json())
    else:
        show_table([view])
    _explain(view)
    return exit_code(view)


def exit_code(view: BackfillView) -> int:
    """How a backfill ended, for whoever waited for it."""
    if not view.is_complete:
        return FAILED
    return REJECTED if view.counters.set_aside else DONE


def show_table(views: Sequence[BackfillView]) -> None:
    output.show_table(
        ("backfill", "connection", "stream", "state", "done", "of", "left", "what it did"),
        [
            (
                str(v.backfill_no),
                v.connection,
                v.stream,
                v.state,
                v.done,
                v.total,
                progress.lasting(v.seconds_left) if v.runs else None,
                v.reason or progress.told(v.counters, 0),
            )
            for v in views
        ],
        empty="no backfills; start one with: penstock backfill CONNECTION STREAM --from D",
    )


def _explain(view: BackfillView) -> None:
    number = view.backfill_no
    if not view.is_complete:
        output.error(
            f"backfill {number} is {view.state}: {view.reason or 'not everything is done'}"
        )
        output.hint(f"penstock backfills show {number}")
    if view.counters.set_aside:
        output.hint(f"penstock dead-letters list --connection {view.connection}")


def _pair(text: str) -> tuple[str, str]:
    key, given, value = text.partition("=")
    if not given or not value or not key.isidentifier():
        raise UsageError(f"--partition {text!r} must be KEY=VALUE, such as region=eu")
    return key, value
