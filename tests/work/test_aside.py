"""A chore aside does not hold up its caller, is never done twice at once, and may fail."""

from __future__ import annotations

import threading

from penstock.errors import StoreUnavailableError
from penstock.telemetry import heard_by
from penstock.work.aside import Aside


def test_it_is_begun_once_until_it_has_ended():
    began, may_end = threading.Semaphore(0), threading.Event()

    def chore() -> None:
        began.release()
        may_end.wait(30)

    aside = Aside("chore", chore)
    aside()
    assert began.acquire(timeout=30)
    aside()
    assert not aside.wait(0)
    may_end.set()
    assert aside.wait(30)
    assert not began.acquire(blocking=False)
    aside()
    assert aside.wait(30)
    assert began.acquire(blocking=False)


def test_one_that_fails_says_so_and_is_begun_again():
    events: list[tuple[str, object]] = []
    errors = [StoreUnavailableError("down"), RuntimeError("ours")]
    aside = Aside("chore", lambda: (_ for _ in ()).throw(errors.pop(0)))
    with heard_by(lambda name, fields: events.append((name, fields["chore"]))):
        for _ in range(2):
            aside()
            assert aside.wait(30)
    assert events == [("chore.failed", "chore"), ("chore.broken", "chore")]


def test_one_that_never_began_has_ended():
    assert Aside("chore", lambda: None).wait(0)
