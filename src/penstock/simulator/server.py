"""The company's HTTP API on loopback, served from a thread of its own.

    GET  /customers /bank_accounts /invoices /payments /bank_transactions
             ?limit=&cursor=&updated_since=&updated_before=
                                                {"data": [...], "next_cursor": …, "has_more": …}
    GET  /account                               whose data this is
    GET  /requests                              counters, itself not counted
    GET  /truth                                 what a reader must have by now, in counts
    POST /tick                                  one day passes; what moved

Everything asks for `Authorization: Bearer <token>`. Errors are {"error": {"code", "message"}}.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from penstock.simulator.company import Company
from penstock.simulator.query import BadQueryError, Query
from penstock.simulator.record import DOCUMENTS

TOKEN = "sim-token"  # noqa: S105 - made up, and printed wherever the simulator runs
_STARTUP_S = 10.0
_Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Served:
    """Where the API answers: url without a trailing slash, and the token it asks for."""

    url: str
    token: str


@contextmanager
def serve(
    company: Company, *, port: int = 0, token: str = TOKEN, latency: float = 0.0
) -> Iterator[Served]:
    """Serve a company on 127.0.0.1 until the block ends.

    port: 0 takes a free one. latency: seconds every listing waits before it answers. Raises
    OSError where the port is taken.
    """
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        server = uvicorn.Server(_quiet(_Api(company, token, latency).app()))
        thread = threading.Thread(
            target=server.run, args=([listener],), name="simulator", daemon=True
        )
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", token)
        finally:
            server.should_exit = True
            thread.join()


def _quiet(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    give_up_at = time.monotonic() + _STARTUP_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > give_up_at:
            raise RuntimeError("the simulator's server did not start")
        time.sleep(0.002)


class _Api:
    """The endpoints; each reads the company's listings as they are at that moment."""

    def __init__(self, company: Company, token: str, latency: float) -> None:
        self.company = company
        self.authorization = f"Bearer {token}".encode()
        self.latency = latency

        self.counters: Counter[str] = Counter(requests=0, records=0, refused=0)

    def app(self) -> Starlette:
        gets = {
            "/account": self.account,
            "/requests": self.requests,
            "/truth": self.truth,
            **{f"/{document}s": self.listing(document) for document in DOCUMENTS},
        }
        routes = [Route(path, self.guarded(endpoint)) for path, endpoint in gets.items()]
        routes.append(Route("/tick", self.guarded(self.tick), methods=["POST"]))
        return Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_found})

    def guarded(self, endpoint: _Endpoint) -> _Endpoint:
        """Only with the token; other answers are counted as refused."""

        async def answer(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode()
            if hmac.compare_digest(given, self.authorization):
                return await endpoint(request)
            self.counters["refused"] += 1
            challenge = {"www-authenticate": "Bearer"}
            return _error(401, "unauthorized", "send Authorization: Bearer <token>", challenge)

        return answer

    def listing(self, document: str) -> _Endpoint:
        async def answer(request: Request) -> Response:
            self.counters["requests"] += 1
            if self.latency:
                await asyncio.sleep(self.latency)
            try:
                query = Query.parse(request.query_params)
            except BadQueryError as error:
                return _error(400, "bad_request", str(error))
            page = self.company.listings[document].page(query)
            self.counters["records"] += page.records
            return Response(page.body, media_type="application/json")

        return answer

    async def account(self, _: Request) -> Response:
        return JSONResponse(
            {
                "id": f"sim_{self.company.seed}",
                "name": "Penstock Instruments GmbH",
                "home_currency": "EUR",
                "timezone": "Europe/Berlin",
            }
        )

    async def requests(self, _: Request) -> Response:
        return JSONResponse(dict(self.counters))

    async def truth(self, _: Request) -> Response:
        return JSONResponse(self.company.truth().as_json())

    async def tick(self, _: Request) -> Response:
        return JSONResponse({name: m.as_json() for name, m in self.company.tick().items()})


async def _not_found(request: Request, _: Exception) -> Response:
    return _error(404, "not_found", f"{request.method} {request.url.path} is nothing this API has")


def _error(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)
