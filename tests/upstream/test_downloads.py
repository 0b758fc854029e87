"""Files over a real socket, and many requests at once."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest

from penstock.errors import PageRefusedError, UpstreamError, UpstreamUnavailableError
from penstock.sdk.request import Http
from penstock.upstream import body
from penstock.upstream.client import Client, Timeouts
from penstock.upstream.guard import Egress
from penstock.upstream.request import MANY_AT_ONCE

from .clock import FakeClock
from .provider import Provider, Reply, answer, cut, page, raw, redirect, zipped

LOOPBACK = Egress.of(["http://127.0.0.1/*"], allow_loopback=True)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@contextmanager
def client(provider: Provider, clock: FakeClock) -> Iterator[Http]:
    with Client(provider.url, clock=clock, egress=LOOPBACK, rng=Random(1)) as one:
        yield Http(one)


def unending(content: bytes) -> Reply:
    """A body that ends with the connection, so that nobody knows whether it was cut."""
    return raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + content)


class TestAFile:
    def test_is_read_from_disk(self, clock: FakeClock) -> None:
        with Provider([answer(200, b"id\n1\n2\n")]) as provider, client(provider, clock) as c:
            file = c.stream("/exports/7.csv", params={"day": "2026-03-01"})
            assert [row["id"] for row in file.csv()] == ["1", "2"]
            assert file.name == "7.csv"
        assert provider.received[0].target == "/exports/7.csv?day=2026-03-01"

    @pytest.mark.parametrize(
        "reply",
        [zipped(b"a\nb\n"), answer(200, gzip.compress(b"a\nb\n"))],
        ids=["transport", "content"],
    )
    def test_packed_with_gzip(self, clock: FakeClock, reply: Reply) -> None:
        with Provider([reply]) as provider, client(provider, clock) as c:
            assert list(c.stream("/x").lines()) == ["a", "b"]

    def test_that_is_cut_is_fetched_again_and_never_half_read(self, clock: FakeClock) -> None:
        """SA8, with a length: the cut falls on a line border."""
        script = [cut(b"a\nb\nc\n", 4), answer(200, b"a\nb\nc\n")]
        with Provider(script) as provider, client(provider, clock) as c:
            assert list(c.stream("/x").lines()) == ["a", "b", "c"]
        assert len(provider.received) == 2, "the cut did not happen"

    def test_without_an_end_of_its_own_is_refused(self, clock: FakeClock) -> None:
        """SA8, without a length: nothing tells a cut file from a whole one."""
        with (
            Provider([unending(b"a\nb\n")]) as provider,
            client(provider, clock) as c,
            pytest.raises(PageRefusedError, match="nothing tells the end of this file"),
        ):
            c.stream("/x")

    def test_an_archive_knows_its_own_end(self, clock: FakeClock) -> None:
        packed = gzip.compress(b"a\n")
        with Provider([unending(packed)]) as provider, client(provider, clock) as c:
            assert list(c.stream("/x").lines()) == ["a"]

    def test_behind_a_redirect(self, clock: FakeClock) -> None:
        script = [redirect(302, "/files/7"), answer(200, b"a\n")]
        with Provider(script) as provider, client(provider, clock) as c:
            assert list(c.stream("/x").lines()) == ["a"]

    def test_that_is_not_there(self, clock: FakeClock) -> None:
        with (
            Provider([answer(404, b"gone")]) as provider,
            client(provider, clock) as c,
            pytest.raises(UpstreamError, match="404: gone"),
        ):
            c.stream("/x")

    def test_larger_than_any_disk(self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        assert body.FILE_BYTES == 4 * 1024**3
        monkeypatch.setattr(body, "FILE_BYTES", 5)
        with (
            Provider([answer(200, b"123456")]) as provider,
            client(provider, clock) as c,
            pytest.raises(PageRefusedError, match="passes 5 bytes"),
        ):
            c.stream("/x")

    def test_has_more_time_than_a_page(self) -> None:
        assert Timeouts().download_s == 3600


class TestMany:
    def test_answers_come_in_the_order_of_the_paths(self, clock: FakeClock) -> None:
        with (
            Provider([page(1), page(2), page(3)]) as provider,
            client(provider, clock) as c,
        ):
            answers = c.get_many(["/a", "/b", "/c"], params={"v": 1})
        assert [a.request.url.rpartition("/")[2] for a in answers] == ["a", "b", "c"]
        assert sorted(r.path for r in provider.received) == ["/a", "/b", "/c"]

    def test_several_are_on_their_way_at_once_and_not_more(self, clock: FakeClock) -> None:
        gate = threading.Barrier(MANY_AT_ONCE)
        now, most = [0], [0]
        lock = threading.Lock()

        def waiting(connection: object) -> bool:
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            gate.wait(timeout=10)
            with lock:
                now[0] -= 1
            return page(1)(connection)  # type: ignore[arg-type]

        with (
            Provider([waiting] * 2 * MANY_AT_ONCE) as provider,
            client(provider, clock) as c,
        ):
            c.get_many([f"/{n}" for n in range(2 * MANY_AT_ONCE)])
        assert most == [MANY_AT_ONCE]

    def test_the_first_that_fails_is_told_and_the_rest_is_not_sent(self, clock: FakeClock) -> None:
        def slow(connection: object) -> bool:
            time.sleep(0.05)
            return page(1)(connection)  # type: ignore[arg-type]

        script = [answer(404, b"gone"), *[slow] * 200]
        with (
            Provider(script) as provider,
            client(provider, clock) as c,
            pytest.raises((UpstreamError, UpstreamUnavailableError), match="404"),
        ):
            c.get_many([f"/{n}" for n in range(200)])
        assert len(provider.received) < 100

    def test_none_at_all(self, clock: FakeClock) -> None:
        with Provider([]) as provider, client(provider, clock) as c:
            assert c.get_many([]) == []
