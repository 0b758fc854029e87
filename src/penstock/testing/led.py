"""Real sockets in a test, whose every way leads to one provider on loopback."""

from __future__ import annotations

import httpx2

from penstock.clock import Clock
from penstock.upstream.guard import Egress
from penstock.upstream.transport import Transport


class Led(httpx2.BaseTransport):
    """Sends each request to `url`, whatever host it is for; its Host field still names that."""

    def __init__(self, url: str, clock: Clock) -> None:
        egress = Egress.of([f"{url}/*"], allow_loopback=True)
        self._goal = httpx2.URL(url)
        self._inner = Transport(clock, egress)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        goal = self._goal
        url = request.url.copy_with(scheme=goal.scheme, host=goal.host, port=goal.port)
        return self._inner.handle_request(
            httpx2.Request(
                request.method,
                url,
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        )

    def close(self) -> None:
        self._inner.close()
