"""Aside: a chore that may take long is done in a thread of its own, so that the ticker goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from penstock.errors import PenstockError
from penstock.telemetry import event


class Aside:
    """Calls `do` when it is called, unless the last call is still under way."""

    def __init__(self, name: str, do: Callable[[], object]) -> None:
        self._name = name
        self._do = do

        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Begin, or let it be; what it raises is logged and no reason to stop."""
        if self._thread is not None and self._thread.is_alive():
            return
        name = f"penstock-{self._name}"
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """True where nothing is under way any more."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def _work(self) -> None:
        try:
            self._do()
        except PenstockError as error:
            event("chore.failed", logging.WARNING, chore=self._name, reason=error.code)
        except Exception as error:
            event("chore.broken", logging.ERROR, chore=self._name, error=repr(error)[:500])
