"""A task: the hint that something is due. The lease decides whether it is, and for whom."""

from __future__ import annotations

from typing import NamedTuple


class Task(NamedTuple):
    """A stream to be run, or a partition of one's past."""

    workspace: str
    connection: str
    stream: str
    partition: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in self if part)
