"""A copy of a PostgreSQL database while others write to it: pg_dump makes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from penstock.errors import DatabaseError, UsageError
from penstock.store.postgres_engine import parse

PROGRAM = "pg_dump"


def back_up(url: str, schema: str, file: Path) -> None:
    """Dump the schema to a new file in pg_dump's own format, for pg_restore.

    Raises UsageError where the program is not there, DatabaseError with its words where it fails.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise UsageError(
            f"a PostgreSQL database is backed up by {PROGRAM}, which is not on the path: install "
            f"it, or run elsewhere: {PROGRAM} --format=custom --schema={schema} --file=FILE "
            "--dbname=URL"
        )
    part = file.with_name(file.name + ".part")
    address = parse(url).set(drivername="postgresql")
    where = address.set(password=None).render_as_string(hide_password=False)
    password = {"PGPASSWORD": str(address.password)} if address.password else {}
    try:
        ended = subprocess.run(
            [
                *(program, "--format=custom", "--no-password", f"--schema={schema}"),
                *(f"--file={part}", f"--dbname={where}"),
            ],
            env={**os.environ, **password},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            raise DatabaseError(f"{PROGRAM} ended with {ended.returncode}: {_told(ended.stderr)}")
        part.chmod(0o600)
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)


def _told(stderr: str) -> str:
    return " ".join(stderr.split())[:500] or "it says nothing"
