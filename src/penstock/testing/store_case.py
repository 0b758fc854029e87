"""What every test of the store contract stands on: a store, opened as often as needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from penstock.store.roles import Store
from penstock.store.rows import FeedItem
from penstock.testing.store_worker import Worker

PATIENCE_S = 60.0

Refusal = TypeVar("Refusal", bound=Exception)


class StoreCase:
    """Holds the stores of one test. A backend overrides `make_store`."""

    def make_store(self) -> Store:
        """Open the database of this test: empty at first, the same at every call."""
        raise NotImplementedError

    @cached_property
    def store(self) -> Store:
        return self.open_again()

    @cached_property
    def _opened(self) -> list[Store]:
        return []

    def open_again(self) -> Store:
        """One more opening of the same database, as another process would have it."""
        self._opened.append(self.make_store())
        return self._opened[-1]

    def teardown_method(self) -> None:
        for store in self._opened:
            store.close()

    def all_there_is(self, worker: Worker) -> tuple[object, ...]:
        store = self.store
        return (
            store.reader.documents("default", "invoice"),
            store.letters.list("default", state=None),
            store.streams.list("default"),
            store.runs.get(worker.run_no),
            placed(store, sum(c["versions"] for c in store.reader.counts("default").values())),
            store.reader.page(1),
        )


def placed(store: Store, items: int) -> list[FeedItem]:
    """The feed, once it holds so many items: a server places nothing behind its oldest open
    transaction, whoever's that is."""
    deadline = time.monotonic() + PATIENCE_S
    while store.feed.head() < items and time.monotonic() < deadline:
        time.sleep(0.01)
    return store.feed.read(0, 100_000)


def refusal(kind: type[Refusal], call: Callable[[], object]) -> Refusal:
    """The error that the call raises; an AssertionError where it raises none."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def in_threads(*calls: Callable[[], object]) -> None:
    """Run them at once; the first error of any is raised here."""
    errors: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive(), "a store call hangs"
    if errors:
        raise errors[0]
