"""An API that allows so many requests a second, for four readers at once, and refuses the others.

    python bench/throttled.py --allow 20 --pages 200 [--retry-after] [--sliding]

prints its address when it is ready, and serves until its standard input closes.

    GET /customers/READER?cursor=   {"data": [...], "next_cursor": text or null}, or 429
    GET /report                     what came, and when

It counts in windows of one second that begin at no whole second of any clock; with --sliding in
the second before each request, which is stricter. A refused request does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import deque
from urllib.parse import parse_qs, urlsplit

PAGE_RECORDS = 20
PHASE_S = 0.37


class Gate:
    """allow: requests in a second."""

    def __init__(self, allow: int, *, sliding: bool) -> None:
        self.allow = allow
        self.sliding = sliding
        self.accepted: list[tuple[float, str]] = []
        self.refused: list[tuple[float, str]] = []

        self._recent: deque[float] = deque()

    def lets_in(self, reader: str, now: float) -> bool:
        opened = now - 1.0 if self.sliding else (now - PHASE_S) // 1.0 + PHASE_S
        while self._recent and self._recent[0] < opened:
            self._recent.popleft()
        if len(self._recent) >= self.allow:
            self.refused.append((now, reader))
            return False
        self._recent.append(now)
        self.accepted.append((now, reader))
        return True

    def report(self) -> dict[str, object]:
        return {"allow": self.allow, "accepted": self.accepted, "refused": self.refused}


class Exchange(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as much of it as a well-behaved client needs."""

    def __init__(self, gate: Gate, pages: int, *, retry_after: bool) -> None:
        self.gate = gate
        self.pages = pages
        self.told = b"retry-after: 1\r\n" if retry_after else b""

        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode("ascii")
            status, fields, body = self.answer(target)
            self.transport.write(
                b"HTTP/1.1 %s\r\ncontent-type: application/json\r\n%scontent-length: %d\r\n\r\n%s"
                % (status, fields, len(body), body)
            )

    def answer(self, target: str) -> tuple[bytes, bytes, bytes]:
        url = urlsplit(target)
        if url.path == "/report":
            return b"200 OK", b"", json.dumps(self.gate.report()).encode()
        reader = url.path.rpartition("/")[2]
        if not self.gate.lets_in(reader, time.monotonic()):
            return b"429 Too Many Requests", self.told, b'{"error":"slow down"}'
        cursor = parse_qs(url.query).get("cursor", ["0"])[-1]
        return b"200 OK", b"", page(reader, int(cursor), self.pages)


def page(reader: str, number: int, pages: int) -> bytes:
    records = [
        {"id": f"{reader}_{n}", "name": f"Customer {n}", "updated_at": "2026-03-02T10:00:00Z"}
        for n in range(number * PAGE_RECORDS, (number + 1) * PAGE_RECORDS)
    ]
    following = str(number + 1) if number + 1 < pages else None
    return json.dumps({"data": records, "next_cursor": following}).encode()


async def serve(gate: Gate, pages: int, *, retry_after: bool) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Exchange(gate, pages, retry_after=retry_after), "127.0.0.1", 0
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve customers, so many requests a second.")
    parser.add_argument("--allow", type=int, default=20)
    parser.add_argument("--pages", type=int, default=200, help="of each reader")
    parser.add_argument("--retry-after", action="store_true")
    parser.add_argument("--sliding", action="store_true")
    args = parser.parse_args()
    gate = Gate(args.allow, sliding=args.sliding)
    asyncio.run(serve(gate, args.pages, retry_after=args.retry_after))


if __name__ == "__main__":
    main()
