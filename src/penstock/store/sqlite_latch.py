"""After a disk error in a write this process writes no more, until the store is opened again.

A failed fsync must not be tried again: the kernel may have given up the pages and marked them
clean, and the next fsync then succeeds without them. What is on the disk is known only by reading
it anew, as opening does. A full disk is another matter: nothing was lost, and room comes back.
"""

from __future__ import annotations

from penstock.errors import StoreUnavailableError
from penstock.store.sqlite_error import is_disk_error


class Latch:
    """Shut by the writer's first disk error. Reading goes on."""

    def __init__(self) -> None:
        self._shut_by: BaseException | None = None

    def see(self, error: BaseException) -> None:
        """Shut if this error of a write is one of the disk."""
        if is_disk_error(error):
            self._shut_by = error

    def check(self) -> None:
        """Raise StoreUnavailableError where it is shut. Asked before every write."""
        if self._shut_by is not None:
            raise StoreUnavailableError(
                f"the disk failed during an earlier write ({self._shut_by}), so this process "
                "writes no more: check the disk, then start penstock again"
            ) from self._shut_by
