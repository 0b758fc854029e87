"""Somebody is told once of each cause, by whichever process, and again only after it was over."""

from __future__ import annotations

import json

import pytest

from penstock.app import open_store
from penstock.errors import UpstreamUnavailableError
from penstock.model import times
from penstock.model.standing import ALL_WELL, Condition, Standing
from penstock.testing.clock import ManualClock
from penstock.work.notifier import MOST_ATTEMPTS, Notifier
from tests.database import url_in


class Somebody:
    """Who is told; deaf while `deaf`."""

    def __init__(self) -> None:
        self.deaf = False
        self.asked = 0
        self.heard: list[dict] = []

    def __call__(self, body: bytes) -> None:
        self.asked += 1
        if self.deaf:
            raise UpstreamUnavailableError("nobody there")
        self.heard.append(json.loads(body))

    @property
    def causes(self) -> list[str]:
        return [message["cause"] for message in self.heard]


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(backend, tmp_path):
    with open_store(url_in(tmp_path)) as opened:
        yield opened


@pytest.fixture
def somebody():
    return Somebody()


@pytest.fixture
def stand(store, clock):
    def stand(condition: Condition, reason: str = "status 500", stream: str = "invoices") -> None:
        now = times.microseconds(clock.now())
        standing = ALL_WELL if condition is Condition.OK else Standing(condition, reason)
        store.streams.set_standing("default", "acme", stream, standing, now=now)

    return stand


@pytest.fixture
def notifier(store, somebody, clock):
    return Notifier(store, somebody, clock)


def test_a_stream_that_keeps_failing_is_told_of_once(notifier, somebody, stand, clock):
    stand(Condition.FAILED)
    for _ in range(3):
        notifier.tick()
        clock.advance(3600)
        stand(Condition.FAILED, "status 503")
    assert somebody.heard == [
        {
            "notice": 1,
            "cause": "failed",
            "workspace": "default",
            "connection": "acme",
            "stream": "invoices",
            "since": "2026-03-02T10:00:00Z",
            "message": "status 500",
            "text": "penstock: acme invoices (default): failed: status 500",
        }
    ]


def test_it_is_told_of_again_after_it_was_well(notifier, somebody, stand):
    for condition in (Condition.FAILED, Condition.OK, Condition.FAILED):
        stand(condition)
        notifier.tick()
    assert somebody.causes == ["failed", "failed"]


def test_another_process_and_a_new_one_tell_nothing_twice(notifier, somebody, stand, store, clock):
    stand(Condition.FAILED)
    notifier.tick()
    Notifier(store, somebody, clock).tick()
    assert somebody.causes == ["failed"]


def test_a_notice_that_another_process_took_is_left_to_it(notifier, somebody, stand, store):
    stand(Condition.FAILED)
    somebody.deaf = True
    notifier.tick()
    (seen,) = store.notices.open()
    assert store.notices.attempt(seen)
    assert notifier.send(seen)
    assert somebody.asked == 1


def test_whoever_does_not_answer_is_asked_later_and_later(notifier, somebody, stand, clock):
    stand(Condition.FAILED)
    somebody.deaf = True
    asked = []
    for _ in range(20):
        notifier.tick()
        asked.append(somebody.asked)
        clock.advance(30)
    assert asked == [1, 2, 2, 3, 3, 3, 3, *[4] * 8, *[5] * 5]
    somebody.deaf = False
    clock.advance(3600)
    notifier.tick()
    assert somebody.causes == ["failed"]


def test_in_the_end_nobody_is_asked_any_more(notifier, somebody, stand, clock):
    stand(Condition.FAILED)
    somebody.deaf = True
    clock.advance(30 * 24 * 3600)
    for _ in range(MOST_ATTEMPTS + 3):
        notifier.tick()
        clock.advance(24 * 3600)
    assert somebody.asked == MOST_ATTEMPTS


def test_nobody_is_told_of_what_was_over_before_he_could_be(notifier, somebody, stand, clock):
    stand(Condition.FAILED)
    somebody.deaf = True
    notifier.tick()
    stand(Condition.OK)
    somebody.deaf = False
    clock.advance(3600)
    notifier.tick()
    assert somebody.heard == []


def test_one_who_does_not_answer_is_not_asked_for_each_notice(notifier, somebody, stand):
    for stream in ("invoices", "payments", "customers"):
        stand(Condition.FAILED, stream=stream)
    somebody.deaf = True
    notifier.tick()
    assert somebody.asked == 1
