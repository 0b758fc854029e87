"""Dead letters once more: today's mapping and contract over the stored raw record.

A letter is closed in the same transaction as the document it made; one that is still bad keeps
its latest reasons and counts one more attempt.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.clock import Clock
from penstock.errors import UsageError
from penstock.model import times
from penstock.model.outcome import Counters
from penstock.model.rejection import Rejection
from penstock.model.unit import ClosedLetter, LetterState
from penstock.pipeline.examine import Origin
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.reading import Installation, RecordReader, subject
from penstock.pipeline.stage import Stage
from penstock.pipeline.unit import Frame, UnitWriter
from penstock.sdk.submission import Submission
from penstock.store.roles import StoredLetter
from penstock.upstream import wire


@dataclass(frozen=True, slots=True)
class Replayer:
    """Replays the letters of one connection, each in a transaction of its own."""

    installation: Installation
    writer: UnitWriter
    clock: Clock

    def replay(self, letter: StoredLetter, run_no: int) -> Counters:
        """Counts of this letter; it is closed unless something of it was rejected again.

        Raises UsageError for a letter that holds a whole page: run the stream instead.
        """
        stage = self._stage(letter)
        still_bad = bool(stage.letters)
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
        postmaster = Postmaster(letter.workspace, letter.connection, letter.stream)
        stage = Stage(letter.as_of, postmaster)
        if letter.raw is not None:
            self._read_raw(stage, letter, letter.raw)
        elif letter.payload is not None:
            self._read_payload(stage, letter, letter.payload)
        return stage

    def _read_raw(self, stage: Stage, letter: StoredLetter, raw: bytes) -> None:
        if not letter.document_type:
            raise UsageError(
                f"this letter of stream {letter.stream} holds a whole response that could not be "
                f"read; the checkpoint has not moved, so run the stream again: "
                f"penstock run {letter.connection} {letter.stream}"
            )
        reader = RecordReader(self.installation, letter.stream)
        reader.read_page(stage, [raw], times.moment(letter.as_of), self.writer.documents.heads)

    def _read_payload(self, stage: Stage, letter: StoredLetter, payload: bytes) -> None:
        """Without a mapping the submitted payload meets the contract again."""
        desk = self.installation.desk(letter.document_type)
        submission = Submission(
            letter.document_type,
            wire.decode(payload),
            letter.idempotency_key,
            letter.source_id,
            None,
            letter.as_of,
        )
        origin = Origin(letter.as_of, times.moment(letter.as_of).date())
        candidate = desk.examine(submission, origin)
        stage.fetched += 1
        if isinstance(candidate, Rejection):
            stage.set_aside(subject(desk, submission, origin), candidate)
        else:
            stage.candidates.append(candidate)
