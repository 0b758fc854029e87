"""At rest the store is the source, whatever happened on the way; and the machine would notice."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model_based.machine import SourceMachine
from tests.model_based.source import Source

EVERY_FAULT = {
    "edit",
    "touch",
    "number",
    "nameless",
    "delete",
    "quiet",
    "refused",
    "garbled",
    "replayed",
    *(f"{how} {when}" for how in ("unwound", "dead", "lost") for when in ("before", "after")),
}


def profile(examples: int, **changes: object) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=20,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        **changes,
    )


def test_the_store_follows_the_source() -> None:
    SourceMachine.fired = Counter()
    run_state_machine_as_test(SourceMachine, settings=profile(150, derandomize=True))
    assert set(SourceMachine.fired) == EVERY_FAULT


@pytest.mark.torture
def test_the_store_follows_the_source_for_long() -> None:
    run_state_machine_as_test(SourceMachine, settings=profile(3000))


class BoundaryLeftOut(Source):
    boundary_included = False


class AskingBehindTheBoundary(SourceMachine):
    """The filter is > where it should be >=."""

    source_type = BoundaryLeftOut
    incremental_only = True


class WithoutSettling(SourceMachine):
    """The watermark reaches up to the start of the run."""

    settle = timedelta(0)
    incremental_only = True


class CheckpointFirst(SourceMachine):
    """The checkpoint is committed before the data."""

    torn_commits = True
    incremental_only = True


@pytest.mark.parametrize(
    "broken",
    [
        WithoutSettling,
        pytest.param(AskingBehindTheBoundary, marks=pytest.mark.torture),
        pytest.param(CheckpointFirst, marks=pytest.mark.torture),
    ],
)
def test_a_broken_promise_is_found(broken: type[SourceMachine]) -> None:
    """The control: the machine can fail, and does, within the examples of the test above."""
    found = profile(150, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(broken, settings=found)
