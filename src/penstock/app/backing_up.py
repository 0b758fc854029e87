"""Backing up: a copy of the database, and what has to be kept beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.config import Settings
from penstock.errors import UsageError
from penstock.store.roles import Store
from penstock.store.sqlite_file import locate


@dataclass(frozen=True, slots=True)
class Backup:
    """key: where the master key is, which is not in the file; None where there is none yet.
    restore: what to do with the file."""

    file: Path
    size_bytes: int
    key: str | None
    restore: str

    def as_json(self) -> dict[str, Any]:
        return {
            "file": str(self.file),
            "size_bytes": self.size_bytes,
            "master_key": self.key,
            "restore": self.restore,
        }


def back_up(store: Store, settings: Settings, file: Path) -> Backup:
    """Raises UsageError for a file that is there, or whose folder is not; and what `Store.backup`
    raises."""
    file = file.absolute()
    if file.exists():
        raise UsageError(f"{file} is there already; give the backup a new name")
    if not file.parent.is_dir():
        raise UsageError(f"the folder {file.parent} does not exist; create it first")
    store.backup(file)
    return Backup(file, file.stat().st_size, _key(settings), _restore(settings, file))


def _key(settings: Settings) -> str | None:
    if settings.master_key is not None:
        return "the one in PENSTOCK_MASTER_KEY"
    path = _database(settings)
    beside = path.with_suffix(".key") if path else None
    return str(beside) if beside and beside.exists() else None


def _restore(settings: Settings, file: Path) -> str:
    path = _database(settings)
    if path is None:
        return f"pg_restore --dbname=URL-OF-AN-EMPTY-DATABASE {file}"
    return f"cp {file} {path} (nobody may have that open, and no {path.name}-wal may lie beside it)"


def _database(settings: Settings) -> Path | None:
    return locate(settings.database) if settings.database.startswith("sqlite:") else None
