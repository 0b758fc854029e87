"""Sockets: a connection pool whose every read and write ends by the request's deadline.

httpx2's own timeouts bound one read each, so a server that sends a byte now and then holds a
request for ever, in the header fields too. Here the deadline travels with the request
(extension `deadline`, on the given clock) and bounds each wait on the socket.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import httpcore2
import httpx2

from penstock.clock import Clock

KEEPALIVE_S = 30.0

FAULTS = (
    httpx2.TransportError,
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ConnectionNotAvailable,
)
"""What a broken exchange raises, from this transport or another one in its place."""


class Transport(httpx2.BaseTransport):
    """HTTP/1.1 over pooled keep-alive connections; no proxies and no environment."""

    def __init__(self, clock: Clock, *, connections: int = 16) -> None:
        self._connections = connections

        self._deadline = _Deadline(clock)
        self._pools: dict[str, httpcore2.ConnectionPool] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._deadline.at = request.extensions.get("deadline")
        url = request.url
        response = self._pool(url.scheme).handle_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response.stream),
            extensions=response.extensions,
        )

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def _pool(self, scheme: str) -> httpcore2.ConnectionPool:
        """One pool for each scheme: only https pays 30 ms for loading certificates."""
        with self._lock:
            if scheme not in self._pools:
                self._pools[scheme] = httpcore2.ConnectionPool(
                    ssl_context=_certificates() if scheme == "https" else None,
                    max_connections=self._connections,
                    max_keepalive_connections=self._connections,
                    keepalive_expiry=KEEPALIVE_S,
                    network_backend=_Backend(self._deadline),
                )
            return self._pools[scheme]


@cache
def _certificates() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)


class _Deadline(threading.local):
    """The moment by which this thread's exchange has to be over; one exchange, one thread."""

    at: float | None = None

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def bound(self, timeout: float | None) -> float | None:
        """The timeout, or what is left until the deadline if that is less."""
        if self.at is None:
            return timeout
        left = self.at - self._clock.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the time for the whole request is used up")
        return left if timeout is None else min(timeout, left)


class _Body(httpx2.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline
        self._plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        stream = self._plain.connect_tcp(
            host, port, self._deadline.bound(timeout), local_address, socket_options
        )
        return _Stream(stream, self._deadline)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.bound(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.bound(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(
            ssl_context, server_hostname, self._deadline.bound(timeout)
        )
        return _Stream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
