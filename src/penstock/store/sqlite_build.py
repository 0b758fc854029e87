"""Which SQLite this process uses, and whether that build is sound.

One choice for the whole process: two builds on one file in a process lose each other's locks
(POSIX drops all locks of a process on a file when any of its descriptors closes).
"""

from __future__ import annotations

from types import ModuleType

Version = tuple[int, int, int]

OLDEST: Version = (3, 35, 0)
"""RETURNING came with it."""

_RACE_FIRST: Version = (3, 7, 0)
_RACE_FIXED: Version = (3, 51, 3)
_RACE_FIXED_IN_BRANCH = {(3, 50): 7, (3, 44): 6}


def _choose() -> tuple[str, ModuleType]:
    try:
        from pysqlite3 import dbapi2
    except ImportError:
        import sqlite3

        return "sqlite3", sqlite3
    return "pysqlite3", dbapi2


NAME, driver = _choose()
VERSION: Version = driver.sqlite_version_info
TEXT = f"{NAME} {driver.sqlite_version}"

# The driver asks every bytes and None it binds whether it can adapt itself, which takes longer
# than writing it; an adapter that gives back the same object spares that (a commit: 3x faster).
driver.register_adapter(bytes, bytes)
driver.register_adapter(type(None), {}.get)


def hazard(version: Version) -> str | None:
    """A sentence where this SQLite has the WAL-reset race, else None.

    Affected: 3.7.0 to 3.51.2 without the fixes 3.50.7 and 3.44.6 (sqlite.org/wal.html). Two
    connections that write or checkpoint at one moment may then corrupt the file.
    """
    if not _RACE_FIRST <= version < _RACE_FIXED:
        return None
    if version[2] >= _RACE_FIXED_IN_BRANCH.get(version[:2], version[2] + 1):
        return None
    return (
        f"SQLite {'.'.join(map(str, version))} has the WAL-reset race: only one process at a time "
        "may open the file; install pysqlite3, or SQLite 3.51.3 or later"
    )
