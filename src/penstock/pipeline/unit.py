"""The unit of work: a staged page is decided, composed and committed, or nothing of it is."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import zstandard

from penstock.errors import WriteConflictError
from penstock.model import times
from penstock.model.drift import Observed
from penstock.model.identity import as_text
from penstock.model.outcome import Counters, Outcome
from penstock.model.unit import (
    ArchivedPage,
    Checkpoint,
    ClosedLetter,
    Head,
    Lease,
    NewLetter,
    Seal,
    UnitOfWork,
)
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.cleansing import cleansed
from penstock.pipeline.decide import Effects, Verdict, effects, verdicts, wanted
from penstock.pipeline.letters import Subject
from penstock.pipeline.stage import Stage
from penstock.store.roles import Documents
from penstock.upstream.request import Response
from penstock.vault.redaction import NOTHING_HIDDEN, Redactor

ATTEMPTS = 5
ZSTD_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Frame:
    """What a unit carries beside its records. released, seal, observed: see UnitOfWork."""

    workspace: str
    connection: str
    stream: str
    run_no: int
    recorded_at: int
    lease: Lease | None = None
    unit_no: int = 0
    checkpoint: Checkpoint | None = None
    closed: tuple[ClosedLetter, ...] = ()
    released: int | None = None
    seal: Seal | None = None
    observed: tuple[Observed, ...] = ()


class UnitWriter:
    """Decides a stage on the heads that are there and hands the unit to `commit`.

    commit: the store's, or one that keeps nothing (observation). A unit that met another writer
    is decided again on the fresh state, at most ATTEMPTS times; then WriteConflictError passes.
    redact: takes the connection's secrets out of what is kept.
    """

    def __init__(
        self,
        documents: Documents,
        commit: Callable[[UnitOfWork], None],
        redact: Redactor = NOTHING_HIDDEN,
    ) -> None:
        self.documents = documents
        self.redact = redact
        self._commit = commit

    def commit(self, unit: UnitOfWork) -> None:
        self._commit(cleansed(unit, self.redact))

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
            stage.unmoved = sum(
                _is_unmoved(candidate, found.get(candidate.document_id))
                for candidate, verdict in zip(stage.candidates, decided, strict=True)
                if verdict.outcome is Outcome.UPDATED
            )
            return unit.counters
        raise AssertionError("unreachable")


def compose(stage: Stage, frame: Frame, decided: Sequence[Verdict], written: Effects) -> UnitOfWork:
    """The unit as one value."""
    letters = (*stage.letters, *_refused_letters(stage, written))
    drifted = any(one.drifts for one in frame.observed)
    kept = stage.page_no is None and bool(written.versions or letters or drifted)
    return UnitOfWork(
        workspace=frame.workspace,
        connection=frame.connection,
        stream=frame.stream,
        run_no=frame.run_no,
        recorded_at=frame.recorded_at,
        lease=frame.lease,
        unit_no=frame.unit_no,
        pages=archived(stage) if kept else (),
        page_no=stage.page_no,
        versions=written.versions,
        marks=(*stage.marks, *written.marks),
        letters=letters,
        closed=_closed(frame, letters),
        accepted=_accepted(stage, written),
        checkpoint=frame.checkpoint,
        counters=tally(stage, decided, written),
        released=frame.released,
        sighted=tuple(stage.sighted),
        seal=frame.seal,
        wakes=tuple(stage.wakes),
        observed=frame.observed,
    )


def tally(stage: Stage, decided: Sequence[Verdict], written: Effects) -> Counters:
    """The counts of a page; both laws hold by construction and are asserted by the run."""
    counts = Counter(verdict.outcome for verdict in decided)
    counts.subtract(decided[index].outcome for index in written.refused)
    counts[Outcome.REJECTED] += len(written.refused)
    counts[Outcome.UNCHANGED] += len(stage.repeated)
    counts[Outcome.REJECTED] += stage.rejected
    return Counters(
        pages=0 if stage.absent else 1,
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
        unmarked=stage.unmarked,
        absent=counts[Outcome.UPDATED] if stage.absent else 0,
    )


def _is_unmoved(candidate: Candidate, head: Head | None) -> bool:
    """Whether an update brought other content with the same time of change."""
    return bool(
        candidate.accepted is not None
        and head is not None
        and candidate.source_updated_at is not None
        and candidate.source_updated_at == head.source_updated_at
    )


def archived(stage: Stage) -> tuple[ArchivedPage, ...]:
    """The responses of a page as they are kept, the first one with what it was asked for."""
    if stage.archived:
        return tuple(stage.archived)
    parent_id = stage.postmaster.parent_id
    if stage.whole:
        (listed,) = stage.responses
        raws = [stage.raws.get(place, b"null") for place in range(max(stage.raws, default=-1) + 1)]
        whole = records_page(raws, listed.url, stage.received_at, parent_id, listed.redact)
        return (whole, archive(listed))
    asked = stage.asked or ({"parent": as_text(parent_id)} if parent_id is not None else None)
    first, rest = stage.responses[:1], stage.responses[1:]
    return (*(archive(response, asked) for response in first), *map(archive, rest))


def records_page(
    raws: Sequence[bytes],
    url: str,
    received_at: int,
    parent_id: bytes | None,
    redact: Redactor = NOTHING_HIDDEN,
) -> ArchivedPage:
    """Raw records as a page, where no response has them as they are: a JSON array."""
    asked = {"records": True} | ({"parent": as_text(parent_id)} if parent_id is not None else {})
    body = redact.data(b"[" + b",".join(raws) + b"]")
    return _page(url, 200, "application/json", received_at, body, msgspec.json.encode(asked))


def archive(response: Response, asked: Mapping[str, Any] | None = None) -> ArchivedPage:
    """A response as it is kept: compressed, URL and body without credentials."""
    body = response.redact.data(response.body)
    return _page(
        response.url,
        response.status,
        response.headers.get("content-type", ""),
        times.microseconds(response.received_at),
        body,
        None if asked is None else response.redact.data(msgspec.json.encode(asked)),
    )


def _page(
    url: str, status: int, content_type: str, received_at: int, body: bytes, asked: bytes | None
) -> ArchivedPage:
    return ArchivedPage(
        url=url,
        status=status,
        content_type=content_type,
        received_at=received_at,
        sha256=hashlib.sha256(body).digest(),
        size=len(body),
        body=zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body),
        asked=None if asked is None else asked.decode(),
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
        stage.postmaster.write(
            subject_of(stage.candidates[index], stage.raws), rejection, stage.received_at
        )
        for index, rejection in written.refused.items()
    ]


def subject_of(candidate: Candidate, raws: Mapping[int, bytes]) -> Subject:
    """The letter's subject for a record that passed its contract and met the store's refusal.

    Of the deletes only those that a route handed over by key can meet one.
    """
    return Subject(
        stream=candidate.stream,
        document_type=candidate.document_type,
        key=candidate.key,
        source_id=candidate.source_id,
        document_id=candidate.document_id,
        contract_version=candidate.contract_version,
        raw=raws.get(candidate.page_index) if candidate.page_index is not None else None,
        payload=candidate.payload,
        page_index=candidate.page_index,
        as_of=candidate.as_of,
        gone=candidate.gone,
        source_version=candidate.source_version,
    )
