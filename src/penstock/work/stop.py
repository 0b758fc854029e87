"""Being stopped: what runs ends at its next page, and nobody sleeps through it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from queue import SimpleQueue

from penstock.clock import Clock
from penstock.errors import StoppedError

STOPPING = "the worker was stopped; the stream goes on from its last page"
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Stop:
    """Asked for once, and seen by every thread; asked twice, pages under way are not waited for.

    Never ask from within a signal handler (see `at_signals`): it may interrupt the very lock it
    needs.
    """

    _asked: threading.Event = field(default_factory=threading.Event)
    _urgent: threading.Event = field(default_factory=threading.Event)
    _told: list[Callable[[], None]] = field(default_factory=list)

    @property
    def is_asked(self) -> bool:
        return self._asked.is_set()

    @property
    def is_urgent(self) -> bool:
        return self._urgent.is_set()

    def tell(self, wake: Callable[[], None]) -> None:
        """Call this as well when the stop is asked for: for who waits for something else."""
        self._told.append(wake)

    def ask(self) -> None:
        if self.is_asked:
            self._urgent.set()
        self._asked.set()
        for wake in self._told:
            wake()

    def wait(self, seconds: float) -> bool:
        """True as soon as it is asked for, False after so many seconds."""
        return self._asked.wait(seconds)

    def grace(self, ended: Callable[[float], bool], grace_s: float, clock: Clock) -> bool:
        """Whether all has ended within the grace time. ended: waits up to so many seconds for it.

        A stop that has become urgent ends the wait.
        """
        until = clock.monotonic() + grace_s
        while not ended(LOOK_S):
            if self.is_urgent or clock.monotonic() >= until:
                return False
        return True

    def between_pages(self) -> None:
        """Raises StoppedError where it is asked for."""
        if self.is_asked:
            raise StoppedError(STOPPING)


@contextmanager
def at_signals(stop: Stop) -> Iterator[None]:
    """Ask for the stop at SIGTERM and Ctrl-C, within. To be used by the main thread.

    A handler interrupts whatever the main thread is doing, a lock it holds included, so it only
    puts a word into a queue that may be interrupted; a thread hears it. Whoever was asked to stop
    ends well: further signals, while the process goes down, are ignored.
    """
    heard: SimpleQueue[int] = SimpleQueue()

    def listen() -> None:
        while heard.get():
            stop.ask()

    def handle(number: int, _frame: object) -> None:
        heard.put(number)

    threading.Thread(target=listen, name="penstock-signals", daemon=True).start()
    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if stop.is_asked else handler)
        heard.put(0)


@dataclass(frozen=True, slots=True)
class StoppableClock:
    """A clock on which one sleeps until the stop at the latest. Its sleep raises StoppedError."""

    clock: Clock
    stop: Stop

    def now(self) -> datetime:
        return self.clock.now()

    def monotonic(self) -> float:
        return self.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise StoppedError(STOPPING)
