"""Data keys: one ring for each workspace, every key of it wrapped by the master key.

The store keeps them wrapped. A new generation is made by a rotation; the one before it stays, for
a process that sealed with it at that very moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from penstock.clock import Clock
from penstock.errors import SecretError
from penstock.model import times
from penstock.model.sealed import SealedCell, WrappedKey
from penstock.telemetry import kill_point
from penstock.vault.key_ring import KeyRing, make_key
from penstock.vault.master_key import MasterKey


class SealedStore(Protocol):
    """What the vault needs of a store."""

    def data_keys(self, workspace: str | None = None) -> Sequence[WrappedKey]: ...

    def add(self, key: WrappedKey) -> bool: ...

    def rewrap(self, key: WrappedKey, wrapped: bytes) -> bool: ...

    def finish(self, key: WrappedKey, *, now: int) -> None: ...

    def cells(self, workspace: str | None = None) -> Sequence[SealedCell]: ...

    def reseal(self, cell: SealedCell, sealed: bytes) -> bool: ...


class DataKeys:
    """The rings of all workspaces, read from the store each time."""

    def __init__(self, master: MasterKey, store: SealedStore, clock: Clock) -> None:
        self.master = master
        self.store = store
        self._clock = clock

    def ring(self, workspace: str) -> KeyRing:
        """All data keys of the workspace, the newest sealing; a first one is made if need be.

        Opens what the master key itself sealed, too: so it was before there were data keys.
        Raises SecretError where the master key is missing or not the one that wrapped them.
        """
        return self.known(workspace) or self._first(workspace)

    def known(self, workspace: str) -> KeyRing | None:
        """As `ring`, but None where the workspace has no data key."""
        keys = self.store.data_keys(workspace)
        if not keys:
            return None
        masters = self.master.ring()
        return KeyRing.from_text(*(_unwrapped(masters, key) for key in keys)) | masters

    def add(self, workspace: str, generation: int, *, finished: bool) -> None:
        """Make a data key, unless another process was quicker."""
        masters, now = self.master.ring(), self.now()
        key = WrappedKey(workspace, generation, b"", now, now if finished else None)
        self.store.add(_wrapped(masters, key, make_key()))
        # A rotation of the master key that ended in between has not seen it.
        self.rewrap(workspace, self.master.ring() | masters)

    def rewrap(self, workspace: str, masters: KeyRing) -> int:
        """Wrap with the newest master key what an older one wrapped; how many keys."""
        old = [key for key in self.store.data_keys(workspace) if not masters.is_newest(key.wrapped)]
        done = 0
        for key in old:
            wrapped = _wrapped(masters, key, _unwrapped(masters, key)).wrapped
            done += self.store.rewrap(key, wrapped)
            kill_point("rotate.row")
        return done

    def now(self) -> int:
        return times.microseconds(self._clock.now())

    def _first(self, workspace: str) -> KeyRing:
        sealed = self._sealed_by_master()
        masters = self.master.ring() if sealed else self.master.ring_or_new()
        for each in sealed:
            _refuse_other(masters, each)
        self.add(workspace, 1, finished=True)
        ring = self.known(workspace)
        assert ring is not None
        return ring

    def _sealed_by_master(self) -> list[bytes]:
        """What in the whole database opens with the master key only."""
        keys = self.store.data_keys()
        keyed = {key.workspace for key in keys}
        cells = (cell.sealed for cell in self.store.cells() if cell.workspace not in keyed)
        return [*(key.wrapped for key in keys), *cells]


def _wrapped(masters: KeyRing, key: WrappedKey, text: str) -> WrappedKey:
    wrapped = masters.seal(text, **_place(key))
    return WrappedKey(key.workspace, key.generation, wrapped, key.created_at, key.finished_at)


def _unwrapped(masters: KeyRing, key: WrappedKey) -> str:
    return masters.open(key.wrapped, **_place(key))


def _place(key: WrappedKey) -> dict[str, str]:
    """No connection has a name with a space."""
    return {
        "workspace": key.workspace,
        "connection": f"workspace {key.workspace}",
        "field": f"data key {key.generation}",
    }


def _refuse_other(masters: KeyRing, sealed: bytes) -> None:
    if not masters.knows(sealed):
        raise SecretError(
            f"this process has master key {masters.key_id}, and what is sealed in the database "
            f"was sealed with another one ({KeyRing.named(sealed)}): give that one "
            "(PENSTOCK_MASTER_KEY or the key file); one database has one master key"
        )
