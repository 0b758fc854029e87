"""A provider as it is over three hours: slow, limited, moving, and broken five hundred times."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

from penstock.testing import ManualClock

PAGE = 20
TOKEN_S = 900


@dataclass
class Counts:
    """What was asked. good: pages answered whole."""

    good: int = 0
    broken: int = 0
    refused: int = 0
    expired: int = 0
    tokens: int = 0

    @property
    def asked(self) -> int:
        return self.good + self.broken + self.refused + self.expired + self.tokens


@dataclass
class LongDay:
    """Customers in the order of their last change, behind OAuth and a limit a minute.

    Each answer takes `latency_s` of the clock's time. While it is read, records change, which moves
    them to the end, and new ones come.
    """

    clock: ManualClock
    records: int
    latency_s: float
    breaks: int
    seed: int = 7
    per_minute: int = 30
    counts: Counts = field(default_factory=Counts)
    moves: bool = True
    moved: int = 0
    url: str = ""

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)
        self.lock = threading.Lock()
        self.rows: dict[str, dict[str, Any]] = {}
        self.order: list[tuple[str, str]] = []
        self.tokens: dict[str, float] = {}
        self.window = (-1, 0)
        self.begun = self.clock.now()
        for number in range(self.records):
            self.put(number, self.begun - timedelta(days=30) + timedelta(minutes=number % 40_000))
        self.order.sort()
        pages = self.records // PAGE
        self.broken_pages = set(self.chance.sample(range(2, pages), self.breaks))

    def put(self, number: int, at: datetime) -> None:
        key, mark = f"cus_{number:06}", at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        before = self.rows.get(key)
        if before is not None:
            self.order.remove((before["updated_at"], key))
        version = 1 + (before["version"] if before else 0)
        self.rows[key] = {
            "id": key,
            "name": f"C {number} v{version}",
            "version": version,
            "updated_at": mark,
        }
        self.order.append((mark, key))

    def __enter__(self) -> LongDay:
        day = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = 1 << 16

            def do_GET(self) -> None:
                day.answer(self)

            def do_POST(self) -> None:
                day.grant(self)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def grant(self, handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers["content-length"]))
        with self.lock:
            self.counts.tokens += 1
            token = f"token-{self.counts.tokens}"
            self.tokens[token] = self.clock.monotonic() + TOKEN_S
        send(handler, 200, {"access_token": token, "expires_in": TOKEN_S, "token_type": "Bearer"})

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        with self.lock:
            self.clock.advance(self.latency_s)
            token = handler.headers.get("authorization", "").removeprefix("Bearer ")
            if self.tokens.get(token, 0) <= self.clock.monotonic():
                self.counts.expired += 1
                send(handler, 401, {"error": "invalid_token"})
                return
            if self.is_refused():
                self.counts.refused += 1
                left_s = 60 - int(self.clock.monotonic()) % 60
                send(handler, 429, {"error": "slow down"}, Retry_After=str(left_s))
                return
            page = self.counts.good + 1
            if page in self.broken_pages:
                self.broken_pages.discard(page)
                self.counts.broken += 1
                self.break_off(handler)
                return
            self.counts.good += 1
            send(handler, 200, self.page(handler.path))
            if self.moves:
                self.move()

    def is_refused(self) -> bool:
        minute = int(self.clock.monotonic() // 60)
        allowed = self.per_minute if minute % 20 else self.per_minute // 3
        count = self.window[1] + 1 if self.window[0] == minute else 1
        self.window = (minute, count)
        return count > allowed

    def break_off(self, handler: BaseHTTPRequestHandler) -> None:
        kind = self.chance.randrange(4)
        if kind == 0:
            send(handler, self.chance.choice([500, 502, 503, 504]), {"error": "oops"})
            return
        if kind == 1:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b'{"data": [')
        handler.close_connection = True
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)

    def page(self, target: str) -> dict[str, Any]:
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        since, cursor = query.get("updated_since", ""), query.get("cursor", "")
        rows = [o for o in self.order if o[0] >= since and "/".join(o) > cursor]
        shown = rows[:PAGE]
        following = "/".join(shown[-1]) if len(rows) > PAGE else None
        return {"data": [self.rows[key] for _, key in shown], "next_cursor": following}

    def move(self) -> None:
        """Now and then a record changes or a new one comes, as of now."""
        if self.chance.random() < 0.3:
            known = len(self.rows)
            number = self.chance.randrange(known + 1)
            self.put(number, self.clock.now())
            self.moved += 1
            self.order.sort()


def send(handler: BaseHTTPRequestHandler, status: int, value: Any, **headers: str) -> None:
    body = json.dumps(value).encode()
    handler.send_response(status)
    for name, text in {"Content-Type": "application/json", **headers}.items():
        handler.send_header(name.replace("_", "-"), text)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
