"""The pool: threads that run what is due, in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from penstock.work.task import Run, Task, attempt


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

    def start(self) -> None:
        """It begins to work with its first task."""

    def offer(self, tasks: Sequence[Task]) -> int:
        """Begin tasks, in order, as many as there is room for, and none that is under way; how
        many."""
        with self._lock:
            new = [task for task in dict.fromkeys(tasks) if task not in self._under_way]
            begun = new[: max(self.room, 0)]
            for task in begun:
                self._under_way[task] = self._threads.submit(self._work, task)
            return len(begun)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def ended(self, wait_s: float) -> bool:
        """Whether all that was under way has ended, waiting up to so many seconds for it."""
        with self._lock:
            under_way = list(self._under_way.values())
        return not wait(under_way, timeout=wait_s).not_done

    def _work(self, task: Task) -> None:
        try:
            attempt(self._run, task)
        finally:
            with self._lock:
                del self._under_way[task]
            self._freed()
