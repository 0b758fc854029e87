"""The pool: threads that run what is due, in this process."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from penstock.errors import PenstockError
from penstock.telemetry import event
from penstock.work.task import Task

Run = Callable[[Task], None]


class Pool:
    """Runs tasks in `slots` threads, a task once at a time. freed: called when one has ended."""

    def __init__(self, run: Run, slots: int, freed: Callable[[], None] = lambda: None) -> None:
        self.slots = slots

        self._run = run
        self._freed = freed
        self._lock = threading.Lock()
        self._under_way: dict[Task, Future[None]] = {}
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="penstock-work")

    @property
    def busy(self) -> int:
        return len(self._under_way)

    @property
    def room(self) -> int:
        """How many more tasks would begin at once."""
        return self.slots - self.busy

    @property
    def tasks(self) -> list[Task]:
        """What is under way."""
        with self._lock:
            return list(self._under_way)

    def offer(self, task: Task) -> bool:
        """Begin a task; False where it is under way or there is no room."""
        with self._lock:
            if self.room <= 0 or task in self._under_way:
                return False
            self._under_way[task] = self._threads.submit(self._work, task)
            return True

    def close(self, grace_s: float) -> bool:
        """Wait for what is under way; True where all of it has ended in time."""
        with self._lock:
            under_way = list(self._under_way.values())
        self._threads.shutdown(wait=False, cancel_futures=True)
        return not wait(under_way, timeout=grace_s).not_done

    def _work(self, task: Task) -> None:
        try:
            self._run(task)
        except PenstockError as error:
            event("task.failed", logging.WARNING, task=str(task), reason=error.code)
        except Exception:
            told = traceback.format_exc(limit=-5)
            event("task.broken", logging.ERROR, task=str(task), trace=told)
        finally:
            with self._lock:
                del self._under_way[task]
            self._freed()
