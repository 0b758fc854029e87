from __future__ import annotations

import json
from itertools import chain, cycle, islice

import pytest

from penstock.errors import PageRefusedError
from penstock.upstream.request import Request
from penstock.upstream.trail import Trail


def at(cursor: object) -> Request:
    return Request("GET", "https://api.acme.test/x", params=(("cursor", str(cursor)),))


def steps_until_refused(cursors) -> int:
    trail = Trail()
    for step, cursor in enumerate(cursors):
        try:
            trail = trail.follow(at(cursor))
        except PageRefusedError:
            return step
    return -1


def test_a_straight_way_is_followed():
    assert steps_until_refused(range(5000)) == -1


@pytest.mark.parametrize("circle", ["A", "AB", "ABCDEFGH"])
def test_a_short_circle_is_found_at_its_first_repetition(circle):
    assert steps_until_refused(islice(cycle(circle), 100)) == len(circle)


@pytest.mark.parametrize(("tail", "length"), [(0, 9), (3, 50), (500, 100), (1, 1000)])
def test_a_long_circle_is_found_in_bounded_time(tail, length):
    ring = [f"ring{n}" for n in range(length)]
    found = steps_until_refused(islice(chain(range(tail), cycle(ring)), 10_000))
    assert tail + length <= found <= 3 * (tail + length)


def test_it_continues_after_a_restart_and_stays_small():
    trail = Trail()
    for cursor in range(1000):
        trail = Trail.from_json(json.loads(json.dumps(trail.follow(at(cursor)).as_json())))
    assert len(json.dumps(trail.as_json())) < 500
    with pytest.raises(PageRefusedError, match="a second time") as refusal:
        trail.follow(at(998))
    assert refusal.value.code == "cursor_repeated"


def test_a_cursor_in_the_body_counts():
    trail = Trail().follow(Request("POST", "https://a.test/", json={"after": 1}))
    trail = trail.follow(Request("POST", "https://a.test/", json={"after": 2}))
    with pytest.raises(PageRefusedError):
        trail.follow(Request("POST", "https://a.test/", json={"after": 1}))
