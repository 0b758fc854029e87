"""A way out through somebody's HTTP proxy: a tunnel to a name, TLS inside it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Protocol, Self
from urllib.parse import unquote, urlsplit

from penstock.errors import UsageError

_ANSWER_BYTES = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})\b")


class Stream(Protocol):
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes: ...
    def write(self, buffer: bytes, timeout: float | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Proxy:
    """authorization: the value of Proxy-Authorization, "" for none; shown nowhere."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """From "http://proxy.internal:3128", with user:password@ where the proxy asks for them.

        Raises UsageError, which does not show the URL: it may hold a password.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if host is None or port is None or parts.scheme != "http" or parts.path not in ("", "/"):
            raise UsageError(
                "proxy: give it as http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT"
            )
        return cls(host, port, _basic(parts.username, parts.password))

    def open_tunnel(self, stream: Stream, host: str, port: int, timeout: float | None) -> None:
        """Have an open connection to the proxy lead on to a host. Raises OSError if it does not."""
        target = f"{host}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self.authorization:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        stream.write("\r\n".join([*lines, "", ""]).encode("ascii"), timeout)
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < _ANSWER_BYTES:
            if not (more := stream.read(_ANSWER_BYTES, timeout)):
                break
            answer += more
        status = _STATUS.match(answer)
        if status is None or status[1][:1] != b"2":
            told = status[1].decode() if status else "nothing sensible"
            raise OSError(f"the proxy {self.host}:{self.port} answered {told} for {target}")


def _basic(user: str | None, password: str | None) -> str:
    if user is None:
        return ""
    both = f"{unquote(user)}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(both.encode()).decode()
