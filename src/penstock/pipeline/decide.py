"""What each candidate does to the store: decided purely, from the heads that are there.

`verdicts` says the outcome of every candidate; `effects` writes down the rows. Between the two
the caller reads the contents that the updates replace (`wanted`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from penstock.contracts.registry import contract
from penstock.model.identity import as_text
from penstock.model.outcome import Outcome
from penstock.model.rejection import Flag, Rejection, rejected
from penstock.model.unit import DocumentState, Head, MovedMarks, NewVersion
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.order import older

LIVE, DELETED, GRAVE = DocumentState.LIVE, DocumentState.DELETED, DocumentState.GRAVE
CREATED, UPDATED = Outcome.CREATED, Outcome.UPDATED
UNCHANGED, STALE = Outcome.UNCHANGED, Outcome.STALE

Heads = Mapping[bytes, Head | None]


class Verdict(NamedTuple):
    """note: why, where the outcome alone does not say it."""

    outcome: Outcome
    version: int
    note: str | None = None


_NEW, _NEVER_SEEN = Verdict(CREATED, 1), Verdict(UNCHANGED, 0)


@dataclass(frozen=True, slots=True)
class Effects:
    """Rows to write; refused: index of a candidate to why the store's state refuses it."""

    versions: tuple[NewVersion, ...]
    marks: tuple[MovedMarks, ...]
    refused: Mapping[int, Rejection]


def verdicts(candidates: Sequence[Candidate], heads: Heads) -> list[Verdict]:
    """The outcome of every candidate of one unit, in order."""
    winners = _winners(candidates)
    if winners is None:
        return [_verdict(c, heads.get(c.document_id)) for c in candidates]
    decided: list[Verdict] = []
    for index, candidate in enumerate(candidates):
        winner = winners[candidate.document_id]
        if winner == index:
            decided.append(_verdict(candidate, heads.get(candidate.document_id)))
        else:
            decided.append(_beside(candidate, candidates[winner], heads))
    return decided


def wanted(candidates: Sequence[Candidate], decided: Sequence[Verdict], heads: Heads) -> list[int]:
    """version_no of every content that `effects` needs to see."""
    replaced = (
        heads.get(candidate.document_id)
        for candidate, verdict in zip(candidates, decided, strict=True)
        if verdict.outcome is UPDATED
    )
    return [head.version_no for head in replaced if head is not None]


def effects(
    candidates: Sequence[Candidate],
    decided: Sequence[Verdict],
    heads: Heads,
    contents: Mapping[int, bytes],
) -> Effects:
    """The rows that carry the verdicts out, and what the state checks refuse (stage 6)."""
    versions: list[NewVersion] = []
    marks: list[MovedMarks] = []
    refused: dict[int, Rejection] = {}
    for index, (candidate, verdict) in enumerate(zip(candidates, decided, strict=True)):
        head = heads.get(candidate.document_id)
        if head is not None and (conflict := _identity_conflict(candidate, head)):
            refused[index] = conflict
            continue
        outcome = verdict.outcome
        if outcome is CREATED:
            versions.append(_created(candidate, head))
        elif outcome is UPDATED and head is not None:
            written = _updated(candidate, head, contents[head.version_no])
            if isinstance(written, Rejection):
                refused[index] = written
            else:
                versions.append(written)
        elif outcome is UNCHANGED and verdict.note is None:
            if head is None:
                versions.append(_grave(candidate))
            elif moved := moved_marks(candidate, head):
                marks.append(moved)
    return Effects(tuple(versions), tuple(marks), refused)


def _winners(candidates: Sequence[Candidate]) -> dict[bytes, int] | None:
    """The candidate that speaks for each document, None where all documents differ.

    The highest source version wins, then source_updated_at, then the last position.
    """
    if len({candidate.document_id for candidate in candidates}) == len(candidates):
        return None
    winners: dict[bytes, int] = {}
    for index, candidate in enumerate(candidates):
        rival = winners.setdefault(candidate.document_id, index)
        if rival != index and not older(candidate, candidates[rival]):
            winners[candidate.document_id] = index
    return winners


def _beside(candidate: Candidate, winner: Candidate, heads: Heads) -> Verdict:
    """The verdict of a candidate whose document another one of the unit speaks for."""
    head = heads.get(candidate.document_id)
    version = _verdict(winner, head).version
    same = _hash(candidate) == _hash(winner)
    note = f"same key as record {winner.page_index} of this unit"
    return Verdict(UNCHANGED if same else STALE, version, note)


def _hash(candidate: Candidate) -> bytes | None:
    return candidate.accepted.payload_hash if candidate.accepted else None


def _verdict(candidate: Candidate, head: Head | None) -> Verdict:
    gone = candidate.accepted is None
    if head is None:
        return _NEVER_SEEN if gone else _NEW
    if head.state == LIVE and _hash(candidate) == head.payload_hash:
        return Verdict(UNCHANGED, head.version)
    if _is_late(candidate, head):
        return Verdict(STALE, head.version)
    if gone and head.state != LIVE:
        return Verdict(UNCHANGED, head.version)
    return Verdict(CREATED if head.state == GRAVE else UPDATED, head.version + 1)


def _is_late(candidate: Candidate, head: Head) -> bool:
    """Whether the head stands for news that the candidate has not seen."""
    if candidate.replaces is not None:
        return head.state == GRAVE or candidate.replaces != head.version_no
    return older(candidate, head)


def _identity_conflict(candidate: Candidate, head: Head) -> Rejection | None:
    """I-V5: a used key keeps its natural id."""
    if not head.source_id or candidate.source_id in {None, head.source_id}:
        return None
    return rejected(
        "identity_conflict",
        f"idempotency key {candidate.key[:64]!r} belongs to {head.source_id[:64]!r} already, "
        f"not to {str(candidate.source_id)[:64]!r}; keys keep their record for good "
        f"(document {as_text(head.document_id)})",
        invariant="I-V5",
    )


def _created(candidate: Candidate, head: Head | None) -> NewVersion:
    accepted = candidate.accepted
    if accepted is None:
        raise AssertionError("a delete creates nothing")
    return NewVersion(
        candidate.document_id,
        candidate.document_type,
        candidate.key,
        accepted.source_id,
        1,
        None if head is None else head.version_no,
        LIVE,
        candidate.contract_version,
        accepted.payload_hash,
        candidate.raw_mark,
        accepted.content,
        candidate.source_version,
        candidate.source_updated_at,
        candidate.as_of,
        accepted.status,
        accepted.on_date,
        accepted.party,
        accepted.number,
        _flags(accepted.flags) if accepted.flags else None,
        candidate.page_index,
    )


def _updated(candidate: Candidate, head: Head, before: bytes) -> NewVersion | Rejection:
    accepted = candidate.accepted
    if accepted is None:
        return _deleted(candidate, head, before)
    errors, warnings = contract(candidate.document_type).compare(before, accepted)
    if errors:
        return Rejection(tuple(errors))
    flags = (*accepted.flags, *warnings, *_reused_revision(candidate, head))
    return _created(candidate, head)._replace(
        version=head.version + 1, flags=_flags(flags) if flags else None
    )


def _deleted(candidate: Candidate, head: Head, before: bytes) -> NewVersion:
    """The last content once more, with the state that says it has ended."""
    facets = contract(candidate.document_type).facets(before)
    return NewVersion(
        document_id=candidate.document_id,
        document_type=candidate.document_type,
        idempotency_key=candidate.key,
        source_id=head.source_id,
        version=head.version + 1,
        previous=head.version_no,
        state=DELETED,
        contract_version=candidate.contract_version,
        payload_hash=head.payload_hash,
        raw_mark=None,
        content=before,
        source_version=candidate.source_version or head.source_version,
        source_updated_at=_later(candidate.source_updated_at, head.source_updated_at),
        as_of=candidate.as_of,
        status=facets.status,
        on_date=facets.on_date,
        party=facets.party,
        number=facets.number,
        flags=None,
        page_index=candidate.page_index,
    )


def _grave(candidate: Candidate) -> NewVersion:
    return NewVersion(
        document_id=candidate.document_id,
        document_type=candidate.document_type,
        idempotency_key=candidate.key,
        source_id=candidate.source_id or "",
        version=0,
        previous=None,
        state=GRAVE,
        contract_version=candidate.contract_version,
        payload_hash=b"",
        raw_mark=None,
        content=b"",
        source_version=candidate.source_version,
        source_updated_at=candidate.source_updated_at,
        as_of=candidate.as_of,
        status=None,
        on_date=None,
        party=None,
        number=None,
        flags=None,
        page_index=candidate.page_index,
    )


def moved_marks(candidate: Candidate, head: Head) -> MovedMarks | None:
    """An unchanged document's marks move forward, never back.

    as_of counts only where the provider gives no marks of its own. A record that was derived once
    more tells nothing new of its age: only what it was read with is noted.
    """
    if candidate.replaces is not None:
        return _derived_again(candidate, head)
    if older(candidate, head):
        return None
    version, changed = candidate.source_version, candidate.source_updated_at
    unmarked = version is None and changed is None
    raw_mark = head.raw_mark if candidate.accepted is None else candidate.raw_mark
    if (version, changed, raw_mark) == (
        head.source_version,
        head.source_updated_at,
        head.raw_mark,
    ) and not (unmarked and candidate.as_of > head.as_of):
        return None
    return MovedMarks(
        candidate.document_id,
        head.version_no,
        raw_mark,
        version or head.source_version,
        _later(changed, head.source_updated_at),
        max(candidate.as_of, head.as_of),
    )


def _derived_again(candidate: Candidate, head: Head) -> MovedMarks | None:
    raw_mark = candidate.raw_mark
    late = _is_late(candidate, head) or candidate.accepted is None
    if late or raw_mark is None or raw_mark == head.raw_mark:
        return None
    marks = (head.source_version, head.source_updated_at, head.as_of)
    return MovedMarks(head.document_id, head.version_no, raw_mark, *marks)


def _reused_revision(candidate: Candidate, head: Head) -> tuple[Flag, ...]:
    """I-V2: equal source_version should mean equal content, as long as the mapping is the same."""
    version = candidate.source_version
    if candidate.replaces is not None or version is None or version != head.source_version:
        return ()
    message = f"source_version {version[:64]!r} was used for other content before"
    return (Flag("revision_reused", "/source_version", message, "I-V2"),)


def _later(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return a if b is None else b
    return max(a, b)


def _flags(flags: Sequence[Flag]) -> bytes:
    return msgspec.json.encode(flags)
