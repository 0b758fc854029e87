"""`penstock serve` and `penstock worker`: what runs for months, until it is stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import output
from penstock.cli.session import expect_many_records, opened, settings
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.app.serving import Serving

Workers = Annotated[
    int, typer.Option("--workers", metavar="N", help="Streams that run at the same time.")
]
Grace = Annotated[
    float,
    typer.Option(metavar="SECONDS", min=0, help="Time for pages under way when it is stopped."),
]
QUEUES = ("streams", "backfills")


def serve(
    context: typer.Context,
    *,
    workers: Workers = 8,
    grace: Grace = 30.0,
    once: Annotated[bool, typer.Option("--once", help="Run what is due now, then end.")] = False,
) -> None:
    """Run streams on their schedules: ticker and workers in one process.

    Several may serve one database: a stream is run by one of them at a time. SIGTERM and Ctrl-C
    stop it: pages under way are finished, leases are given back. Asked twice it does not wait.
    """
    _serve(context, workers, grace, once=once)


def worker(
    context: typer.Context,
    *,
    workers: Workers = 8,
    grace: Grace = 30.0,
    queue: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only jobs of this queue: streams or backfills."),
    ] = None,
) -> None:
    """One of any number of workers on any number of hosts, around one PostgreSQL database.

    They fill and empty a queue in that database together; there is nothing else to start. Stopped
    as `penstock serve` is.
    """
    if not settings(context).database.startswith(("postgresql:", "postgres:")):
        raise UsageError(
            "workers need a PostgreSQL database, named by --database; on a file `penstock serve "
            "--workers N` runs as many streams at once"
        )
    if unknown := set(queue or ()).difference(QUEUES):
        raise UsageError(f"there is no queue {unknown.pop()!r}; there are {' and '.join(QUEUES)}")
    _serve(context, workers, grace, queues=queue or QUEUES)


def _serve(
    context: typer.Context,
    workers: int,
    grace_s: float,
    *,
    queues: Sequence[str] | None = None,
    once: bool = False,
) -> None:
    from penstock.app.serving import Serving
    from penstock.work.stop import Stop, at_signals

    expect_many_records()
    stop = Stop()
    with at_signals(stop), opened(context) as app:
        serving = Serving(app, stop, workers, queues)
        output.say(_told(serving))
        ended = serving.run_once(grace_s) if once else serving.run(grace_s)
        if ended:
            return
        output.say("warning: not every page was finished in time; what was not comes again")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # a thread that does not end would hold the process


def _told(serving: Serving) -> str:
    if serving.queues is None:
        return f"serving, {serving.workers} streams at a time; Ctrl-C stops it"
    return (
        f"working on {' and '.join(serving.queues)}, {serving.workers} at a time; Ctrl-C stops it"
    )
