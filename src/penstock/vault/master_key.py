"""The master key: it wraps the data keys and never lies in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.errors import SecretError, UsageError
from penstock.vault.key_file import KeyFile
from penstock.vault.key_ring import HOW_TO_MAKE_ONE, KeyRing, make_key


class MasterKey:
    """The key that was given, else one in a file beside the database.

    With neither (a database in memory) it is a key that goes with this object. Nothing is read
    before it is asked for, and it is read anew each time: another process may have rotated it.
    """

    def __init__(self, given: str | None, file: Path | None, say: Callable[[str], None]) -> None:
        """given: as PENSTOCK_MASTER_KEY. say: sentences for a person."""
        self._given = given or (make_key() if file is None else None)
        self._file = None if file is None or given else KeyFile(file)
        self._say = say

    def ring(self) -> KeyRing:
        """Raises SecretError where there is no key, or what is there is none."""
        if self._given is not None:
            return KeyRing.from_text(self._given)
        assert self._file is not None
        ring = self._file.read()
        if ring is None:
            raise SecretError(
                f"the master key file {self._file.path} is missing: put it back, or give the key "
                "in PENSTOCK_MASTER_KEY; without it the stored secrets cannot be opened. If it is "
                "lost, remove the connections (`penstock connections remove`) and connect again"
            )
        return ring

    def ring_or_new(self) -> KeyRing:
        """As `ring`; a missing key file is made. Only where nothing is sealed yet."""
        if self._file is not None and self._file.make():
            self._say(
                f"made a new master key in {self._file.path}: secrets are sealed with it, so keep "
                "it safe and apart from backups of the database (or set PENSTOCK_MASTER_KEY)"
            )
        return self.ring()

    @contextmanager
    def renewed(self) -> Iterator[tuple[KeyRing, bool]]:
        """A ring whose newest key is to wrap everything when the block ends; see KeyFile.renewed.

        Of given keys the first one is the new one; who gave them takes the others away.
        """
        ring = self.ring()
        if self._file is not None:
            with self._file.renewed() as renewed:
                yield renewed
            return
        if len(ring) < 2:
            raise UsageError(
                "PENSTOCK_MASTER_KEY holds one key: put a new one in front of it, a space between "
                'them (PENSTOCK_MASTER_KEY="NEW OLD"), rotate, then take the old one away; '
                f"make one with {HOW_TO_MAKE_ONE}"
            )
        yield ring, False
