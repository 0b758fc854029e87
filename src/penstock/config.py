"""Settings: one frozen object, made once at the door from four layers.

Arguments win over environment variables, those over `penstock.toml` in the working directory,
and that over the defaults. Inside, everything takes plain arguments.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from penstock.errors import UsageError

FILE = "penstock.toml"
WORKSPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

CHOICES = {"reading_process": ("auto", "off"), "log": ("text", "json")}
"""Settings that have one of a few values."""


DAYS = re.compile(r"[1-9][0-9]{0,4}")
KEPT = ("keep_runs_days", "keep_letters_days", "keep_pages_days")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the whole process runs with.

    database: URL of the store. workspace: the company the data belongs to. master_key: base64 of
    32 bytes, the newest first where there are several (while it is rotated); None: a key file
    beside the database is used, and made when missing.
    reading_process: "auto" lets a long run map and check records in a process of its own where the
    machine has a second core; "off" keeps everything in one process. private_networks: networks,
    separated by commas, that connections may reach although they are not public. proxy: URL of an
    HTTP proxy that connections go through, or None; the environment's own proxy variables have no
    say. log: "text" shows warnings to a person, "json" writes one object a line for each event.
    notify: a URL or a command that is told once of each cause for worry, None for nobody.
    keep_runs_days, keep_letters_days, keep_pages_days: how long runs that changed nothing, closed
    dead letters and archived responses are kept, whole numbers; None: for ever.
    """

    database: str = "sqlite:///penstock.db"
    workspace: str = "default"
    master_key: str | None = field(default=None, repr=False)
    reading_process: str = "auto"
    private_networks: str = ""
    proxy: str | None = field(default=None, repr=False)
    log: str = "text"
    notify: str | None = field(default=None, repr=False)
    keep_runs_days: str | None = None
    keep_letters_days: str | None = None
    keep_pages_days: str | None = None

    @property
    def reads_beside(self) -> bool:
        return self.reading_process == "auto" and (os.cpu_count() or 1) > 1


def load(
    arguments: Mapping[str, str | None],
    *,
    environment: Mapping[str, str] = os.environ,
    directory: Path = Path("."),
) -> Settings:
    """Merge the layers. Raises UsageError for unknown names, blank values and unreadable files."""
    names = {member.name for member in fields(Settings)}
    merged: dict[str, Any] = {}
    for layer in (_from_file(directory / FILE, names), _from_environment(environment, names)):
        merged |= layer
    merged |= {name: value for name, value in arguments.items() if value is not None}
    settings = Settings(**merged)
    if not WORKSPACE.fullmatch(settings.workspace):
        raise UsageError(
            f"workspace {settings.workspace!r} must be 1 to 63 of a-z, 0-9, '-' and '_', "
            "beginning with a letter or digit"
        )
    for name, values in CHOICES.items():
        if (value := getattr(settings, name)) not in values:
            raise UsageError(f"{name} {value!r} must be {' or '.join(values)}")
    for name in KEPT:
        if (value := getattr(settings, name)) is not None and not DAYS.fullmatch(value):
            raise UsageError(
                f"{name} {value!r} must be a whole number of days, 1 or more; without it they are "
                "kept for ever"
            )
    return settings


def _from_environment(environment: Mapping[str, str], names: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        variable = "PENSTOCK_" + name.upper()
        if path := environment.get(variable + "_FILE"):
            try:
                found[name] = Path(path).read_text().strip()
            except OSError as error:
                raise UsageError(
                    f"{variable}_FILE: cannot read {path}: {error.strerror}"
                ) from error
        if value := environment.get(variable):
            found[name] = value
    return found


def _from_file(path: Path, names: set[str]) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    if unknown := sorted(set(content) - names):
        raise UsageError(
            f"{path}: unknown setting {unknown[0]!r}; known: {', '.join(sorted(names))}"
        )
    for name, value in content.items():
        if not isinstance(value, str):
            raise UsageError(f"{path}: {name} must be a string")
    return content
