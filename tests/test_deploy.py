"""What stands in `deploy/` is true: its commands, variables and files are those there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from configparser import RawConfigParser
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path

import pytest
import typer
import yaml

from penstock.cli.main import app, hoisted
from penstock.config import Settings

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
FILES = ["Dockerfile", "compose.yaml", "penstock.service"]

SETTINGS = {f"PENSTOCK_{member.name.upper()}" for member in fields(Settings)}
VARIABLES = SETTINGS | {name + "_FILE" for name in SETTINGS} | {"PENSTOCK_DEBUG"}


class Unit(RawConfigParser):
    """A systemd unit: names keep their case, and may stand several times."""

    optionxform = staticmethod(str)

    def __init__(self, text: str) -> None:
        super().__init__(strict=False, delimiters="=", interpolation=None)
        self.lines = [line.partition("=")[::2] for line in text.splitlines() if line[:1] != "#"]
        self.read_string(text)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.lines if key == name]


UNIT = Unit((DEPLOY / "penstock.service").read_text())


def instructions(name: str) -> list[str]:
    """What stands behind an instruction of the Dockerfile, continued lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.partition(" ")[2].strip() for line in joined.splitlines() if line.startswith(name)]


def commands() -> Iterator[list[str]]:
    """Every command line of penstock that is run, without the program."""
    yield yaml.safe_load(instructions("CMD")[0])
    for service in COMPOSE["services"].values():
        if service.get("image") == "penstock":
            yield service["command"]
    for name in ("ExecStart", "ExecStartPre"):
        for line in UNIT.all(name):
            program, *words = shlex.split(line)
            assert program.endswith("/penstock")
            yield words


@pytest.mark.parametrize("words", list(commands()), ids=shlex.join)
def test_every_command_is_one_there_is_with_flags_it_takes(words: list[str]) -> None:
    command = typer.main.get_command(app)
    rest, path = hoisted(words), []
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        path.append(rest[0])
        command, rest = command.commands[rest[0]], rest[1:]
    assert path, f"no command in {words}"
    command.make_context(" ".join(path), list(rest))


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_one_that_is_read(name: str) -> None:
    named = set(re.findall(r"\bPENSTOCK_[A-Z_]+", (DEPLOY / name).read_text()))
    assert named
    assert named - VARIABLES == set()


def test_the_image_is_made_from_the_locked_and_hashed_requirements_alone() -> None:
    (line,) = [line for line in instructions("RUN") if "run.txt" in line]
    installs = re.findall(r"pip install ([^&]*)", " ".join(instructions("RUN")))
    assert "--require-hashes --requirement requirements/run.txt" in line
    assert [i for i in installs if "--require-hashes" not in i and "--no-deps" not in i] == []
    assert "--no-build-isolation" in DOCKERFILE, "or its build backend comes from anywhere"


def test_the_build_backend_of_the_image_is_the_locked_one() -> None:
    (pattern,) = re.findall(r"sed -n '/(\^.*?)/,/(.*?)/p' requirements/dev.txt", DOCKERFILE)
    lines = (ROOT / "requirements" / "dev.txt").read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if re.search(pattern[0], line))
    last = next(n for n in range(first, len(lines)) if re.search(pattern[1], lines[n]))
    entry = lines[first : last + 1]
    assert entry[0].startswith("uv-build==")
    assert all("--hash=sha256:" in line for line in entry[1:])
    assert len(entry) > 1


def test_every_file_that_the_image_copies_is_there_and_not_ignored() -> None:
    kept = [
        line[1:]
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    copied = [
        source
        for line in instructions("COPY")
        if "--from" not in line
        for source in line.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) or source.startswith(pattern) for pattern in kept)


def test_the_image_runs_as_somebody_who_owns_its_only_volume() -> None:
    assert instructions("USER") == ["penstock"]
    assert instructions("VOLUME") == instructions("WORKDIR")[-1:]
    (user,) = [line for line in instructions("RUN") if "useradd" in line]
    assert instructions("VOLUME")[0] in user


def test_the_ports_of_the_metrics_agree() -> None:
    (port,) = instructions("EXPOSE")
    assert port in instructions("HEALTHCHECK")[0]
    assert instructions("CMD")[0].count(port) >= 1
    serve = COMPOSE["services"]["serve"]
    assert serve["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert serve["command"][serve["command"].index("--metrics-port") + 1] == port


def test_every_secret_of_compose_is_mounted_where_it_is_read() -> None:
    secrets = set(COMPOSE["secrets"])
    for service in COMPOSE["services"].values():
        files = [v for k, v in service.get("environment", {}).items() if k.endswith("_FILE")]
        assert {Path(file).name for file in files} == set(service.get("secrets", ()))
        assert set(service.get("secrets", ())) <= secrets
        assert all(file.startswith("/run/secrets/") for file in files)
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    folders = {Path(s["file"]).parts[0] for s in COMPOSE["secrets"].values()}
    assert all(f"deploy/{folder}/" in ignored for folder in folders)


def test_compose_upgrades_before_it_serves_and_lets_pages_end() -> None:
    serve = COMPOSE["services"]["serve"]
    assert serve["depends_on"] == {"upgrade": {"condition": "service_completed_successfully"}}
    assert COMPOSE["services"]["upgrade"]["command"] == ["db", "upgrade"]
    assert int(serve["stop_grace_period"].rstrip("s")) > 30, "the default of --grace"


def test_the_unit_gives_pages_time_to_end_and_writes_only_where_it_may() -> None:
    (start,) = UNIT.all("ExecStart")
    grace = float(shlex.split(start)[shlex.split(start).index("--grace") + 1])
    assert float(UNIT["Service"]["TimeoutStopSec"]) > grace
    folder = "/var/lib/" + UNIT["Service"]["StateDirectory"]
    assert UNIT["Service"]["WorkingDirectory"] == folder
    assert any(f"sqlite:///{folder}/" in value for value in UNIT.all("Environment"))
    loaded = UNIT["Service"]["LoadCredential"].partition(":")[0]
    assert f"PENSTOCK_MASTER_KEY_FILE=%d/{loaded}" in UNIT.all("Environment")
