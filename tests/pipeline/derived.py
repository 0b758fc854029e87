"""`penstock rederive` on the plant of these tests, in this process."""

from __future__ import annotations

from penstock.pipeline.derivation import Deriver
from penstock.pipeline.difference import Difference
from penstock.work.rederiving import SPAN, Rederiver, RederiveReport
from penstock.work.team import Alone, Team
from tests.pipeline.plant import Plant


def deriver(plant: Plant, stream: str = "customers", *, keeps: bool = True) -> Deriver:
    store = plant.store
    return Deriver(
        plant.installation, stream, store.archive, store.documents, plant.clock, keeps=keeps
    )


def rederiver(
    plant: Plant, stream: str = "customers", *, team: Team | None = None, span: int = SPAN
) -> Rederiver:
    team = team or Alone(deriver(plant, stream))
    return Rederiver(plant.store, plant.installation, stream, team, plant.clock, span=span)


def preview(plant: Plant, stream: str = "customers") -> Difference:
    """What would differ; checks that looking changes nothing."""
    before = (
        plant.versions(),
        len(plant.letters(state=None)),
        len(plant.store.runs.list("default")),
    )
    report = rederiver(plant, stream).preview()
    assert report.run_no is None
    assert before == (
        plant.versions(),
        len(plant.letters(state=None)),
        len(plant.store.runs.list("default")),
    )
    return report.difference


def apply(plant: Plant, stream: str = "customers", *, span: int = SPAN) -> RederiveReport:
    """Write what differs; checks that it is what the preview told, and the laws of every run."""
    told = preview(plant, stream)
    report = rederiver(plant, stream, span=span).apply(wait_s=0)
    assert report.difference == told
    assert report.counters is not None
    assert report.counters.balanced
    assert report.counters.created == told.created
    assert report.counters.updated == told.updated + told.gone
    assert report.counters.set_aside == told.rejected
    state = plant.store.streams.get("default", "acme-main", stream)
    assert state is not None
    assert not state.lease_owner
    plant.clock.advance(60)
    return report


def counts(difference: Difference) -> dict[str, int]:
    """Those that are not 0."""
    told: dict[str, int] = difference.as_json()["documents"]
    return {name: number for name, number in told.items() if number}
