"""Connections and the time they may take; what nobody can speed up is a stub with a clock."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpcore2
import httpx2
import pytest

from penstock.errors import PageRefusedError, UpstreamUnavailableError
from penstock.upstream import transport
from penstock.upstream.client import Client, Timeouts
from penstock.upstream.guard import Egress
from penstock.upstream.request import Request
from penstock.upstream.transport import DRIP_BYTES, DRIP_S, Transport

from .certificates import self_signed, serving
from .clock import FakeClock
from .network import Names, Wires
from .provider import Provider, page, raw

NAME = "api.acme.test"
PUBLIC = "93.184.216.34"
OTHER = "2606:2800:220:1::1"
ACME = Egress.of([f"https://{NAME}/*"])
LOOPBACK = Egress.of(["http://127.0.0.1/*"], allow_loopback=True)
ASK = Request("POST", "/x")  # sent once, so that the first fault shows


class Timed(httpcore2.NetworkBackend, httpcore2.NetworkStream):
    """A network on which everything takes as long as it says.

    answer: pieces of the answer, each with the seconds until it comes. waits: the timeouts given.
    """

    def __init__(
        self, clock: FakeClock, *answer: tuple[float, bytes], dialling_s: float = 0.0
    ) -> None:
        self.clock = clock
        self.answer = list(answer)
        self.dialling_s = dialling_s
        self.dialled: list[str] = []
        self.waits: list[float | None] = []

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *_: Any) -> Any:
        self.dialled.append(host)
        self._wait(self.dialling_s, timeout, httpcore2.ConnectTimeout)
        return self

    def start_tls(self, *_: Any, **__: Any) -> Any:
        return self

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        seconds, piece = self.answer.pop(0) if self.answer else (0.0, b"")
        self._wait(seconds, timeout, httpcore2.ReadTimeout)
        return piece

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Takes everything at once."""

    def close(self) -> None:
        """There is nothing to close."""

    def get_extra_info(self, info: str) -> Any:
        return None

    def _wait(self, seconds: float, timeout: float | None, error: type[Exception]) -> None:
        self.waits.append(timeout)
        if timeout is not None and seconds > timeout:
            self.clock.advance(timeout)
            raise error("timed out")
        self.clock.advance(seconds)


@contextmanager
def asking(network: Timed, names: Names | None = None, **options: Any) -> Iterator[Client]:
    names = names or Names({NAME: [[PUBLIC]]})
    way = Transport(network.clock, ACME, resolver=names, network=network)
    with Client(
        f"https://{NAME}", egress=ACME, clock=network.clock, transport=way, **options
    ) as client:
        yield client


def head(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class TestConnecting:
    def test_ends_after_its_time(self, clock):
        """SA6"""
        network = Timed(clock, dialling_s=60)
        with (
            asking(network) as client,
            pytest.raises(UpstreamUnavailableError, match="ConnectTimeout"),
        ):
            client.send(ASK)
        assert clock.monotonic() == 10

    def test_gives_each_address_its_share(self, clock):
        """SA6: one that swallows packets does not use up the time of the next."""
        network = Timed(clock, dialling_s=60)
        names = Names({NAME: [[OTHER, PUBLIC]]})
        with (
            asking(network, names) as client,
            pytest.raises(UpstreamUnavailableError, match="ConnectTimeout"),
        ):
            client.send(ASK)
        assert network.dialled == [OTHER, PUBLIC]
        assert network.waits == [5, 5]

    def test_counts_the_time_spent_on_the_name(self, clock):
        """SA6, SA28"""

        def slow(host, timeout_s):
            clock.advance(4)
            return Names({NAME: [[PUBLIC]]})(host, timeout_s)

        network = Timed(clock, (0, head(2) + b"[]"))
        with asking(network, slow) as client:
            client.send(ASK)
        assert network.waits[0] == 6

    def test_to_where_nobody_answers_ends_on_a_real_socket(self, clock):
        """SA6: a listener whose queue is full lets packets drop."""
        with socket.socket() as full, socket.socket() as first, socket.socket() as second:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for waiting in (first, second):
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            url = f"http://127.0.0.1:{full.getsockname()[1]}"
            hasty = Timeouts(connect_s=0.05)
            with (
                Client(url, egress=LOOPBACK, clock=clock, timeouts=hasty) as client,
                pytest.raises(UpstreamUnavailableError, match="ConnectTimeout"),
            ):
                client.send(ASK)


class TestReading:
    def test_ends_after_its_time(self, clock):
        """SA6"""
        network = Timed(clock, (60, b""))
        with (
            asking(network) as client,
            pytest.raises(UpstreamUnavailableError, match="ReadTimeout"),
        ):
            client.send(ASK)
        assert clock.monotonic() == 30

    def test_ends_on_a_real_socket_too(self, clock):
        """SA6"""
        hasty = Timeouts(read_s=0.05)
        with Provider([lambda _: True]) as silent:
            with (
                Client(silent.url, egress=LOOPBACK, clock=clock, timeouts=hasty) as client,
                pytest.raises(UpstreamUnavailableError, match="ReadTimeout"),
            ):
                client.send(ASK)
            assert len(silent.received) == 1

    def test_the_total_beats_pieces_that_come_in_time(self, clock):
        """SA6"""
        pieces = [(20, b"x" * DRIP_BYTES)] * 100
        network = Timed(clock, (0, head(100 * DRIP_BYTES)), *pieces)
        with (
            asking(network) as client,
            pytest.raises(UpstreamUnavailableError, match="ReadTimeout"),
        ):
            client.send(ASK)
        assert clock.monotonic() == 120


class TestDrips:
    def test_are_given_up_before_the_total_is_over(self, clock):
        """SA6: a byte a second."""
        network = Timed(clock, (0, head(1000)), *[(1, b"x")] * 1000)
        with (
            asking(network) as client,
            pytest.raises(UpstreamUnavailableError, match=r"the answer drips: \d+ bytes in 60 s"),
        ):
            client.send(ASK)
        assert clock.monotonic() == DRIP_S

    def test_are_noticed_in_the_header_fields_too(self, clock):
        """SA6, SA11"""
        network = Timed(clock, *[(1, b"x")] * 1000)
        with (
            asking(network) as client,
            pytest.raises(UpstreamUnavailableError, match="the answer drips"),
        ):
            client.send(ASK)
        assert clock.monotonic() == DRIP_S + 1

    def test_are_noticed_where_there_is_no_total(self, clock):
        """SA6: as for a file that may take its time."""
        network = Timed(clock, (0, head(1000)), *[(1, b"x")] * 1000)
        way = Transport(clock, ACME, resolver=Names({NAME: [[PUBLIC]]}), network=network)
        answer = way.handle_request(httpx2.Request("GET", f"https://{NAME}/file"))
        with pytest.raises(httpcore2.ReadTimeout, match="drips"):
            list(answer.stream)

    def test_a_slow_answer_is_none(self, clock):
        body = b"x" * DRIP_BYTES
        network = Timed(clock, (0, head(len(body))), *[(50, body[at::2]) for at in (0, 1)])
        with asking(network, timeouts=Timeouts(read_s=60)) as client:
            assert len(client.send(ASK).body) == len(body)
        assert clock.monotonic() == 100

    def test_a_provider_that_thinks_long_is_none(self, clock):
        """Every request is counted by itself, and thinking is not dripping."""
        network = Timed(clock, *[(29, head(2) + b"[]")] * 5)
        with asking(network) as client:
            assert [client.send(ASK).body for _ in range(5)] == [b"[]"] * 5
        assert network.dialled == [PUBLIC]


class TestTls:
    """SA29: refused, and there is no switch to turn it off."""

    @pytest.mark.parametrize(
        ("host", "days", "trusted", "said"),
        [
            (NAME, 1, True, None),
            (NAME, 1, False, "self-signed certificate"),
            (NAME, -1, True, "certificate has expired"),
            ("other.acme.test", 1, True, "Hostname mismatch"),
            (PUBLIC, 1, True, "Hostname mismatch"),
        ],
        ids=["good", "unknown", "expired", "of another name", "of the address alone"],
    )
    def test_of_a_certificate(self, clock, tmp_path, monkeypatch, host, days, trusted, said):
        """SA29: judged by the name, though the connection goes to an address."""
        certificate = self_signed(tmp_path, host, days=days)
        context = ssl.create_default_context(cafile=certificate if trusted else None)
        monkeypatch.setattr(transport, "_certificates", lambda: context)
        script = [page([])] if said is None else []
        with Provider(script, tls=serving(certificate)) as provider:
            wires = Wires(provider, {PUBLIC: provider})
            way = Transport(clock, ACME, resolver=Names({NAME: [[PUBLIC]]}), network=wires)
            with Client(f"https://{NAME}", egress=ACME, clock=clock, transport=way) as client:
                if said is None:
                    assert client.send(ASK).body == b"[]"
                else:
                    with pytest.raises(UpstreamUnavailableError, match=said):
                        client.send(ASK)
            assert provider.connections == 1


FLOODS = {
    "two gigabytes": (
        "b'HTTP/1.1 200 OK\\r\\n\\r\\n[', b'1,' * 500_000",
        "passes 67108864 bytes",
    ),
    "one long text": (
        "b'HTTP/1.1 200 OK\\r\\n\\r\\n[\"', b'x' * 1_000_000",
        "passes 67108864 bytes",
    ),
    "a bomb": (
        "b'HTTP/1.1 200 OK\\r\\nContent-Encoding: gzip\\r\\n\\r\\n' + bomb, b''",
        "more than 100 to 1",
    ),
    "a million header fields": (
        "b'HTTP/1.1 200 OK\\r\\n', b'X: y\\r\\n' * 100_000",
        "header fields pass",
    ),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks the kernel for memory")
@pytest.mark.parametrize("flood", FLOODS)
def test_memory_stays_bounded_in_a_flood(flood):
    """SA11: the limit is named, the flood is cut off, and the process has not grown."""
    pieces, said = FLOODS[flood]
    program = f"""
        import gzip, socket, threading
        from pathlib import Path
        from penstock.clock import SystemClock
        from penstock.errors import PageRefusedError
        from penstock.upstream.client import Client
        from penstock.upstream.guard import Egress
        from penstock.upstream.request import Request

        def peak():
            status = Path("/proc/self/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) // 1024

        def flood():
            connection, _ = listener.accept()
            connection.recv(65_536)
            try:
                connection.sendall(first)
                for _ in range(2_000 if again else 0):
                    connection.sendall(again)
                    sent.append(len(again))
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        bomb = gzip.compress(bytes(200_000_000), 9)
        first, again = {pieces}
        sent = []
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=flood, daemon=True).start()
        url = f"http://127.0.0.1:{{listener.getsockname()[1]}}"
        egress = Egress.of([url + "/*"], allow_loopback=True)
        client = Client(url, egress=egress, clock=SystemClock())
        bomb_peak = peak()
        try:
            client.send(Request("GET", "/x"))
        except PageRefusedError as refusal:
            print(refusal, peak() - bomb_peak, sum(sent), sep="|")
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    message, grown, sent = run.stdout.strip().split("|")
    assert said in message
    assert int(grown) <= 150, "MiB: the body that was still allowed, twice"
    assert int(sent) <= 80_000_000


def test_header_fields_beyond_the_limit_are_refused_whole(clock):
    """SA11"""
    with Provider([raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000)]) as provider:
        with (
            Client(provider.url, egress=LOOPBACK, clock=clock) as client,
            pytest.raises(PageRefusedError, match="header fields pass 65536 bytes") as refusal,
        ):
            client.send(Request("GET", "/x"))
        assert len(provider.received) == 1
    assert refusal.value.code == "invalid_page"
