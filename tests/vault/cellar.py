"""A vault on a real database, and what can be done to it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from pathlib import Path

from penstock.app import open_store
from penstock.clock import SystemClock
from penstock.store.roles import Store
from penstock.testing.store_worker import NOW, connection
from penstock.vault.data_keys import DataKeys
from penstock.vault.key_ring import KeyRing
from penstock.vault.master_key import MasterKey
from penstock.vault.vault import Vault
from tests.database import url_in

OLD, NEW, OTHER = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))


@dataclass
class Cellar:
    """given: the master key; without one it stands in `file`."""

    folder: Path
    given: str | None = None

    def __post_init__(self) -> None:
        self.said: list[str] = []
        self.store: Store = open_store(url_in(self.folder))
        self.vault = self.open(self.given)

    @property
    def file(self) -> Path:
        return self.folder / "penstock.key"

    def open(self, given: str | None = None) -> Vault:
        """The vault as another process has it."""
        master = MasterKey(given, None if given else self.file, self.said.append)
        return Vault(DataKeys(master, self.store.sealed, SystemClock()))

    def put(self, vault: Vault | KeyRing, name: str, workspace: str = "default", **secrets) -> None:
        """Seal secrets of a connection and save them."""
        owner = replace(connection(workspace=workspace), name=name)
        sealed = {
            field: vault.seal(text, workspace=workspace, connection=name, field=field)
            for field, text in secrets.items()
        }
        self.store.connections.save(owner, sealed, now=NOW)

    def take(self, vault: Vault, name: str, workspace: str = "default") -> dict[str, str]:
        """All secrets of a connection, opened."""
        return {
            field: vault.open(sealed, workspace=workspace, connection=name, field=field)
            for field, sealed in self.store.connections.sealed(workspace, name).items()
        }

    def write(self, column: str, sealed: bytes, name: str, field: str) -> None:
        """Put bytes into a cell by hand."""
        (cell,) = (c for c in self.store.sealed.cells() if (c.connection, c.field) == (name, field))
        assert cell.column == column
        assert self.store.sealed.reseal(cell, sealed)
