"""At rest the store is the source, whatever happened on the way; and the machine would notice."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model_based.machine import SourceMachine
from tests.model_based.source import Source

CRASHES = {f"{how} {when}" for how in ("unwound", "dead", "lost") for when in ("before", "after")}
EVERY_FAULT = CRASHES | {
    "edit",
    "touch",
    "number",
    "nameless",
    "delete",
    "quiet",
    "vanish",
    "absent",
    "expired",
    "refused",
    "garbled",
    "replayed",
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


class NeverFull(SourceMachine):
    """Only ordinary runs, so that none makes good what another lost."""

    incremental_only = True


class Sweeping(SourceMachine):
    """Every example has proven deletes, so that some of few have records that vanish."""

    always_sweeping = True


def test_the_store_follows_the_source(backend: str) -> None:
    """Fewer examples where every commit waits for a disk; the long test has them all."""
    many, few = (80, 40) if backend == "sqlite" else (25, 10)
    SourceMachine.fired = Counter()
    for machine, examples in ((SourceMachine, many), (NeverFull, few), (Sweeping, few // 2)):
        run_state_machine_as_test(machine, settings=profile(examples, derandomize=True))
    fired = {what for what, times in SourceMachine.fired.items() if times}
    assert fired == EVERY_FAULT if backend == "sqlite" else fired >= CRASHES


@pytest.mark.torture
@pytest.mark.parametrize("machine", [SourceMachine, NeverFull])
def test_the_store_follows_the_source_for_long(backend: str, machine: type[SourceMachine]) -> None:
    run_state_machine_as_test(machine, settings=profile(2000))


class BoundaryLeftOut(Source):
    boundary_included = False


class AskingBehindTheBoundary(SourceMachine):
    """The filter is > where it should be >=."""

    source_type = BoundaryLeftOut


class WithoutSettling(SourceMachine):
    """The watermark reaches up to the start of the run."""

    settle = timedelta(0)


class CheckpointFirst(NeverFull):
    """The checkpoint is committed before the data."""

    torn_commits = True


@pytest.mark.parametrize(
    ("broken", "examples"),
    [
        (WithoutSettling, 100),
        (AskingBehindTheBoundary, 100),
        pytest.param(CheckpointFirst, 1000, marks=pytest.mark.torture),
    ],
)
def test_a_broken_promise_is_found(broken: type[SourceMachine], examples: int) -> None:
    """The control: the machine can fail, and does, within the examples of the tests above."""
    found = profile(examples, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(broken, settings=found)
