"""A copy of an SQLite database while others write to it: one snapshot, whole or not there."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from penstock.errors import DatabaseError, StoreUnavailableError
from penstock.store.engines import Engines
from penstock.store.sqlite_build import driver
from penstock.store.sqlite_error import translated


def back_up(engines: Engines, file: Path) -> None:
    """Write the database to a new file, synced, and in one piece without a log beside it.

    Writers go on meanwhile; their log grows until the copy is made. Raises DatabaseError where the
    copy is not sound, StoreUnavailableError where it cannot be written.
    """
    part = file.with_name(file.name + ".part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
        with translated(), closing(driver.connect(part, isolation_level=None)) as copy:
            _fill(copy, engines)
        with translated(), closing(driver.connect(part)) as copy:
            _check(copy)
        _make_durable(part, file)
    except OSError as error:
        raise StoreUnavailableError(f"cannot write {file}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _fill(copy: Any, engines: Engines) -> None:
    """All pages in one step, one snapshot; in several, each write would make it start anew."""
    with engines.reader.connect() as reading:
        source: Any = reading.connection.driver_connection
        source.backup(copy)
    copy.execute("PRAGMA journal_mode=DELETE")


def _check(copy: Any) -> None:
    (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise DatabaseError(f"the copy is not sound, so the database is not either: {found}")


def _make_durable(part: Path, file: Path) -> None:
    """Synced before it has its name, and then the name."""
    _sync(part)
    part.rename(file)
    if sys.platform != "win32":  # which opens no folders
        _sync(file.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
