"""Settings and secrets as they are given on the command line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.errors import SettingsError, UsageError

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting; repeat for more."),
]
Secret = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="NAME=VALUE",
        help="A secret: NAME=VALUE, NAME=@FILE or NAME=env:VARIABLE; repeat for more.",
    ),
]


def settings(pairs: Iterable[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The values behind --set, in the types that the connector's schema asks for.

    Text stays text where the schema says string; everything else is read as JSON. Raises
    UsageError for a pair without "=" and SettingsError for text that is no JSON.
    """
    members = schema.get("properties", {})
    given = dict(_split(pair, "--set") for pair in pairs)
    return {name: _typed(name, text, members.get(name, {})) for name, text in given.items()}


def _typed(name: str, text: str, member: Mapping[str, Any]) -> Any:
    kind = member.get("type", "string")
    if kind == "string":
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        if "string" in kind:
            return text
        raise SettingsError(f"--set {name}: {text[:64]!r} is no JSON {kind}") from error


def secrets(
    pairs: Iterable[str],
    *,
    option: str = "--secret",
    environment: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """The values behind --secret, or another option spelled alike. Raises UsageError, and never
    shows a value."""
    return {
        name: _revealed(name, text, environment)
        for name, text in (_split(pair, option) for pair in pairs)
    }


def _revealed(name: str, text: str, environment: Mapping[str, str]) -> str:
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"secret {name}: cannot read the file {text[1:]}") from error
    if text.startswith("env:"):
        variable = text.removeprefix("env:")
        if variable not in environment:
            raise UsageError(f"secret {name}: the environment has no {variable}")
        return environment[variable]
    return text


def secret(text: str) -> dict[str, str]:
    """One secret as for --secret, or only its name: then it is asked for. Raises UsageError."""
    return secrets([text]) if "=" in text else asked([text], option="")


def asked(names: Iterable[str], *, option: str = "--secret ") -> dict[str, str]:
    """Ask for each secret on the terminal, unseen. Raises UsageError where there is none."""
    missing = tuple(names)
    if missing and not sys.stdin.isatty():
        options = " ".join(f"{option}{name}=…" for name in missing)
        raise UsageError(f"a secret is missing: {options} (NAME=@FILE and NAME=env:VARIABLE too)")
    return {name: typer.prompt(name, hide_input=True, err=True) for name in missing}


def _split(pair: str, option: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise UsageError(f"{option} wants NAME=VALUE" + ("" if equals else ", with an equals sign"))
    return name, value
