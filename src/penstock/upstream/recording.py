"""Exchanges written down while they happen, for tests: one JSON file each, without secrets."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx2

from penstock.errors import StopRunError

FORMAT = "penstock recording 1"
KEPT_HEADERS = re.compile(
    r"content-type|date|etag|last-modified|link|location|retry-after|(x-)?rate-?limit.*", re.I
)
HIDDEN = "***"
FORM = "application/x-www-form-urlencoded"
_NAME = re.compile(r"[^a-z0-9]+")


class RecordedEnoughError(StopRunError):
    """So many exchanges as were asked for are written down."""

    code = "recorded_enough"


class Recorder(httpx2.BaseTransport):
    """Passes requests on and writes each exchange to `directory`/0001-get-customers.json, ….

    redact: a text without the connection's secrets. hide: names of JSON members whose values are
    replaced, wherever they stand. limit: exchanges; the next request raises RecordedEnoughError.
    """

    def __init__(
        self,
        inner: httpx2.BaseTransport,
        directory: Path,
        *,
        redact: Callable[[str], str],
        hide: frozenset[str] = frozenset(),
        limit: int,
    ) -> None:
        self.written: list[Path] = []

        self._inner = inner
        self._directory = directory
        self._redact = redact
        self._hide = hide
        self._limit = limit

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if len(self.written) >= self._limit:
            raise RecordedEnoughError(f"{self._limit} exchanges are recorded")
        answer = self._inner.handle_request(request)
        if request.headers.get("content-type") == FORM:  # a token endpoint's answer is all secret
            return answer
        body = answer.read()
        self._write(request, answer, body)
        fields = [(n, v) for n, v in answer.headers.multi_items() if n not in _OF_THE_WIRE]
        return httpx2.Response(
            answer.status_code, headers=fields, content=body, extensions=answer.extensions
        )

    def close(self) -> None:
        self._inner.close()

    def _write(self, request: httpx2.Request, answer: httpx2.Response, body: bytes) -> None:
        path = self._redact(request.url.path)
        query = parse_qsl(request.url.query.decode(), keep_blank_values=True)
        exchange = {
            "format": FORMAT,
            "request": {
                "method": request.method,
                "path": path,
                "params": [[name, self._redact(value)] for name, value in query],
            },
            "response": {
                "status": answer.status_code,
                "headers": {
                    name: self._redact(value)
                    for name, value in answer.headers.multi_items()
                    if KEPT_HEADERS.fullmatch(name)
                },
                **self._kept(body),
            },
        }
        place = _NAME.sub("-", f"{request.method} {path}".lower()).strip("-")[:60]
        file = self._directory / f"{len(self.written) + 1:04}-{place}.json"
        file.write_text(json.dumps(exchange, indent=2, ensure_ascii=False) + "\n")
        self.written.append(file)

    def _kept(self, body: bytes) -> dict[str, str]:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(body).decode()}
        return {"text": self._redact(self._hidden(text))}

    def _hidden(self, text: str) -> str:
        if not self._hide:
            return text
        try:
            document = json.loads(text, parse_float=_Number, parse_int=_Number)
        except ValueError:
            return text
        return _written(_without(document, self._hide))


_OF_THE_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class _Number(str):
    """A number as it was spelled."""


def _without(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {
            name: HIDDEN if name in names and inner is not None else _without(inner, names)
            for name, inner in value.items()
        }
    return [_without(inner, names) for inner in value] if isinstance(value, list) else value


def _written(value: Any) -> str:
    if isinstance(value, dict):
        members = (f"{json.dumps(name)}: {_written(inner)}" for name, inner in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return str(value) if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)
