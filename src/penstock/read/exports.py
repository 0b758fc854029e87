"""Out again: versions in the order of the feed, written to a file in one of some formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from penstock.contracts.registry import contract
from penstock.errors import UsageError
from penstock.model.column import Column
from penstock.read import csv_table, jsonl, parquet
from penstock.read.exported import ExportedVersion

Writer = Callable[[Iterable[ExportedVersion], Sequence[Column], BinaryIO], None]

FORMATS: dict[str, Writer] = {
    "jsonl": jsonl.write,
    "csv": csv_table.write,
    "parquet": parquet.write,
}
NEEDS_A_FILE = frozenset({"parquet"})
"""Formats that are of no use on a terminal or in a pipe."""


@dataclass(frozen=True, slots=True)
class Written:
    """versions: how many. seq: the greatest one written, or the one after which there was none."""

    versions: int
    seq: int


@dataclass(slots=True)
class Export:
    """Versions of one type, to be written once. after: behind which place in the feed they are."""

    document_type: str
    after: int
    versions: Iterator[ExportedVersion]

    def write(self, format_name: str, out: BinaryIO) -> Written:
        """Write them, with flat memory. Raises UsageError for a format there is not."""
        if format_name not in FORMATS:
            raise UsageError(f"{format_name!r} is no format; there are: {', '.join(FORMATS)}")
        counted = _Counted(self.versions, self.after)
        FORMATS[format_name](counted, contract(self.document_type).columns(), out)
        return Written(counted.versions, counted.seq)


class _Counted:
    """Passes versions on and remembers how many, and the place of the last one."""

    def __init__(self, versions: Iterator[ExportedVersion], after: int) -> None:
        self._source = versions

        self.versions = 0
        self.seq = after

    def __iter__(self) -> Iterator[ExportedVersion]:
        for version in self._source:
            yield version
            self.versions += 1
            self.seq = version.seq
