"""Sockets: connections go to judged addresses only, and every wait on them has an end.

A name is resolved when a connection is opened; its addresses are judged, and the connection goes
to one of the very addresses that were judged. Host field and TLS keep the name.

httpx2's own timeouts bound one read each, so a server that sends a byte now and then holds a
request for ever, in the header fields too. Here the deadline travels with the request
(extension `deadline`, on the given clock) and bounds each wait on the socket; and an answer that
brings next to nothing is given up before that.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import httpcore2
import httpx2

from penstock.clock import Clock
from penstock.errors import PageRefusedError
from penstock.upstream.addresses import Address, Resolver, is_loopback, literal, resolve
from penstock.upstream.guard import Egress
from penstock.upstream.proxy import Proxy

KEEPALIVE_S = 30.0
HEADER_BYTES = 64 * 1024
"""Of an answer's header fields, names and values."""
DRIP_S = 60.0
DRIP_BYTES = 4 * 1024
"""An answer that brings less than this in DRIP_S seconds of waiting for it is given up."""

_TOO_LONG = 431

FAULTS = (
    httpx2.TransportError,
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ConnectionNotAvailable,
)
"""What a broken exchange raises, from this transport or another one in its place."""


class Transport(httpx2.BaseTransport):
    """HTTP/1.1 over pooled keep-alive connections. The environment has no say.

    resolver: who is asked for the addresses of a name. network: who dials a judged address.
    """

    def __init__(
        self,
        clock: Clock,
        egress: Egress,
        *,
        resolver: Resolver = resolve,
        network: httpcore2.NetworkBackend | None = None,
        connections: int = 16,
    ) -> None:
        self._connections = connections

        self._deadline = _Deadline(clock)
        self._dialler = _Dialler(
            egress, self._deadline, resolver, network or httpcore2.SyncBackend()
        )
        self._pools: dict[str, httpcore2.ConnectionPool] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._deadline.at = request.extensions.get("deadline")
        try:
            response = self._pool(request.url.scheme).handle_request(_outgoing(request))
        except httpcore2.RemoteProtocolError as error:
            if any(getattr(cause, "error_status_hint", 0) == _TOO_LONG for cause in error.args):
                raise headers_refused() from error  # again they would be as long
            raise
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
                    network_backend=self._dialler,
                )
            return self._pools[scheme]


def headers_refused() -> PageRefusedError:
    return PageRefusedError(
        f"the response's header fields pass {HEADER_BYTES} bytes", code="invalid_page"
    )


def _outgoing(request: httpx2.Request) -> httpcore2.Request:
    url = request.url
    return httpcore2.Request(
        method=request.method,
        url=httpcore2.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


@cache
def _certificates() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)


class _Deadline(threading.local):
    """The moment by which this thread's exchange has to be over; one exchange, one thread."""

    at: float | None = None

    def __init__(self, clock: Clock) -> None:
        self.now = clock.monotonic

    def bound(self, timeout: float | None) -> float | None:
        """The timeout, or what is left until the deadline if that is less."""
        if self.at is None:
            return timeout
        left = self.at - self.now()
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


class _Dialler(httpcore2.NetworkBackend):
    """Opens connections, to addresses that the guard has judged."""

    def __init__(
        self,
        egress: Egress,
        deadline: _Deadline,
        resolver: Resolver,
        network: httpcore2.NetworkBackend,
    ) -> None:
        self._egress = egress
        self._deadline = deadline
        self._resolve = resolver
        self._network = network

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - the pool gives neither
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        began = self._deadline.now()
        wait = self._deadline.bound(timeout)
        if self._egress.proxy is not None and not is_loopback(host):
            return self._connect_through(self._egress.proxy, host, port, wait)
        addresses = self._egress.choose(host, self._look_up(host, wait))
        if wait is not None:
            wait -= self._deadline.now() - began
        return _Stream(self._dial(addresses, port, wait), self._deadline)

    def _look_up(self, host: str, wait: float | None) -> Sequence[Address]:
        """The addresses of a name. That there are none is a fault of the moment, as a rule."""
        address = literal(host)
        if address is not None:
            return [address]
        try:
            return self._resolve(host, wait)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(f"{host}: {error.strerror or error}") from error

    def _dial(
        self, addresses: Sequence[Address], port: int, wait: float | None
    ) -> httpcore2.NetworkStream:
        """A connection to the first of the addresses that takes one; each has its share of time."""
        share = None if wait is None else max(wait, 0.0) / len(addresses)
        for address in addresses[:-1]:
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return self._network.connect_tcp(str(address), port, share)
        return self._network.connect_tcp(str(addresses[-1]), port, share)

    def _connect_through(
        self, proxy: Proxy, host: str, port: int, wait: float | None
    ) -> httpcore2.NetworkStream:
        stream = _Stream(self._network.connect_tcp(proxy.host, proxy.port, wait), self._deadline)
        try:
            proxy.open_tunnel(stream, host, port, wait)
        except BaseException as error:
            stream.close()
            if isinstance(error, OSError):
                raise httpcore2.ConnectError(str(error)) from error
            raise
        return stream


class _Stream(httpcore2.NetworkStream):
    """One connection. What is waited for and what came are counted anew from each request on."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

        self._has_begun = False
        self._waited_s = 0.0
        self._received = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        began = self._deadline.now()
        data = self._stream.read(max_bytes, self._deadline.bound(timeout))
        if self._has_begun:
            self._waited_s += self._deadline.now() - began
        self._has_begun = True  # for the first bytes it may think as long as a read may take
        self._received += len(data)
        if self._waited_s >= DRIP_S:
            self._check_rate()
        return data

    def _check_rate(self) -> None:
        if self._received < DRIP_BYTES:
            raise httpcore2.ReadTimeout(
                f"the answer drips: {self._received} bytes in {self._waited_s:.0f} s"
            )
        self._waited_s, self._received = 0.0, 0

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._has_begun, self._waited_s, self._received = False, 0.0, 0
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
