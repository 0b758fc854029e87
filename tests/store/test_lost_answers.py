"""The connection breaks while the server commits: nobody knows, and afterwards it is right."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from sqlalchemy import make_url

from penstock.clock import SystemClock
from penstock.errors import StoreUnavailableError
from penstock.store.postgres import PostgresStore
from penstock.testing.store_worker import Worker
from penstock.work.lease import take
from tests.database import empty_schema

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""As the driver says it."""


class Wire:
    """Between store and server. Armed, it breaks at the next COMMIT: the client hears no answer.

    passing: whether the server hears the COMMIT first, and has done it by then.
    """

    def __init__(self, host: str, port: int) -> None:
        self.passing: bool | None = None
        self.broke = 0

        self._server = (host, port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def close(self) -> None:
        """When both ends are closed."""
        _shut(self._door)
        for thread in self._threads:
            thread.join()
        self._door.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                self._threads.append(threading.Thread(target=self._join, args=(client,)))
                self._threads[-1].start()

    def _join(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            answering = threading.Thread(target=_pass_on, args=(server, client))
            answering.start()
            self._ask(client, server)
            answering.join()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while said := client.recv(1 << 16):
                if self.passing is not None and COMMIT in said:
                    self._break(client, server, said)
                    break
                server.sendall(said)
        _shut(server)

    def _break(self, client: socket.socket, server: socket.socket, said: bytes) -> None:
        """The way back first, so that no answer comes through."""
        passing, self.passing = self.passing, None
        self.broke += 1
        _shut(client)
        if passing:
            server.sendall(said)


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while said := source.recv(1 << 16):
            sink.sendall(said)
    _shut(sink)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire_and_store() -> Iterator[tuple[Wire, PostgresStore]]:
    with empty_schema() as url:
        address = make_url(url)
        wire = Wire(address.host or "127.0.0.1", address.port or 5432)
        through = address.set(host="127.0.0.1", port=wire.port)
        with PostgresStore.open(through.render_as_string(hide_password=False)) as store:
            yield wire, store
        wire.close()


@pytest.mark.parametrize("passing", [True, False], ids=["it was committed", "it was not"])
def test_a_commit_without_an_answer_is_there_once(
    wire_and_store: tuple[Wire, PostgresStore], passing: bool
) -> None:
    wire, store = wire_and_store
    worker = Worker(store)
    worker.commit(worker.invoice("1"))
    for number in ("2", "3", "4"):
        wire.passing = passing
        worker.commit(worker.invoice(number))
    assert wire.broke == 3
    counts = store.reader.counts("default")["invoice"]
    assert (counts["documents"], counts["versions"]) == (4, 4)
    numbers = sorted(d.version_no for d in store.reader.documents("default", "invoice"))
    assert numbers == ([1, 2, 3, 4] if passing else [1, 3, 5, 7]), "a unit is written where needed"
    run = store.runs.get(worker.run_no)
    assert run is not None
    assert run.counters.created == 4
    state = store.streams.get("default", "acme", "invoices")
    assert state is not None
    assert state.unit_no == 4


@pytest.mark.parametrize("passing", [True, False], ids=["it was claimed", "it was not"])
def test_a_claim_without_an_answer_blocks_nobody(
    wire_and_store: tuple[Wire, PostgresStore], passing: bool
) -> None:
    """Who claimed does not know that the lease is theirs, and the process lives on."""
    wire, store = wire_and_store
    place = ("default", "acme", "invoices")
    wire.passing = passing
    with pytest.raises(StoreUnavailableError):
        take(store.streams, *place, wait_s=0, clock=SystemClock())
    assert wire.broke == 1
    held = take(store.streams, *place, wait_s=0, clock=SystemClock())
    assert held.lease.epoch == (2 if passing else 1)
