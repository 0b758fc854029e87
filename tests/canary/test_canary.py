"""SE7: planted secrets go through real runs of the command and are found at the providers alone.

Thirty-odd secrets, in settings, tokens, headers, queries, bodies; echoed in error answers,
redirects, links, records, facts; put by careless authors into exceptions, log lines and cursors.
Then everything that was printed or kept is searched for every spelling of each.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import zstandard

from tests.canary.careless import CONNECTORS
from tests.canary.planted import (
    CANARIES,
    CARRIED,
    ECHOED,
    KEYS,
    REFUSED_WITH,
    SETTINGS,
    found_in,
    key,
    plain,
)
from tests.canary.unkind import Unkind, served

ROOT = Path(__file__).parents[2]
SILENT = {"hmac_secret", "never_sent", "refresh_2", *KEYS}
"""What is never sent; the last one comes from the provider and is kept."""

RECORDED = [("echoing", "customers"), ("echoing", "linked"), ("granted", "customers")]

UNREDACTED = """
from penstock.vault.redaction import Redactor
Redactor.__call__ = lambda self, text: text
Redactor.data = lambda self, content: content
"""
COMMAND = "from penstock.cli.main import main; main()"


@dataclass
class House:
    """A database, the command as processes of their own, and all they printed."""

    folder: Path
    prelude: str = ""
    master: str = key("master")
    printed: dict[str, bytes] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.folder / "penstock.db"

    def __call__(self, line: str, *more: str, ends: tuple[int, ...] = (0,)) -> str:
        """Run a command line with tracebacks and the log; what it printed."""
        words = [*line.split(), *more]
        done = subprocess.run(
            [sys.executable, "-c", self.prelude + COMMAND, "--database",
             f"sqlite:///{self.database}", *words],
            env=self._environment(), cwd=ROOT, capture_output=True, check=False, timeout=120,
        )  # fmt: skip
        said = done.stdout + done.stderr
        self.printed[f"{len(self.printed)} {line}"] = said
        assert done.returncode in ends, (line, done.returncode, said.decode())
        assert b"error: unexpected" not in said, said.decode()
        return said.decode()

    def connect(self, name: str, url: str, mode: str = "", ends: tuple[int, ...] = (0,)) -> str:
        target = self.folder / f"{name}.py"
        target.write_text(CONNECTORS[name])
        words = [f"base_url={url}", "client_id=penstock", f"mode={mode}"]
        secrets = [f"{secret}=env:{_variable(secret)}" for secret in SETTINGS[name]]
        options = [part for word in words for part in ("--set", word)]
        options += [part for word in secrets for part in ("--secret", word)]
        return self("connect", str(target), "--name", name, *options, "--json", ends=ends)

    def probe(self, name: str, url: str) -> str:
        secrets = [f"{secret}=env:{_variable(secret)}" for secret in SETTINGS[name]]
        options = [part for word in secrets for part in ("--secret", word)]
        target = str(self.folder / f"{name}.py")
        return self("probe", target, "customers", "--set", f"base_url={url}", *options)

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            return database.execute(statement).fetchall()

    def kept(self) -> dict[str, bytes]:
        """Every byte that was printed, every file, every cell, and compressed cells unpacked."""
        found = dict(self.printed)
        for file in self.folder.rglob("*"):
            if file.is_file():
                name = str(file.relative_to(self.folder))
                found[name] = name.encode() + b"\n" + file.read_bytes()
        for (table,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'"):
            for number, row in enumerate(self.rows(f"SELECT * FROM {table}")):
                cells = [c if isinstance(c, bytes) else str(c).encode() for c in row]
                cells += [unpacked for cell in cells if (unpacked := _unpacked(cell))]
                found[f"{table} {number}"] = b"\n".join(cells)
        return found

    def _environment(self) -> dict[str, str]:
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("PENSTOCK_")}
        planted = {_variable(name): plain(name) for name in (*ECHOED, *CARRIED)}
        given = {"PENSTOCK_MASTER_KEY": self.master, "PENSTOCK_DEBUG": "1"}
        return {**inherited, **planted, **given}


def _variable(name: str) -> str:
    return f"CANARY_{name.upper()}"


def _unpacked(cell: bytes) -> bytes:
    with contextlib.suppress(zstandard.ZstdError):
        return zstandard.ZstdDecompressor().decompress(cell)
    return b""


Life = tuple[House, dict[str, Unkind]]


@contextlib.contextmanager
def read_from(database: Path) -> Iterator[None]:
    """A reader that stays: so the write-ahead log keeps everything, and is searched, too."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM connections").fetchone()
        yield


def live(house: House, providers: dict[str, Unkind]) -> None:
    """Everything connections go through, from connecting to new keys."""
    first = providers["echoing"].url
    assert "Traceback" in house.connect("echoing", first, "error", ends=(3,))
    refused = house.connect("echoing", first, "facts", ends=(2,) if not house.prelude else (0,))
    assert house.prelude or "leave it out" in refused
    if not house.prelude:
        house.connect("echoing", first)
    house.connect("signing", providers["signing"].url)
    house.connect("granted", providers["granted"].url)
    house.probe("echoing", first)
    house("run echoing", ends=(3,))
    for name in SETTINGS:
        house(f"run {name} --json", ends=(0, 1, 3))
    for name, stream in RECORDED:
        house(f"record {name} {stream} --to {house.folder}/recorded/{name}-{stream}")
    for provider in providers.values():
        provider.refusing = True
    for name in SETTINGS:
        house(f"run {name} --json", ends=(3,))
    house("connections test echoing", ends=(3,))
    house("secrets set echoing", "bearer=env:CANARY_REPLACED", ends=(3,))
    providers["echoing"].refusing = False
    house("secrets set echoing", "bearer=env:CANARY_REPLACED")
    house("run echoing customers --full", ends=(1,))
    house("secrets rotate --json")
    house.master = f"{key('new_master')} {key('master')}"
    house("secrets rotate --master")
    house.master = key("new_master")


def look_around(house: House) -> None:
    """All commands that show something, for people and as JSON."""
    for line in ("runs", "streams", "dead-letters list --state all"):
        house(line)
    for line in ("runs", "streams", "dead-letters list --state all", "connections", "doctor",
                 "secrets list", "documents list customer", "connections test echoing",
                 "streams state show echoing resuming", "drift", "deletes",
                 "drift echoing customers --shape"):  # fmt: skip
        house(line + " --json")
    house("dead-letters replay", ends=(1, 3))
    letters = "SELECT lower(hex(min(letter_id))) FROM dead_letters GROUP BY stream, reason"
    for (letter,) in house.rows(letters):
        house(f"dead-letters show {letter} --json", ends=(0, 2))
    for (run,) in house.rows("SELECT max(run_no) FROM runs GROUP BY reason"):
        house(f"runs show {run}")


def lived(folder: Path, prelude: str = "") -> Life:
    """prelude: put before the command; without one all is looked at as well."""
    house = House(folder, prelude)
    house("db upgrade")
    providers = {name: Unkind(name) for name in SETTINGS}
    with contextlib.ExitStack() as stack:
        for provider in providers.values():
            stack.enter_context(served(provider))
        stack.enter_context(read_from(house.database))
        live(house, providers)
        if not prelude:
            look_around(house)
        house.printed |= house.kept()
    return house, providers


@pytest.fixture(scope="module")
def normal(tmp_path_factory: pytest.TempPathFactory) -> Life:
    return lived(tmp_path_factory.mktemp("canary"))


def test_there_are_enough_of_them_and_no_two_are_alike() -> None:
    assert len(CANARIES) >= 20
    assert len(set(CANARIES.values())) == len(CANARIES)
    for name, secret in CANARIES.items():
        assert found_in(secret.encode()) == {name}


def test_every_secret_was_used(normal: Life) -> None:
    """SE7: each canary reached a provider, where it belongs."""
    _, providers = normal
    heard = "".join(provider.heard for provider in providers.values())
    assert found_in(heard.encode()) == set(CANARIES) - SILENT


def test_every_way_out_was_tried(normal: Life) -> None:
    """SE7: where a secret would stand, something of it is there, cut out."""
    house, providers = normal
    asked = [asked for provider in providers.values() for asked in provider.asked]
    paths = {each.path.strip("/").split("/")[0] for each in asked}
    assert paths >= {"me", "customers", "linked", "moved", "arrived", "garbled", "debug", "token"}
    reasons = {str(reason) for (reason,) in house.rows("SELECT DISTINCT reason FROM dead_letters")}
    assert {"mapping_error", "invalid_page"} <= reasons
    ended = {str(reason) for (reason,) in house.rows("SELECT DISTINCT reason FROM runs")}
    assert "route_failed" in ended
    hidden = {place for place, content in house.printed.items() if b"***" in content}
    tables = {place.partition(" ")[0] for place in hidden if not place[0].isdigit()}
    assert tables >= {"dead_letters", "pages", "runs", "stream_state"}
    assert any(place.startswith("recorded/") for place in hidden)
    said = {place.partition(" ")[2] for place in hidden if place[0].isdigit()}
    assert said >= {"run echoing", "run echoing --json", "runs --json"}
    assert any(b"Traceback" in content and b"***" in content for content in house.printed.values())
    assert any(b"route.said" in content and b"***" in content for content in house.printed.values())


def test_the_log_of_the_database_was_searched_as_well(normal: Life) -> None:
    house, _ = normal
    assert len(house.printed["penstock.db-wal"]) > 100_000
    assert house.printed["penstock.db"]


def test_nothing_that_was_printed_or_kept_holds_a_secret(normal: Life) -> None:
    """SE7: logs, tracebacks, output, JSON, database, log, letters, pages, checkpoints: none."""
    house, _ = normal
    found = {place: sorted(names) for place, c in house.printed.items() if (names := found_in(c))}
    assert found == {}


def test_without_redaction_they_would_be_found(tmp_path: Path) -> None:
    """SE7's control: the same life with redaction switched off; the search sees what it must."""
    house, _ = lived(tmp_path, UNREDACTED)
    found = {
        place: names for place, content in house.printed.items() if (names := found_in(content))
    }
    told = {name for names in REFUSED_WITH.values() for name in names}
    told |= {*ECHOED, "bearer", "access_2"} - {"page_header"}  # headers go nowhere
    assert set().union(*found.values()) >= told
    places = {place.partition(" ")[0] for place in found if not place[0].isdigit()}
    assert places >= {"connections", "dead_letters", "pages", "runs", "stream_state"}
    assert {"penstock.db", "penstock.db-wal"} & set(found)
    assert any(place.startswith("recorded/") for place in found)
