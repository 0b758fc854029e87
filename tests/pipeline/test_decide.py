"""What a candidate does to a document, for every state the document can be in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.contracts import registry
from penstock.contracts.accepted import Accepted
from penstock.model.identity import document_id
from penstock.model.outcome import Outcome
from penstock.model.unit import DocumentState, Head
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.decide import Effects, Verdict, effects, moved_marks, verdicts, wanted

CREATED, UPDATED = Outcome.CREATED, Outcome.UPDATED
UNCHANGED, STALE = Outcome.UNCHANGED, Outcome.STALE
CUSTOMER = registry.contract("customer")
KEY = "acme:customer:cus_1"
DOCUMENT = document_id("default", "acme-main", "customer", KEY)


def accepted(name: str, document_type: str = "customer", **more: Any) -> Accepted:
    made = registry.contract(document_type).examine({"customer_id": "cus_1", "name": name} | more)
    assert isinstance(made, Accepted), made
    return made


ANN, BOB = accepted("Ann"), accepted("Bob")


def candidate(made: Accepted | None = ANN, **changes: Any) -> Candidate:
    """A record of cus_1 that was received at 20; None is a delete."""
    known: dict[str, Any] = {
        "document_id": DOCUMENT,
        "stream": "customers",
        "document_type": CUSTOMER.document_type,
        "contract_version": CUSTOMER.version,
        "key": KEY,
        "source_id": "cus_1",
        "accepted": made,
        "source_version": None,
        "source_updated_at": None,
        "as_of": 20,
        "raw_mark": None,
        "payload": None,
        "page_index": 0,
    }
    return Candidate(**known | changes)


def head(state: DocumentState = DocumentState.LIVE, **changes: Any) -> Head:
    """cus_1 as Ann in its third version, received at 10."""
    known = Head(DOCUMENT, 3, 33, state, ANN.payload_hash, None, "cus_1", None, None, 10)
    return known._replace(**changes)


DELETED = head(DocumentState.DELETED)
GRAVE = head(DocumentState.GRAVE, version=0, version_no=0, payload_hash=b"", source_id="")


@pytest.mark.parametrize(
    ("of", "on", "verdict"),
    [
        (candidate(ANN), None, Verdict(CREATED, 1)),
        (candidate(None), None, Verdict(UNCHANGED, 0)),
        (candidate(ANN), head(), Verdict(UNCHANGED, 3)),
        (candidate(ANN, as_of=5), head(), Verdict(UNCHANGED, 3)),
        (candidate(BOB), head(), Verdict(UPDATED, 4)),
        (candidate(BOB, as_of=10), head(), Verdict(UPDATED, 4)),
        (candidate(BOB, as_of=9), head(), Verdict(STALE, 3)),
        (candidate(None), head(), Verdict(UPDATED, 4)),
        (candidate(None, as_of=9), head(), Verdict(STALE, 3)),
        (candidate(None), DELETED, Verdict(UNCHANGED, 3)),
        (candidate(None, as_of=9), DELETED, Verdict(STALE, 3)),
        (candidate(ANN), DELETED, Verdict(UPDATED, 4)),
        (candidate(ANN, as_of=9), DELETED, Verdict(STALE, 3)),
        (candidate(ANN), GRAVE, Verdict(CREATED, 1)),
        (candidate(ANN, as_of=9), GRAVE, Verdict(STALE, 0)),
        (candidate(None), GRAVE, Verdict(UNCHANGED, 0)),
        (
            candidate(BOB, source_updated_at=7, as_of=9),
            head(source_updated_at=6),
            (UPDATED, 4, None),
        ),
        (candidate(BOB, source_updated_at=5), head(source_updated_at=6), (STALE, 3, None)),
        (
            candidate(BOB, source_version="10", as_of=9),
            head(source_version="9"),
            (UPDATED, 4, None),
        ),
        (candidate(BOB, source_version="9"), head(source_version="10"), (STALE, 3, None)),
    ],
)
def test_a_verdict(of: Candidate, on: Head | None, verdict: Verdict) -> None:
    assert verdicts([of], {} if on is None else {DOCUMENT: on}) == [verdict]


def decide(*candidates: Candidate, on: Head | None = None) -> tuple[list[Verdict], Effects]:
    """Verdicts and effects, with the content that the update asked for: Ann's."""
    heads = {DOCUMENT: on}
    decided = verdicts(candidates, heads)
    contents = dict.fromkeys(wanted(candidates, decided, heads), ANN.content)
    return decided, effects(candidates, decided, heads, contents)


def flags_of(written: Effects) -> list[str]:
    (version,) = written.versions
    return [flag["code"] for flag in json.loads(version.flags or b"[]")]


@pytest.mark.parametrize(
    ("records", "outcomes"),
    [
        ([candidate(ANN), candidate(ANN)], [UNCHANGED, CREATED]),
        ([candidate(ANN), candidate(BOB)], [STALE, CREATED]),
        (
            [candidate(ANN, source_updated_at=2), candidate(BOB, source_updated_at=1)],
            [CREATED, STALE],
        ),
        (
            [candidate(ANN, source_version="10"), candidate(BOB, source_version="9")],
            [CREATED, STALE],
        ),
        ([candidate(ANN), candidate(None)], [STALE, UNCHANGED]),
        ([candidate(None), candidate(None)], [UNCHANGED, UNCHANGED]),
    ],
)
def test_twice_in_one_unit_one_record_speaks(
    records: list[Candidate], outcomes: list[Outcome]
) -> None:
    decided, written = decide(*records)
    assert [verdict.outcome for verdict in decided] == outcomes
    assert len(written.versions) == 1
    (note,) = [verdict.note for verdict in decided if verdict.note]
    assert note == "same key as record 0 of this unit"


def test_a_record_beside_another_document_speaks_for_itself() -> None:
    other = candidate(BOB, document_id=b"o" * 16)
    decided, written = decide(candidate(ANN), candidate(ANN), other)
    assert [verdict.outcome for verdict in decided] == [UNCHANGED, CREATED, CREATED]
    assert [version.document_id for version in written.versions] == [DOCUMENT, b"o" * 16]


def test_a_new_record_makes_the_first_version() -> None:
    _, written = decide(candidate(BOB, source_updated_at=7, raw_mark=b"m", page_index=4))
    (version,) = written.versions
    assert (version.version, version.previous, version.state) == (1, None, "live")
    assert (version.payload_hash, version.content) == (BOB.payload_hash, BOB.content)
    assert (version.source_updated_at, version.raw_mark, version.page_index) == (7, b"m", 4)


def test_a_change_follows_the_version_it_replaces() -> None:
    _, written = decide(candidate(BOB), on=head())
    (version,) = written.versions
    assert (version.version, version.previous, version.content) == (4, 33, BOB.content)


def test_a_delete_keeps_the_last_content() -> None:
    on = head(source_version="7", source_updated_at=9)
    _, written = decide(candidate(None, source_id=None, source_updated_at=8, as_of=20), on=on)
    assert written.versions == ()
    _, written = decide(candidate(None, source_id=None), on=on)
    (version,) = written.versions
    assert (version.version, version.state, version.content) == (4, "deleted", ANN.content)
    assert (version.source_id, version.source_version, version.source_updated_at) == (
        "cus_1",
        "7",
        9,
    )
    assert version.payload_hash == ANN.payload_hash


def test_a_deleted_document_is_restored_with_the_same_content() -> None:
    _, written = decide(candidate(ANN), on=DELETED)
    (version,) = written.versions
    assert (version.version, version.state, version.previous) == (4, "live", 33)


def test_a_delete_of_an_unknown_key_leaves_a_grave() -> None:
    _, written = decide(candidate(None, source_id=None, source_updated_at=7))
    (version,) = written.versions
    assert (version.version, version.state, version.content) == (0, "grave", b"")
    assert (version.source_id, version.source_updated_at, version.previous) == ("", 7, None)


def test_a_grave_gives_way_to_a_first_version() -> None:
    _, written = decide(candidate(ANN), on=GRAVE)
    (version,) = written.versions
    assert (version.version, version.previous, version.state) == (1, 0, "live")


@pytest.mark.parametrize("made", [ANN, BOB, None])
def test_a_key_keeps_its_natural_id(made: Accepted | None) -> None:
    _, written = decide(candidate(made, source_id="cus_2"), on=head())
    assert (written.versions, written.marks) == ((), ())
    (refusal,) = written.refused.values()
    assert (refusal.reason, refusal.errors[0].invariant) == ("identity_conflict", "I-V5")
    assert "cus_2" in refusal.message


def test_a_delete_without_an_id_is_no_conflict() -> None:
    _, written = decide(candidate(None, source_id=None), on=head())
    assert not written.refused


def test_equal_source_versions_with_other_content_are_flagged() -> None:
    _, written = decide(candidate(BOB, source_version="7"), on=head(source_version="7"))
    assert flags_of(written) == ["revision_reused"]


def test_another_source_version_is_not_flagged() -> None:
    _, written = decide(candidate(BOB, source_version="8"), on=head(source_version="7"))
    assert flags_of(written) == []


def test_what_may_not_change_is_refused() -> None:
    """I-V3, through the contract's own comparison."""
    contract = next(c for c in map(registry.contract, registry.types()) if c.description.fixed)
    field = contract.description.fixed[0]
    before, after = (
        ANN._replace(content=json.dumps({field: value}).encode(), payload_hash=value.encode())
        for value in ("a", "b")
    )
    changed = candidate(after, document_type=contract.document_type)
    heads = {DOCUMENT: head(payload_hash=before.payload_hash)}
    decided = verdicts([changed], heads)
    written = effects([changed], decided, heads, {33: before.content})
    assert written.versions == ()
    assert written.refused[0].errors[0].code == "immutable_field"
    assert written.refused[0].errors[0].path == f"/{field}"


@pytest.mark.parametrize(
    ("of", "on", "moved"),
    [
        (candidate(ANN), head(), (None, None, None, 20)),
        (candidate(ANN, as_of=10), head(), None),
        (candidate(ANN, as_of=9), head(), None),
        (candidate(ANN, raw_mark=b"new"), head(raw_mark=b"old"), (b"new", None, None, 20)),
        (candidate(ANN, source_updated_at=7), head(), (None, None, 7, 20)),
        (candidate(ANN, source_updated_at=7), head(source_updated_at=7), None),
        (candidate(ANN, source_updated_at=8), head(source_updated_at=7), (None, None, 8, 20)),
        (candidate(ANN, source_updated_at=6), head(source_updated_at=7), None),
        (candidate(ANN, source_version="8"), head(source_version="7"), (None, "8", None, 20)),
        (candidate(ANN), head(source_updated_at=7), (None, None, 7, 20)),
        (
            candidate(ANN, source_updated_at=8, as_of=5),
            head(source_updated_at=7),
            (None, None, 8, 10),
        ),
        (candidate(None), DELETED._replace(raw_mark=b"old"), (b"old", None, None, 20)),
    ],
)
def test_marks_of_an_unchanged_document_move_forward(
    of: Candidate, on: Head, moved: tuple[Any, ...] | None
) -> None:
    found = moved_marks(of, on)
    assert (None if found is None else tuple(found)[2:]) == moved
    _, written = decide(of, on=on)
    assert written.versions == ()
    assert list(written.marks) == ([] if found is None else [found])
