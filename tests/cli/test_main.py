"""The command as a whole: options anywhere, errors as sentences, exit codes, a quick start."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from penstock.cli import main
from penstock.errors import (
    LeaseLostError,
    SettingsError,
    StopRunError,
    StoreUnavailableError,
    UsageError,
)

HEAVY = ("sqlalchemy", "alembic", "rich", "httpx2", "starlette", "pydantic_settings", "msgspec",
         "jsonschema_rs", "cryptography", "uvicorn", "penstock.app")  # fmt: skip


def penstock(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "penstock.cli.main", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("given", "hoisted"),
    [
        ("run acme --database sqlite:///x.db", "--database sqlite:///x.db run acme"),
        ("--workspace w run acme", "--workspace w run acme"),
        ("run acme --workspace=w --json", "--workspace=w run acme --json"),
        ("run -- --database", "run -- --database"),
        ("run --database", "--database run"),
        ("runs show 7", "runs show 7"),
    ],
)
def test_database_and_workspace_stand_before_or_after_the_command(given, hoisted):
    assert main.hoisted(given.split()) == hoisted.split()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (SettingsError("x"), 2),
        (StoreUnavailableError("x"), 3),
        (LeaseLostError("x"), 3),
        (StopRunError("x"), 3),
        (ZeroDivisionError("x"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_way_of_ending_has_its_exit_code(error, code):
    assert main.ended_by(error) == code


def test_an_error_is_one_sentence_and_no_traceback(capsys):
    main.ended_by(SettingsError("base_url is required"))
    assert capsys.readouterr() == ("", "error: base_url is required\n")


def test_a_defect_is_one_line_and_how_to_see_more(capsys):
    main.ended_by(ZeroDivisionError("division by zero"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "error: unexpected ZeroDivisionError: division by zero",
        "hint: PENSTOCK_DEBUG=1 shows where it happened",
    ]


def test_debugging_shows_the_traceback_too(capsys, monkeypatch):
    monkeypatch.setenv("PENSTOCK_DEBUG", "1")
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError as error:
        main.ended_by(error)
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("run", "CONNECTION"),
        ("run acme --nonsense", "--nonsense"),
        ("walk", "walk"),
        ("runs --limit 0", "--limit"),
        ("runs show seven", "ID"),
        ("run acme --full --since 2026-01-01", "exclude"),
        ("run acme --since yesterday", "yesterday"),
        ("dead-letters list --state lost", "lost"),
        ("dead-letters discard", "--reason"),
        ("connections set acme", "nothing to change"),
        ("streams state set acme invoices", "nothing to set"),
        ("--workspace UPPER runs", "UPPER"),
    ],
)
def test_a_wrong_command_ends_with_2_and_says_what_is_wrong(
    line, told, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main.execute(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert told in err
    assert list(tmp_path.iterdir()) == []


def test_help_and_a_bad_option_import_nothing_heavy():
    for words in (["--help"], ["run", "--help"], ["run", "--nonsense"]):
        result = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from penstock.cli.main import execute;"
                f"code = execute({words!r});"
                f"sys.stderr.write('heavy:' + ','.join(n for n in {HEAVY!r} if n in sys.modules))",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stderr.endswith("heavy:"), result.stderr


def test_the_installed_command_answers():
    result = penstock("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("penstock ")


@pytest.mark.parametrize("words", [[], ["documents"], ["streams", "state"]])
def test_a_group_without_a_command_shows_its_help_and_is_a_usage_error(words, capsys):
    assert main.execute(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: penstock")
    assert "Commands:" in err
