"""Where a consent comes back to while `penstock connect` waits: one path on this machine."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from penstock.cli import output
from penstock.errors import PenstockError, UsageError

if TYPE_CHECKING:
    from penstock.upstream.consent import Consent

USUAL = "http://127.0.0.1/callback"
LOOPBACK = ("127.0.0.1", "localhost")
WAIT_S = 600.0
CLIENT_WAITS_S = 10.0


class LoopbackCallback:
    """Listens from the moment its URL is known until the consent is here, then never again.

    redirect_uri: as it is registered with the provider; without a port any free one is taken
    (RFC 8252 section 7.3). Raises UsageError for one that is not on this machine.
    """

    def __init__(self, redirect_uri: str = USUAL, *, wait_s: float = WAIT_S) -> None:
        parts = urlsplit(redirect_uri)
        if parts.scheme != "http" or parts.hostname not in LOOPBACK or parts.query:
            raise UsageError(
                f"--redirect-url {redirect_uri}: the consent is received on this machine, give "
                "http://127.0.0.1:PORT/PATH or http://localhost:PORT/PATH"
            )
        self._parts = parts
        self._wait_s = wait_s

        self._came: queue.Queue[Mapping[str, str]] = queue.Queue()

    @property
    def redirect_uri(self) -> str:
        """The very URL the provider is told, with the port that listens."""
        port = self._server.server_address[1]
        return self._parts._replace(netloc=f"{self._parts.hostname}:{port}").geturl()

    def answer(self, consent: Consent) -> Mapping[str, str]:
        """Show the consent page's URL and wait for the callback that fits its state.

        Raises UsageError where none comes within ten minutes.
        """
        self._server.consent = consent
        output.say(f"open this page in a browser on this machine and agree:\n\n{consent.url}\n")
        listening = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        listening.start()
        try:
            return self._came.get(timeout=self._wait_s)
        except queue.Empty:
            raise UsageError(
                f"no consent came back to {self.redirect_uri} within {self._wait_s:.0f} s; run the "
                "command again"
            ) from None
        finally:
            self._server.shutdown()
            self._server.server_close()

    @cached_property
    def _server(self) -> _Server:
        try:
            return _Server(self._parts.port or 0, self._parts.path or "/", self._came)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {self._parts.geturl()}: {error.strerror}; is another "
                "`penstock connect` waiting there?"
            ) from error


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False
    consent: Consent

    def __init__(self, port: int, path: str, came: queue.Queue[Mapping[str, str]]) -> None:
        super().__init__(("127.0.0.1", port), _Page)
        self.path = path
        self.came = came
        self.is_over = False

    def take(self, callback: Mapping[str, str]) -> str:
        """What to tell the person. Hands the callback on if it is ours, the first time."""
        from penstock.upstream.consent import NotOursError

        try:
            if self.is_over:
                raise NotOursError
            self.consent.code(callback)
        except NotOursError:
            return "This answer belongs to no consent that was asked for here."
        except PenstockError as error:
            told = f"penstock: {error.message}"
        else:
            told = "penstock has the consent. You may close this page."
        self.is_over = True
        self.came.put(callback)
        return told


class _Page(BaseHTTPRequestHandler):
    timeout = CLIENT_WAITS_S
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path != self.server.path:
            self._say(404, "There is nothing here.")
            return
        told = self.server.take(dict(parse_qsl(parts.query)))
        self._say(200, told)

    def _say(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The URL holds a code: nothing is logged."""
