"""`penstock demo`: a simulated company, pulled, changed, pulled again, and checked."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli import output, progress

BALANCED, UNBALANCED = 0, 3


def demo(
    directory: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where its database goes. [a new one]")
    ] = None,
    records: Annotated[int, typer.Option(metavar="N", min=1, help="How large a company.")] = 2000,
    seed: Annotated[int, typer.Option(metavar="S", help="Another seed, another company.")] = 1,
    as_json: output.AsJson = False,
) -> int:
    """Pull a simulated company and check the result.

    Ends with 0 when everything the company knows of itself agrees with what is stored.
    """
    from penstock.demo import demo as play

    place = directory or Path(tempfile.mkdtemp(prefix="penstock-demo-"))
    with progress.shown() as show:
        report = play(place, records, seed, show)
    if as_json:
        output.show_json(report.as_json())
    else:
        for line in report.lines():
            typer.echo(output.clean(line))
    return BALANCED if report.balanced else UNBALANCED
