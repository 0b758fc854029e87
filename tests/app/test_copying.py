"""A house moves from a file to a server: everything is there, in order, and work goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from penstock.app import App
from penstock.app.copying import copy
from penstock.errors import DatabaseError, StreamBusyError, UsageError
from penstock.model import times
from penstock.read.service import ReadService
from penstock.simulator import Company, serve
from penstock.store.rows import WorkerRow
from penstock.store.snapshot import _PARENT, LEFT_OUT, tables
from penstock.store.sqlite_build import driver
from penstock.store.tables import metadata
from penstock.testing.store_worker import Worker, connection
from penstock.work.lease import take
from tests.app.conftest import connect, documents, settings, truth
from tests.database import empty_schema


@pytest.fixture
def target() -> Iterator[str]:
    """The URL of an empty schema."""
    with empty_schema() as url:
        yield url


@pytest.fixture
def source(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/penstock.db"


def feed_of(app: App) -> list[tuple[int, int]]:
    return [(item.seq, item.ref) for item in app.store.feed.read(0, 100_000)]


def test_a_pulled_house_moves_and_goes_on_where_it_was(source, target):
    company = Company(seed=11, records=40, faulty=0.05)
    with serve(company) as provider:
        with App.open(settings(source)) as app:
            connect(app, provider)
            app.run("sim")
            before = (documents(app), app.read.counts(), feed_of(app), app.read.runs())
        copied = {table.table: table.rows for table in copy(source, target)}
        assert copied["document_versions"] == len(before[2]) > 20
        with App.open(settings(target)) as app:
            after = (documents(app), app.read.counts(), feed_of(app), app.read.runs())
            assert after == before
            again = app.run("sim", full=True)
            assert sum(report.counters.created + report.counters.updated for report in again) == 0
            company.tick()
            app.run("sim")
            assert documents(app) == truth(company)
            feed = feed_of(app)
            assert feed[: len(before[2])] == before[2]
            assert [seq for seq, _ in feed] == list(range(1, len(feed) + 1))


def test_one_workspace_moves_alone_with_its_feed_in_order(source, target):
    with App.open(settings(source)) as app:
        for number in range(4):
            for workspace in ("ours", "theirs"):
                app.store.connections.save(connection(workspace=workspace), {"key": b"1"}, now=1)
                worker = Worker(app.store, workspace=workspace)
                worker.commit(worker.invoice(str(number)))
                app.store.streams.release_all("")
        theirs = [
            document.version_no
            for number in range(4)
            for document in app.store.reader.find("theirs", "invoice", str(number))
        ]
    copied = {table.table: table.rows for table in copy(source, target, "theirs")}
    assert (copied["documents"], copied["feed"], copied["secrets"], copied["runs"]) == (4, 4, 1, 4)
    with App.open(settings(target)) as app:
        assert feed_of(app) == list(enumerate(theirs, 1))
        assert app.store.connections.list("ours") == []
        worker = Worker(app.store, workspace="theirs")
        worker.commit(worker.invoice("9"))
        assert documents(replace(app, read=ReadService(app.store, "theirs"))) == {"invoice": 5}
    with pytest.raises(UsageError, match="no workspace 'nobody'; it has: ours, theirs"):
        copy(source, target, "nobody")


def test_a_target_that_is_not_empty_is_refused_and_left_alone(source, target):
    with App.open(settings(target)) as app:
        app.store.connections.save(connection(), {}, now=1)
    with App.open(settings(source)) as app:
        app.store.connections.save(connection("other"), {}, now=1)
    with pytest.raises(UsageError, match="not empty: connections has 1 rows"):
        copy(source, target)
    with App.open(settings(target)) as app:
        assert [each.name for each in app.store.connections.list()] == ["acme"]


def test_a_source_that_somebody_works_on_is_refused(source, target):
    with App.open(settings(source)) as app:
        streams, clock = app.store.streams, app.clock
        held = take(streams, "default", "acme", "invoices", wait_s=0, clock=clock)
        with pytest.raises(StreamBusyError, match=f"process {os.getpid()} .* stop it first"):
            copy(source, target)
        streams.release(held.lease)
        me = WorkerRow(held.lease.owner, "serve", "0.1.0", 8, 0, 0, times.microseconds(clock.now()))
        app.store.workers.beat(me, forget_before=0)
        with pytest.raises(StreamBusyError, match="stop it first"):
            copy(source, target)
        app.store.workers.leave(held.lease.owner)
        assert len(copy(source, target)) > 10


def test_a_copy_that_was_killed_left_nothing_and_is_made_again(source, target):
    with App.open(settings(source)) as app:
        worker = Worker(app.store, owner="nobody")
        worker.commit(worker.invoice("1"))
        app.store.streams.release_all("")
    code = "import sys; from penstock.app.copying import copy; copy(*sys.argv[1:])"
    killed = subprocess.run(
        [sys.executable, "-c", code, source, target],
        env=os.environ | {"PENSTOCK_KILL_AT": "copy.before_commit:1"},
        check=False,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    with App.open(settings(target)) as app:
        assert documents(app) == {}
    copy(source, target)
    with App.open(settings(target)) as app:
        assert documents(app) == {"invoice": 1}


def test_what_came_out_otherwise_is_not_kept(source, target):
    """A trigger on the target changes what is written there."""
    with App.open(settings(source)) as app:
        app.store.connections.save(connection(), {}, now=1)
    App.open(settings(target)).close()
    with psycopg.connect(target, autocommit=True) as server:
        server.execute(
            "CREATE FUNCTION twist() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN NEW.mode = 'twisted'; RETURN NEW; END $$"
        )
        server.execute(
            "CREATE TRIGGER twist BEFORE INSERT ON connections FOR EACH ROW EXECUTE "
            "FUNCTION twist()"
        )
    with pytest.raises(DatabaseError, match="connections came out otherwise"):
        copy(source, target)
    with psycopg.connect(target) as server:
        assert server.execute("SELECT count(*) FROM connections").fetchone() == (0,)


def test_a_text_that_the_server_cannot_hold_is_named(source, target):
    with App.open(settings(source)) as app:
        Worker(app.store)
        app.store.streams.release_all("")
    with driver.connect(source.removeprefix("sqlite:///")) as file:
        file.execute("UPDATE runs SET message = ?", ("a\0b",))
    with pytest.raises(DatabaseError, match=r"row 1 of runs .*NUL"):
        copy(source, target)


def test_other_databases_are_refused_with_a_sentence(source):
    for urls, said in (
        (("postgresql://h/d", "postgresql://h/d"), "the source is sqlite"),
        ((source, source), "the target is postgresql"),
        ((source, "postgresql://h/d"), "there is no database"),
    ):
        with pytest.raises((UsageError, DatabaseError), match=said):
            copy(*urls)


def test_every_table_is_copied_or_left_out_on_purpose():
    everywhere = {table for table in metadata.sorted_tables if "dialect" not in table.info}
    assert set(tables()) == everywhere - set(LEFT_OUT)
    assert all("workspace" in table.c or table in _PARENT for table in tables())
