"""`penstock probe`: what an endpoint's answers tell, and the declaration to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import given, output
from penstock.cli.session import opened
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.app import Findings

CONFIRMED = {
    True: "which brought a second page",
    False: "which brought no second page",
    None: "though there was no second page",
}
ORDER = {
    "ascending": "oldest first",
    "descending": "latest first",
    "unsorted": "in no order",
    "unknown": "all the same on these pages",
}


def probe(
    context: typer.Context,
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="A connection, a connector, or the URL of a list."),
    ],
    stream: Annotated[
        str | None, typer.Argument(metavar="STREAM", help="Which stream, unless a URL is given.")
    ] = None,
    *,
    headers: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            metavar="NAME=VALUE",
            help="For a URL: a header field; NAME=env:VARIABLE, NAME=@FILE, {SECRET} in it.",
        ),
    ] = None,
    settings: given.Set = None,
    secrets: given.Secret = None,
    allow_loopback: Annotated[
        bool, typer.Option("--allow-loopback", help="Let it talk to this machine, over http too.")
    ] = False,
    as_json: output.AsJson = False,
) -> None:
    """Show how an endpoint pages, and what to declare.

    Fetches two pages; nothing is stored.
    """
    from penstock.sdk.settings import missing_secrets

    is_url = target.startswith(("https://", "http://"))
    if is_url == (stream is not None):
        raise UsageError("give a URL alone, or a connection or connector and its STREAM")
    if headers and not is_url:
        raise UsageError("--header is for a URL; a connector has its own")
    with opened(context) as app:
        if stream is None:
            fields = given.secrets(headers or (), option="--header")
            findings = app.probe_url(
                target, fields, given.secrets(secrets or ()), allow_loopback=allow_loopback
            )
        elif any(view.name == target for view in app.read.connections()):
            findings = app.probe(target, stream)
        else:
            schema = app.connector(target).settings
            plain = given.settings(settings or (), schema)
            sealed = given.secrets(secrets or ())
            sealed |= given.asked(missing_secrets(app.connector(target), plain | sealed))
            findings = app.probe_connector(
                target, stream, plain, sealed, allow_loopback=allow_loopback
            )
    if as_json:
        output.show_json(findings.as_json())
    else:
        _show(findings)


def _show(findings: Findings) -> None:
    from penstock.upstream.probe.declaration import spelled

    first, paging, moves = findings.pages[0], findings.paging, findings.watermark
    counts = " and ".join(f"{len(page.records):,}" for page in findings.pages)
    output.show_fields(
        [
            ("address", findings.url),
            ("records", f"{counts} at {first.path or 'the top level'}"),
            ("id", first.id),
            ("pages", f"{spelled(paging.pager)}, {CONFIRMED[paging.confirmed]}"),
            ("because", paging.reason),
            (
                "watermark",
                moves and f"{moves.since.field}, to the {moves.precision}, {ORDER[moves.order]}",
            ),
            *findings.limits.items(),
        ]
    )
    typer.echo()
    output.show_table(
        ("field", "kinds", "in"),
        [(field.name, ", ".join(field.kinds), field.present) for field in first.fields],
        empty="the page is empty: nothing is known of its fields",
    )
    typer.echo(f"\n{output.clean(findings.declaration)}")
    for doubt in findings.doubts:
        output.say(f"note: {doubt}")
