"""The vault: seals with a workspace's data key, opens whatever one of its keys sealed."""

from __future__ import annotations

from penstock.vault import rotation
from penstock.vault.data_keys import DataKeys
from penstock.vault.key_ring import KeyRing
from penstock.vault.redaction import Redactor
from penstock.vault.rotation import Rotated

REMEMBERED = 1000
"""Secrets of so many connections and hours; only what is told is searched for them."""


class Vault:
    """Sealing for everything that lies in the store. Safe to use from several threads.

    What is sealed is bound to workspace, connection and field: in any other place it does not
    open. A table with sealed bytes of its own takes a field that no other one uses, and a line in
    `penstock.store.sealed`, so that rotation finds it. redact: takes all that was sealed or opened
    here out of a text.
    """

    def __init__(self, keys: DataKeys) -> None:
        self._keys = keys

        self.redact = Redactor(passing=REMEMBERED)
        self._rings: dict[str, KeyRing] = {}

    def seal(self, text: str, *, workspace: str, connection: str, field: str) -> bytes:
        """Sealed bytes, made with the newest data key. Raises SecretError, never showing it."""
        self.redact.hide(text)
        ring = self._keys.ring(workspace)
        return ring.seal(text, workspace=workspace, connection=connection, field=field)

    def open(self, sealed: bytes, *, workspace: str, connection: str, field: str) -> str:
        """The text that was sealed for this very place. Raises SecretError."""
        ring = self._rings.get(workspace)
        if ring is None or not ring.knows(sealed):
            ring = self._keys.known(workspace) or self._keys.master.ring()
            self._rings[workspace] = ring
        text = ring.open(sealed, workspace=workspace, connection=connection, field=field)
        self.redact.hide(text)
        return text

    def rotate_data_key(self, workspace: str) -> Rotated:
        """See `rotation.rotate_data_key`."""
        return rotation.rotate_data_key(self._keys, workspace)

    def rotate_master_key(self) -> Rotated:
        """See `rotation.rotate_master_key`."""
        return rotation.rotate_master_key(self._keys)
