"""The watch over the shapes of a connection's records, during one run of a stream."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import msgspec

from penstock.errors import PausedByDriftError
from penstock.model.drift import Drift, DriftPolicy, Observed, Witnessed
from penstock.model.shape import Fields, Shape
from penstock.pipeline import drift
from penstock.pipeline.look import fields_of
from penstock.pipeline.stage import Stage
from penstock.sdk.connector import Connector
from penstock.store.roles import Shapes
from penstock.telemetry import event
from penstock.upstream import wire
from penstock.vault.redaction import NOTHING_HIDDEN, Redactor

PAGES = 50
"""Pages with records after which a shape is written that only counted on."""
SHOWN = 3
"""Differences that a sentence names."""
WITNESSES = 2_000
"""Records of a page among which the first that shows a drift is looked for."""


@dataclass(frozen=True, slots=True)
class Held:
    """A shape in memory. pages: those with records since it was written."""

    shape: Shape
    pages: int = 0


class DriftWatch:
    """Compares pages with what was seen before, and says what is to be written with them.

    One for each run of a stream, for all threads that pull at it. A shape is read at its stream's
    first records. It is written where it shows something new, after PAGES pages, and at the end of
    an enumeration. blind: for a backfill, since what is old may well look as it did then.
    """

    def __init__(
        self,
        shapes: Shapes,
        connector: Connector,
        workspace: str,
        connection: str,
        stream: str,
        run_no: int,
        redact: Redactor = NOTHING_HIDDEN,
        *,
        blind: bool = False,
    ) -> None:
        self._shapes = shapes
        self._connector = connector
        self._workspace = workspace
        self._connection = connection
        self._stream = stream
        self._run_no = run_no
        self._redact = redact
        self._blind = blind

        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self._found: dict[str, list[str]] = {}
        self._stored: list[str] | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should look at, as found in this run; a pause has said so itself."""
        return tuple(
            self._sentence(stream, found)
            for stream, found in self._found.items()
            if stream != self._stream or self._policy(stream) == "warn"
        )

    def check(self) -> None:
        """Raises PausedByDriftError where the running stream waits for drift to be accepted."""
        if self._policy(self._stream) != "pause":
            return
        if self._stored is None:
            stored = self._shapes.drifts(
                self._workspace, connection=self._connection, stream=self._stream
            )
            self._stored = [waiting.message for waiting in stored]
        if waiting := [*self._stored, *self._found.get(self._stream, ())]:
            raise PausedByDriftError(self._sentence(self._stream, waiting))

    @contextmanager
    def page(self, stage: Stage | None, *, last: bool) -> Iterator[tuple[Observed, ...]]:
        """What is to be written with a page; committed inside, or it was never seen.

        stage: None where only what was counted so far is written. last: it ends an enumeration.
        Other threads wait while something is written, for their pages are compared with it.
        """
        with ExitStack() as locked:
            locked.enter_context(self._lock)
            before = self._held.copy()
            observed = self._observe(stage, last)
            if not observed:
                locked.close()
            try:
                yield observed
            except BaseException:
                if observed:
                    self._held = before
                raise
            self._tell(observed)

    def _observe(self, stage: Stage | None, last: bool) -> tuple[Observed, ...]:
        looks = stage.looks if stage is not None and not self._blind else {}
        seen = {stream: look.fields() for stream, look in looks.items()}
        streams = [stream for stream, fields in seen.items() if fields]
        streams += [stream for stream in self._held if last and stream not in streams]
        observed = [self._look_at(one, seen.get(one, {}), stage, last) for one in streams]
        return tuple(one for one in observed if one is not None)

    def _look_at(
        self, stream: str, fields: Fields, stage: Stage | None, last: bool
    ) -> Observed | None:
        held = self._hold(stream)
        compared = drift.compare(held.shape, fields, self._run_no)
        shape, pages = compared.shape, held.pages + bool(fields)
        learnt = last and shape.learnt_in is None
        if learnt:
            shape = msgspec.structs.replace(shape, learnt_in=self._run_no)
        if not (compared.grown or learnt or pages >= PAGES or (last and pages)):
            self._held[stream] = Held(shape, pages)
            return None
        self._held[stream] = Held(shape)
        return Observed(
            stream,
            self._redact.data(shape.as_bytes()),
            tuple(map(self._cleansed, witnessed(compared, stage, stream))) if stage else (),
            accepted=self._policy(stream) == "allow",
        )

    def _tell(self, observed: Sequence[Observed]) -> None:
        for one in observed:
            level = logging.INFO if one.accepted else logging.WARNING
            found = [witnessed.drift for witnessed in one.drifts]
            for each in found:
                event("drift.seen", level, stream=one.stream, kind=each.kind.value, path=each.path)
            if found and not one.accepted:
                self._found.setdefault(one.stream, []).extend(each.message for each in found)

    def _sentence(self, stream: str, messages: Sequence[str]) -> str:
        shown = "; ".join(messages[:SHOWN]) + "; …" * (len(messages) > SHOWN)
        place = f"{self._connection} {stream}"
        return (
            f"the provider's records changed: {shown}. See `penstock drift {place}`, mend the "
            f"mapping if need be, then `penstock drift {place} --accept`"
        )

    def _policy(self, stream: str) -> DriftPolicy:
        return self._connector.stream(stream).drift

    def _cleansed(self, one: Witnessed) -> Witnessed:
        """Without the connection's secrets, which a provider may repeat in its records."""
        kind, *texts = one.drift
        told = [self._redact.data(text.encode()).decode() for text in texts]
        return one._replace(drift=Drift(kind, *told))

    def _hold(self, stream: str) -> Held:
        if stream not in self._held:
            stored = self._shapes.get(self._workspace, self._connection, stream)
            self._held[stream] = Held(Shape() if stored is None else Shape.from_bytes(stored))
        return self._held[stream]


def witnessed(compared: drift.Compared, stage: Stage, stream: str) -> Iterator[Witnessed]:
    """Each drift with the first record of the page that shows it."""
    waiting: list[Drift] = compared.drifts
    places = stage.look(stream).places[:WITNESSES] if waiting else ()
    for place in places:
        record = drift.same_maps(compared.shape, _fields_of_one(stage.raws[place]))[1]
        shown = [found for found in waiting if drift.shows(found, record)]
        yield from (Witnessed(found, _key_of(stage, place), place) for found in shown)
        waiting = [found for found in waiting if found not in shown]
        if not waiting:
            return
    yield from (Witnessed(found, None, None) for found in waiting)


def _fields_of_one(raw: bytes) -> Fields:
    try:
        return fields_of([wire.decode_record(raw)])
    except wire.BadRecordError:
        return {}


def _key_of(stage: Stage, place: int) -> str | None:
    """The idempotency key of the record at a place, whatever became of it."""
    for candidate in stage.candidates:
        if candidate.page_index == place:
            return candidate.key
    return next((one.idempotency_key for one in stage.letters if one.page_index == place), None)
