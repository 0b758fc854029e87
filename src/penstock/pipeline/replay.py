"""Dead letters once more: today's mapping and contract over the stored raw record.

A letter is closed in the same transaction as the document it made; one that is still bad keeps
its latest reasons and counts one more attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from penstock.clock import Clock
from penstock.errors import UsageError
from penstock.model import times
from penstock.model.identity import as_text
from penstock.model.outcome import Counters
from penstock.model.rejection import Rejection
from penstock.model.unit import ArchivedPage, ClosedLetter, LetterState
from penstock.pipeline.examine import Origin
from penstock.pipeline.letters import Postmaster, ending
from penstock.pipeline.parent import payload_of
from penstock.pipeline.reading import Installation, RecordReader, subject
from penstock.pipeline.stage import Stage
from penstock.pipeline.unit import Frame, UnitWriter, records_page
from penstock.sdk.submission import Submission
from penstock.store.rows import StoredLetter
from penstock.upstream import wire


@dataclass(frozen=True, slots=True)
class Replayer:
    """Replays the letters of one connection, each in a transaction of its own."""

    installation: Installation
    writer: UnitWriter
    clock: Clock

    def replay(self, letter: StoredLetter, run_no: int) -> Counters:
        """Counts of this letter; it is closed unless something of it was rejected again.

        Raises UsageError for a letter that no replay can close, saying what can.
        """
        if hopeless := why_not(letter):
            raise UsageError(hopeless)
        stage = self._stage(letter)
        still_bad = bool(stage.letters)
        if letter.raw is not None and not letter.gone and not still_bad:
            stage.archived.append(_page_of(letter, letter.raw))
        closed = () if still_bad else (ClosedLetter(letter.letter_id, LetterState.REPLAYED),)
        frame = Frame(
            workspace=letter.workspace,
            connection=letter.connection,
            stream=letter.stream,
            run_no=run_no,
            recorded_at=times.microseconds(self.clock.now()),
            closed=closed,
        )
        return self.writer.write(stage, frame)

    def _stage(self, letter: StoredLetter) -> Stage:
        postmaster = Postmaster(
            letter.workspace, letter.connection, letter.stream, letter.parent_id
        )
        stage = Stage(letter.as_of, postmaster)
        if letter.raw is not None:
            self._read_raw(stage, letter, letter.raw)
        elif letter.payload is not None:
            self._read_payload(stage, letter, letter.payload)
        return stage

    def _read_raw(self, stage: Stage, letter: StoredLetter, raw: bytes) -> None:
        installation = replace(self.installation, parent=self._parent(letter))
        reader = RecordReader(installation, letter.stream)
        received_at = times.moment(letter.as_of)
        if letter.gone:
            gone, _ = ending(letter.payload or b"")
            records = wire.decode_records([raw])
            reader.read_records(stage, records, received_at, gone=gone, as_of=letter.as_of)
        else:
            fresh = reader.sort_out(stage, reader.glance([raw]), self.writer.documents.heads)
            reader.read(stage, fresh, received_at)

    def _read_payload(self, stage: Stage, letter: StoredLetter, payload: bytes) -> None:
        """Without a mapping the submitted payload, or the delete, meets the contract again."""
        action = "delete" if letter.gone else "write"
        self.installation.check_permission(letter.document_type, action)
        desk = self.installation.desk(letter.stream, letter.document_type)
        gone, source_version = ending(payload) if letter.gone else (None, None)
        submission = Submission(
            letter.document_type,
            gone or wire.decode(payload),
            letter.idempotency_key,
            letter.source_id,
            source_version,
            letter.as_of,
        )
        origin = Origin(letter.as_of, times.moment(letter.as_of).date(), gone=gone)
        candidate = desk.examine(submission, origin)
        stage.fetched += 1
        if isinstance(candidate, Rejection):
            stage.set_aside(subject(desk, submission, origin), candidate)
        else:
            stage.candidates.append(candidate)

    def _parent(self, letter: StoredLetter) -> Mapping[str, Any] | None:
        """The document that the record was fetched below, as it is now."""
        endpoint = self.installation.mapping(letter.stream).endpoint
        if letter.parent_id is None or endpoint is None or endpoint.parent is None:
            return None
        return payload_of(self.installation, endpoint, letter.parent_id, self.writer.documents)


def _page_of(letter: StoredLetter, raw: bytes) -> ArchivedPage:
    """The letter's record as a page of its own, so that it can be derived once more."""
    url = f"dead-letter:{as_text(letter.letter_id)}"
    return records_page([raw], url, letter.as_of, letter.parent_id)


def why_not(letter: StoredLetter) -> str | None:
    """Why no replay can close a letter, and what can; None where one may."""
    stream, run = letter.stream, f"penstock run {letter.connection} {letter.stream}"
    discard = f"penstock dead-letters discard {as_text(letter.letter_id)}"
    if not letter.document_type:
        return (
            f"this letter of stream {stream} holds a whole response that could not be read; the "
            f"checkpoint has not moved, so run the stream again: {run}"
        )
    if letter.raw is None and letter.contract_version is None:
        return (
            f"this record of stream {stream} was never completed, and a replay asks nobody: mend "
            f"the completion, and the letter closes when the record comes again: {run} --full"
        )
    if letter.raw is None and letter.document_id is None:
        what = "delete" if letter.gone else "record"
        return (
            f"this {what} was handed over for stream {stream} without a usable idempotency_key, "
            f"and only the route knows the right one: mend the route, and when it has handed the "
            f"{what} over again: {discard}"
        )
    if letter.gone and (at := ending(letter.payload or b"")[0].at) and at.tzinfo is None:
        return (
            f"this delete of stream {stream} is of {at.isoformat()} in a zone that nobody told: "
            f"mend the code that gives the time, and the letter closes when the delete is handed "
            f"over again; if it never is: {discard}"
        )
    return None
