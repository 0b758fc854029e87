"""What a provider answers in a test: queued by hand, or replayed from recordings."""

from __future__ import annotations

import base64
import json as json_module
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import msgspec

from penstock.upstream.recording import FORMAT, HIDDEN

_JSON = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. headers: names in any case."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, content: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """bytes and text as they are, anything else as JSON."""
        if isinstance(content, bytes):
            return cls(status, content, dict(headers or {}))
        if isinstance(content, str):
            return cls(status, content.encode(), dict(headers or {}))
        kind = {"Content-Type": "application/json"}
        return cls(status, _JSON.encode(content), kind | dict(headers or {}))

    def response(self) -> httpx2.Response:
        return httpx2.Response(self.status, content=self.body, headers=dict(self.headers))


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it left the connector, credentials included. json: its body, None without."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    json: Any = None

    @classmethod
    def of(cls, request: httpx2.Request) -> Sent:
        body = request.read()
        try:
            value = json_module.loads(body) if body else None
        except ValueError:
            value = body.decode(errors="replace")
        return cls(
            request.method,
            request.url.path,
            dict(request.url.params),
            dict(request.headers),
            value,
        )


class Answers(httpx2.BaseTransport):
    """In place of the network: answers from the queue of the request's path, else from the common
    one. A request that nothing is queued for fails the test."""

    def __init__(self) -> None:
        self.requests: list[Sent] = []

        self._common: deque[Answer] = deque()
        self._by_path: dict[str, deque[Answer]] = {}
        self._unknown: set[str] = set()
        self._recorded: dict[tuple[str, str, frozenset[tuple[str, str]]], deque[Answer]] = {}

    def queue(self, answer: Answer, path: str | None = None) -> None:
        """Answer the next request (to this path) so."""
        if path is None:
            self._common.append(answer)
        else:
            self._by_path.setdefault(path, deque()).append(answer)

    def replay(self, directory: Path) -> int:
        """Answer as recorded there (see `penstock record`); how many recordings.

        Raises ValueError for a folder without any, and for a file of another format.
        """
        files = sorted(directory.glob("*.json"))
        if not files:
            raise ValueError(f"{directory} holds no recording; make some with `penstock record`")
        for file in files:
            recorded = json_module.loads(file.read_text())
            if recorded.get("format") != FORMAT:
                raise ValueError(f"{file} is no recording of this format ({FORMAT})")
            asked, told = recorded["request"], recorded["response"]
            pairs = [(name, value) for name, value in asked["params"] if value != HIDDEN]
            self._unknown |= {name for name, value in asked["params"] if value == HIDDEN}
            key = (asked["method"], asked["path"], frozenset(pairs))
            body = base64.b64decode(told["base64"]) if "base64" in told else told["text"].encode()
            answer = Answer(told["status"], body, told["headers"])
            self._recorded.setdefault(key, deque()).append(answer)
        return len(files)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = Sent.of(request)
        self.requests.append(sent)
        return self._next(sent, request).response()

    def _next(self, sent: Sent, request: httpx2.Request) -> Answer:
        query = parse_qsl(request.url.query.decode(), keep_blank_values=True)
        pairs = frozenset(pair for pair in query if pair[0] not in self._unknown)
        recorded = self._recorded.get((sent.method, sent.path, pairs))
        for waiting in (self._by_path.get(sent.path), recorded, self._common):
            if waiting:
                keeps = waiting is recorded and len(waiting) == 1
                return waiting[0] if keeps else waiting.popleft()
        shown = f"{sent.method} {sent.path}" + (f" with {sent.params}" if sent.params else "")
        raise AssertionError(
            f"the connector asked {shown}, and no answer is queued for it; queue one with "
            "runtime.respond(…) or replay a recording that has it"
        )
