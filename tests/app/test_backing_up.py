"""A backup made while a run writes is one moment of the database, from which everything goes on."""

from __future__ import annotations

import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from penstock.app import App
from penstock.errors import DatabaseError, UsageError
from penstock.store import postgres_backup, sqlite_backup
from penstock.telemetry import heard_by
from tests.app.conftest import documents, settings, truth
from tests.database import SERVER

STREAMS = ("customers", "invoices")
BEGIN_AT, END_BY = 3, 6
"""Committed pages between which the backup is made."""


class DuringARun:
    """Makes a backup in a thread of its own while pages are committed before and behind it."""

    def __init__(self, app: App, file: Path) -> None:
        self.pages = 0
        self.before: dict[str, int] = {}
        self.at_most: dict[str, int] = {}
        self.failed: list[BaseException] = []

        self._app = app
        self._file = file
        self._thread = threading.Thread(target=self._back_up)

    def hear(self, name: str, _: object) -> None:
        self.pages += name == "page.committed"
        if name == "page.committed" and self.pages == BEGIN_AT:
            self.before = documents(self._app)
            self._thread.start()
        if name == "page.committed" and self.pages == END_BY:
            self._thread.join(60)
            self.at_most = documents(self._app)

    def _back_up(self) -> None:
        try:
            self._app.backup(self._file)
        except BaseException as error:
            self.failed.append(error)


@contextmanager
def restored(app: App, file: Path, folder: Path) -> Iterator[str]:
    """The URL of what the backup was restored to, by the means that the documentation names."""
    if app.store.facts().dialect == "sqlite":
        folder.mkdir()
        shutil.copy(file, folder / "penstock.db")
        yield f"sqlite:///{folder}/penstock.db"
        return
    name = f"restored_{uuid.uuid4().hex}"
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    options = app.settings.database.partition("?")[2]
    url = SERVER.rpartition("/")[0] + f"/{name}"
    try:
        subprocess.run(["pg_restore", f"--dbname={url}", str(file)], check=True, timeout=60)
        yield f"{url}?{options}"
    finally:
        with psycopg.connect(SERVER, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def needs_pg_dump(app: App) -> None:
    if app.store.facts().dialect == "postgresql" and shutil.which("pg_restore") is None:
        pytest.skip("pg_dump and pg_restore are not on the path")


def test_a_backup_made_during_a_run_is_restored_and_run_to_the_end(house, company, tmp_path):
    needs_pg_dump(house)
    file = tmp_path / "backup"
    during = DuringARun(house, file)
    with heard_by(during.hear):
        reports = house.run("sim", STREAMS)
    assert during.failed == []
    assert during.pages > END_BY, "the run was over before the backup"
    assert [report.state for report in reports] == ["done"] * len(reports)
    with (
        restored(house, file, tmp_path / "elsewhere") as url,
        App.open(settings(url)) as app,
    ):
        found = documents(app)
        total, least, most = (sum(n.values()) for n in (found, during.before, during.at_most))
        assert least <= total <= most < sum(documents(house).values())
        feed = [item.seq for item in app.store.feed.read(0, 100_000)]
        assert feed == list(range(1, len(feed) + 1))
        app.store.streams.release_all("")  # where it is restored, nobody works under these
        app.run("sim", STREAMS)
        expected = {kind: truth(company)[kind] for kind in ("customer", "invoice")}
        assert documents(app) == documents(house) == expected
        assert app.read.counts().letters == house.read.counts().letters


def test_a_file_that_is_there_is_left_alone(house, tmp_path):
    file = tmp_path / "backup"
    file.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is there already"):
        house.backup(file)
    with pytest.raises(UsageError, match="does not exist"):
        house.backup(tmp_path / "nowhere" / "backup")
    assert file.read_bytes() == b"mine"


def test_the_secrets_in_a_backup_are_sealed_and_its_key_is_named(house, provider, tmp_path):
    needs_pg_dump(house)
    made = house.backup(tmp_path / "backup")
    assert made.key == "the one in PENSTOCK_MASTER_KEY"
    assert made.size_bytes == made.file.stat().st_size > 0
    assert made.file.stat().st_mode & 0o077 == 0
    assert provider.token.encode() not in made.file.read_bytes()


@pytest.mark.sqlite
def test_a_copy_that_is_not_sound_is_no_backup(house, tmp_path, monkeypatch):
    fill = sqlite_backup._fill

    def spoil(copy, engines) -> None:
        fill(copy, engines)
        with (tmp_path / "backup.part").open("r+b") as file:
            file.seek(4 * 4096)
            file.write(b"\xff" * 4096)

    monkeypatch.setattr(sqlite_backup, "_fill", spoil)
    with pytest.raises(DatabaseError, match="not sound"):
        house.backup(tmp_path / "backup")
    assert [path.name for path in tmp_path.glob("backup*")] == []


@pytest.mark.parametrize("there", [True, False])
def test_a_dump_that_fails_leaves_nothing_and_says_why(there, tmp_path, monkeypatch):
    """Without the program, the sentence is the command to run elsewhere."""
    program = tmp_path / "pg_dump"
    program.write_text("#!/bin/sh\necho 'server version mismatch' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(postgres_backup, "PROGRAM", str(program) if there else "no-pg_dump")
    expected = (DatabaseError, "version mismatch") if there else (UsageError, "--format=custom")
    with pytest.raises(expected[0], match=expected[1]) as refused:
        postgres_backup.back_up("postgresql://u:s3cret@h/d", "public", tmp_path / "backup")
    assert "s3cret" not in refused.value.message
    with suppress(FileNotFoundError):
        (tmp_path / "backup").unlink()
        pytest.fail("half a backup was left")
