"""Providers that know every secret they were sent, and tell them to whoever asks."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from tests.canary.planted import REFUSED_WITH, SETTINGS, plain

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Unkind:
    """name: of the connection. asked: all requests. refusing: refuses everything, and tells in the
    answer what it knows."""

    name: str
    asked: list[Asked] = field(default_factory=list)
    refusing: bool = False
    tokens: int = 0
    url: str = ""

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if asked.path == "/token":
            return self._token()
        if self.refusing:
            return 403, {"X-Debug": self._own("page_header")}, self._all_it_knows(asked)
        name = asked.path.strip("/").split("/")[0]
        answer: Answer = getattr(self, name)(asked)
        return answer

    @property
    def heard(self) -> str:
        """All that was sent to it, headers and bodies."""
        return "\n".join(repr(vars(asked)) for asked in self.asked)

    # ── what each path tells ──

    def me(self, _asked: Asked) -> Answer:
        told = {name: plain(name) for name in ("me_facts", "me_log", "me_error")}
        return _json({"id": "acct_1", "name": "Acme", "debug": told})

    def customers(self, asked: Asked) -> Answer:
        if plain("access_1") in asked.headers.get("authorization", ""):
            return 401, {}, b'{"error": "expired"}'
        number = int(asked.query.get("page", "1"))
        records = [
            {"id": f"cus_{number}_{n}", "name": "Customer", "internal": self._own("record"),
             "updated_at": "2026-03-02T10:00:00Z"}
            for n in range(3)
        ]  # fmt: skip
        records.append({"id": f"bad_{number}", "name": self._own("bad_record")})
        link = (
            f"{self.url}/customers?page={number + 1}&sess={self._own('next_link')}"
            f"&key={quote(self._own('query_key'), safe='')}"
        )
        more = link if number < 3 else None
        return _json({"data": records, "next": more}, **{"X-Debug": self._own("page_header")})

    def _own(self, name: str) -> str:
        return plain(name) if name in SETTINGS[self.name] else "nothing"

    def linked(self, asked: Asked) -> Answer:
        number = int(asked.query.get("page", "1"))
        link = (
            f"<{self.url}/linked/{plain('link_path')}?page={number + 1}&s={plain('link_header')}>"
        )
        header = {"Link": f'{link}; rel="next"'} if number < 3 else {}
        record = {"id": f"lin_{number}", "name": "Linked", "updated_at": plain("watermark_field")}
        return _json({"data": [record]}, **header)

    def moved(self, _asked: Asked) -> Answer:
        return 302, {"Location": f"{self.url}/arrived?session={plain('redirected')}"}, b""

    def arrived(self, _asked: Asked) -> Answer:
        return _json({"data": [{"id": "mov_1", "name": 7}]})

    def garbled(self, _asked: Asked) -> Answer:
        return 200, {}, f'{{"data": [{{"key": "{plain("no_json")}"'.encode()

    def debug(self, _asked: Asked) -> Answer:
        names = ("route_log", "route_error", "route_cause", "cursor", "letter")
        return _json({name: plain(name) for name in names})

    def refused(self, asked: Asked) -> Answer:
        return 422, {}, self._all_it_knows(asked)

    def _token(self) -> Answer:
        self.tokens = min(self.tokens + 1, 2)
        made = {name: plain(f"{name}_{self.tokens}") for name in ("access", "refresh")}
        granted = {f"{name}_token": token for name, token in made.items()}
        return _json({**granted, "token_type": "Bearer"})

    def _all_it_knows(self, asked: Asked) -> bytes:
        known = [plain(name) for name in REFUSED_WITH[self.name]]
        told: dict[str, Any] = {
            "error": " ".join([asked.headers.get("authorization", ""), *known]),
            "basic": b64encode(f"{known[0]}:{known[1]}".encode()).decode(),
            "escaped": [quote(secret, safe="") for secret in known],
            "was": asked.headers,
            "query": asked.query,
        }
        return json.dumps(told).encode()


def _json(value: Any, **headers: str) -> Answer:
    return 200, headers, json.dumps(value).encode()


@contextmanager
def served(provider: Unkind) -> Iterator[Unkind]:
    """Serve on a free port of 127.0.0.1 until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, url.path, dict(parse_qsl(url.query)), headers, body)
            status, fields, content = provider(asked)
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # noqa: N815 - so the library calls them

        def log_message(self, *_: Any) -> None:
            """Tests read `asked` instead."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
