"""`penstock serve` and `penstock worker`: what runs for months, until it is stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

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
MetricsPort = Annotated[
    int | None, typer.Option(metavar="N", help="Answer GET /metrics there, for Prometheus.")
]
MetricsHost = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where metrics listen: this machine's address.")
]
QUEUES = ("streams", "backfills")


class Terms(NamedTuple):
    """What both commands are told. metrics_port: None for no metrics."""

    workers: int
    grace_s: float
    metrics_port: int | None
    metrics_host: str


def serve(
    context: typer.Context,
    *,
    workers: Workers = 8,
    grace: Grace = 30.0,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    once: Annotated[bool, typer.Option("--once", help="Run what is due now, then end.")] = False,
) -> None:
    """Run streams on their schedules: ticker and workers in one process.

    Several may serve one database: a stream is run by one of them at a time. SIGTERM and Ctrl-C
    stop it: pages under way are finished, leases are given back. Asked twice it does not wait.
    """
    _serve(context, Terms(workers, grace, metrics_port, metrics_host), once=once)


def worker(
    context: typer.Context,
    *,
    workers: Workers = 8,
    grace: Grace = 30.0,
    queue: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only jobs of this queue: streams or backfills."),
    ] = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
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
    terms = Terms(workers, grace, metrics_port, metrics_host)
    _serve(context, terms, queues=queue or QUEUES)


def _serve(
    context: typer.Context,
    terms: Terms,
    *,
    queues: Sequence[str] | None = None,
    once: bool = False,
) -> None:
    from penstock.app.serving import Serving
    from penstock.app.watching import watched
    from penstock.work.stop import Stop, at_signals

    expect_many_records()
    stop = Stop()
    host = terms.metrics_host
    with (
        at_signals(stop),
        opened(context) as app,
        watched(app, metrics_port=terms.metrics_port, metrics_host=host) as port,
    ):
        serving = Serving(app, stop, terms.workers, queues)
        output.say(_told(serving))
        if port is not None:
            output.say(f"metrics: http://{host}:{port}/metrics")
        ended = serving.run_once(terms.grace_s) if once else serving.run(terms.grace_s)
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
