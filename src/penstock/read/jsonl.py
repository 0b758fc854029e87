"""JSON Lines: one object for each version, the payload whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import BinaryIO

import msgspec

from penstock.model.column import Column
from penstock.read.exported import ExportedVersion


def write(
    versions: Iterable[ExportedVersion],
    columns: Sequence[Column],  # noqa: ARG001 - objects need none
    out: BinaryIO,
) -> None:
    """One line for each version."""
    encode = msgspec.json.Encoder().encode
    for version in versions:
        out.write(encode(version.as_json()) + b"\n")
