from __future__ import annotations

import json
from itertools import chain, cycle, islice

import pytest

from penstock.errors import PageRefusedError
from penstock.upstream.request import Request
from penstock.upstream.trail import EMPTY_PAGES, PAGES, RECENT, SAME_PAGES, Trail


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
    assert len(json.dumps(trail.as_json())) < 600
    with pytest.raises(PageRefusedError, match="a second time") as refusal:
        trail.follow(at(998))
    assert refusal.value.code == "cursor_repeated"


def test_a_cursor_in_the_body_counts():
    trail = Trail().follow(Request("POST", "https://a.test/", json={"after": 1}))
    trail = trail.follow(Request("POST", "https://a.test/", json={"after": 2}))
    with pytest.raises(PageRefusedError):
        trail.follow(Request("POST", "https://a.test/", json={"after": 1}))


def pages_until_refused(pages) -> tuple[int, str]:
    """Pages under ever new cursors; how many were followed, and why no more."""
    trail = Trail()
    for step, page in enumerate(pages):
        try:
            trail = trail.follow(at(step), [str(record).encode() for record in page])
        except PageRefusedError as refusal:
            return step, refusal.code
        trail = Trail.from_json(json.loads(json.dumps(trail.as_json())))
    return -1, ""


def test_ever_new_records_are_followed():
    assert pages_until_refused([n, n + 1] for n in range(2000)) == (-1, "")


@pytest.mark.parametrize("length", range(1, RECENT + 1))
def test_the_same_records_under_new_cursors_are_found_soon(length):
    """SA12: a provider that ignores its cursor, or begins again at page 1."""
    ring = [[n, -n] for n in range(length)]
    step, code = pages_until_refused(islice(cycle(ring), 100))
    assert code == "page_repeated"
    assert step <= length + SAME_PAGES


@pytest.mark.parametrize("length", [9, 50, 700])
def test_a_long_listing_that_begins_again_is_found(length):
    """SA12: silent restart at page 1."""
    ring = [[n, -n] for n in range(length)]
    step, code = pages_until_refused(islice(cycle(ring), 10_000))
    assert code == "page_repeated"
    assert step <= 6 * length


def test_a_record_pushed_onto_the_next_page_is_no_circle():
    pages = chain.from_iterable([[n], [n]] for n in range(500))
    assert pages_until_refused(pages) == (-1, "")


def test_empty_pages_lead_on_but_not_for_ever():
    """SA12: endless pages without new keys."""
    some = [[]] * (EMPTY_PAGES - 1)
    assert pages_until_refused([*some, [1], *some, [2]]) == (-1, "")
    assert pages_until_refused([[]] * 2000) == (EMPTY_PAGES - 1, "endless_pages")


def test_an_enumeration_has_a_limit():
    trail = Trail(steps=PAGES - 1).follow(at("last"))
    with pytest.raises(PageRefusedError, match="more than 1,000,000 pages") as refusal:
        trail.follow(at("one more"))
    assert refusal.value.code == "page_limit"
