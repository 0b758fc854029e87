"""Everything one page brought, before it is decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.model.rejection import Rejection
from penstock.model.unit import ArchivedPage, Head, MovedMarks, NewLetter, Wake
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.letters import Postmaster, Subject
from penstock.pipeline.look import Look
from penstock.upstream.request import Response

HeadsOf = Callable[[Sequence[bytes]], Mapping[bytes, Head]]


@dataclass(slots=True)
class Stage:
    """Filled while a page is read; becomes a unit of work.

    responses: what the page came from, oldest first. raws: records as received, by their place in
    the page, of those that were read. heads: those already looked up, None where
    there is none. repeated: ids of documents whose raw record
    is the very one that made their current version (nothing more is asked of them); marks: those
    of them whose as_of moves. high, low: greatest and least time of change of the fetched records,
    microseconds; unmarked: how many of them have none that can be read; unmoved: how many changed
    and kept theirs, known once the page is decided.

    archived: responses of a page that was held, as they are kept. wakes: streams made due. sighted:
    ids of the records' own documents, where absence proves a delete; nameless: records that show
    no id there. absent: whether the candidates are deletes so proven, and no page at all. looks:
    what the records showed, by the stream whose mapping read them.

    asked: what the route was called with, see `ArchivedPage`. whole: whether its records were
    completed, so that `raws` are not what the response has. page_no: where the page is archived
    that its records were derived from once more.
    """

    received_at: int
    postmaster: Postmaster
    responses: list[Response] = field(default_factory=list)
    raws: dict[int, bytes] = field(default_factory=dict)
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
    low: int | None = None
    unmarked: int = 0
    unmoved: int = 0
    archived: list[ArchivedPage] = field(default_factory=list)
    wakes: list[Wake] = field(default_factory=list)
    sighted: list[bytes] = field(default_factory=list)
    nameless: int = 0
    looks: dict[str, Look] = field(default_factory=dict)
    absent: bool = False
    asked: dict[str, Any] | None = None
    whole: bool = False
    page_no: int | None = None

    def set_aside(self, subject: Subject, rejection: Rejection) -> NewLetter:
        """Count and keep a record that did not become a candidate."""
        letter = self.postmaster.write(subject, rejection, self.received_at)
        self.letters.append(letter)
        if rejection.reason == "mapping_error":
            self.mapping_errors += 1
        else:
            self.rejected += 1
        return letter

    def come_before(self, cutoff_at: int) -> None:
        """Nothing in it counts as received later than that, microseconds: what the live stream has
        stored since stays, whatever a backfill shows later. Its sightings prove nothing."""
        self.candidates = [c._replace(as_of=min(c.as_of, cutoff_at)) for c in self.candidates]
        self.letters = [replace(one, as_of=min(one.as_of, cutoff_at)) for one in self.letters]
        marks = [mark._replace(as_of=min(mark.as_of, cutoff_at)) for mark in self.marks]
        self.marks = [mark for mark in marks if self._is_news(mark)]
        self.sighted = []

    def look(self, stream: str) -> Look:
        """The look at the records that this stream's mapping reads."""
        if stream not in self.looks:
            self.looks[stream] = Look()
        return self.looks[stream]

    def look_up(self, ids: Iterable[bytes], heads_of: HeadsOf) -> Mapping[bytes, Head | None]:
        """The heads of these documents (and all looked up before), None where there is none."""
        known = self.heads
        if missing := [identity for identity in ids if identity not in known]:
            known.update(dict.fromkeys(missing))
            known.update(heads_of(missing))
        return known

    def _is_news(self, mark: MovedMarks) -> bool:
        head = self.heads.get(mark.document_id)
        return head is None or mark.as_of > head.as_of

    def saw(self, moment: int | None) -> None:
        """A time of change among the fetched records."""
        if moment is not None:
            self.high = moment if self.high is None else max(self.high, moment)
            self.low = moment if self.low is None else min(self.low, moment)
