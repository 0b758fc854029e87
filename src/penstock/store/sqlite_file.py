"""The database file: where it lies, whether its place is fit, and who may open it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from penstock.errors import DatabaseError, StoreUnavailableError, UsageError

if sys.platform != "win32":
    import fcntl

_PREFIX = "sqlite://"
_NETWORK = frozenset(
    {
        *("9p", "afs", "afpfs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "gpfs", "lustre"),
        *("fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"),
    }
)


def network_filesystem(path: Path, mounts: str) -> str | None:
    """The type of the network file system that holds the absolute path, else None.

    mounts: the text of /proc/mounts. SQLite's locks and shared memory do not hold over a network.
    """
    holder, kind = Path("/"), ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(fields[1].encode().decode("unicode_escape"))
        if path.is_relative_to(point) and point.is_relative_to(holder):
            holder, kind = point, fields[2]
    return kind if kind in _NETWORK else None


def locate(url: str) -> Path | None:
    """The absolute path behind sqlite:///relative.db or sqlite:////absolute.db; None in memory.

    Raises UsageError for anything else.
    """
    if not url.startswith(_PREFIX):
        raise UsageError(f"{url!r} is no SQLite URL such as sqlite:///penstock.db")
    rest = url.removeprefix(_PREFIX)
    if rest in ("", "/", "/:memory:"):
        return None
    if not rest.startswith("/") or "?" in rest:
        raise UsageError(
            f"{url!r} must be sqlite:///relative.db, sqlite:////absolute.db or sqlite://"
        )
    return Path(rest[1:]).absolute()


class DatabaseFile:
    """A place for a database, held for as long as the database is open.

    "In memory" is a file in a temporary directory that goes when it is closed: the same code, the
    same locks, several connections.
    """

    def __init__(self, url: str, *, create: bool, alone: bool) -> None:
        """alone: refuse to share the file with any other process, or with another opening here.

        Raises DatabaseError where the place is unfit, StoreUnavailableError where it is taken.
        """
        located = locate(url)
        self.temporary = None if located else Path(tempfile.mkdtemp(prefix="penstock-"))
        self.path = located or Path(self.temporary or "") / "memory.db"
        self._lock: int | None = None

        _check_place(self.path, create=create or located is None)
        self._hold(alone=alone)

    def size_bytes(self) -> int:
        """Of the file and its write-ahead log."""
        parts = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def free_bytes(self) -> int:
        """Of the disk that holds it."""
        return shutil.disk_usage(self.path.parent).free

    def close(self) -> None:
        """Give the file free; remove it if it was temporary."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self.temporary:
            shutil.rmtree(self.temporary, ignore_errors=True)

    def __enter__(self) -> DatabaseFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _hold(self, *, alone: bool) -> None:
        # A sound build shares, an affected one wants the file alone: so neither meets the other.
        # The lock is on a file of its own, since closing a descriptor of the database itself
        # would drop SQLite's locks.
        if sys.platform == "win32":  # its locks are of another kind; the hazard sentence must do
            return
        lock = self.path.with_name(self.path.name + "-lock")
        try:
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise StoreUnavailableError(
                f"{self.path} is open in another process, and one of the two uses an SQLite with "
                "the WAL-reset race: close it there, or install pysqlite3 for both"
            ) from error
        except OSError as error:
            raise StoreUnavailableError(f"cannot write {lock}: {error.strerror}") from error


def _check_place(path: Path, *, create: bool) -> None:
    if not path.parent.is_dir():
        raise DatabaseError(f"the folder {path.parent} does not exist; create it first")
    if not create and not path.exists():
        raise DatabaseError(f"there is no database at {path}")
    mounts = Path("/proc/mounts")
    if mounts.exists() and (kind := network_filesystem(path.resolve(), mounts.read_text())):
        raise DatabaseError(
            f"{path} lies on a network file system ({kind}), where SQLite's locks do not hold; "
            "use a local disk or PostgreSQL"
        )
