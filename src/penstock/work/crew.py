"""The crew: threads of this process that take jobs from the queue, and free those of the dead.

The queue's own worker is asynchronous; its event loop lives in a thread here and does not leave
this module. What it does not survive, a database that is away for instance, it begins anew.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status

from penstock.telemetry import event
from penstock.work.queue import PRIORITIES, RUN, SESSION
from penstock.work.task import Run, Task, attempt

BEAT_S, STALE_S = 10.0, 30.0
"""Between a crew's signs of life; without one for so long its jobs are free again. Well below the
time of a lease, so that the lease alone says when a stream goes on."""

RESCUE_S = 5.0
"""Between two looks for jobs that nobody works on any more."""

LONGEST_PAUSE_S = 30.0

_CONNECTIONS = 3
"""For fetching and finishing jobs, and one that listens for new ones."""


class Crew:
    """Works on jobs of the given queues, `slots` at a time. freed: called when one has ended."""

    def __init__(
        self,
        url: str,
        run: Run,
        slots: int,
        *,
        queues: Sequence[str] = tuple(PRIORITIES),
        freed: Callable[[], None] = lambda: None,
        stale_s: float = STALE_S,
    ) -> None:
        self.slots = slots

        self._url = url
        self._run = run
        self._queues = list(queues)
        self._freed = freed
        self._stale_s = stale_s
        self._under_way: set[int] = set()
        self._done: set[int] = set()
        self._loop = asyncio.SelectorEventLoop()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._live, name="penstock-crew", daemon=True)

    @property
    def busy(self) -> int:
        return len(self._under_way)

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()

    def close(self) -> None:
        """Take no more jobs."""
        self._loop.call_soon_threadsafe(self._closing.set)

    def ended(self, wait_s: float) -> bool:
        """Whether all that was under way has ended, waiting up to so many seconds for it."""
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    # ── in the crew's own thread ──

    def _live(self) -> None:
        self._loop.set_exception_handler(_tell_of_leftovers)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._work_on())

    async def _work_on(self) -> None:
        """Shift after shift, with pauses in between where one has failed."""
        self._loop.set_default_executor(ThreadPoolExecutor(self.slots, "penstock-work"))
        failures = 0
        while not self._closing.is_set():
            began, told = self._loop.time(), "the worker ended by itself"
            try:
                await self._shift()
            except Exception as error:
                told = _told(error)
            if not self._closing.is_set():
                failures = 1 if self._loop.time() - began > 2 * LONGEST_PAUSE_S else failures + 1
                event("crew.failing", logging.WARNING, failures=failures, error=told)
                await self._pause(min(2.0 ** (failures - 1), LONGEST_PAUSE_S))

    async def _shift(self) -> None:
        """From signing on to signing off; all jobs begun here have ended then."""
        app = self._app()
        async with app.open_async(), asyncio.TaskGroup() as group:
            worker = group.create_task(self._take_jobs(app))
            rescue = group.create_task(self._rescue_on(app))
            closing = group.create_task(self._closing.wait())
            await asyncio.wait({worker, closing}, return_when=asyncio.FIRST_COMPLETED)
            for task in (worker, rescue, closing):
                task.cancel()  # a worker that is canceled fetches nothing more and waits

    def _app(self) -> App:
        connector = PsycopgConnector(
            conninfo=self._url, kwargs=SESSION, min_size=1, max_size=_CONNECTIONS
        )
        app = App(connector=connector)
        app.task(name=RUN, pass_context=True)(self._work)
        return app

    async def _take_jobs(self, app: App) -> None:
        await app.run_worker_async(
            queues=self._queues,
            concurrency=self.slots,
            delete_jobs="always",
            install_signal_handlers=False,
            update_heartbeat_interval=min(BEAT_S, self._stale_s / 4),
            stalled_worker_timeout=self._stale_s,
        )

    def _work(
        self, context: JobContext, *, workspace: str, connection: str, stream: str, partition: str
    ) -> None:
        """One job, in a thread."""
        number = context.job.id
        assert number is not None  # it comes from the queue
        self._under_way.add(number)
        try:
            attempt(self._run, Task(workspace, connection, stream, partition))
        finally:
            self._under_way.discard(number)
            self._done.add(number)
            self._freed()

    async def _rescue_on(self, app: App) -> None:
        while True:
            forgotten, self._done = self._done, set()
            await asyncio.sleep(min(RESCUE_S, self._stale_s / 4))
            try:
                await self._rescue(app, forgotten)
            except ConnectorException as error:
                self._done |= forgotten
                event("crew.failing", logging.WARNING, part="rescue", error=_told(error))

    async def _rescue(self, app: App, forgotten: set[int]) -> None:
        """Free the locks of jobs whose worker is dead, and of our own that have ended while the
        queue did not hear it. Who should go on then is for the ticker and the lease to say."""
        manager = app.job_manager
        stalled = await manager.get_stalled_jobs(seconds_since_heartbeat=self._stale_s)
        doing = await manager.list_jobs_async(status="doing") if forgotten else ()
        for job in (*stalled, *(job for job in doing if job.id in forgotten)):
            try:
                await manager.finish_job(job, status=Status.FAILED, delete_job=True)
            except ConnectorException as error:  # another crew was quicker, or the next time
                event("job.rescued", logging.DEBUG, task=job.lock, error=_told(error))
                self._done |= {number for number in forgotten if number == job.id}
                continue
            event("job.rescued", logging.WARNING, task=job.lock)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return


def _tell_of_leftovers(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Of what nobody waits for any more: a job that ended after others had taken us for dead."""
    error = context.get("exception")
    told = _told(error) if error is not None else context.get("message")
    event("crew.leftover", logging.WARNING, error=told)


def _told(error: BaseException) -> str:
    """The innermost of errors that hold one another."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return repr(error.__cause__ or error)
