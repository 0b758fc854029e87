"""`penstock backfills`: how far they have come, and pausing, resuming, canceling, pulling them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import output, progress
from penstock.cli.backfill import pulled, show_table
from penstock.cli.session import expect_many_records, opened
from penstock.model.backfill import PartitionState

if TYPE_CHECKING:
    from penstock.app import App
    from penstock.read.backfills import BackfillView, PartitionView

LOOK_S = 0.5
"""Between two looks of whoever watches."""

app = typer.Typer(help="Backfills: list, show, run, pause, resume, cancel.")

Number = Annotated[int, typer.Argument(metavar="N", help="The backfill's number.")]


@app.callback(invoke_without_command=True)
def listed(
    context: typer.Context,
    *,
    connection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this connection.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 20,
    watch: Annotated[
        bool, typer.Option("--watch", help="Until none of them runs any more.")
    ] = False,
    as_json: output.AsJson = False,
) -> None:
    """Backfills and how far they have come, latest first; `backfills show N` tells of one."""
    if context.invoked_subcommand:
        return
    with opened(context) as app:
        views = app.read.backfills(connection, limit=limit)
        if watch:
            views = _watched(app, views)
    if as_json:
        output.show_json([view.as_json() for view in views])
    else:
        show_table(views)


@app.command()
def show(
    context: typer.Context,
    number: Number,
    *,
    state: Annotated[
        PartitionState | None, typer.Option(help="Only partitions that are in it.")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """One backfill with its partitions: state, attempts, counts."""
    with opened(context) as app:
        view = app.read.backfill(number)
        found = app.read.partitions(number)
    some = [one for one in found if state is None or one.state == state]
    if as_json:
        ledger = [one.as_json() for one in some]
        output.show_json(view.as_json() | {"ledger": ledger})
        return
    _show_whole(view)
    _show_partitions(some)
    for one in some:
        if one.reason and one.state != PartitionState.DONE:
            output.say(f"{one.partition}: {one.reason}")


@app.command()
def run(context: typer.Context, number: Number, as_json: output.AsJson = False) -> int:
    """Pull a backfill in this process, beside whoever else does, until nothing of it is left."""
    expect_many_records()
    with opened(context) as app:
        return pulled(app, app.read.backfill(number), as_json=as_json)


@app.command()
def pause(context: typer.Context, number: Number) -> None:
    """Pull nothing more of it until it is resumed."""
    from penstock.app.backfilling import Backfilling

    with opened(context) as app:
        Backfilling(app).pause(number)
    output.say(f"backfill {number} is paused; what is under way ends at its next page")
    output.hint(f"penstock backfills resume {number}")


@app.command()
def resume(context: typer.Context, number: Number) -> None:
    """Let it run again, what had failed or was parked, too; each partition from its last page."""
    from penstock.app.backfilling import Backfilling

    with opened(context) as app:
        Backfilling(app).resume(number)
    output.say(f"backfill {number} is running")
    output.hint(f"penstock serve, or: penstock backfills run {number}")


@app.command()
def cancel(context: typer.Context, number: Number) -> None:
    """Give up what is not done.

    What is stored stays.
    """
    from penstock.app.backfilling import Backfilling

    with opened(context) as app:
        view = Backfilling(app).cancel(number)
    output.say(f"backfill {number} is canceled: {view.done} of {view.total} partitions were done")


def _watched(app: App, views: tuple[BackfillView, ...]) -> tuple[BackfillView, ...]:
    """The backfills as they are when none of them runs any more."""
    watched = [view.backfill_no for view in views if view.runs]
    with progress.of_backfills() as show:
        while any(view.runs for view in views):
            for view in views:
                if view.backfill_no in watched:
                    show(view)
            time.sleep(LOOK_S)
            views = tuple(app.read.backfill(view.backfill_no) for view in views)
    return views


def _show_whole(view: BackfillView) -> None:
    from penstock.read.notation import to_the_second

    names = ("from_at", "to_at", "created_at", "finished_at")
    times = {name: to_the_second(getattr(view, name)) for name in names}
    output.show_fields(
        [
            ("stream", f"{view.connection} {view.stream}"),
            ("slices", f"{times['from_at']} to {times['to_at']} by {view.by}"),
            ("state", f"{view.state}: {view.reason}" if view.reason else view.state),
            ("reached", progress.reached(view)),
            ("parallel", view.parallel),
            ("created", times["created_at"]),
            ("finished", times["finished_at"]),
        ]
    )


def _show_partitions(some: list[PartitionView]) -> None:
    from penstock.read.notation import to_the_second

    output.show_table(
        ("partition", "state", "attempts", "failures", "next try", "what it did"),
        [
            (
                one.partition,
                one.state,
                one.attempts,
                one.failures,
                to_the_second(one.next_try_at),
                progress.told(one.counters, 0) if one.counters.pages else None,
            )
            for one in some
        ],
        empty="no partitions are in that state",
    )
