"""PostgreSQL passes the store contract; and what only PostgreSQL promises."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import inspect

from penstock.errors import (
    DatabaseError,
    StoreUnavailableError,
    UsageError,
    WriteConflictError,
)
from penstock.store import postgres_engine, schema
from penstock.store.postgres import PostgresStore
from penstock.store.postgres_documents import PostgresSession, driver
from penstock.store.postgres_engine import refuse_unfit
from penstock.store.roles import Store
from penstock.store.unit import write
from penstock.testing.store_case import placed
from penstock.testing.store_contract import StoreContract
from penstock.testing.store_worker import Worker
from tests.database import SERVER, empty_schema


@pytest.fixture
def url():
    with empty_schema() as made:
        yield made


@pytest.fixture
def store(url):
    with PostgresStore.open(url) as opened:
        yield opened


class TestPostgres(StoreContract):
    @pytest.fixture(autouse=True)
    def _place(self):
        with empty_schema() as self.url:
            yield
            for store in self._opened:
                store.close()

    def make_store(self) -> Store:
        return PostgresStore.open(self.url)


def columns(url):
    """Every table with its columns, their types and its indexes."""
    engines = postgres_engine.open_engines(url)
    with engines.reader.connect() as reading:
        seen = inspect(reading)
        found = {
            table: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in seen.get_columns(table)],
                seen.get_pk_constraint(table)["constrained_columns"],
                sorted(
                    (i["name"], i["column_names"], str(i.get("dialect_options")))
                    for i in seen.get_indexes(table)
                ),
                [f["referred_table"] for f in seen.get_foreign_keys(table)],
            )
            for table in sorted(seen.get_table_names())
        }
    engines.close()
    return found


class TestSchema:
    def test_a_new_database_equals_one_that_was_migrated(self, url):
        PostgresStore.open(url).close()
        with empty_schema() as other:
            assert schema.upgrade(other) == schema.SchemaState(schema.WANTED)
            assert columns(other) == columns(url)
        assert len(columns(url)) > 10

    def test_of_many_that_open_an_empty_database_one_makes_it(self, url):
        together, stores = threading.Barrier(6), []

        def open_it():
            together.wait()
            stores.append(PostgresStore.open(url))

        threads = [threading.Thread(target=open_it) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(stores) == 6
        for store in stores:
            store.close()

    def test_somebody_else_s_database_is_left_alone(self, url):
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE theirs (id bigint)")
        with pytest.raises(DatabaseError, match=r"other tables \(theirs\)"):
            PostgresStore.open(url)


class TestOpening:
    def test_says_what_is_wrong_with_the_address(self):
        with pytest.raises(UsageError, match="must be like postgresql://"):
            PostgresStore.open("postgresql://host:port/x")

    def test_of_a_database_that_is_not_there_says_what_to_do(self):
        missing = SERVER.rpartition("/")[0] + "/no_such_database"
        with pytest.raises(DatabaseError, match="create it with createdb"):
            PostgresStore.open(missing)

    def test_of_a_server_that_is_not_there_may_work_later(self):
        with pytest.raises(StoreUnavailableError, match="refused"):
            PostgresStore.open("postgresql://postgres@127.0.0.1:1/postgres")

    def test_refuses_a_server_that_does_not_sync(self, store):
        with driver(store._engines.writer) as connection:
            connection.execute("SET synchronous_commit = off")
            with pytest.raises(DatabaseError, match="set synchronous_commit=on"):
                refuse_unfit(connection)

    def test_a_password_is_never_shown(self):
        shown = postgres_engine.shown("postgresql://me:secret@host/db")
        assert shown == "postgresql://me:***@host/db"


class Slow:
    """A transaction of one invoice, taken apart: begun, written, committed when told."""

    def __init__(self, store, number, stream):
        self.worker = Worker(store, stream=stream)
        self.invoice = self.worker.invoice(number)
        self.lent = store._engines.writer.raw_connection()
        self.connection = self.lent.driver_connection

    def begin(self):
        self.connection.execute("SELECT pg_current_xact_id()")

    def write(self):
        write(PostgresSession(self.connection), self.worker.unit(self.invoice))

    def commit(self):
        self.connection.commit()
        self.lent.close()


VERBS = ("begin", "write", "commit")
STEPS = [
    order
    for order in set(
        itertools.permutations(["a.begin", "a.write", "a.commit", "b.begin", "b.write", "b.commit"])
    )
    if all(
        order.index(f"{who}.begin") < order.index(f"{who}.write") < order.index(f"{who}.commit")
        for who in "ab"
    )
]


class TestFeed:
    @pytest.mark.parametrize("order", sorted(STEPS), ids=" ".join)
    def test_two_writers_in_every_order_of_their_steps(self, store, order):
        """A follower that looks after every step sees each version once, in one order for ever."""
        writers = {name: Slow(store, name, f"stream_{name}") for name in "ab"}
        seen, position = [], 0
        for step in order:
            name, verb = step.split(".")
            getattr(writers[name], verb)()
            news = store.feed.read(position)
            seen += news
            position = news[-1].seq if news else position
        placed(store, 2)
        seen += store.feed.read(position)
        assert [item.seq for item in seen] == [1, 2]
        assert len({item.ref for item in seen}) == 2
        assert store.feed.read(0) == seen

    def test_nothing_is_placed_behind_a_transaction_that_is_still_open(self, store):
        slow, fast = Slow(store, "a", "stream_a"), Slow(store, "b", "stream_b")
        slow.begin()
        fast.begin()
        fast.write()
        fast.commit()
        assert store.feed.read(0) == []
        slow.write()
        slow.commit()
        assert [item.seq for item in placed(store, 2)] == [1, 2]

    def test_many_readers_place_each_item_once(self, store, url):
        worker = Worker(store)
        for number in range(20):
            worker.commit(worker.invoice(str(number)))
        others = [PostgresStore.open(url) for _ in range(4)]
        threads = [threading.Thread(target=other.feed.head) for other in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [item.seq for item in placed(store, 20)] == list(range(1, 21))
        for other in others:
            other.close()

    def test_what_waits_in_a_restored_database_is_placed_first(self, store, url):
        worker = Worker(store)
        worker.commit(worker.invoice("restored"))
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE feed_inbox SET txid = txid + 1000000000000")
        worker.commit(worker.invoice("new"))
        first, second = placed(store, 2)
        assert (first.seq, second.seq) == (1, 2)
        assert first.ref < second.ref


class TestConflicts:
    def test_two_who_make_the_same_document_at_once(self, store):
        slow = Slow(store, "1", "stream_a")
        slow.begin()
        slow.write()
        other = Worker(store, stream="stream_b")
        failed: list[Exception] = []

        def commit():
            try:
                other.commit(other.invoice("1"))
            except WriteConflictError as error:
                failed.append(error)

        thread = threading.Thread(target=commit)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive(), "it waits for the one who was first"
        slow.commit()
        thread.join(10)
        assert len(failed) == 1

    def test_writers_of_the_same_documents_in_other_orders_never_hang(self, store):
        """Both update the same two heads, and the order of rows is not that of locks."""
        worker = Worker(store)
        worker.commit(worker.invoice("1"), worker.invoice("2"))
        outcomes: list[str] = []

        def write_both(stream, numbers):
            mine = Worker(store, stream=stream)
            for attempt in range(20):
                made = [mine.next_version(n, f"{stream} {attempt}".encode()) for n in numbers]
                try:
                    mine.commit(*made)
                    outcomes.append("written")
                except WriteConflictError:
                    outcomes.append("conflict")

        threads = [
            threading.Thread(target=write_both, args=("stream_a", ["1", "2"])),
            threading.Thread(target=write_both, args=("stream_b", ["2", "1"])),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(outcomes) == 40
        written = outcomes.count("written")
        versions = store.reader.counts("default")["invoice"]["versions"]
        assert versions == 2 + 2 * written


class TestLostConnections:
    def test_a_commit_whose_backend_was_ended_writes_nothing_and_the_next_one_works(
        self, store, url
    ):
        worker = Worker(store)
        slow = Slow(store, "2", "stream_b")
        slow.begin()
        pid = slow.connection.info.backend_pid
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        with pytest.raises(psycopg.OperationalError):
            slow.write()
        slow.lent.invalidate()
        worker.commit(worker.invoice("1"))
        assert store.reader.counts("default")["invoice"]["documents"] == 1

    def test_all_backends_of_a_pool_may_be_ended_between_two_commits(self, store, url):
        worker = Worker(store)
        worker.commit(worker.invoice("1"))
        with psycopg.connect(url, autocommit=True) as connection:
            (ended,) = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE application_name = 'penstock' AND pid <> pg_backend_pid()"
                " AND pid = ANY(%s)",
                ([_pid(store)],),
            ).fetchone()
        assert ended == 1
        worker.commit(worker.invoice("2"))
        assert len(placed(store, 2)) == 2

    def test_a_frozen_transaction_does_not_hold_a_stream_for_ever(self, store):
        with driver(store._engines.writer) as connection:
            (kept,) = connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
        assert kept == "1min"


def _pid(store):
    with driver(store._engines.writer) as connection:
        return connection.info.backend_pid


def test_letters_point_at_no_place_in_a_page_that_was_not_kept(store):
    worker = Worker(store)
    unit = worker.unit()
    worker.commit(unit=replace(unit, letters=(worker.letter("1"),)))
    (letter,) = store.letters.list("default")
    assert (letter.page_no, letter.page_index) == (None, None)
