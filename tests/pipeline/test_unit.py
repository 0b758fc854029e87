"""The unit of work: what a stage becomes, how it is counted, and what another writer does to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import WriteConflictError
from penstock.model.outcome import Outcome
from penstock.model.rejection import rejected
from penstock.model.unit import ClosedLetter, LetterState, UnitOfWork
from penstock.pipeline.decide import Effects, Verdict
from penstock.pipeline.letters import Postmaster, Subject
from penstock.pipeline.stage import Stage
from penstock.pipeline.unit import ATTEMPTS, Frame, UnitWriter, compose, tally
from tests.pipeline.plant import Plant, Provider, customer
from tests.pipeline.test_decide import BOB, candidate

FRAME = Frame("default", "acme-main", "customers", run_no=1, recorded_at=0)
BAD = rejected("invalid_type", "no such name")
ACCEPTED = st.sampled_from([o for o in Outcome if o is not Outcome.REJECTED])
LETTERS = st.lists(st.sampled_from(["mapping_error", "invalid_type"]), max_size=5)


def empty_stage() -> Stage:
    return Stage(0, Postmaster("default", "acme-main", "customers"))


@given(
    outcomes=st.lists(ACCEPTED, max_size=6),
    refused=st.sets(st.integers(0, 5)),
    repeated=st.integers(0, 3),
    aside=LETTERS,
    filtered=st.integers(0, 3),
)
def test_every_record_is_counted_once(
    outcomes: list[Outcome], refused: set[int], repeated: int, aside: list[str], filtered: int
) -> None:
    stage = empty_stage()
    stage.candidates = [candidate(BOB) for _ in outcomes]
    stage.repeated = [bytes([n]) * 16 for n in range(repeated)]
    stage.filtered = filtered
    for number, reason in enumerate(aside):
        about = Subject("customers", "customer", raw=b"%d" % number)
        stage.set_aside(about, rejected(reason, "bad"))
    stage.fetched = len(outcomes) + repeated + len(aside) + filtered
    written = Effects((), (), {n: BAD for n in refused if n < len(outcomes)})
    decided = [Verdict(outcome, 1) for outcome in outcomes]

    counters = tally(stage, decided, written)
    assert counters.balanced
    assert counters.set_aside == len(aside) + len(written.refused)
    assert counters.unchanged >= repeated

    unit = compose(stage, FRAME, decided, written)
    assert unit.counters == counters
    assert len(unit.letters) == counters.set_aside
    assert len(unit.accepted) == counters.submitted - counters.rejected


def test_a_letter_that_is_written_again_stays_open() -> None:
    stage = empty_stage()
    again = stage.set_aside(Subject("customers", "customer", raw=b"{}"), BAD)
    other = ClosedLetter(b"o" * 16, LetterState.REPLAYED)
    closed = (ClosedLetter(again.letter_id, LetterState.REPLAYED), other)
    frame = Frame("default", "acme-main", "customers", 1, 0, closed=closed)
    assert compose(stage, frame, [], Effects((), (), {})).closed == (other,)


@pytest.mark.parametrize("conflicts", [0, 1, ATTEMPTS - 1])
def test_a_unit_that_met_another_writer_is_decided_again(
    plant: Plant, provider: Provider, conflicts: int
) -> None:
    units = contended(plant, conflicts)
    provider.records = [customer(1)]
    assert plant.run().counters.created == 1
    assert len(units) == conflicts + 1


def test_a_conflict_without_end_passes(plant: Plant, provider: Provider) -> None:
    stage = empty_stage()
    stage.candidates = [candidate(BOB)]
    units: list[UnitOfWork] = []

    def commit(unit: UnitOfWork) -> None:
        units.append(unit)
        raise WriteConflictError("another writer was first")

    with pytest.raises(WriteConflictError):
        UnitWriter(plant.store.documents, commit).write(stage, FRAME)
    assert len(units) == ATTEMPTS


def contended(plant: Plant, conflicts: int) -> list[Any]:
    """The first commits of the plant meet another writer; all units that were tried."""
    commit = plant.store.documents.commit
    units: list[Any] = []

    def met(unit: UnitOfWork) -> None:
        units.append(unit)
        if len(units) <= conflicts:
            raise WriteConflictError("another writer was first")
        commit(unit)

    plant.store.documents.commit = met  # type: ignore[method-assign]
    return units
