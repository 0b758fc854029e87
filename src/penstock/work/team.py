"""Who derives spans of versions: this process, some beside it, or the workers of a Dask cluster.

All get the same spans and answer in their order, so what comes of them is the same.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

import msgspec

from penstock.errors import RouteFailedError, UsageError
from penstock.pipeline.collector import collect_seldom
from penstock.pipeline.derivation import Derived, Deriver, Span

AHEAD = 2
"""Spans under way for each worker: enough that none waits, and few results lie in memory."""

_CONNECT_S = 10

Task = Callable[[Span], bytes]
"""Derives a span in whichever process it is called, and answers as MessagePack."""


class Team(Protocol):
    @property
    def size(self) -> int:
        """How many derive at once."""

    def derive(self, spans: Iterable[Span]) -> Iterator[Derived]:
        """What each span comes to, in order. Raises RouteFailedError where workers die."""

    def close(self) -> None: ...


class Alone:
    """This process, one span after the other."""

    size = 1

    def __init__(self, deriver: Deriver) -> None:
        self._deriver = deriver

    def derive(self, spans: Iterable[Span]) -> Iterator[Derived]:
        return map(self._deriver.derive, spans)

    def close(self) -> None:
        """There is nothing."""


class Processes:
    """Processes on this host, which end with us."""

    def __init__(self, task: Task, size: int) -> None:
        self.size = size
        self._task = task

        self._pool = ProcessPoolExecutor(
            size, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
        )

    def derive(self, spans: Iterable[Span]) -> Iterator[Derived]:
        try:
            yield from _in_order(
                lambda span: self._pool.submit(self._task, span), spans, self.size * AHEAD
            )
        except BrokenProcessPool as error:
            raise RouteFailedError(
                "a process that derived records ended before its time: memory ran out, or the "
                "mapping ended it. What was applied stays, and the same command goes on"
            ) from error

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class OnDask:
    """The workers of a Dask cluster. Each reads the database and has the connector installed."""

    def __init__(self, task: Task, address: str) -> None:
        """Raises UsageError where Dask is missing or no worker is there."""
        try:
            from distributed import Client
        except ModuleNotFoundError as error:
            raise UsageError("--scheduler needs Dask: pip install 'penstock[dask]'") from error
        try:
            connect: Any = Client  # it has no types
            self._client = connect(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(f"no Dask scheduler answers at {address}: {error}") from error
        self.size = sum(self._client.nthreads().values())
        if not self.size:
            self.close()
            raise UsageError(f"the Dask scheduler at {address} has no workers")
        self._task = task

    def derive(self, spans: Iterable[Span]) -> Iterator[Derived]:
        from distributed import KilledWorker

        def submit(span: Span) -> Any:
            return self._client.submit(self._task, span, pure=False)

        try:
            yield from _in_order(submit, spans, self.size * AHEAD)
        except KilledWorker as error:
            raise RouteFailedError(
                "the workers that derived a span died again and again: memory ran out, or the "
                "mapping ended them. What was applied stays, and the same command goes on"
            ) from error

    def close(self) -> None:
        self._client.close()


def _in_order(
    submit: Callable[[Span], Any], spans: Iterable[Span], ahead: int
) -> Iterator[Derived]:
    """Some spans are under way while the first one's answer is waited for."""
    pending: deque[Any] = deque()
    try:
        for span in spans:
            pending.append(submit(span))
            if len(pending) >= ahead:
                yield _decoded(pending.popleft().result())
        while pending:
            yield _decoded(pending.popleft().result())
    finally:
        for future in pending:
            future.cancel()


def _decoded(answer: bytes) -> Derived:
    return msgspec.msgpack.decode(answer, type=Derived)


def _begin() -> None:
    """What a mapping prints must not stand among what the command prints, and of Ctrl-C the first
    process takes care."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    collect_seldom()
