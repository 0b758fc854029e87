"""Who holds a lease: host, boot, process and its start, so that a dead owner can be told."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """boot: the kernel's boot id, so that pids of an earlier boot are known to be dead.

    started: the process's start time in the kernel's own ticks, since pids are used again.
    holder: tells two holders in one process apart.
    """

    host: str
    boot: str
    pid: int
    started: str
    holder: str

    @classmethod
    def of_this_process(cls) -> Owner:
        pid = os.getpid()
        return cls(socket.gethostname(), _boot_id(), pid, start_of(pid) or "", uuid.uuid4().hex[:8])

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """The owner behind the text, None for a text that is none of ours."""
        parts = text.split("/")
        if len(parts) != 5 or not parts[2].isdigit():
            return None
        return cls(parts[0], parts[1], int(parts[2]), parts[3], parts[4])

    def __str__(self) -> str:
        return "/".join((self.host, self.boot, str(self.pid), self.started, self.holder))

    @property
    def all_holders(self) -> str:
        """How the text of every holder in this process begins."""
        return str(self).removesuffix(self.holder)

    def is_dead(self, here: Owner) -> bool:
        """True only where it is certain: another boot of this host, or a process that is gone.

        An owner on another host may be alive for all we know.
        """
        if self.host != here.host:
            return False
        if self.boot != here.boot:
            return True
        return start_of(self.pid) != (self.started or None)


def names_the_dead(text: str, here: Owner) -> bool:
    """Whether a text is that of an owner who is certainly dead; False for one that is none of
    ours."""
    owner = Owner.parse(text)
    return owner is not None and owner.is_dead(here)


def dead_among(owners: Iterable[str]) -> frozenset[str]:
    """Those of the owners' texts that certainly hold nothing any more, as far as this host can
    tell."""
    here = Owner.of_this_process()
    return frozenset(text for text in set(owners) if names_the_dead(text, here))


def start_of(pid: int) -> str | None:
    """When a process began, in a text that only compares equal; None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_without_proc(pid)
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[19]


def _start_without_proc(pid: int) -> str | None:
    """Elsewhere than on Linux only life itself can be told."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "alive"


@lru_cache(maxsize=1)
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
