"""Sending a request: floors with one worry each, from the guard down to the socket.

    send → retries → auth → redirects → one exchange

Above this module nobody sees a signed request, a foreign exception or half a body.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote, urlencode, urljoin

import httpcore2
import httpx2
import msgspec

from penstock.clock import Clock
from penstock.errors import (
    ConnectorError,
    EgressDeniedError,
    PageRefusedError,
    ParkedError,
    UpstreamError,
    UpstreamUnavailableError,
)
from penstock.model import times
from penstock.telemetry import event, kill_point
from penstock.upstream.auth import NO_AUTH, NO_CREDENTIALS, Auth, Credentials
from penstock.upstream.body import CutError, read_body
from penstock.upstream.guard import Egress
from penstock.upstream.headers import Headers
from penstock.upstream.request import CREDENTIAL_HEADERS, Pair, Request, Response
from penstock.upstream.retry import (
    SIX_ATTEMPTS,
    Policy,
    Verdict,
    backoff,
    classify,
    may_repeat,
    retry_after,
)
from penstock.upstream.transport import FAULTS, Transport

REDIRECTS = 5
HEADER_BYTES = 64 * 1024
ERROR_BODY_BYTES = 64 * 1024
ERROR_TEXT_CHARACTERS = 200

Params = Mapping[str, Any] | Iterable[tuple[str, Any]]
"""Query parameters by name, or as pairs. None is left out, a list gives one for each entry."""

_MOVED = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. total bounds one attempt, redirects included, and beats a server that drips."""

    connect_s: float = 10.0
    read_s: float = 30.0
    total_s: float = 120.0

    def as_extension(self) -> dict[str, float]:
        """As httpx2 takes them; writing and waiting for a free connection count as reading."""
        wait = self.read_s
        return {"connect": self.connect_s, "read": wait, "write": wait, "pool": wait}


USUAL_TIMEOUTS = Timeouts()


class _BrokenExchangeError(Exception):
    """The connection failed or the answer was cut; the cause says how."""


class Client:
    """One connection's way to its provider. Safe to use from several threads.

    base_url: what relative URLs are resolved against; placeholders filled. transport: in place of
    real sockets, anything httpx2 takes.
    """

    def __init__(
        self,
        base_url: str,
        *,
        egress: Egress,
        clock: Clock,
        auth: Auth = NO_AUTH,
        credentials: Credentials = NO_CREDENTIALS,
        policy: Policy = SIX_ATTEMPTS,
        timeouts: Timeouts = USUAL_TIMEOUTS,
        transport: httpx2.BaseTransport | None = None,
        rng: Random | None = None,
        user_agent: str = "penstock",
    ) -> None:
        self.base_url = base_url
        self._egress = egress
        self._clock = clock
        self._auth = auth
        self._credentials = credentials
        self._policy = policy
        self._timeouts = timeouts
        self._user_agent = user_agent

        self._rng = rng or Random()  # noqa: S311 - jitter, no secret
        self._transport = transport or Transport(clock)

    def get(
        self,
        path: str,
        *,
        params: Params = (),
        headers: Mapping[str, str] = {},
        expect: Iterable[int] = (),
    ) -> Response:
        """GET relative to base_url; see `request` and `send`."""
        return self.send(self.request("GET", path, params=params, headers=headers, expect=expect))

    def post(
        self,
        path: str,
        *,
        json: Any = None,
        params: Params = (),
        headers: Mapping[str, str] = {},
        safe: bool = False,
        expect: Iterable[int] = (),
    ) -> Response:
        """POST relative to base_url. safe: it only reads, so it may be repeated."""
        request = self.request("POST", path, params=params, headers=headers, expect=expect)
        return self.send(replace(request, json=json, safe=safe))

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params = (),
        headers: Mapping[str, str] = {},
        expect: Iterable[int] = (),
    ) -> Request:
        """A request relative to base_url ("/invoices" keeps the base's own path)."""
        return Request(
            method,
            resolve(self.base_url, path),
            params=tuple(_flat(params)),
            headers=tuple(headers.items()),
            expect=tuple(expect),
        )

    def send(self, request: Request) -> Response:
        """Send a request and return its complete answer.

        Raises UpstreamError for a final answer from 400 on that is not in `expect`,
        UpstreamUnavailableError when the retries are used up, ParkedError when the provider asks
        for a long pause, PageRefusedError for a body beyond its limits, EgressDeniedError for an
        address the manifest does not allow, SecretError for a credential that is missing.
        """
        request = replace(request, url=resolve(self.base_url, request.url))
        response = self._send_with_retries(request)
        kill_point("page.fetched")
        if classify(response.status, request.expect) is Verdict.DONE:
            return response
        raise self._final(response)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _send_with_retries(self, request: Request) -> Response:
        attempts = self._policy.attempts if may_repeat(request) else 1
        sent = 0
        while True:
            response, fault = self._attempt(request)
            sent += 1
            if response is not None and self._is_answer(response, attempts):
                return response
            if sent >= attempts:
                raise self._unavailable(request, response, fault, sent) from fault
            self._pause(request, response, sent - 1)

    def _is_answer(self, response: Response, attempts: int) -> bool:
        """What must not be repeated is answered by a 503 as well."""
        passing = classify(response.status, response.request.expect) is Verdict.RETRY
        return not passing or attempts == 1

    def _attempt(self, request: Request) -> tuple[Response | None, Exception | None]:
        try:
            return self._send_signed(request), None
        except _BrokenExchangeError as fault:
            return None, cast("Exception", fault.__cause__)

    def _pause(self, request: Request, response: Response | None, attempt: int) -> None:
        asked = retry_after(response.headers, response.received_at) if response else None
        pause = backoff(attempt, asked, rng=self._rng)
        status = response.status if response else None
        if pause > self._policy.park_above:
            raise ParkedError(
                f"{_shown(request)} was answered with {status}; the provider asks for a pause of "
                f"{pause.total_seconds():.0f} s",
                until=self._clock.now() + pause,
            )
        event("upstream.retried", logging.WARNING, attempt=attempt + 1, status=status)
        self._clock.sleep(pause.total_seconds())

    def _send_signed(self, request: Request) -> Response:
        flow = self._auth.flow(request, self._credentials)
        try:
            signed = next(flow)
            while True:
                response = self._send_redirected(request, signed)
                try:
                    signed = flow.send(response)
                except StopIteration:
                    return response
        finally:
            flow.close()

    def _send_redirected(self, request: Request, signed: Request) -> Response:
        deadline = self._clock.monotonic() + self._timeouts.total_s
        for _ in range(REDIRECTS + 1):
            response = self._exchange(request, signed, deadline)
            location = response.headers.get("location")
            if response.status not in _MOVED or not location:
                return response
            signed = self._redirected(request, signed, response, location)
        raise UpstreamError(
            f"{_shown(request)} was redirected more than {REDIRECTS} times",
            status=response.status,
        )

    def _redirected(
        self, request: Request, signed: Request, response: Response, location: str
    ) -> Request:
        """The next hop. On another origin nothing goes along that auth put on the request."""
        target = _joined(response.url, location)
        self._egress.check(target)
        if _origin(target) != _origin(response.url):
            signed = replace(signed, headers=_without_credentials(request.headers))
        if response.status == 303 or (response.status in (301, 302) and signed.method == "POST"):
            signed = replace(signed, method="GET", json=None)
        return replace(signed, url=target, params=())

    def _exchange(self, request: Request, signed: Request, deadline: float) -> Response:
        """One request over the wire, its body read whole."""
        outgoing = self._outgoing(signed, deadline)
        with _translated():
            answer = self._transport.handle_request(outgoing)
            headers, body = _complete(answer)
        return Response(
            request=request,
            status=answer.status_code,
            headers=headers,
            body=body,
            url=self._public(outgoing.url),
            received_at=self._clock.now(),
        )

    def _outgoing(self, signed: Request, deadline: float) -> httpx2.Request:
        content = None if signed.json is None else msgspec.json.encode(signed.json)
        headers = httpx2.Headers(
            {
                "User-Agent": self._user_agent,
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
            }
        )
        if content is not None:
            headers["Content-Type"] = "application/json"
        headers.update(signed.headers)
        return httpx2.Request(
            signed.method,
            self._egress.check(address(signed)),
            headers=headers,
            content=content,
            extensions={"timeout": self._timeouts.as_extension(), "deadline": deadline},
        )

    def _public(self, url: httpx2.URL) -> str:
        """The URL without a secret in its query."""
        front, mark, query = str(url).partition("?")
        return front + mark + self._credentials.redact(query)

    def _unavailable(
        self, request: Request, response: Response | None, fault: Exception | None, attempts: int
    ) -> UpstreamUnavailableError:
        if response is not None:
            reason = f"status {response.status}"
        else:
            reason = self._credentials.redact(f"{type(fault).__name__}: {fault}")
        times = "once" if attempts == 1 else f"{attempts} times"
        return UpstreamUnavailableError(f"{_shown(request)} failed {times}, at last with {reason}")

    def _final(self, response: Response) -> UpstreamError:
        text = self._credentials.redact(response.text()[:ERROR_BODY_BYTES])
        body = response.body[:ERROR_BODY_BYTES].decode(errors="surrogateescape")
        return UpstreamError(
            f"{_shown(response.request)} was answered with {response.status}: "
            f"{' '.join(text.split())[:ERROR_TEXT_CHARACTERS] or 'an empty body'}",
            status=response.status,
            body=self._credentials.redact(body).encode(errors="surrogateescape"),
        )


def resolve(base_url: str, path: str) -> str:
    """An absolute URL: `path` itself when it is one, else put behind the base's own path."""
    if path.startswith(("https://", "http://")):
        return path
    return f"{base_url.rstrip('/')}/{path.lstrip('/')}" if path else base_url


def address(request: Request) -> str:
    """The request's URL with its parameters."""
    if not request.params:
        return request.url
    query = urlencode(request.params, quote_via=quote)
    return f"{request.url}{'&' if '?' in request.url else '?'}{query}"


@contextmanager
def _translated() -> Iterator[None]:
    """Foreign exceptions become ours here and nowhere else."""
    try:
        yield
    except (httpx2.LocalProtocolError, httpcore2.LocalProtocolError):
        raise ConnectorError(
            "the request cannot be written: a header field holds a forbidden character"
        ) from None
    except (*FAULTS, CutError) as error:
        raise _BrokenExchangeError from error


def _complete(answer: httpx2.Response) -> tuple[Headers, bytes]:
    """Header fields and the whole body; the connection is given back or closed in any case."""
    try:
        size = sum(len(name) + len(value) for name, value in answer.headers.raw)
        if size > HEADER_BYTES:
            raise PageRefusedError(
                f"the response's header fields pass {HEADER_BYTES} bytes", code="invalid_page"
            )
        headers = Headers(answer.headers.multi_items())
        stream = cast("httpx2.SyncByteStream", answer.stream)
        return headers, read_body(stream, headers.get("content-encoding", ""))
    finally:
        answer.close()


def _flat(params: Params) -> Iterator[Pair]:
    for name, value in params.items() if isinstance(params, Mapping) else params:
        for entry in value if isinstance(value, (list, tuple)) else (value,):
            if entry is not None:
                yield name, _written(entry)


def _written(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return times.write(value)
        case _:
            return str(value)


def _without_credentials(headers: Iterable[Pair]) -> tuple[Pair, ...]:
    return tuple(pair for pair in headers if pair[0].lower() not in CREDENTIAL_HEADERS)


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise EgressDeniedError("a redirect to a URL that cannot be read") from None


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx2.URL(url)
    return parsed.scheme, parsed.host, parsed.port


def _shown(request: Request) -> str:
    """Method and URL without its query, which may hold personal data or a key."""
    return f"{request.method} {request.url.partition('?')[0]}"
