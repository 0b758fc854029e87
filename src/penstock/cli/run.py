"""`penstock run`: pull the streams of a connection now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import output, progress
from penstock.cli.session import expect_many_records, opened
from penstock.errors import UsageError
from penstock.model.run import RunKind, RunState

if TYPE_CHECKING:
    from penstock.app import RunReport

DONE, REJECTED, FAILED = 0, 1, 3


def run(
    context: typer.Context,
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="Which connection.")],
    streams: Annotated[
        list[str] | None,
        typer.Argument(metavar="STREAM...", help="All polls when none is named."),
    ] = None,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Enumerate everything, whatever the watermark says.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="T", help="From this date or instant on, UTC without an offset."),
    ] = None,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long for a busy stream.")
    ] = 60.0,
    as_json: output.AsJson = False,
) -> int:
    """Pull the streams of a connection now.

    Ends with 0 when all went well, 1 when records were rejected, 3 when a run failed or its stream
    was busy.
    """
    if full and since:
        raise UsageError("--full and --since exclude each other")
    start = moment(since) if since else None
    expect_many_records()
    with opened(context) as app, progress.shown() as show:
        reports = app.run(
            connection, tuple(streams or ()), full=full, since=start, wait_s=wait, progress=show
        )
    if as_json:
        output.show_json([report.as_json() for report in reports])
    else:
        _show(reports)
    _explain(connection, reports)
    return exit_code(reports)


def moment(text: str) -> datetime:
    """The aware datetime behind a date or instant given by a person."""
    from penstock.model import times

    try:
        whole = text + "T00:00:00Z" if len(text) == len("2026-01-31") else text
        return times.moment(times.read(times.instant(whole, zone="UTC")))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{text!r} is no date or instant such as 2026-03-02T10:00:00Z") from error


def exit_code(reports: Sequence[RunReport]) -> int:
    """The worst of the runs."""
    if any(report.state != RunState.DONE for report in reports):
        return FAILED
    return REJECTED if any(report.counters.set_aside for report in reports) else DONE


def _show(reports: Sequence[RunReport]) -> None:
    names = ("fetched", "created", "updated", "unchanged", "stale", "filtered")
    output.show_table(
        ("stream", "kind", "state", *names, "rejected", "seconds"),
        [
            (
                report.stream,
                report.kind,
                report.state,
                *(getattr(report.counters, name) for name in names),
                report.counters.set_aside,
                report.work_seconds,
            )
            for report in reports
        ],
        empty="nothing ran: the connection has no poll streams",
    )


def _explain(connection: str, reports: Sequence[RunReport]) -> None:
    if any(report.kind is RunKind.OBSERVE for report in reports):
        output.say(f"{connection} observes: this is what would have happened, nothing was stored")
    for report in reports:
        if report.state != RunState.DONE:
            output.error(f"{report.stream}: {report.message or report.reason or report.state}")
    for report in reports:
        for note in report.notes:
            output.say(f"warning: {report.stream}: {note}")
    if any(report.counters.set_aside for report in reports):
        output.hint(f"penstock dead-letters list --connection {connection}")
