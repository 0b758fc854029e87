"""Whom to tell: a URL that takes JSON, or a command that reads it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable

from penstock.errors import UpstreamUnavailableError, UsageError
from penstock.upstream.telling import post_json

COMMAND_S = 30.0

Tell = Callable[[bytes], None]
"""Takes one JSON text; raises UpstreamUnavailableError where nobody was told."""


def told_by(setting: str) -> Tell:
    """The one whom the setting `notify` names. Raises UsageError where that cannot work."""
    if setting.startswith(("http://", "https://")):
        return lambda body: post_json(setting, body)
    try:
        words = shlex.split(setting)
    except ValueError as error:
        raise UsageError(f"notify: the command cannot be read: {error}") from None
    if not words or shutil.which(words[0]) is None:
        raise UsageError(
            "notify must be a URL (https://…) or a command that can be run: "
            f"there is no program {words[0] if words else ''!r}"
        )
    return lambda body: run_command(words, body)


def run_command(words: list[str], body: bytes) -> None:
    """Run without a shell, the JSON text on its standard input; 0 is its good ending."""
    try:
        ended = subprocess.run(
            words, input=body, stdout=subprocess.DEVNULL, timeout=COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise UpstreamUnavailableError(f"the command took longer than {COMMAND_S:g} s") from None
    except OSError as error:
        raise UpstreamUnavailableError(f"the command did not run: {error.strerror}") from None
    if ended.returncode != 0:
        raise UpstreamUnavailableError(f"the command ended with {ended.returncode}")
