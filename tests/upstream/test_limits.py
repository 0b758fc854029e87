"""What a connector may raise, and how far."""

from __future__ import annotations

import pytest

from penstock.errors import ConnectorError, PageRefusedError
from penstock.upstream import wire
from penstock.upstream.limits import USUAL_LIMITS, Limits


def test_the_usual_ones():
    assert Limits() == USUAL_LIMITS == Limits(64 * 1024 * 1024, 30, 120)


def test_may_be_raised():
    raised = Limits(body_bytes=1024 * 1024 * 1024, read_s=170, total_s=170)
    assert (raised.body_bytes, raised.read_s, raised.total_s) == (2**30, 170, 170)


@pytest.mark.parametrize(
    "slip",
    [
        {"body_bytes": 1000},
        {"body_bytes": 2**30 + 1},
        {"body_bytes": None},
        {"body_bytes": "64 MB"},
        {"body_bytes": True},
        {"read_s": 0},
        {"read_s": 171},
        {"total_s": float("inf")},
        {"total_s": float("nan")},
        {"total_s": -1},
    ],
    ids=str,
)
def test_are_never_removed(slip):
    with pytest.raises(ConnectorError, match="it can be raised, from"):
        Limits(**slip)


def test_a_larger_body_may_hold_more_in_proportion(monkeypatch):
    monkeypatch.setattr(wire, "BODY_BYTES", 1000)
    monkeypatch.setattr(wire, "PAGE_RECORDS", 10)
    monkeypatch.setattr(wire, "VALUES", 100)

    def page(size: int, records: int) -> bytes:
        return b"[%b]" % b",".join([b"1"] * records).ljust(size - 2)

    assert len(wire.split(page(1000, 10), "").records) == 10
    with pytest.raises(PageRefusedError, match="11 records, the limit is 10"):
        wire.split(page(1000, 11), "")
    assert len(wire.split(page(1001, 20), "").records) == 20
    with pytest.raises(PageRefusedError, match="21 records, the limit is 20"):
        wire.split(page(1001, 21), "")
    with pytest.raises(PageRefusedError, match="more than 100 values"):
        wire.decode(page(1000, 101))
    assert len(wire.decode(page(1001, 200))) == 200
