"""`penstock rederive`: today's mapping and contract over archived records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli import output, progress
from penstock.cli.session import expect_many_records, opened
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.app import RederiveReport

DONE, REJECTED = 0, 1
FIELDS_SHOWN = 40
VALUE_CHARACTERS = 60

WHY = {
    "dead_letter": "have a later record among the dead letters: `penstock dead-letters replay`",
    "forgotten": "came from pages that are no longer kept: `penstock run --full` asks for them",
    "never_archived": "came from what is not archived: `penstock run --full` asks for them",
    "newer_seen": "had a later record that changed nothing then and is not archived: "
    "`penstock run --full` asks for them",
    "origin_unknown": "came from pages that do not say how they were asked for: "
    "`penstock run --full` asks for them",
    "unreadable": "stand in pages that today's connector cannot read",
}


def rederive(
    context: typer.Context,
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="Which connection.")],
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="Which stream.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would differ; write nothing.")
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=256, help="How many at once; the cores unless given."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Let the workers of this Dask scheduler do it."),
    ] = None,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long for a busy stream.")
    ] = 60.0,
    as_json: output.AsJson = False,
) -> int:
    """Run today's mapping and contract over a stream's archived records.

    What differs is shown, and written as new versions. The provider is not asked. Ends with 0
    when all went well, 1 when records were rejected, 3 when it failed or the stream was busy.
    """
    if processes is not None and scheduler is not None:
        raise UsageError("--processes and --scheduler exclude each other")
    expect_many_records()
    with opened(context) as app, progress.shown() as show:
        report = app.rederive(
            connection,
            stream,
            dry_run=dry_run,
            processes=processes,
            scheduler=scheduler,
            wait_s=wait,
            progress=show,
        )
    if as_json:
        output.show_json(report.as_json())
    else:
        _show(report)
    _explain(report)
    return REJECTED if report.set_aside else DONE


def _show(report: RederiveReport) -> None:
    difference = report.difference
    prefix = "" if report.run_no is not None else "would be "
    names = ("created", "updated", "unchanged", "gone", "rejected")
    counts = [(prefix + name, getattr(difference, name)) for name in names]
    output.show_fields([*counts, ("left as it is", _left(report))])
    typer.echo()
    changed = difference.by_documents()
    output.show_table(
        ("field", "documents", "example", "was", "is"),
        [
            (path, change.documents, example.source_id, _value(example.old), _value(example.new))
            for path, change in changed[:FIELDS_SHOWN]
            for example in change.examples[:1]
        ],
        empty="no field differs",
    )
    if len(changed) > FIELDS_SHOWN:
        output.say(f"{len(changed) - FIELDS_SHOWN} more fields differ; --json has them all")


def _explain(report: RederiveReport) -> None:
    difference = report.difference
    for why, number in sorted(difference.untouched.items()):
        output.say(f"{output.counted(number, 'document')} left as they are: they {WHY[why]}")
    if difference.filtered:
        silent = output.counted(difference.filtered, "document")
        output.say(f"{silent} left as they are: today's mapping makes nothing of their records")
    for message in difference.messages:
        output.say(message)
    if difference.reasons:
        told = ", ".join(f"{code} {n:,}" for code, n in sorted(difference.reasons.items()))
        output.say(f"rejected: {told}")
    if report.run_no is None:
        if not difference.is_none:
            output.hint(f"to apply it: penstock rederive {report.connection} {report.stream}")
    elif difference.rejected:
        output.hint(f"penstock dead-letters list --connection {report.connection}")


def _left(report: RederiveReport) -> int:
    return report.difference.filtered + sum(report.difference.untouched.values())


def _value(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        text = value
    else:
        text = " ".join(output.json_text(value).split())
    if text is not None and len(text) > VALUE_CHARACTERS:
        return text[: VALUE_CHARACTERS - 1] + "…"
    return text
