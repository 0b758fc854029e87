"""`penstock serve`: streams run on their schedules, until somebody stops it."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from penstock.cli import output
from penstock.cli.session import expect_many_records, opened

Workers = Annotated[int, typer.Option(metavar="N", help="Streams that run at the same time.")]
MetricsPort = Annotated[
    int | None, typer.Option(metavar="N", help="Answer GET /metrics there, for Prometheus.")
]
MetricsHost = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where metrics listen: this machine's address.")
]
Grace = Annotated[
    float, typer.Option(metavar="SECONDS", help="Time for pages under way when it is stopped.")
]


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
    stop it: pages under way are finished, leases are given back.
    """
    from penstock.app.serving import Serving
    from penstock.app.watching import watched
    from penstock.work.stop import Stop

    expect_many_records()
    stop = Stop()
    with (
        opened(context) as app,
        watched(app, metrics_port=metrics_port, metrics_host=metrics_host) as port,
    ):
        serving = Serving(app, stop, workers)

        def stopped(*_: object) -> None:
            stop.ask()
            serving.service.wake()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stopped)
        output.say(f"serving with {workers} workers; Ctrl-C stops it")
        if port is not None:
            output.say(f"metrics: http://{metrics_host}:{port}/metrics")
        ended = serving.run_once(grace) if once else serving.run(grace)
        if ended:
            return
        output.say(f"warning: not every page was finished within {grace:g} s; it comes again")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a thread that does not end would hold the process
