"""A master key in a file, and beside it the next one for as long as a rotation lasts."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from penstock.errors import SecretError
from penstock.vault.key_ring import KeyRing, make_key

if sys.platform != "win32":
    import fcntl

_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


class KeyFile:
    """Keys for their owner's eyes only (mode 0600). A file appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next = path.with_name(path.name + ".next")

    def read(self) -> KeyRing | None:
        """The ring of what is there, the next key sealing; None where there is no file.

        Raises SecretError where a file is unreadable, open to others, or holds no key.
        """
        # The next one first: once it has taken the other's place, it is found there.
        texts = [text for file in (self._next, self.path) if (text := _text(file)) is not None]
        return KeyRing.from_text(*texts) if texts else None

    def make(self) -> bool:
        """Make the file; False where it is there. Of two processes at once both get one key.

        Raises SecretError where the place cannot be written.
        """
        return _make(self.path)

    @contextmanager
    def renewed(self) -> Iterator[tuple[KeyRing, bool]]:
        """The ring with a next key that seals, and whether an earlier attempt had made it.

        When the block ends well, the next key takes the place of the old one, which is then gone;
        until then both are there. One process at a time; another one waits.
        """
        with _alone(self.path.parent):
            made = _make(self._next)
            ring = self.read()
            assert ring is not None
            yield ring, not made
            self._next.replace(self.path)
            _sync_folder(self.path.parent)


def _text(path: Path) -> str | None:
    try:
        _refuse_exposed(path)
        return path.read_text("ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"the key file {path} cannot be used: {error}") from error


def _make(path: Path) -> bool:
    """Write a new key beside the path and link it there; False where it is there already."""
    if path.exists():
        return False
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    except OSError as error:
        raise SecretError(f"the key file {path} cannot be made: {error}") from error
    draft = Path(name)
    try:
        with open(handle, "wb") as file:  # mkstemp made it with mode 0600
            file.write(make_key().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)  # refuses to replace, unlike a rename
            return True
        return False
    finally:
        draft.unlink()
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Secrets sealed with a key that a power cut takes away are lost for good.
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two rotations at once would each take the other's key for the old one."""
    if sys.platform == "win32":  # its locks are of another kind
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # ends with the process, however that ends
        yield
    finally:
        os.close(handle)


def _refuse_exposed(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & _OTHERS_MAY:
        raise SecretError(f"the key file {path} is open to other users: run `chmod 600 {path}`")
