"""A unit of work in its order: fence, pages, versions, letters, held pages, resume point, counts.

The order and the cold statements are the same on every backend; what is hot is the backend's own,
behind `Session`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from penstock.errors import LeaseLostError
from penstock.model import times
from penstock.model.unit import DocumentState, Lease, NewVersion, UnitOfWork
from penstock.store import json_text
from penstock.store.unit_statements import (
    ADD_COUNTERS,
    CLOSE_LETTER,
    FENCE,
    FENCED_AT,
    HOLD_PAGE,
    INSERT_PAGE,
    RELEASE_PAGES,
    SEAL,
    SWEEP_NO,
    WAKE,
    WRITE_CHECKPOINT,
    WRITE_DRIFT,
    WRITE_LETTER,
    WRITE_SHAPE,
)
from penstock.telemetry import kill_point


class Cursor(Protocol):
    """What both drivers' cursors have in common."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> tuple[Any, ...] | None: ...


class Session(Protocol):
    """An open writing transaction. The hot statements are the backend's own."""

    def execute(self, statement: str, values: Mapping[str, Any]) -> Cursor:
        """One of the statements with named values."""

    def write_versions(self, unit: UnitOfWork, page_no: int | None) -> Sequence[int]:
        """Heads, versions and what the feed needs; the numbers of the new versions.

        Raises WriteConflictError where a head has moved on, or a new document exists.
        """

    def move_marks(self, unit: UnitOfWork) -> None:
        """The marks of unchanged documents. Raises WriteConflictError."""

    def supersede(self, document_ids: Sequence[bytes], now: int) -> None:
        """Close the open letters of these documents, which are accepted now."""

    def sight(self, sweep_no: int, document_ids: Sequence[bytes], seen: int) -> None:
        """The source showed these documents."""


def write(session: Session, unit: UnitOfWork) -> None:
    """Write all of the unit: see `roles.Documents.commit`. The transaction is the caller's."""
    if unit.lease and not _fence(session, unit, unit.lease):
        return
    kill_point("commit.fenced")
    page_no = _archive(session, unit)
    kill_point("commit.page")
    versions = session.write_versions(unit, page_no) if unit.versions else ()
    if unit.marks:
        session.move_marks(unit)
    kill_point("commit.versions")
    write_letters(session, unit, page_no)
    _close_letters(session, unit, versions)
    kill_point("commit.letters")
    if unit.lease:
        _move_held_pages(session, unit, unit.lease)
        _sight(session, unit, unit.lease)
    _wake(session, unit)
    _write_shapes(session, unit, page_no)
    _write_checkpoint(session, unit)
    session.execute(ADD_COUNTERS, unit.counters.as_json() | {"run_no": unit.run_no})
    kill_point("commit.checkpoint")


def write_letters(session: Session, unit: UnitOfWork, page_no: int | None) -> None:
    """The unit's letters, pointing at the page where one is archived."""
    home = {
        "workspace": unit.workspace,
        "connection": unit.connection,
        "run_no": unit.run_no,
        "page_no": page_no,
        "now": unit.recorded_at,
    }
    for letter in unit.letters:
        own = {name: getattr(letter, name) for name in letter.__slots__}
        place = {"page_index": None if page_no is None else letter.page_index}
        session.execute(WRITE_LETTER, own | home | place)


def is_content(version: NewVersion) -> bool:
    """A grave makes a head and no version."""
    return version.state != DocumentState.GRAVE


def _fence(session: Session, unit: UnitOfWork, lease: Lease) -> bool:
    """True: write. False: the unit is committed already. Raises LeaseLostError."""
    key = _stream_key(unit, lease) | {"owner": lease.owner, "epoch": lease.epoch}
    fenced = {"unit_no": unit.unit_no, "until": times.microseconds(lease.until)}
    if session.execute(FENCE, key | fenced).rowcount == 1:
        return True
    reached = session.execute(FENCED_AT, key).fetchone()
    if reached is None:
        raise LeaseLostError(
            f"{unit.connection}/{unit.stream} was taken over by another worker; nothing of this "
            "page was written"
        )
    if reached[0] < unit.unit_no:
        raise ValueError(f"unit {unit.unit_no} does not follow unit {reached[0]}")
    return False


def _archive(session: Session, unit: UnitOfWork) -> int | None:
    """Keep the pages if anything came of them; the number of the first, which that points at."""
    if unit.page_no is not None:
        return unit.page_no
    drifted = any(one.drifts for one in unit.observed)
    shown = unit.letters or drifted or any(map(is_content, unit.versions))
    if not unit.pages or not shown:
        return None
    numbers = [
        session.execute(
            INSERT_PAGE,
            {name: getattr(page, name) for name in page.__slots__}
            | {"workspace": unit.workspace, "run_no": unit.run_no}
            | {"parts": 0 if place else len(unit.pages)},
        ).fetchone()
        for place, page in enumerate(unit.pages)
    ]
    assert numbers[0] is not None  # RETURNING answers a row for each
    first: int = numbers[0][0]
    return first


def _close_letters(session: Session, unit: UnitOfWork, versions: Sequence[int]) -> None:
    """Those closed by name, then those whose document is accepted after all."""
    only_version = versions[0] if len(versions) == 1 else None
    for letter in unit.closed:
        closing_letter = {
            "letter_id": letter.letter_id,
            "state": str(letter.state),
            "discarded": letter.state == "discarded",
            "now": unit.recorded_at,
            "only_version": only_version,
        }
        session.execute(CLOSE_LETTER, closing_letter)
    if unit.page_no is not None:
        return
    made = (version.document_id for version in unit.versions)
    accepted = list(dict.fromkeys((*unit.accepted, *made)))
    if accepted:
        session.supersede(accepted, unit.recorded_at)


def _move_held_pages(session: Session, unit: UnitOfWork, lease: Lease) -> None:
    key = _stream_key(unit, lease)
    if unit.released is not None:
        session.execute(RELEASE_PAGES, key | {"released": unit.released})
    if unit.held is not None:
        session.execute(HOLD_PAGE, key | {"unit_no": unit.unit_no, "body": unit.held})


def _sight(session: Session, unit: UnitOfWork, lease: Lease) -> None:
    """Note which documents the source showed, and the end of a complete enumeration."""
    if not unit.sighted and unit.seal is None:
        return
    swept = session.execute(SWEEP_NO, _stream_key(unit, lease)).fetchone()
    assert swept is not None  # RETURNING answers a row
    session.sight(swept[0], list(dict.fromkeys(unit.sighted)), unit.unit_no)
    if unit.seal is not None:
        session.execute(SEAL, unit.seal._asdict() | {"sweep_no": swept[0]})


def _wake(session: Session, unit: UnitOfWork) -> None:
    for wake in unit.wakes:
        due = {
            "workspace": unit.workspace,
            "connection": unit.connection,
            "stream": wake.stream,
            "now": unit.recorded_at,
            "full_wanted_at": unit.recorded_at if wake.full else None,
        }
        session.execute(WAKE, due)


def _write_shapes(session: Session, unit: UnitOfWork, page_no: int | None) -> None:
    for one in unit.observed:
        home: dict[str, Any] = {
            "workspace": unit.workspace,
            "connection": unit.connection,
            "stream": one.stream,
            "now": unit.recorded_at,
        }
        session.execute(WRITE_SHAPE, home | {"shape": one.shape})
        for drift, idempotency_key, page_index in one.drifts:
            found = {
                "idempotency_key": idempotency_key,
                "run_no": unit.run_no,
                "page_no": page_no,
                "page_index": None if page_no is None else page_index,
                "accepted_at": unit.recorded_at if one.accepted else None,
            }
            session.execute(WRITE_DRIFT, home | drift._asdict() | found)


def _write_checkpoint(session: Session, unit: UnitOfWork) -> None:
    if unit.checkpoint is None:
        return
    if unit.lease is None:
        raise ValueError("a unit with a checkpoint needs the stream's lease")
    point = {
        "cursor": json_text.dump(unit.checkpoint.cursor),
        "enumeration": json_text.dump(unit.checkpoint.enumeration),
        "watermark": unit.checkpoint.watermark,
        "full_at": unit.checkpoint.full_at,
    }
    session.execute(WRITE_CHECKPOINT, _stream_key(unit, unit.lease) | point)


def _stream_key(unit: UnitOfWork, lease: Lease) -> dict[str, str]:
    return {
        "workspace": unit.workspace,
        "connection": unit.connection,
        "stream": unit.stream,
        "partition": lease.partition,
    }
