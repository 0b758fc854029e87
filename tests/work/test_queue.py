"""The queue on a real server: each task waits once, streams before backfills, never too many."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest

from penstock.errors import StoreUnavailableError
from penstock.store.postgres import PostgresStore
from penstock.work.crew import Crew
from penstock.work.queue import MOST_WAITING, Queue
from penstock.work.task import Task
from tests.database import empty_schema

STALE_S = 1.2


def task(number: int, partition: str = "") -> Task:
    return Task("default", "acme", f"stream_{number}", partition)


@pytest.fixture(scope="module")
def schema() -> Iterator[str]:
    with empty_schema() as url:
        PostgresStore.open(url).close()
        yield url


@pytest.fixture
def url(schema: str) -> str:
    ask(schema, "DELETE FROM procrastinate_jobs")
    return schema


@pytest.fixture
def queue(url: str) -> Iterator[Queue]:
    queue = Queue.open(url)
    yield queue
    queue.close()


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


class Hands:
    """Crews that note what they run, and are sent home in the end."""

    def __init__(self, url: str) -> None:
        self.ran: list[Task] = []
        self.some = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.may_end.set()

        self._url = url
        self._crews = ExitStack()

    def __enter__(self) -> Hands:
        return self

    def __exit__(self, *exc: object) -> None:
        self.may_end.set()
        self._crews.close()

    def hire(self, slots: int = 4, queues: tuple[str, ...] = ("streams", "backfills")) -> Crew:
        crew = Crew(self._url, self.run, slots, queues=queues, stale_s=STALE_S)
        crew.start()
        self._crews.callback(lambda: crew.ended(20) or pytest.fail("a crew does not go home"))
        self._crews.callback(crew.close)
        return crew

    def run(self, task: Task) -> None:
        self.ran.append(task)
        self.some.release()
        assert self.may_end.wait(20)

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.some.acquire(timeout=20)


class TestOffers:
    def test_a_task_waits_once(self, queue: Queue) -> None:
        assert queue.offer([task(1), task(2), task(1)]) == 2
        assert queue.offer([task(2), task(3)]) == 1

    def test_of_two_who_offer_the_same_at_once_one_has(self, url: str, queue: Queue) -> None:
        """As it is when neither has seen the other's: the unique index says so."""
        other = Queue.open(url)
        queue._waiting = other._waiting = list  # type: ignore[method-assign]
        assert queue.offer([task(1), task(2)]) == 2
        assert other.offer([task(2), task(3)]) == 1
        other.close()
        assert ask(url, "SELECT count(*) FROM procrastinate_jobs") == [(3,)]

    def test_what_waits_has_a_limit_for_each_queue(self, queue: Queue) -> None:
        assert queue.room == MOST_WAITING
        parts = [task(n, "1/2024") for n in range(MOST_WAITING + 10)]
        assert queue.offer(parts) == MOST_WAITING
        assert queue.room == MOST_WAITING  # of streams
        assert queue.offer([task(n) for n in range(MOST_WAITING + 10)]) == MOST_WAITING
        assert queue.room == 0

    def test_a_job_holds_names_and_nothing_else(self, url: str, queue: Queue) -> None:
        queue.offer([task(1, "1/2024")])
        assert ask(url, "SELECT args, lock, queue_name FROM procrastinate_jobs") == [
            (task(1, "1/2024")._asdict(), "default/acme/stream_1/1/2024", "backfills")
        ]

    def test_a_server_that_went_away_may_be_back_later(self, url: str, queue: Queue) -> None:
        ask(url, "ALTER TABLE procrastinate_jobs RENAME TO away")
        try:
            with pytest.raises(StoreUnavailableError, match="the queue does not answer"):
                queue.offer([task(1)])
        finally:
            ask(url, "ALTER TABLE away RENAME TO procrastinate_jobs")


class TestCrew:
    def test_runs_what_is_offered_and_leaves_nothing_behind(self, url: str, queue: Queue) -> None:
        with Hands(url) as hands:
            hands.hire()
            queue.offer([task(n) for n in range(20)])
            hands.wait_for(20)
        assert sorted(hands.ran) == sorted(task(n) for n in range(20))
        assert ask(url, "SELECT * FROM procrastinate_jobs") == []
        assert ask(url, "SELECT * FROM procrastinate_workers") == []

    def test_streams_go_before_backfills(self, url: str, queue: Queue) -> None:
        with Hands(url) as hands:
            queue.offer([task(1, "1/2024")])
            queue.offer([task(2)])
            hands.hire(slots=1)
            hands.wait_for(2)
        assert hands.ran == [task(2), task(1, "1/2024")]

    def test_may_work_on_one_queue_alone(self, url: str, queue: Queue) -> None:
        with Hands(url) as hands:
            queue.offer([task(1, "1/2024"), task(2)])
            hands.hire(queues=("backfills",))
            hands.wait_for(1)
        assert hands.ran == [task(1, "1/2024")]
        assert ask(url, "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'") == [(1,)]

    def test_one_job_of_a_stream_runs_at_a_time(self, url: str, queue: Queue) -> None:
        with Hands(url) as hands:
            hands.may_end.clear()
            hands.hire()
            queue.offer([task(1)])
            hands.wait_for(1)
            assert queue.offer([task(1)]) == 1  # it waits behind the first
            queue.offer([task(2)])
            hands.wait_for(1)
            assert hands.ran == [task(1), task(2)]
            hands.may_end.set()
            hands.wait_for(1)
        assert hands.ran[2] == task(1)

    def test_more_run_at_once_than_there_are_cores(self, url: str, queue: Queue) -> None:
        with Hands(url) as hands:
            hands.may_end.clear()
            hands.hire(slots=24)
            queue.offer([task(n) for n in range(24)])
            hands.wait_for(24)

    def test_frees_what_a_dead_one_worked_on(self, url: str, queue: Queue) -> None:
        queue.offer([task(1)])
        ask(
            url,
            "WITH dead AS (INSERT INTO procrastinate_workers (last_heartbeat)"
            " VALUES (now() - interval '1 hour') RETURNING id)"
            " UPDATE procrastinate_jobs SET status = 'doing', worker_id = dead.id FROM dead",
        )
        with Hands(url) as hands:
            hands.hire()
            assert queue.offer([task(1)]) == 1  # as the ticker does: it is still due
            hands.wait_for(1)
        assert ask(url, "SELECT * FROM procrastinate_jobs") == []

    def test_frees_its_own_whose_end_the_queue_did_not_hear(self, url: str, queue: Queue) -> None:
        ask(
            url,
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'not now'; END $$;"
            "CREATE TRIGGER refuse BEFORE DELETE ON procrastinate_jobs"
            " FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        with Hands(url) as hands:
            crew = hands.hire()
            queue.offer([task(1)])
            hands.wait_for(1)
            while crew.busy:
                pass
            ask(url, "DROP FUNCTION refuse CASCADE")
            left = ask(url, "SELECT status::text FROM procrastinate_jobs")
            assert left == [("doing",)], "the fault fired"
            queue.offer([task(1)])
            hands.wait_for(1)
            assert not crew.ended(0)

    def test_begins_anew_when_its_registration_is_gone(self, url: str, queue: Queue) -> None:
        """So it is after a long sleep: others took it for dead, and it cannot fetch any more."""
        with Hands(url) as hands:
            hands.hire()
            queue.offer([task(1)])
            hands.wait_for(1)
            ask(url, "DELETE FROM procrastinate_workers")
            queue.offer([task(2)])
            hands.wait_for(1)
        assert hands.ran == [task(1), task(2)]
