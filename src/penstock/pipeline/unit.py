"""The unit of work: a staged page is decided, composed and committed, or nothing of it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import zstandard

from penstock.errors import WriteConflictError
from penstock.model import times
from penstock.model.outcome import Counters, Outcome
from penstock.model.unit import (
    ArchivedPage,
    Checkpoint,
    ClosedLetter,
    Lease,
    NewLetter,
    UnitOfWork,
)
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.decide import Effects, Verdict, effects, verdicts, wanted
from penstock.pipeline.letters import Subject
from penstock.pipeline.stage import Stage
from penstock.store.roles import Documents
from penstock.upstream.request import Response

ATTEMPTS = 5
ZSTD_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Frame:
    """What a unit carries beside its records."""

    workspace: str
    connection: str
    stream: str
    run_no: int
    recorded_at: int
    lease: Lease | None = None
    unit_no: int = 0
    checkpoint: Checkpoint | None = None
    closed: tuple[ClosedLetter, ...] = ()


class UnitWriter:
    """Decides a stage on the heads that are there and hands the unit to `commit`.

    commit: the store's, or one that keeps nothing (observation). A unit that met another writer
    is decided again on the fresh state, at most ATTEMPTS times; then WriteConflictError passes.
    """

    def __init__(self, documents: Documents, commit: Callable[[UnitOfWork], None]) -> None:
        self.documents = documents
        self.commit = commit

    def write(self, stage: Stage, frame: Frame) -> Counters:
        """Commit the stage; what it came to."""
        for attempt in range(1, ATTEMPTS + 1):
            ids = (candidate.document_id for candidate in stage.candidates)
            found = stage.look_up(ids, self.documents.heads)
            decided = verdicts(stage.candidates, found)
            contents = {
                number: self.documents.content(number)
                for number in wanted(stage.candidates, decided, found)
            }
            unit = compose(
                stage, frame, decided, effects(stage.candidates, decided, found, contents)
            )
            try:
                self.commit(unit)
            except WriteConflictError:
                if attempt == ATTEMPTS:
                    raise
                stage.heads.clear()
                continue
            return unit.counters
        raise AssertionError("unreachable")


def compose(stage: Stage, frame: Frame, decided: Sequence[Verdict], written: Effects) -> UnitOfWork:
    """The unit as one value."""
    letters = (*stage.letters, *_refused_letters(stage, written))
    archived = bool(written.versions or letters)
    return UnitOfWork(
        workspace=frame.workspace,
        connection=frame.connection,
        stream=frame.stream,
        run_no=frame.run_no,
        recorded_at=frame.recorded_at,
        lease=frame.lease,
        unit_no=frame.unit_no,
        pages=tuple(archive(r) for r in stage.responses) if archived else (),
        versions=written.versions,
        marks=(*stage.marks, *written.marks),
        letters=letters,
        closed=_closed(frame, letters),
        accepted=_accepted(stage, written),
        checkpoint=frame.checkpoint,
        counters=tally(stage, decided, written),
    )


def tally(stage: Stage, decided: Sequence[Verdict], written: Effects) -> Counters:
    """The counts of a page; both laws hold by construction and are asserted by the run."""
    counts = dict.fromkeys(Outcome, 0)
    for index, verdict in enumerate(decided):
        counts[Outcome.REJECTED if index in written.refused else verdict.outcome] += 1
    counts[Outcome.UNCHANGED] += len(stage.repeated)
    counts[Outcome.REJECTED] += stage.rejected
    return Counters(
        pages=1,
        fetched=stage.fetched,
        extra_emits=stage.extra_emits,
        filtered=stage.filtered,
        mapping_errors=stage.mapping_errors,
        submitted=sum(counts.values()),
        created=counts[Outcome.CREATED],
        updated=counts[Outcome.UPDATED],
        unchanged=counts[Outcome.UNCHANGED],
        stale=counts[Outcome.STALE],
        rejected=counts[Outcome.REJECTED],
    )


def archive(response: Response) -> ArchivedPage:
    """A response as it is kept: compressed, its URL without credentials."""
    return ArchivedPage(
        url=response.url,
        status=response.status,
        content_type=response.headers.get("content-type", ""),
        received_at=times.microseconds(response.received_at),
        sha256=hashlib.sha256(response.body).digest(),
        size=len(response.body),
        body=zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(response.body),
    )


def _closed(frame: Frame, letters: Sequence[NewLetter]) -> tuple[ClosedLetter, ...]:
    """A letter that this very unit writes again stays open."""
    again = {letter.letter_id for letter in letters}
    return tuple(closed for closed in frame.closed if closed.letter_id not in again)


def _accepted(stage: Stage, written: Effects) -> tuple[bytes, ...]:
    ids = [c.document_id for i, c in enumerate(stage.candidates) if i not in written.refused]
    return (*ids, *stage.repeated)


def _refused_letters(stage: Stage, written: Effects) -> list[NewLetter]:
    return [
        stage.postmaster.write(subject_of(stage.candidates[index]), rejection, stage.received_at)
        for index, rejection in written.refused.items()
    ]


def subject_of(candidate: Candidate) -> Subject:
    """The letter's subject for a record that passed its contract and met the store's refusal."""
    return Subject(
        document_type=candidate.contract.document_type,
        key=candidate.key,
        source_id=candidate.source_id,
        document_id=candidate.document_id,
        contract_version=candidate.contract.version,
        raw=candidate.raw,
        payload=candidate.payload,
        page_index=candidate.page_index,
        as_of=candidate.as_of,
    )
