"""The company: seeded, on its own calendar, showing records and knowing what they must become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import chain, cycle
from math import ceil
from random import Random
from threading import Lock

from penstock.simulator import day, history
from penstock.simulator.books import Books
from penstock.simulator.calendar import DAY, OPENED, change_stamp
from penstock.simulator.entry import Entry, Fate, Key
from penstock.simulator.faults import FAULTS, Fault, strike
from penstock.simulator.listing import Listing
from penstock.simulator.record import DOCUMENTS, Record
from penstock.simulator.truth import Expected, Moved, Truth

_CORRECTED_SHARE = 5
"""One in so many correctable faulty records is shown right after a tick, but at least one."""


class Company:
    """A company of about half a year of business.

    seed: decides everything; the same seed, records, faulty and number of ticks give the same
    bytes. records: how many there are at the start, of all kinds together (at least 20). faulty:
    share of the records that the API shows wrong, in every kind of faults.FAULTS in turn.

    now: the moment of its calendar. listings: what the API shows, by document type. Safe to tick
    while it is being read; raises ValueError for sizes and shares that mean nothing.
    """

    def __init__(self, seed: int = 1, records: int = 2000, faulty: float = 0.01) -> None:
        if not 0 <= faulty <= 0.5:
            raise ValueError(f"faulty is a share between 0 and 0.5, not {faulty}")
        self.seed = seed
        self.now = OPENED
        self.listings: dict[str, Listing] = {}

        self._rng = Random(seed)  # noqa: S311 - chance, not secrecy
        self._faulty = faulty
        self._books = Books()
        self._entries: dict[str, dict[str, Entry]] = {name: {} for name in DOCUMENTS}
        self._rendered: dict[str, dict[str, tuple[Key, bytes]]] = {name: {} for name in DOCUMENTS}
        self._lock = Lock()

        history.live_through(self._books, self._rng, records)
        self._open(round(records * faulty))

    def tick(self) -> dict[str, Moved]:
        """One day passes. By document type, what it means for a reader that had everything.

        Stamps reach from the last moment before the tick, inclusive, to the new `now`: a reader
        that asks for what came strictly after its last visit loses records.
        """
        with self._lock:
            before, self.now = self.now, self.now + DAY
            stamps = {name: cycle((before, self.now, self.now - DAY / 2)) for name in DOCUMENTS}
            counted: dict[str, Counter[str]] = {name: Counter() for name in DOCUMENTS}
            for record, fault in self._happenings():
                outcome = self._keep(record, fault, next(stamps[record.document]))
                counted[record.document][outcome] += 1
            self._publish()
            return {name: Moved(**counts) for name, counts in counted.items()}

    def truth(self) -> Truth:
        """What a reader that took in every tick must have by now."""
        with self._lock:
            expected = {n: Expected.of(entries.values()) for n, entries in self._entries.items()}
            return Truth(self.now, expected)

    def _open(self, faults: int) -> None:
        moved = self._books.take_moved()
        struck = strike(self._rng, [record for record, _ in moved], faults)
        for record, at in moved:
            self._keep(record, struck.get(record.id), change_stamp(at))
        self._publish()

    def _happenings(self) -> list[tuple[Record, Fault | None]]:
        """Everything that gets a new stamp today, each record once, and how it is shown now."""
        corrected = self._corrected()
        day.live(self._books, self._rng, self.now, self._free)
        moved = [record for record, _ in self._books.take_moved()]
        touched = self._touched({record.id for record in (*corrected, *moved)})
        return [
            *((record, None) for record in corrected),
            *((record, self._fault_of(record)) for record in moved),
            *((record, None) for record in touched),
        ]

    def _corrected(self) -> list[Record]:
        faulty = [e.record for e in self._all() if e.fault and e.fault.correctable]
        return self._rng.sample(faulty, ceil(len(faulty) / _CORRECTED_SHARE))

    def _touched(self, busy: set[str]) -> list[Record]:
        """Records that get a new stamp and nothing else, as providers do for their own reasons."""
        touched: list[Record] = []
        for entries in self._entries.values():
            idle = (e.record for e in entries.values() if e.record.id not in busy)
            touched += day.few(self._rng, filter(self._free, idle), len(entries))
        return touched

    def _free(self, record: Record) -> bool:
        return self._entries[record.document][record.id].fate is Fate.ACCEPTED

    def _fault_of(self, record: Record) -> Fault | None:
        """The fault it has; a new record may get one."""
        if entry := self._entries[record.document].get(record.id):
            return entry.fault
        kinds = [fault for fault in FAULTS if fault.fits(record)]
        return self._rng.choice(kinds) if kinds and self._rng.random() < self._faulty else None

    def _keep(self, record: Record, fault: Fault | None, updated_at: datetime) -> str:
        """Show a record in its new state; what that is for a reader, as a field of Moved."""
        entries = self._entries[record.document]
        last = entries.get(record.id)
        entry = entries[record.id] = Entry.after(last, record, fault, updated_at)
        self._rendered[record.document][record.id] = entry.rendered()
        if entry.fate is not Fate.ACCEPTED:
            return entry.fate
        if last is None or not last.versions:
            return "created"
        return "updated" if entry.versions > last.versions else "touched"

    def _publish(self) -> None:
        self.listings = {n: Listing.of(rows.values()) for n, rows in self._rendered.items()}

    def _all(self) -> Iterator[Entry]:
        return chain.from_iterable(entries.values() for entries in self._entries.values())
