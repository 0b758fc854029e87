"""docs/cli.md names every command and every flag, and none that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import typer

from penstock.cli.main import app
from penstock.config import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def commands(command, path: tuple[str, ...]) -> Iterator[tuple[str, set[str]]]:
    """Every command that does something by itself, with its flags."""
    inner = getattr(command, "commands", {})
    flags = {
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--") and name != "--help"
    }
    if not inner or command.invoke_without_command:
        yield " ".join(path), flags
    for name, found in inner.items():
        yield from commands(found, (*path, name))


ROOT = typer.main.get_command(app)
COMMANDS = {
    name: flags for part, found in ROOT.commands.items() for name, flags in commands(found, (part,))
}


def sections() -> dict[str, str]:
    """Command to the text below its heading."""
    parts = re.split(r"^#+ (.*)\n", PAGE, flags=re.MULTILINE)
    found = {}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        if heading.startswith("penstock "):
            words = heading.removeprefix("penstock ").split()
            found[" ".join(word for word in words if re.fullmatch("[a-z-]+", word))] = text
    return found


def test_the_page_has_exactly_the_commands_there_are():
    assert set(sections()) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_exactly_the_flags_of_each_command(name):
    written = re.sub(r"```.*?```", "", sections()[name], flags=re.DOTALL)
    missing = COMMANDS[name] - set(FLAG.findall(written))
    unknown = set(FLAG.findall(written)) - set().union(*COMMANDS.values())
    assert (missing, unknown) == (set(), set())


@pytest.mark.parametrize("name", [member.name for member in fields(Settings)])
def test_the_page_has_every_setting(name):
    assert f"`PENSTOCK_{name.upper()}`" in PAGE


def test_the_page_has_the_flags_that_hold_everywhere():
    everywhere = PAGE.split("## Writing a connector")[0]
    flags = {name for p in ROOT.params for name in p.opts if name.startswith("--")}
    assert flags - set(FLAG.findall(everywhere)) == set()
