"""Rotation: new keys for what is sealed, row by row, going on where a killed one stopped.

While it lasts the old key opens what is not done yet; afterwards nothing needs it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from penstock.errors import SecretError
from penstock.model.sealed import SealedCell, WrappedKey
from penstock.telemetry import kill_point
from penstock.vault.data_keys import DataKeys
from penstock.vault.key_ring import KeyRing

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Rotated:
    """key: id of the key that is the newest now. resumed: an earlier rotation was finished.

    resealed: secrets sealed anew. rewrapped: data keys wrapped anew.
    """

    key: str
    resumed: bool
    resealed: int
    rewrapped: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def rotate_data_key(keys: DataKeys, workspace: str) -> Rotated:
    """A new data key for the workspace, and every secret of it sealed anew.

    Raises SecretError where secrets do not open: the others are sealed anew, and the rotation is
    finished by the next call.
    """
    newest, resumed = _begun(keys, workspace)
    resealed = _reseal(keys, workspace)
    keys.store.finish(newest, now=keys.now())
    return Rotated(keys.ring(workspace).key_id, resumed, resealed)


def rotate_master_key(keys: DataKeys) -> Rotated:
    """All data keys of the database wrapped by a new master key.

    Secrets that the master key itself sealed get a data key. Raises as `rotate_data_key`, and
    UsageError where no new master key was given.
    """
    with keys.master.renewed() as (masters, resumed):
        rewrapped = resealed = 0
        for workspace in _workspaces(keys):
            rewrapped += keys.rewrap(workspace, masters)
            resealed += _reseal(keys, workspace)
    return Rotated(masters.key_id, resumed, resealed, rewrapped)


def _begun(keys: DataKeys, workspace: str) -> tuple[WrappedKey, bool]:
    """The data key that everything is to be sealed with, and whether it was there before."""
    before = keys.store.data_keys(workspace)
    keys.ring(workspace)  # raises under a wrong master key, before anything is written
    if before and before[0].finished_at is None:
        return before[0], True
    if before:
        keys.add(workspace, before[0].generation + 1, finished=False)
    return keys.store.data_keys(workspace)[0], False


def _reseal(keys: DataKeys, workspace: str) -> int:
    """Seal anew what an older key sealed, also what others write meanwhile; how many cells."""
    done, closed = 0, set[SealedCell]()
    while stale := _stale(keys, ring := keys.ring(workspace), workspace) - closed:
        for cell in stale:
            try:
                done += keys.store.reseal(cell, _sealed_anew(ring, cell))
            except SecretError:
                closed.add(cell)
            kill_point("rotate.row")
    if closed:
        raise SecretError(_told(closed))
    return done


def _stale(keys: DataKeys, ring: KeyRing, workspace: str) -> set[SealedCell]:
    return {cell for cell in keys.store.cells(workspace) if not ring.is_newest(cell.sealed)}


def _sealed_anew(ring: KeyRing, cell: SealedCell) -> bytes:
    place = {"workspace": cell.workspace, "connection": cell.connection, "field": cell.field}
    return ring.seal(ring.open(cell.sealed, **place), **place)


def _workspaces(keys: DataKeys) -> list[str]:
    keyed = {key.workspace for key in keys.store.data_keys()}
    return sorted(keyed | {cell.workspace for cell in keys.store.cells()})


def _told(closed: set[SealedCell]) -> str:
    names = sorted(f"{cell.connection} {cell.field}" for cell in closed)
    shown = ", ".join(names[:SHOWN]) + ", …" * (len(names) > SHOWN)
    return (
        f"{len(names)} secrets do not open and were left as they are ({shown}): set them anew "
        "with `penstock secrets set CONNECTION NAME`, or remove the connection; then rotate again. "
        "No key was given up"
    )
