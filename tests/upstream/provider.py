"""A provider on a real loopback socket that answers by script, well or badly."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .clock import FakeClock


@dataclass(frozen=True)
class Received:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


Reply = Callable[[socket.socket], bool]
"""Writes an answer; True keeps the connection open for the next request."""


@dataclass
class Provider:
    """Answers the n-th request with the n-th reply. `received` are the requests so far.

    A request beyond the script breaks the test: it is kept in `unscripted`.
    """

    script: list[Reply]
    received: list[Received] = field(default_factory=list)
    unscripted: list[Received] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    connections: int = 0
    url: str = ""

    def __enter__(self) -> Provider:
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if self.tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
        assert not self.unscripted, self.unscripted

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        if self.tls:
            try:
                connection = self.tls.wrap_socket(connection, server_side=True)
            except OSError:
                return
        with connection, connection.makefile("rb") as reader:
            try:
                while request := _read(reader):
                    if not self._reply(request)(connection):
                        return
            except OSError:
                return

    def _reply(self, request: Received) -> Reply:
        with self._lock:
            self.received.append(request)
            place = len(self.received) - 1
            if place < len(self.script):
                return self.script[place]
            self.unscripted.append(request)
            return answer(500, b"the script is over")


def _read(reader: Any) -> Received | None:
    line = reader.readline()
    if not line.strip():
        return None
    method, target, _ = line.decode("ascii").split(" ", 2)
    headers: dict[str, str] = {}
    while (header := reader.readline()) not in (b"\r\n", b""):
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body)


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Reply:
    """A well-formed answer; header names are given with underscores for hyphens."""

    def reply(connection: socket.socket) -> bool:
        connection.sendall(_head(status, {"content-length": str(len(body))} | headers) + body)
        return True

    return reply


def page(value: Any, **headers: str) -> Reply:
    return answer(200, json.dumps(value).encode(), content_type="application/json", **headers)


def redirect(status: int, location: str) -> Reply:
    return answer(status, location=location)


def zipped(body: bytes, **headers: str) -> Reply:
    return answer(200, gzip.compress(body), content_encoding="gzip", **headers)


def raw(data: bytes) -> Reply:
    """Exactly these bytes, then the connection is closed."""

    def reply(connection: socket.socket) -> bool:
        connection.sendall(data)
        return False

    return reply


def cut(body: bytes, sent: int) -> Reply:
    """Announces the whole body, sends `sent` bytes of it, and hangs up."""
    return raw(_head(200, {"content-length": str(len(body))}) + body[:sent])


def reset(connection: socket.socket) -> bool:
    """Breaks the connection without an answer, as a crashed server does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def drip(data: bytes, clock: FakeClock, step: int, every_s: float, drops: list[int]) -> Reply:
    """`step` bytes at a time, each `every_s` later on the given clock; `drops` are their sizes."""

    def reply(connection: socket.socket) -> bool:
        for at in range(0, len(data), step):
            clock.advance(every_s)
            drops.append(len(data[at : at + step]))
            connection.sendall(data[at : at + step])
        return True

    return reply


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
