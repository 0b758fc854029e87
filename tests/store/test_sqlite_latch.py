"""A disk that fails under a write: the process writes no more until the store is opened again.

The faults are the kernel's own: a log whose descriptor leads to a device that cannot be synced,
and a file that may not grow.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.errors import StoreUnavailableError
from penstock.model.unit import Checkpoint
from penstock.store.sqlite import SqliteStore
from penstock.testing.store_worker import NOW, Worker

OWN_FILES = Path("/proc/self/fd")

pytestmark = pytest.mark.skipif(
    not OWN_FILES.is_dir(), reason="needs /proc, to find SQLite's descriptor of the log"
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "store.db-wal"


@pytest.fixture
def store(log: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(url_of(log)) as opened:
        yield opened


def url_of(log: Path) -> str:
    return f"sqlite:///{log.with_name('store.db')}"


@contextmanager
def unsynced(log: Path) -> Iterator[None]:
    """Every write to the log succeeds, and its fsync fails."""
    found = [int(fd.name) for fd in OWN_FILES.iterdir() if fd.is_symlink() and fd.readlink() == log]
    assert found, "nobody has the log open"
    kept = {fd: os.dup(fd) for fd in found}
    nowhere = os.open("/dev/null", os.O_RDWR)
    for fd in kept:
        os.dup2(nowhere, fd)
        with pytest.raises(OSError, match="Invalid argument"):
            os.fsync(fd)
    try:
        yield
    finally:
        for fd, true in kept.items():
            os.dup2(true, fd)
            os.close(true)
        os.close(nowhere)


@contextmanager
def unwritten(log: Path) -> Iterator[None]:
    """Writing behind the present end of the log fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


Fault = Callable[[Path], AbstractContextManager[None]]
Write = Callable[[Worker], None]


def a_unit(worker: Worker) -> None:
    worker.store.documents.commit(worker.unit(worker.invoice("2")))


def a_letter(worker: Worker) -> None:
    worker.store.letters.write(replace(worker.unit(), letters=(worker.letter("3"),)))


def a_checkpoint(worker: Worker) -> None:
    worker.store.streams.set_checkpoint("default", "acme", "payments", Checkpoint(), now=NOW)


WRITES = [a_unit, a_letter, a_checkpoint]


@pytest.mark.parametrize("fault", [unsynced, unwritten])
@pytest.mark.parametrize("write", WRITES)
def test_after_a_disk_error_nothing_is_written(
    store: SqliteStore, log: Path, fault: Fault, write: Write
) -> None:
    worker = Worker(store)
    worker.commit(worker.invoice("1"))
    with fault(log), pytest.raises(StoreUnavailableError, match="disk reported an error") as fired:
        write(worker)
    assert fired.value.__cause__.sqlite_errorcode & 0xFF == 10
    for later in WRITES:
        with pytest.raises(StoreUnavailableError, match=r"writes no more: .*start penstock again"):
            later(worker)
    assert [d.source_id for d in store.reader.documents("default", "invoice")] == ["1"]


@pytest.mark.parametrize("fault", [unsynced, unwritten])
def test_opened_again_it_writes_on_from_what_was_acknowledged(log: Path, fault: Fault) -> None:
    with SqliteStore.open(url_of(log)) as store:
        worker = Worker(store)
        worker.commit(worker.invoice("1"))
        with fault(log), pytest.raises(StoreUnavailableError):
            a_unit(worker)
    with SqliteStore.open(url_of(log)) as store:
        assert [d.source_id for d in store.reader.documents("default", "invoice")] == ["1"]
        worker.store = store
        worker.commit(worker.invoice("2"))
        assert store.feed.head() == 2
