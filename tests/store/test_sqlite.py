"""SQLite passes the store contract; and what only SQLite promises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.errors import DatabaseError, StoreUnavailableError, WriteConflictError
from penstock.model.unit import Checkpoint
from penstock.store import sqlite as sqlite_module
from penstock.store.roles import Store
from penstock.store.sqlite import SqliteStore
from penstock.store.sqlite_build import driver
from penstock.store.sqlite_documents import HEADS
from penstock.testing.store_contract import StoreContract
from penstock.testing.store_worker import NOW, Worker, page


class TestSqlite(StoreContract):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        self.url = f"sqlite:///{tmp_path}/store.db"

    def make_store(self) -> Store:
        return SqliteStore.open(self.url)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def store(url):
    with SqliteStore.open(url) as opened:
        yield opened


def writer_of(store):
    """The driver's own connection behind the store."""
    return store._engines.writer.raw_connection().driver_connection


def child(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# ── opening ──


def test_in_memory_means_a_file_that_goes_with_the_store():
    with SqliteStore.open("sqlite://") as store:
        folder = store._file.path.parent
        worker = Worker(store)
        worker.commit(worker.invoice("1"))
        assert store.reader.counts("default")["invoice"]["documents"] == 1
        assert folder.exists()
    assert not folder.exists()


def test_two_stores_in_memory_are_two():
    with SqliteStore.open("sqlite://") as one, SqliteStore.open("sqlite://") as other:
        Worker(one)
        assert other.streams.list("default") == []


def test_a_missing_database_is_not_made_unless_asked(url, tmp_path):
    with pytest.raises(DatabaseError, match="there is no database at"):
        SqliteStore.open(url, create=False)
    assert list(tmp_path.iterdir()) == []


def test_the_promised_settings_hold(store):
    facts = store.facts()
    assert facts.settings["journal_mode"] == "wal"
    assert facts.settings["synchronous"] == 2
    assert facts.settings["foreign_keys"] == 1
    assert facts.settings["busy_timeout"] == 5000
    assert facts.dialect == "sqlite"


def test_an_affected_build_says_so_and_keeps_the_file_for_itself(monkeypatch, url):
    monkeypatch.setattr(sqlite_module, "hazard", lambda _version: "has the race")
    with SqliteStore.open(url) as store:
        assert store.facts().hazards == ("has the race",)
        with pytest.raises(StoreUnavailableError, match="is open in another process"):
            SqliteStore.open(url)
        monkeypatch.undo()
        with pytest.raises(StoreUnavailableError, match="is open in another process"):
            SqliteStore.open(url)  # a sound build keeps out of its way, too
    SqliteStore.open(url).close()


def test_the_standard_library_serves_where_there_is_no_wheel(url):
    done = child(
        "import sys; sys.modules['pysqlite3'] = None\n"
        "from penstock.store import sqlite_build\n"
        "from penstock.store.sqlite import SqliteStore\n"
        "from penstock.testing.store_worker import Worker\n"
        "with SqliteStore.open(sys.argv[1]) as store:\n"
        "    worker = Worker(store); worker.commit(worker.invoice('1'))\n"
        "    assert store.facts().driver_version.startswith('sqlite3 ')\n"
        "    sound = sqlite_build.hazard(sqlite_build.VERSION) is None\n"
        "    assert sound == (store.facts().hazards == ())\n",
        url,
    )
    assert done.returncode == 0, done.stderr
    with SqliteStore.open(url) as store:
        assert store.feed.head() == 1


def test_opening_and_committing_need_no_migration_tool(url):
    code = (
        "import sys\n"
        "from penstock.store.sqlite import SqliteStore\n"
        "from penstock.testing.store_worker import Worker\n"
        "for _ in range(2):\n"
        "    with SqliteStore.open(sys.argv[1]) as store:\n"
        "        run = store.runs.list('default')\n"
        "assert 'alembic' not in sys.modules\n"
        "assert 'pytest' not in sys.modules\n"
    )
    done = child(code, url)
    assert done.returncode == 0, done.stderr


# ── a crash at any moment ──

BEFORE = (
    "commit.fenced",
    "commit.page",
    "commit.versions",
    "commit.letters",
    "commit.checkpoint",
    "page.before_commit",
)

DIES_IN_ITS_SECOND_UNIT = """
import sys
from dataclasses import replace
from penstock.model.unit import Checkpoint
from penstock.store.sqlite import SqliteStore
from penstock.testing.store_worker import Worker, page

worker = Worker(SqliteStore.open(sys.argv[1]))
worker.commit(worker.invoice("1"))
worker.commit(unit=replace(
    worker.unit(worker.invoice("2"), worker.next_version("1", b"changed")),
    pages=(page(),), letters=(worker.letter("3"),), checkpoint=Checkpoint("second"),
))
"""


def what_stands(store):
    state = store.streams.get("default", "acme", "invoices")
    run = store.runs.get(1)
    return (
        [(d.source_id, d.version) for d in store.reader.documents("default", "invoice")],
        store.feed.head(),
        len(store.letters.list("default")),
        (state.unit_no, state.cursor),
        run.counters.created,
        store.reader.page(1) is not None,
    )


@pytest.mark.parametrize("point", BEFORE)
def test_killed_before_the_commit_nothing_of_the_unit_is_there(url, point):
    done = child(DIES_IN_ITS_SECOND_UNIT, url, PENSTOCK_KILL_AT=f"{point}:2")
    assert done.returncode == -signal.SIGKILL, done.stderr
    with SqliteStore.open(url) as store:
        assert what_stands(store) == ([("1", 1)], 1, 0, (1, None), 1, False)


def test_killed_after_the_commit_all_of_the_unit_is_there(url):
    done = child(DIES_IN_ITS_SECOND_UNIT, url, PENSTOCK_KILL_AT="page.after_commit:2")
    assert done.returncode == -signal.SIGKILL, done.stderr
    with SqliteStore.open(url) as store:
        assert what_stands(store) == ([("1", 2), ("2", 1)], 3, 1, (2, "second"), 3, True)


# ── a disk that does not do what it should ──


def test_a_full_disk_refuses_the_unit_and_loses_nothing(store):
    worker = Worker(store)
    worker.commit(worker.invoice("1"))
    connection = writer_of(store)
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    big = replace(worker.unit(worker.invoice("2")), pages=(page(b"x" * 100_000),))
    with pytest.raises(StoreUnavailableError, match="the disk is full"):
        store.documents.commit(big)
    assert [d.source_id for d in store.reader.documents("default", "invoice")] == ["1"]
    connection.execute("PRAGMA max_page_count=1000000")
    worker.commit(unit=big)
    assert len(store.reader.documents("default", "invoice")) == 2


def test_a_file_locked_by_another_process_is_unavailable(url, store):
    worker = Worker(store)
    writer_of(store).execute("PRAGMA busy_timeout=0")
    with SqliteStore.open(url) as other:
        holding = writer_of(other)
        holding.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked by another process"):
            worker.commit(worker.invoice("1"))
        with pytest.raises(StoreUnavailableError, match="locked by another process"):
            store.streams.set_checkpoint("default", "b", "c", Checkpoint(), now=NOW)
        holding.execute("ROLLBACK")
    worker.commit(worker.invoice("1"))


def test_a_file_that_became_read_only_is_unavailable(store):
    worker = Worker(store)
    writer_of(store).execute("PRAGMA query_only=1")
    with pytest.raises(StoreUnavailableError, match="read-only"):
        worker.commit(worker.invoice("1"))
    assert store.feed.head() == 0


def test_a_damaged_file_is_named_as_such(url, tmp_path):
    with SqliteStore.open(url) as store:
        worker = Worker(store)
        worker.commit(*(worker.invoice(str(n)) for n in range(200)))
    file = tmp_path / "store.db"
    whole = file.read_bytes()
    file.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with (
        pytest.raises(DatabaseError, match="damaged"),
        SqliteStore.open(url) as store,
    ):
        store.reader.documents("default", "invoice")


def test_a_file_of_another_kind_is_refused(url, tmp_path):
    (tmp_path / "store.db").write_bytes(b"not a database, " * 1000)
    with pytest.raises(DatabaseError, match="no SQLite database"):
        SqliteStore.open(url)


# ── the layout ──


def plan(store, sql: str, *values: object) -> str:
    steps = writer_of(store).execute("EXPLAIN QUERY PLAN " + sql, values)
    return "; ".join(step[3] for step in steps)


def test_hot_reads_go_by_one_key(store):
    heads = plan(store, HEADS.format("(?), (?)"), b"1", b"2")
    assert "SEARCH documents USING INDEX sqlite_autoindex_documents_1 (document_id=?)" in heads
    assert "SCAN documents" not in heads


def test_lists_need_no_sorting(store):
    listed = plan(
        store,
        "SELECT * FROM documents WHERE workspace = ? AND connection = ? AND document_type = ? "
        "AND source_id > ? ORDER BY source_id LIMIT 10",
        *("default", "acme", "invoice", "1"),
    )
    assert "documents_source (workspace=? AND connection=? AND document_type=?" in listed
    assert "TEMP B-TREE" not in listed


def test_the_database_itself_refuses_a_fork_of_the_chain(store):
    worker = Worker(store)
    worker.commit(worker.invoice("1"), worker.invoice("2"))
    worker.commit(worker.next_version("1", b"{}"))
    insert = (
        "INSERT INTO document_versions SELECT 100, workspace, document_id, version, 1, state, "
        "contract_version, payload_hash, source_version, source_updated_at, as_of, flags, run_no, "
        "page_no, page_index, recorded_at, content FROM document_versions WHERE version_no = 1"
    )
    with pytest.raises(driver.IntegrityError, match=r"document_versions\.previous"):
        writer_of(store).execute(insert)


def test_rows_append_in_order_of_arrival(store):
    worker = Worker(store)
    worker.commit(*(worker.invoice(str(n)) for n in range(50)))
    arrived = writer_of(store).execute("SELECT source_id FROM documents ORDER BY rowid").fetchall()
    assert arrived == [(str(n),) for n in range(50)]


def test_a_conflict_is_only_what_exists_already(store):
    worker = Worker(store)
    nameless = worker.invoice("1")._replace(source_id=None)
    with pytest.raises(driver.IntegrityError, match="NOT NULL"):
        worker.commit(nameless)
    worker.commit(worker.invoice("1"))
    with pytest.raises(WriteConflictError):
        worker.commit(worker.invoice("1"))


def test_readers_cannot_write(store):
    connection = store._engines.reader.raw_connection().driver_connection
    with pytest.raises(driver.OperationalError, match="readonly"):
        connection.execute("DELETE FROM documents")


def test_the_file_is_given_back_when_closed(url, tmp_path):
    store = SqliteStore.open(url)
    Worker(store)
    store.close()
    store.close()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"store.db", "store.db-lock"}
    assert Path(tmp_path / "store.db").stat().st_size > 0
