"""Connections to an SQLite file, opened one way: durable, checked, one writer and many readers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.pool import QueuePool

from penstock.errors import DatabaseError
from penstock.store.engines import Engines
from penstock.store.sqlite_build import OLDEST, TEXT, VERSION, driver
from penstock.store.sqlite_error import translate, translated
from penstock.store.sqlite_latch import Latch

PROMISED = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
"""Read back on every writer: acknowledged means synced (synchronous=FULL), or we do not serve."""

if sys.platform == "darwin":  # fsync there does not reach the disk by itself
    PROMISED |= {"fullfsync": 1, "checkpoint_fullfsync": 1}

_PAGE_BYTES = 4096
_CHECKPOINT_PAGES = 32 * 1024
"""128 MiB: the pages of the random id tree are written many times to the log, and once from it."""

_WRITER_CACHE_KIB = 64 * 1024
_READER_CACHE_KIB = 8 * 1024
_LOG_KEPT_BYTES = 2 * _CHECKPOINT_PAGES * _PAGE_BYTES
_WAIT_FOR_WRITER_S = 60


def open_engines(path: Path) -> Engines:
    """Engines on the file. Nothing is opened, made or changed before the first use of either.

    The writer makes a missing file, and raises DatabaseError where a promised setting does not
    hold. Raises DatabaseError for an SQLite that is too old.
    """
    if VERSION < OLDEST:
        raise DatabaseError(f"{TEXT} is too old: penstock needs 3.35 or later")
    latch = Latch()
    writer = _engine(
        lambda: _writer(path), begin="BEGIN IMMEDIATE", size=1, overflow=0, latch=latch
    )
    reader = _engine(lambda: _reader(path), begin="BEGIN", size=4, overflow=28)
    return Engines(reader, writer, latch)


def settings(connection: Any) -> dict[str, Any]:
    """The promised settings as a driver's connection has them."""
    return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in PROMISED}


def _engine(
    creator: Callable[[], Any], *, begin: str, size: int, overflow: int, latch: Latch | None = None
) -> Engine:
    engine = create_engine(
        "sqlite://",
        module=driver,
        creator=creator,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=overflow,
        pool_timeout=_WAIT_FOR_WRITER_S,
    )
    if latch is not None:
        _latched(engine, latch)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    @event.listens_for(engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:
        ours = translate(context.original_exception)
        if ours is not None:
            raise ours from context.original_exception

    return engine


def _latched(engine: Engine, latch: Latch) -> None:
    """Before the engine's other listeners: the next one begins, and the one for errors raises."""

    @event.listens_for(engine, "begin")
    def _check(_connection: Connection) -> None:
        latch.check()

    @event.listens_for(engine, "handle_error")
    def _see(context: ExceptionContext) -> None:
        latch.see(context.original_exception)


def _connect(path: Path, mode: str) -> Any:
    # Without isolation_level the driver begins no transaction behind our back.
    return driver.connect(
        f"{path.as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )


def _writer(path: Path) -> Any:
    with translated():
        connection = _connect(path, "rwc")
        wanted = {
            "busy_timeout": PROMISED["busy_timeout"],
            "page_size": _PAGE_BYTES,
            "auto_vacuum": 0,
            **PROMISED,
            "wal_autocheckpoint": _CHECKPOINT_PAGES,
            "journal_size_limit": _LOG_KEPT_BYTES,
            "cache_size": -_WRITER_CACHE_KIB,
        }
        for name, value in wanted.items():
            connection.execute(f"PRAGMA {name}={value}")
        refuse_broken_promise(settings(connection))
    return connection


def _reader(path: Path) -> Any:
    with translated():
        connection = _connect(path, "ro")
        connection.execute(f"PRAGMA busy_timeout={PROMISED['busy_timeout']}")
        connection.execute(f"PRAGMA cache_size=-{_READER_CACHE_KIB}")
        connection.execute("PRAGMA query_only=1")
    return connection


def refuse_broken_promise(found: dict[str, Any]) -> None:
    """Raise DatabaseError where a setting read back is not the promised one."""
    for name, value in PROMISED.items():
        if found[name] != value:
            raise DatabaseError(
                f"SQLite answers {name}={found[name]} where {value} was set: what is committed "
                "would not be safe on this disk"
            )
