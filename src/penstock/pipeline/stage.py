"""Everything one page brought, before it is decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from penstock.model.rejection import Rejection
from penstock.model.unit import Head, MovedMarks, NewLetter
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.letters import Postmaster, Subject
from penstock.upstream.request import Response

HeadsOf = Callable[[Sequence[bytes]], Mapping[bytes, Head]]


@dataclass(slots=True)
class Stage:
    """Filled while a page is read; becomes a unit of work.

    responses: what the page came from, oldest first. heads: those already looked up, None where
    there is none. repeated: ids of documents whose raw record
    is the very one that made their current version (nothing more is asked of them); marks: those
    of them whose as_of moves. high: greatest time of change of the fetched records, microseconds.
    """

    received_at: int
    postmaster: Postmaster
    responses: list[Response] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    heads: dict[bytes, Head | None] = field(default_factory=dict)
    repeated: list[bytes] = field(default_factory=list)
    marks: list[MovedMarks] = field(default_factory=list)
    letters: list[NewLetter] = field(default_factory=list)
    fetched: int = 0
    extra_emits: int = 0
    filtered: int = 0
    mapping_errors: int = 0
    rejected: int = 0
    high: int | None = None

    def set_aside(self, subject: Subject, rejection: Rejection) -> NewLetter:
        """Count and keep a record that did not become a candidate."""
        letter = self.postmaster.write(subject, rejection, self.received_at)
        self.letters.append(letter)
        if rejection.reason == "mapping_error":
            self.mapping_errors += 1
        else:
            self.rejected += 1
        return letter

    def look_up(self, ids: Iterable[bytes], heads_of: HeadsOf) -> Mapping[bytes, Head | None]:
        """The heads of these documents (and all looked up before), None where there is none."""
        known = self.heads
        if missing := [identity for identity in ids if identity not in known]:
            known.update(dict.fromkeys(missing))
            known.update(heads_of(missing))
        return known

    def saw(self, moment: int | None) -> None:
        """A time of change among the fetched records."""
        if moment is not None and (self.high is None or moment > self.high):
            self.high = moment
