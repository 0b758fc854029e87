"""A run stops before it drains a whole source into dead letters."""

from __future__ import annotations

import pytest

from penstock.errors import TooManyRejectedError
from penstock.model.outcome import Counters
from penstock.pipeline.brake import Brake


def counted(*, good: int, rejected: int = 0, mapping_errors: int = 0) -> Counters:
    return Counters(
        submitted=good + rejected, created=good, rejected=rejected, mapping_errors=mapping_errors
    )


def test_fifty_of_fewer_than_a_hundred_stop_the_run() -> None:
    with pytest.raises(TooManyRejectedError, match="50 of 99 records were rejected"):
        Brake().check(counted(good=49, rejected=50))


def test_mapping_errors_count_as_well() -> None:
    with pytest.raises(TooManyRejectedError, match="50 of 50"):
        Brake().check(counted(good=0, rejected=20, mapping_errors=30))


def test_forty_nine_do_not_stop_it_however_few_are_good() -> None:
    Brake().check(counted(good=0, rejected=49))


def test_half_is_not_more_than_half() -> None:
    Brake().check(counted(good=50, rejected=50))
