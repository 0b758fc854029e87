"""Making, checking and upgrading the schema."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from penstock.errors import DatabaseError
from penstock.store import schema
from penstock.store.sqlite import SqliteStore
from penstock.store.sqlite_build import driver
from penstock.testing.store_worker import Worker


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


def tables(path):
    """Every table by its columns and keys (a column that came later is written differently in its
    SQL), every index by its SQL."""
    connection = driver.connect(path)
    found = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name")
    rows = [row if row[0] == "index" else described(connection, row[1]) for row in found.fetchall()]
    connection.close()
    return rows


def described(connection, table: str):
    def pragma(name: str):
        return connection.execute(f"PRAGMA {name}({table})").fetchall()

    columns = [(*row[:4], row[4] and row[4].strip("'"), *row[5:]) for row in pragma("table_xinfo")]
    return table, columns, pragma("foreign_key_list"), pragma("table_list")


def stamp(path, revision: str) -> None:
    connection = driver.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.commit()
    connection.close()


def test_a_new_file_equals_one_that_was_migrated(url, path, tmp_path):
    SqliteStore.open(url).close()
    upgraded = schema.upgrade(f"sqlite:///{tmp_path}/migrated.db")
    assert upgraded == schema.SchemaState(schema.WANTED)
    assert tables(path) == tables(tmp_path / "migrated.db")
    assert len(tables(path)) > 10


def test_the_list_of_revisions_is_that_of_the_migrations():
    config = Config()
    config.set_main_option("script_location", "penstock.store:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert tuple(s.revision for s in scripts.walk_revisions())[::-1] == schema.REVISIONS


def test_upgrading_a_current_database_changes_nothing(url, path):
    with SqliteStore.open(url) as store:
        worker = Worker(store)
        worker.commit(worker.invoice("1"))
    before = tables(path)
    assert schema.upgrade(url).current
    assert tables(path) == before
    with SqliteStore.open(url) as store:
        assert store.feed.head() == 1


def test_checking_says_what_is_there_and_changes_nothing(url, path):
    with pytest.raises(DatabaseError, match="there is no database"):
        schema.check(url)
    path.touch()
    assert schema.check(url) == schema.SchemaState(None)
    assert path.read_bytes() == b""
    SqliteStore.open(url).close()
    assert schema.check(url).current


def test_an_older_schema_asks_for_the_upgrade(url, path, monkeypatch):
    SqliteStore.open(url).close()
    monkeypatch.setattr(schema, "REVISIONS", ("0000", schema.WANTED))
    stamp(path, "0000")
    with pytest.raises(DatabaseError, match="run `penstock db upgrade`"):
        SqliteStore.open(url)
    assert not schema.check(url).current


def test_a_newer_schema_asks_for_a_newer_penstock(url, path):
    SqliteStore.open(url).close()
    stamp(path, "9999")
    for attempt in (SqliteStore.open, schema.upgrade):
        with pytest.raises(DatabaseError, match=r"9999.* upgrade penstock"):
            attempt(url)


def test_a_database_of_somebody_else_is_left_alone(url, path):
    connection = driver.connect(path)
    connection.execute("CREATE TABLE albums (title)")
    connection.close()
    before = path.read_bytes()
    for attempt in (SqliteStore.open, schema.upgrade, schema.check):
        with pytest.raises(DatabaseError, match=r"other tables \(albums\)"):
            attempt(url)
    assert path.read_bytes() == before


def test_a_migration_killed_on_the_way_is_run_again(url, path):
    killed = subprocess.run(
        [sys.executable, "-c", f"from penstock.store import schema; schema.upgrade({url!r})"],
        env=os.environ | {"PENSTOCK_KILL_AT": "migrate.step:1"},
        check=False,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    assert schema.check(url) == schema.SchemaState(None)
    assert schema.upgrade(url).current


def test_two_processes_make_one_database(url):
    code = f"from penstock.store.sqlite import SqliteStore; SqliteStore.open({url!r}).close()"
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert schema.check(url).current


def test_a_database_made_between_looking_and_making_is_taken(url, monkeypatch):
    SqliteStore.open(url).close()
    monkeypatch.setattr(schema, "_look", lambda _engines: schema.SchemaState(None))
    with SqliteStore.open(url) as store:
        assert store.facts().schema_current
