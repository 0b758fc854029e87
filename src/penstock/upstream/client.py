"""Sending a request: floors with one worry each, from the guard down to the socket.

    send → retries → auth → redirects → one exchange

Above this module nobody sees a signed request, a foreign exception or half a body.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Self, cast
from urllib.parse import urlencode, urljoin, urlsplit

import httpcore2
import httpx2

from penstock.clock import Clock
from penstock.errors import (
    ConnectorError,
    EgressDeniedError,
    NeedsReauthError,
    ParkedError,
    PenstockError,
    UpstreamError,
    UpstreamUnavailableError,
)
from penstock.telemetry import carried, event, kill_point
from penstock.upstream import links
from penstock.upstream.auth import NO_AUTH, NO_CREDENTIALS, Auth, Credentials, TokenRequest
from penstock.upstream.body import BODY_BYTES, CutError, copy_body, read_body
from penstock.upstream.circuit import Circuit
from penstock.upstream.files import Download
from penstock.upstream.guard import Egress, Pattern
from penstock.upstream.headers import Headers
from penstock.upstream.pacing import UNPACED, Pacing
from penstock.upstream.recording import FORM, Recorder
from penstock.upstream.request import (
    CREDENTIAL_HEADERS,
    MANY_AT_ONCE,
    Pair,
    Request,
    Response,
    address,
    content,
)
from penstock.upstream.retry import (
    SIX_ATTEMPTS,
    USUAL_JUDGE,
    Judge,
    Judged,
    Policy,
    Ruling,
    backoff,
    may_repeat,
)
from penstock.upstream.transport import FAULTS, HEADER_BYTES, Transport, headers_refused
from penstock.upstream.verdict import USUAL_PAUSE
from penstock.vault.redaction import Redactor

REDIRECTS = 5
ERROR_BODY_BYTES = 64 * 1024
ERROR_TEXT_CHARACTERS = 200

_MOVED = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. total bounds one attempt, redirects included, and beats a server that drips;
    download bounds one that fetches a file."""

    connect_s: float = 10.0
    read_s: float = 30.0
    total_s: float = 120.0
    download_s: float = 3600.0

    def as_extension(self) -> dict[str, float]:
        """As httpx2 takes them; writing and waiting for a free connection count as reading."""
        wait = self.read_s
        return {"connect": self.connect_s, "read": wait, "write": wait, "pool": wait}


USUAL_TIMEOUTS = Timeouts()


class _BrokenExchangeError(Exception):
    """The connection failed or the answer was cut; the cause says how."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Of one attempt: an answer with its judgement, or the fault that left none."""

    response: Response | None
    judged: Judged | None
    fault: Exception | None

    @property
    def status(self) -> int | None:
        return self.response.status if self.response else None

    @property
    def is_throttled(self) -> bool:
        return self.judged is not None and self.judged.ruling is Ruling.THROTTLED


class Client:
    """One connection's way to its provider. Safe to use from several threads.

    base_url: what relative URLs are resolved against; placeholders filled. auth_hosts: where the
    credentials may go beside its origin. transport: in place of real sockets, anything httpx2
    takes.
    """

    def __init__(
        self,
        base_url: str,
        *,
        egress: Egress,
        clock: Clock,
        auth: Auth = NO_AUTH,
        credentials: Credentials = NO_CREDENTIALS,
        auth_hosts: tuple[Pattern, ...] = (),
        judge: Judge = USUAL_JUDGE,
        policy: Policy = SIX_ATTEMPTS,
        timeouts: Timeouts = USUAL_TIMEOUTS,
        body_bytes: int = BODY_BYTES,
        pacer: Pacing = UNPACED,
        transport: httpx2.BaseTransport | None = None,
        rng: Random | None = None,
        user_agent: str = "penstock",
    ) -> None:
        self.base_url = base_url
        self._egress = egress
        self._clock = clock
        self._auth = auth
        self._credentials = credentials
        self._auth_hosts = auth_hosts
        self._judge = judge
        self._policy = policy
        self._timeouts = timeouts
        self._body_bytes = body_bytes
        self._pacer = pacer
        self._user_agent = user_agent

        self._circuit = Circuit(urlsplit(base_url).hostname or base_url)
        self._rng = rng or Random()  # noqa: S311 - jitter, no secret
        self._transport: httpx2.BaseTransport = transport or Transport(clock, egress)

    @property
    def redact(self) -> Redactor:
        """Takes the connection's secrets out of what is told or kept."""
        return self._credentials.redact

    def send(self, request: Request) -> Response:
        """Send a request and return its complete answer.

        Raises UpstreamError for a final answer, UpstreamUnavailableError when the retries are used
        up, ParkedError when the provider asks for a long pause or has failed for a while,
        NeedsReauthError, ForbiddenError and CursorExpiredError as the connector's verdict says,
        PageRefusedError for a body beyond its limits, EgressDeniedError for an address the manifest
        does not allow, SecretError for a credential that is missing.
        """
        request = replace(request, url=resolve(self.base_url, request.url))
        self._circuit.check(self._clock.now())
        attempts = self._policy.attempts if may_repeat(request) else 1
        for attempt in range(attempts):
            outcome = self._attempt(request)
            if outcome.judged is not None and not outcome.judged.passes:
                break
            if attempt + 1 < attempts:
                self._pause(request, outcome, attempt)
        kill_point("page.fetched")
        return self._settled(request, outcome, attempts)

    def send_many(self, requests: Sequence[Request]) -> list[Response]:
        """The answers in the order of the requests, several on their way at once, within the pace.

        Raises what the first of them to fail raises, in their order; those not yet sent are not.
        """
        with ThreadPoolExecutor(MANY_AT_ONCE, thread_name_prefix="penstock-many") as threads:
            send = carried(self.send)
            pending = [threads.submit(send, request) for request in requests]
            try:
                return [one.result() for one in pending]
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise

    def download(self, request: Request) -> Download:
        """The body of an answer as a file on disk, whole or not at all; raises as `send` does.

        The file is removed when nobody holds it any more.
        """
        into = TemporaryFile()  # noqa: SIM115 - it lives as long as the Download
        try:
            response = self.send(replace(request, into=into))
        except BaseException:
            into.close()
            raise
        return Download(into, urlsplit(response.url).path.rpartition("/")[2])

    def ask_for_tokens(self, asked: TokenRequest) -> Response:
        """A token endpoint's final answer, whatever its status; what passes is asked again.

        Raises as `send` where there is none. All attempts together last no longer than the total
        time of one: others wait for them. A redirect is an answer, and no good one.
        """
        request = Request("POST", asked.url)
        signed = request.with_headers(*asked.headers, ("Content-Type", FORM))
        deadline = self._clock.monotonic() + self._timeouts.total_s
        form = urlencode(asked.form).encode()
        attempts = 0
        while True:
            outcome = self._exchanged(request, signed, deadline, form)
            attempts += 1
            if outcome.response is not None and not (outcome.judged and outcome.judged.passes):
                return outcome.response
            if attempts == self._policy.attempts or self._clock.monotonic() >= deadline:
                raise self._exhausted(request, outcome, attempts) from outcome.fault
            self._pause(request, outcome, attempts - 1)

    def record(self, directory: Path, *, hide: frozenset[str], limit: int) -> Recorder:
        """Write down every exchange from here on; see Recorder."""
        redact = self._credentials.redact
        recorder = Recorder(self._transport, directory, redact=redact, hide=hide, limit=limit)
        self._transport = recorder
        return recorder

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

    def _attempt(self, request: Request) -> _Outcome:
        try:
            response = self._send_signed(request)
        except _BrokenExchangeError as fault:
            outcome = _Outcome(None, None, cast("Exception", fault.__cause__))
        else:
            outcome = _Outcome(response, self._judge.judge(response), None)
        self._tell_circuit(request, outcome)
        return outcome

    def _tell_circuit(self, request: Request, outcome: _Outcome) -> None:
        """Faults in a row open it, for everybody who shares the pace; a limit is no fault."""
        if outcome.is_throttled:
            return
        if outcome.judged is not None and not outcome.judged.passes:
            self._circuit.worked()
        elif (until := self._circuit.failed(self._clock.now(), self._reason(outcome))) is not None:
            self._pacer.hold(request, until)

    def _pause(self, request: Request, outcome: _Outcome, attempt: int) -> None:
        """Wait before the next attempt. Raises ParkedError where that is too long to sleep, or
        where everybody has stopped asking."""
        self._circuit.check(self._clock.now())
        asked = outcome.judged.after if outcome.judged else None
        pause = backoff(attempt, asked, rng=self._rng)
        if outcome.is_throttled:
            self._pacer.hold(request, self._clock.now() + pause)
        if pause > self._policy.park_above:
            raise self._parked(request, outcome, pause)
        met = outcome.status or type(outcome.fault).__name__
        event("upstream.retried", logging.WARNING, attempt=attempt + 1, status=met)
        self._clock.sleep(pause.total_seconds())

    def _parked(self, request: Request, outcome: _Outcome, pause: timedelta) -> ParkedError:
        return ParkedError(
            f"{_shown(request)} was answered with {outcome.status}; the provider asks for a pause "
            f"of {pause.total_seconds():.0f} s",
            until=self._clock.now() + pause,
            throttled=outcome.is_throttled,
        )

    def _settled(self, request: Request, outcome: _Outcome, attempts: int) -> Response:
        """The answer, or what its judgement raises."""
        response, judged = outcome.response, outcome.judged
        if response is None or judged is None or (judged.passes and attempts > 1):
            raise self._exhausted(request, outcome, attempts) from outcome.fault
        match judged.ruling:
            case Ruling.TAKE:
                return response
            case Ruling.SKIP:
                return replace(response, skipped=True)
            case Ruling.FAIL if judged.said is not None:
                raise self._final(response, self._credentials.redact(str(judged.said)))
            case Ruling.REAUTH if judged.said is None:
                raise NeedsReauthError(
                    f"{_shown(request)} was answered with {response.status}: the credentials are "
                    "not taken"
                )
            case _ if judged.said is not None:
                error = judged.said.error(self._clock.now())
                error.args = (self._credentials.redact(error.message),)
                raise error
        raise self._final(response)

    def _exhausted(self, request: Request, outcome: _Outcome, attempts: int) -> PenstockError:
        """The retries are used up: a limit that lasts parks the run, a fault fails it."""
        times = "once" if attempts == 1 else f"{attempts} times"
        if outcome.is_throttled:
            return ParkedError(
                f"{_shown(request)} was refused {times}, at last with {outcome.status}: the "
                "provider's rate limit is reached",
                until=self._clock.now() + USUAL_PAUSE,
                throttled=True,
            )
        reason = self._reason(outcome)
        return UpstreamUnavailableError(f"{_shown(request)} failed {times}, at last with {reason}")

    def _reason(self, outcome: _Outcome) -> str:
        if outcome.response is not None:
            return f"status {outcome.response.status}"
        return self._credentials.redact(f"{type(outcome.fault).__name__}: {outcome.fault}")

    def _send_signed(self, request: Request) -> Response:
        if not self._may_sign(request):
            return self._send_redirected(request, request)
        flow = self._auth.flow(request, self._credentials)
        try:
            signed = next(flow)
            while True:
                if isinstance(signed, TokenRequest):
                    signed = flow.send(self.ask_for_tokens(signed))
                    continue
                response = self._send_redirected(request, signed)
                try:
                    signed = flow.send(self._as_a_scheme_sees_it(response))
                except StopIteration:
                    return response
        finally:
            flow.close()

    def _may_sign(self, request: Request) -> bool:
        """Credentials go to the origin of base_url and to the declared hosts, nowhere else."""
        url = self._egress.check(address(request))
        if _origin(str(url)) == _origin(self.base_url):
            return True
        return any(host.allows(url) for host in self._auth_hosts)

    def _exchanged(
        self, request: Request, signed: Request, deadline: float, form: bytes
    ) -> _Outcome:
        """An exchange with a token endpoint; the connector's own verdict is not about these."""
        try:
            response = self._exchange(request, signed, deadline, form)
        except _BrokenExchangeError as fault:
            return _Outcome(None, None, cast("Exception", fault.__cause__))
        return _Outcome(response, USUAL_JUDGE.judge(response), None)

    def _as_a_scheme_sees_it(self, response: Response) -> Response:
        """Refused credentials are a 401, wherever the provider puts them."""
        if self._judge.judge(response).ruling is Ruling.REAUTH:
            return replace(response, status=401)
        return response

    def _send_redirected(self, request: Request, signed: Request) -> Response:
        timeouts = self._timeouts
        allowed_s = timeouts.total_s if request.into is None else timeouts.download_s
        deadline = self._clock.monotonic() + allowed_s
        for _ in range(REDIRECTS + 1):
            with self._pacer.take(request) as waited_s:
                response = self._exchange(request, signed, deadline + waited_s)
            self._pacer.saw(request, response)
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
            kept = _without_credentials(request.headers)
            signed = replace(signed, headers=kept, json=request.json)
        if response.status == 303 or (response.status in (301, 302) and signed.method == "POST"):
            signed = replace(signed, method="GET", json=None)
        return replace(signed, url=target, params=(), link=None)

    def _exchange(
        self, request: Request, signed: Request, deadline: float, form: bytes | None = None
    ) -> Response:
        """One request over the wire, its body read whole."""
        outgoing = self._outgoing(signed, deadline, form)
        with self._told(outgoing) as status, _translated():
            answer = self._transport.handle_request(outgoing)
            headers, body = _complete(answer, signed.into, self._body_bytes)
            status.append(answer.status_code)
        return Response(
            request=request,
            status=answer.status_code,
            headers=headers,
            body=body,
            url=links.stored(str(outgoing.url), self._credentials.redact),
            received_at=self._clock.now(),
            redact=self._credentials.redact,
        )

    @contextmanager
    def _told(self, outgoing: httpx2.Request) -> Iterator[list[int]]:
        """An event of the exchange in here, which leaves its status; no part of the URL but the
        host is in it."""
        began = self._clock.monotonic()
        asked = {"method": outgoing.method, "host": outgoing.url.host}
        status: list[int] = []
        try:
            yield status
        except Exception as error:
            fault = type(error.__cause__ or error).__name__
            seconds = round(self._clock.monotonic() - began, 6)
            event("request.broken", logging.DEBUG, **asked, fault=fault, seconds=seconds)
            raise
        seconds = round(self._clock.monotonic() - began, 6)
        event("request.answered", logging.DEBUG, **asked, status=status[0], seconds=seconds)

    def _outgoing(self, signed: Request, deadline: float, form: bytes | None) -> httpx2.Request:
        body = form or content(signed)
        headers = httpx2.Headers(
            {
                "User-Agent": self._user_agent,
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
            }
        )
        if body is not None:
            headers["Content-Type"] = "application/json"
        headers.update(signed.headers)
        return httpx2.Request(
            signed.method,
            self._egress.check(address(signed)),
            headers=headers,
            content=body,
            extensions={"timeout": self._timeouts.as_extension(), "deadline": deadline},
        )

    def _final(self, response: Response, why: str | None = None) -> UpstreamError:
        text = why or self._credentials.redact(response.text()[:ERROR_BODY_BYTES])
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


def _complete(
    answer: httpx2.Response, into: IO[bytes] | None, body_bytes: int
) -> tuple[Headers, bytes]:
    """Header fields and the whole body; the connection is given back or closed in any case.

    into: where the body of a good answer goes; then there is none here.
    """
    try:
        size = sum(len(name) + len(value) for name, value in answer.headers.raw)
        if size > HEADER_BYTES:
            raise headers_refused()
        headers = Headers(answer.headers.multi_items())
        stream = cast("httpx2.SyncByteStream", answer.stream)
        encoding = headers.get("content-encoding", "")
        if into is None or answer.status_code >= 300:
            return headers, read_body(stream, encoding, body_bytes)
        copy_body(stream, encoding, into, ends_itself=_ends_itself(headers))
        return headers, b""
    finally:
        answer.close()


def _ends_itself(headers: Headers) -> bool:
    """Whether a body that is cut can be told from a whole one."""
    return "content-length" in headers or "chunked" in headers.get("transfer-encoding", "")


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
