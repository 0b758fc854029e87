"""SQLite's errors in our words: translated once, at the boundary, with their cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from penstock.errors import DatabaseError, PenstockError, StoreUnavailableError
from penstock.store.sqlite_build import driver

_DISK = 10

# Primary result codes, sqlite.org/rescode.html; newer drivers report extended ones (low byte).
_SENTENCES = {
    3: "the database file may not be opened: check its permissions",
    5: "the database is locked by another process that has been writing for over 5 seconds",
    6: "the database is locked by another connection of this process",
    8: "the database is read-only: check the file, its folder and the disk",
    _DISK: "the disk reported an error while the database was read or written: check the disk",
    13: "the disk is full",
    14: "the database file cannot be opened: check that its folder exists and is writable",
}
_UNFIT = {
    11: "the database file is damaged: restore a backup",
    26: "the file is no SQLite database",
}


def translate(error: BaseException) -> PenstockError | None:
    """What a driver's error means for the caller; None for errors that are our own mistakes."""
    code = _code(error)
    if code in _SENTENCES:
        return StoreUnavailableError(f"{_SENTENCES[code]} ({error})")
    if code in _UNFIT:
        return DatabaseError(f"{_UNFIT[code]} ({error})")
    if isinstance(error, exc.TimeoutError):
        return StoreUnavailableError(f"no connection to the database became free ({error})")
    return None


def is_conflict(error: BaseException) -> bool:
    """True for a row that exists already."""
    return isinstance(error, driver.IntegrityError) and "UNIQUE" in str(error)


def is_disk_error(error: BaseException) -> bool:
    """True where reading, writing or syncing failed; a full disk is none."""
    return _code(error) == _DISK


def _code(error: BaseException) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors in the place of the driver's."""
    try:
        yield
    except (driver.Error, exc.TimeoutError) as error:
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error
