"""The command `penstock`: its groups, and what each way of ending means.

Exit codes: 0 done; 1 done, but some records were rejected (or a check found something); 2 the
command, a setting or a connector must change; 3 it failed, and may work later.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import typer

from penstock.cli import (
    backfill,
    backfills,
    backup,
    check,
    connect,
    connections,
    contracts,
    copy,
    database,
    deletes,
    demo,
    doctor,
    documents,
    drift,
    export,
    init,
    letters,
    output,
    probe,
    record,
    rederive,
    run,
    runs,
    secrets,
    serve,
    streams,
)
from penstock.cli.session import Choices
from penstock.errors import MendError, PenstockError

REJECTED, USAGE, FAILED, INTERRUPTED = 1, 2, 3, 130
ANYWHERE = ("--database", "--workspace")

app = typer.Typer(
    name="penstock",
    help="Records from other people's APIs become versioned canonical documents, exactly once.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"penstock {version('penstock')}")
        raise typer.Exit


@app.callback()
def choose(
    context: typer.Context,
    *,
    database: Annotated[
        str | None,
        typer.Option(help="URL of the store, before or after the command. [PENSTOCK_DATABASE]"),
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(help="The company the data belongs to, likewise. [PENSTOCK_WORKSPACE]"),
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that hold for every command."""
    context.obj = Choices(database, workspace)


app.command("init")(init.init)
app.command("check")(check.check)
app.command("probe")(probe.probe)
app.command("record")(record.record)
app.command("demo")(demo.demo)
app.command("connect")(connect.connect)
app.add_typer(connections.app, name="connections")
app.add_typer(secrets.app, name="secrets")
app.command("run")(run.run)
app.command("serve")(serve.serve)
app.command("backfill")(backfill.backfill)
app.add_typer(backfills.app, name="backfills")
app.command("worker")(serve.worker)
app.add_typer(streams.app, name="streams")
app.add_typer(runs.app, name="runs")
app.add_typer(documents.app, name="documents")
app.command("export")(export.export)
app.add_typer(contracts.app, name="contracts")
app.add_typer(letters.app, name="dead-letters")
app.command("rederive")(rederive.rederive)
app.command("drift")(drift.drift)
app.add_typer(deletes.app, name="deletes")
app.add_typer(database.app, name="db")
app.command("doctor")(doctor.doctor)
app.command("backup")(backup.backup)
app.command("copy")(copy.copy)


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Writes to stdout and stderr only."""
    output.log_to_stderr(os.environ.get("PENSTOCK_LOG", "text"))
    try:
        code = typer.main.get_command(app).main(
            hoisted(arguments), prog_name="penstock", standalone_mode=False
        )
    except (Exception, KeyboardInterrupt) as error:
        return ended_by(error)
    return code if isinstance(code, int) else 0


def hoisted(arguments: Sequence[str]) -> list[str]:
    """The arguments with those that hold anywhere moved to the front."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in ANYWHERE:
            front += [word, *islice(words, 1)]
        elif word.startswith(tuple(name + "=" for name in ANYWHERE)):
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def ended_by(error: BaseException) -> int:
    """Say one sentence about an error and return the exit code that goes with it."""
    if debugging():
        output.say("".join(traceback.format_exception(error)).rstrip())
    match error:
        case typer.TyperException():
            return _misused(error)
        case PenstockError():
            output.error(error.message)
            return USAGE if isinstance(error, MendError) else FAILED
        case KeyboardInterrupt() | typer.Abort():
            output.error("interrupted")
            return INTERRUPTED
        case _:
            output.error(f"unexpected {type(error).__name__}: {error}")
            output.hint("PENSTOCK_DEBUG=1 shows where it happened")
            return FAILED


def debugging() -> bool:
    return os.environ.get("PENSTOCK_DEBUG") == "1"


def _misused(error: typer.TyperException) -> int:
    message = error.format_message()
    if message.startswith("Usage: "):  # a group without a command: the message is its help
        output.say(message)
        return USAGE
    output.error(message)
    context: typer.Context | None = getattr(error, "ctx", None)
    if context is not None:
        output.hint(f"{context.command_path} --help")
    return USAGE


if __name__ == "__main__":
    main()
