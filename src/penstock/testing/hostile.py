"""A provider that serves a connector's own answers badly, one fault at a time, on loopback.

Every fault has one right ending: the run waits and goes on by itself, or it stops with a reason
and leaves the last good checkpoint. Either way a later run brings the store to where it would have
been.

>>> def test_it_survives_its_provider():
...     put_through(acme, "customers", answer, settings={"base_url": "https://api.acme.test"})
"""

from __future__ import annotations

import gzip
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import httpx2

from penstock.clock import Clock
from penstock.contracts import registry
from penstock.model.connection import Account
from penstock.sdk.connector import Connector
from penstock.testing.answers import Answer, Sent
from penstock.testing.runtime import ConnectorRuntime, connector_runtime
from penstock.work.runner import RunReport

Answering = Callable[[Sent], Answer]
"""How the provider answers when it is well."""

RECOVERIES = 3
METADATA = "http://169.254.169.254/latest/meta-data"

_LARGE = 65 * 1024 * 1024
_PAUSE_S = 7200.0


@dataclass(frozen=True, slots=True)
class Fault:
    """name, and what the provider does. then: what a run has to make of it. strikes: how many
    requests in a row are answered so."""

    name: str
    what: str
    then: Literal["goes on", "stops"]
    reply: Callable[[Answer, Clock], Iterator[bytes]]
    strikes: int = 1
    resets: bool = False


def _whole(answer: Answer) -> Iterator[bytes]:
    yield _head(answer.status, {"Content-Length": str(len(answer.body)), **answer.headers})
    yield answer.body


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Hostile", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _says(status: int, body: bytes = b"", **headers: str) -> Callable[..., Iterator[bytes]]:
    """Another answer in place of the good one."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _answer, _clock: _whole(Answer(status, body, fields))


def _instead(body: bytes) -> Callable[..., Iterator[bytes]]:
    """The good head with another body."""
    return lambda answer, _clock: _whole(Answer(200, body, answer.headers))


def _nothing(_answer: Answer, _clock: Clock) -> Iterator[bytes]:
    yield b""


def _garbage(_answer: Answer, _clock: Clock) -> Iterator[bytes]:
    yield b"\x16\x03\x01 this is no HTTP\r\n\r\n"


def _cut(answer: Answer, _clock: Clock) -> Iterator[bytes]:
    yield _head(200, {"Content-Length": str(len(answer.body) + 1), **answer.headers})
    yield answer.body


def _cut_chunks(answer: Answer, _clock: Clock) -> Iterator[bytes]:
    yield _head(200, {"Transfer-Encoding": "chunked", **answer.headers})
    yield b"%x\r\n%s\r\n" % (len(answer.body), answer.body)


def _cut_gzip(answer: Answer, _clock: Clock) -> Iterator[bytes]:
    packed = gzip.compress(answer.body)[:-4]
    length = str(len(packed))
    yield _head(200, {"Content-Encoding": "gzip", "Content-Length": length, **answer.headers})
    yield packed


def _drips(answer: Answer, clock: Clock) -> Iterator[bytes]:
    """Never silent for long, and never at its end: the last byte does not come."""
    padded = answer.body + b" " * 1_400_000
    yield _head(200, {"Content-Length": str(len(padded) + 1), **answer.headers})
    for start in range(0, len(padded), 70_000):
        clock.sleep(10)
        yield padded[start : start + 70_000]


def _bomb(answer: Answer, _clock: Clock) -> Iterator[bytes]:
    packed = gzip.compress(b"[" + b" " * 80_000_000 + b"]", 9)
    length = str(len(packed))
    yield _head(200, {"Content-Encoding": "gzip", "Content-Length": length, **answer.headers})
    yield packed


def _endless(answer: Answer, _clock: Clock) -> Iterator[bytes]:
    yield _head(200, {"Content-Length": str(_LARGE), **answer.headers})
    for _ in range(_LARGE // 65_536):
        yield b" " * 65_536


def _header_flood(answer: Answer, _clock: Clock) -> Iterator[bytes]:
    flood = {f"X-{n}": "x" * 1_000 for n in range(90)}
    yield _head(200, {"Content-Length": str(len(answer.body)), **flood})
    yield answer.body


FAULTS: tuple[Fault, ...] = (
    Fault("throttled", "429 with Retry-After", "goes on", _says(429, Retry_After="2"), 2),
    Fault("throttled_silently", "429 that names no time", "goes on", _says(429), 2),
    Fault(
        "throttled_by_403",
        "403 with nothing left of a rate limit",
        "goes on",
        _says(403, X_RateLimit_Remaining="0", X_RateLimit_Reset="3"),
    ),
    Fault("unavailable", "503 three times", "goes on", _says(503, b"busy"), 3),
    Fault("server_error", "500 once", "goes on", _says(500, b"oops")),
    Fault("too_early", "425 once", "goes on", _says(425)),
    Fault("hangs_up", "the connection ends before the answer", "goes on", _nothing),
    Fault("resets", "the connection is reset", "goes on", _nothing, resets=True),
    Fault("garbage", "bytes that are no HTTP", "goes on", _garbage),
    Fault("cut", "the body ends before its length", "goes on", _cut),
    Fault("cut_chunks", "the last chunk never comes", "goes on", _cut_chunks),
    Fault("cut_gzip", "the compressed body has no end", "goes on", _cut_gzip),
    Fault("drips", "a little now and then, for ever", "goes on", _drips),
    Fault("long_pause", "429 for an hour", "stops", _says(429, Retry_After="3600")),
    Fault("outage", "503 without end", "stops", _says(503, b"down"), 1_000_000),
    Fault("unauthorized", "401", "stops", _says(401, b"no"), 3),
    Fault("forbidden", "403", "stops", _says(403, b"no such scope")),
    Fault("not_found", "404", "stops", _says(404, b"nothing")),
    Fault("html", "200 with a page for people", "stops", _instead(b"<html>Maintenance</html>")),
    Fault("half_json", "JSON that ends in the middle", "stops", _instead(b'{"data": [{"id":')),
    Fault("not_a_number", "NaN in the JSON", "stops", _instead(b'{"data": NaN}')),
    Fault("doubled_name", "a member name twice", "stops", _instead(b'{"a": 1, "a": 2}')),
    Fault("not_utf8", "bytes that are no UTF-8", "stops", _instead(b'{"data": "\xff"}')),
    Fault("empty", "200 without a body", "stops", _instead(b"")),
    Fault("too_deep", "100,000 brackets", "stops", _instead(b"[" * 100_000 + b"]" * 100_000)),
    Fault("bomb", "80 MB in 80 kB of gzip", "stops", _bomb),
    Fault("too_large", "a body beyond the limit", "stops", _endless),
    Fault("header_flood", "90 kB of header fields", "stops", _header_flood),
    Fault(
        "odd_encoding",
        "an encoding nobody asked for",
        "stops",
        _says(200, b"x", Content_Encoding="br"),
    ),
    Fault(
        "redirects_inside",
        "a redirect to the machine's own metadata",
        "stops",
        _says(302, Location=METADATA),
    ),
    Fault(
        "redirects_for_ever",
        "a redirect to where it came from",
        "stops",
        _says(307, Location="#again"),
        60,  # a broken connection among them is asked again, and must not find the end of it
    ),
)
"""All of them. What an author cannot mend is not here: these are what penstock answers for."""


class HostileProvider:
    """Answers on loopback, well but for one fault. fired: how often that was.

    at: the request that it strikes first, counted from 1. What `answer` raises, a failed assertion
    for instance, breaks the connection and is raised again where the block ends.
    """

    def __init__(
        self, answer: Answering, fault: Fault | None = None, *, clock: Clock, at: int = 1
    ) -> None:
        self.requests: list[Sent] = []
        self.fired = 0
        self.url = ""

        self._answer = answer
        self._fault = fault
        self._clock = clock
        self._at = at
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._broken: Exception | None = None

    def __enter__(self) -> HostileProvider:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
        if self._broken is not None:
            raise self._broken

    def calm(self) -> None:
        """From here on it behaves."""
        self._fault = None

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as reader:
            # An OSError: the client has seen enough of this answer.
            try:
                while (sent := _read(reader)) is not None:
                    if not self._reply(connection, sent):
                        return
            except OSError:
                raise
            except Exception as error:  # kept before the client sees the connection end
                self._broken = self._broken or error

    def _reply(self, connection: socket.socket, sent: Sent) -> bool:
        fault = self._struck(sent)
        pieces = (
            _whole(self._answer(sent))
            if fault is None
            else fault.reply(self._answer(sent), self._clock)
        )
        for piece in pieces:
            connection.sendall(piece)
        if fault is not None and fault.resets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return fault is None

    def _struck(self, sent: Sent) -> Fault | None:
        with self._lock:
            self.requests.append(sent)
            number = len(self.requests)
            if self._fault is None or not self._at <= number < self._at + self._fault.strikes:
                return None
            self.fired += 1
            return self._fault


def _read(reader: Any) -> Sent | None:
    line = reader.readline()
    if not line.strip():
        return None
    method, target, _ = line.decode("ascii").split(" ", 2)
    headers: dict[str, str] = {}
    while (header := reader.readline()) not in (b"\r\n", b""):
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", "0")))
    url = f"http://provider{target}"
    return Sent.of(httpx2.Request(method, url, headers=headers, content=body))


@dataclass(frozen=True, slots=True)
class Ordeal:
    """What a fault did to a run. state, reason: of the run it struck. wrong: sentences, empty where
    all went as it must."""

    fault: Fault
    state: str
    reason: str | None
    wrong: tuple[str, ...]


def put_through(
    connector: Connector | str,
    stream: str,
    answer: Answering,
    *,
    settings: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    account: Account | None = None,
    facts: Mapping[str, Any] | None = None,
    faults: Sequence[Fault] = FAULTS,
) -> list[Ordeal]:
    """Put a stream of a connector through every fault; what each came to.

    answer: how the provider answers when it is well, called with each request. It must answer the
    same to the same request. Raises AssertionError with one line for each fault that was not
    survived: the store did not end where it would have, or the run did not end as it must.
    """
    course = _Course(connector, stream, answer, settings or {}, secrets or {}, account, facts or {})
    expected = course.take(None, at=1)
    ordeals = [_judged(fault, course.take(fault, at=expected.middle), expected) for fault in faults]
    if lines := [f"{o.fault.name}: {sentence}" for o in ordeals for sentence in o.wrong]:
        raise AssertionError("\n".join([f"{stream} did not survive its provider:", *lines]))
    return ordeals


@dataclass(frozen=True, slots=True)
class _Outcome:
    report: RunReport
    fired: int
    asked: int
    documents: dict[str, list[dict[str, Any]]]
    recovered: bool

    @property
    def middle(self) -> int:
        """The request to strike: the second, where there is one."""
        return min(2, self.asked)


@dataclass(frozen=True, slots=True)
class _Course:
    """A stream's runs against one provider, from an empty store to rest."""

    connector: Connector | str
    stream: str
    answer: Answering
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    account: Account | None
    facts: Mapping[str, Any]

    def take(self, fault: Fault | None, *, at: int) -> _Outcome:
        with (
            connector_runtime(
                self.connector,
                settings=self.settings,
                secrets=self.secrets,
                account=self.account,
                facts=self.facts,
            ) as kit,
            HostileProvider(self.answer, fault, clock=kit.clock, at=at) as provider,
        ):
            kit.lead_to(provider.url)
            report = last = kit.run(self.stream)
            asked, fired = len(provider.requests), provider.fired
            provider.calm()
            for _ in range(RECOVERIES):
                if not last.failed:
                    break
                kit.clock.advance(_PAUSE_S)
                last = kit.run(self.stream)
            return _Outcome(report, fired, asked, _stored(kit), not last.failed)


def _judged(fault: Fault, came: _Outcome, expected: _Outcome) -> Ordeal:
    wrong = []
    if not came.fired:
        wrong.append("the fault never struck: is the provider asked at all?")
    if came.report.failed is not (fault.then == "stops"):
        wrong.append(f"a run that should have {_past(fault)} ended {came.report.state}")
    if came.report.failed and not came.report.message:
        wrong.append("the run stopped without a reason")
    if not came.recovered:
        wrong.append(f"no later run went through: {came.report.message}")
    if came.documents != expected.documents:
        wrong.append("the store is not what it would have been without the fault")
    return Ordeal(fault, str(came.report.state), came.report.reason, tuple(wrong))


def _past(fault: Fault) -> str:
    return "gone on" if fault.then == "goes on" else "stopped"


def _stored(kit: ConnectorRuntime) -> dict[str, list[dict[str, Any]]]:
    found = {name: kit.documents(name) for name in registry.types()}
    return {name: documents for name, documents in found.items() if documents}
