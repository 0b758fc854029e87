"""A process that maps and examines records while this one fetches, decides and commits.

Reading is pure: raw records in, candidates and letters out. So it may happen anywhere, and if the
other process cannot do it (its connector differs, it died, an author's mapping ended it) they are
simply read here. It holds nothing and ends with us, however we end: its input ends then.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import IO, Any, cast

import msgspec

from penstock.errors import ConnectorError, PenstockError
from penstock.model import times
from penstock.model.connection import Connection
from penstock.model.shape import Fields
from penstock.model.unit import NewLetter
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.collector import collect_seldom
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.reading import Fresh, Installation, RecordReader
from penstock.pipeline.stage import Stage
from penstock.sdk.loader import load
from penstock.telemetry import event

_LENGTH_BYTES = 8
_PIPE_BYTES = 1024 * 1024
_PROGRAM = f"import gc; gc.disable(); import {__name__} as reading; reading.main()"
"""What an import makes stays: looking for garbage in it takes a tenth of the start."""


class Assignment(msgspec.Struct, array_like=True):
    """Whose records to read: `target` as it was loaded here, if its code is still `code`."""

    connection: Connection
    target: str
    code: bytes
    stream: str
    path: list[str]


class Records(msgspec.Struct, array_like=True):
    """received_at: microseconds."""

    received_at: int
    fresh: list[Fresh]


class Reading(msgspec.Struct, array_like=True):
    """What raw records came to. looks: what they showed, by stream."""

    candidates: list[Candidate]
    letters: list[NewLetter]
    extra_emits: int
    filtered: int
    mapping_errors: int
    rejected: int
    sighted: list[bytes]
    nameless: int
    looks: dict[str, Fields]

    @classmethod
    def of(cls, stage: Stage) -> Reading:
        return cls(
            stage.candidates,
            stage.letters,
            stage.extra_emits,
            stage.filtered,
            stage.mapping_errors,
            stage.rejected,
            stage.sighted,
            stage.nameless,
            {stream: look.fields() for stream, look in stage.looks.items()},
        )

    def put_into(self, stage: Stage) -> None:
        stage.candidates += self.candidates
        stage.letters += self.letters
        stage.extra_emits += self.extra_emits
        stage.filtered += self.filtered
        stage.mapping_errors += self.mapping_errors
        stage.rejected += self.rejected
        stage.sighted += self.sighted
        stage.nameless += self.nameless
        for stream, fields in self.looks.items():
            stage.look(stream).take(fields)


_READING = msgspec.msgpack.Decoder(Reading)
"""Made here, for two threads that make one at once crash the process (msgspec 0.22)."""


class Answer:
    """What comes back for a page. It is unpacked by whoever wants it: meanwhile the process reads
    the next page."""

    def __init__(self, body: Future[bytes | None]) -> None:
        self._body = body

    def result(self) -> Reading | None:
        """Waits for it; None where there will be none."""
        body = self._body.result()
        return None if body is None else _READING.decode(body)


class ReadingProcess:
    """Our end. Make one for each run of a stream and close it.

    It reads one page at a time; asked again before it has answered, it is answered in turn.
    """

    def __init__(self, installation: Installation, stream: str) -> None:
        loaded = installation.loaded
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._questions = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)
        _widen(self._questions, self._answers)
        self._lost = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="penstock-read")
        assignment = Assignment(
            installation.connection, loaded.target, loaded.code, stream, sys.path
        )
        self._greeting = self._thread.submit(self._ask, assignment)

    @property
    def is_ready(self) -> bool:
        """Whether it has loaded the connector and still answers."""
        return self._greeting.done() and not self._lost

    def read(self, fresh: Sequence[Fresh], received_at: datetime) -> Answer:
        """What the records come to; None where it could not be found out there."""
        records = Records(times.microseconds(received_at), list(fresh))
        return Answer(self._thread.submit(self._ask, records))

    def close(self) -> None:
        """End it. Nothing is lost: all it had was a copy."""
        self._process.kill()
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._answers.close()
        with suppress(OSError):  # what was still to be written has nobody to read it
            self._questions.close()
        self._process.wait()

    def _ask(self, question: msgspec.Struct) -> bytes | None:
        try:
            _send(self._questions, question)
            answer = _receive(self._answers)
        except OSError:
            answer = None
        if answer is None:
            self._lost = True
            event("reading.alone", pid=self._process.pid)
        return answer


def main() -> None:
    """The other end: an assignment, then pages of records until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C the first process takes care
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a mapping prints must not stand among the answers
    try:
        _read_on(source, target)
    except PenstockError:  # it will show again in the first process, which can say so
        sys.exit(1)


def _read_on(source: IO[bytes], target: IO[bytes]) -> None:
    reader, postmaster = _taken_up(source)
    collect_seldom()
    _send(target, Reading([], [], 0, 0, 0, 0, [], 0, {}))
    decoder = msgspec.msgpack.Decoder(Records)
    while (body := _receive(source)) is not None:
        records = decoder.decode(body)
        stage = Stage(records.received_at, postmaster)
        reader.read(stage, records.fresh, times.moment(records.received_at))
        _send(target, Reading.of(stage))


def _taken_up(source: IO[bytes]) -> tuple[RecordReader, Postmaster]:
    assignment = msgspec.msgpack.decode(_receive(source) or b"", type=Assignment)
    sys.path[:] = assignment.path
    loaded = load(assignment.target)
    if loaded.code != assignment.code:
        raise ConnectorError(f"{assignment.target} has been edited meanwhile")
    connection = assignment.connection
    reader = RecordReader(Installation(loaded, connection), assignment.stream)
    return reader, Postmaster(connection.workspace, connection.name, assignment.stream)


def _widen(*pipes: IO[bytes]) -> None:
    """Room for a page on its way, so that neither process waits for the other to take it in bits.

    It goes without, where the system has no such thing or has given its user all there is.
    """
    for pipe in pipes:
        with suppress(OSError, AttributeError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _send(pipe: IO[bytes], message: Any) -> None:
    body = msgspec.msgpack.encode(message)
    pipe.write(len(body).to_bytes(_LENGTH_BYTES, "big") + body)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    """One message, None where there will be no more."""
    head = pipe.read(_LENGTH_BYTES)
    length = int.from_bytes(head, "big")
    body = pipe.read(length)
    return body if len(head) == _LENGTH_BYTES and len(body) == length else None
