"""The queue: jobs in PostgreSQL that carry what is due to workers on any number of hosts.

A job is a hint, as a task is: one that is lost is offered again, one that is doubled finds the
lease taken. Nothing that must be true is kept here. The tables are made by our own revisions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from procrastinate import App, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Job
from procrastinate.schema import SchemaManager

from penstock.errors import DatabaseError, StoreUnavailableError
from penstock.telemetry import event
from penstock.work.task import Task

RUN = "penstock.run"
"""The one kind of job. Its arguments are names, for they are stored and logged in clear."""

STREAMS, BACKFILLS = "streams", "backfills"
PRIORITIES = {STREAMS: 10, BACKFILLS: 0}
"""Queues, and what each has for a priority: the higher one is worked on first."""

MOST_WAITING = 200
"""Jobs that wait in each queue, at most: what is due beyond that waits in the agenda, where it
costs nothing, and goes to the end of no line."""

SESSION = {"application_name": "penstock"}

LAST_TABLES = "03.04.00_50_post_add_retry_failed_job_procedure.sql"
"""The last of procrastinate's own migrations that our revisions contain."""


class Queue:
    """Offers tasks as jobs, each once while it waits."""

    def __init__(self, url: str) -> None:
        self._app = App(
            connector=SyncPsycopgConnector(conninfo=url, kwargs=SESSION, min_size=1, max_size=1)
        )
        self._known: frozenset[str] = frozenset()

    @classmethod
    def open(cls, url: str) -> Queue:
        """Raises DatabaseError for a queue newer than our tables, StoreUnavailableError."""
        refuse_newer_tables()
        queue = cls(url)
        with _translated():
            queue._app.open()
        return queue

    def close(self) -> None:
        self._app.close()

    @property
    def room(self) -> int:
        """How many more jobs are welcome in the emptiest queue."""
        waiting = self._waiting()
        return max(_room(name, waiting) for name in PRIORITIES)

    def offer(self, tasks: Sequence[Task]) -> int:
        """Enqueue tasks that do not wait already, in order; how many."""
        waiting = self._waiting()
        known = {job.queueing_lock for job in waiting}
        new = [job_of(task) for task in dict.fromkeys(tasks) if str(task) not in known]
        jobs: list[Job] = []
        for name in PRIORITIES:
            jobs += [job for job in new if job.queue == name][: _room(name, waiting)]
        return self._put(jobs)

    def _waiting(self) -> list[Job]:
        with _translated():
            return self._app.job_manager.list_jobs(task=RUN, status="todo")

    def _put(self, jobs: Sequence[Job]) -> int:
        if not jobs:
            return 0
        with _translated():
            try:
                return len(self._app.job_manager.batch_defer_jobs(list(jobs)))
            except AlreadyEnqueued:
                # Another ticker has put one of them there just now. Alone, each tells for itself.
                if len(jobs) == 1:
                    return 0
        return sum(self._put([job]) for job in jobs)


def job_of(task: Task) -> Job:
    """The job of a task: one at a time runs, by its lock, and one at a time waits."""
    name = BACKFILLS if task.partition else STREAMS
    return Job(
        queue=name,
        priority=PRIORITIES[name],
        lock=str(task),
        queueing_lock=str(task),
        task_name=RUN,
        task_kwargs=task._asdict(),
    )


def refuse_newer_tables() -> None:
    """Raises DatabaseError where the installed procrastinate wants tables that we do not make."""
    shipped = sorted(file.name for file in Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    if shipped[-1] > LAST_TABLES:
        raise DatabaseError(
            f"the installed procrastinate changes its tables ({shipped[-1]}), and this penstock "
            "does not know that change: install the version that penstock[postgres] was tried "
            "with, 3.10"
        )


def _room(name: str, waiting: Sequence[Job]) -> int:
    return max(MOST_WAITING - sum(job.queue == name for job in waiting), 0)


@contextmanager
def _translated() -> Iterator[None]:
    """The queue's failures as ours, for who works against the same database anyway."""
    try:
        yield
    except ConnectorException as error:
        event("queue.unavailable", logging.DEBUG, reason=repr(error.__cause__))
        raise StoreUnavailableError(
            f"the queue does not answer: {error.__cause__ or error}"
        ) from error
