"""Which of two states of a document is the older one."""

from __future__ import annotations

import pytest

from penstock.pipeline.order import Marks, older

MARCH, APRIL = 1_772_400_000_000_000, 1_775_000_000_000_000


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        # numbers decide, as numbers
        (Marks("9", None, 5), Marks("10", None, 1), True),
        (Marks("10", None, 1), Marks("9", None, 5), False),
        (Marks("10", MARCH, 1), Marks("9", APRIL, 5), False),
        # equal numbers pass the question on
        (Marks("7", MARCH, 5), Marks("7", APRIL, 1), True),
        (Marks("007", None, 1), Marks("7", None, 5), True),
        # versions that are no numbers only say equal or not
        (Marks("abc", MARCH, 5), Marks("abd", APRIL, 1), True),
        (Marks("9", MARCH, 5), Marks("x", APRIL, 1), True),
        # times of change
        (Marks(None, MARCH, 5), Marks(None, APRIL, 1), True),
        (Marks(None, APRIL, 1), Marks(None, MARCH, 5), False),
        # equal or missing marks: the time of reception
        (Marks(None, MARCH, 1), Marks(None, MARCH, 5), True),
        (Marks(None, None, 1), Marks(None, MARCH, 5), True),
        (Marks(None, None, 5), Marks(None, MARCH, 1), False),
        # equal in everything is not older
        (Marks("7", MARCH, 5), Marks("7", MARCH, 5), False),
    ],
)
def test_older(a: Marks, b: Marks, expected: bool) -> None:
    assert older(a, b) is expected


def test_never_both_older() -> None:
    marks = [Marks(v, c, s) for v in (None, "1", "2", "x") for c in (None, 1, 2) for s in (1, 2)]
    assert not any(older(a, b) and older(b, a) for a in marks for b in marks)
