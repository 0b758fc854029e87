"""An OAuth provider with an API behind it, on loopback: rotating refresh tokens, taken seriously.

Run as a program it serves until its input ends: `python -m tests.upstream.oauth_provider strict 9`;
GET /counts says what it has seen.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jwk, jwt

from penstock.clock import Clock, SystemClock

CLIENT, SECRET = "penstock-test", "s3cret/+of the client"
ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"

Manners = Literal["strict", "grace", "lax"]
"""Of a used refresh token: strict revokes the whole family, grace gives the successor once more,
lax never rotates."""


@dataclass
class Token:
    """An access token. ends_at: on the provider's clock; uses: how often it is good.

    Whoever comes with it for the first time is served all the same: no real token ends while its
    users are still on the way.
    """

    ends_at: float
    uses: int
    users: set[str] = field(default_factory=set)
    served: int = 0
    is_over: bool = False


@dataclass
class Counts:
    token_calls: int = 0
    rotations: int = 0
    invalid_grant: int = 0
    needless: int = 0
    """Refreshes although the token in use was still good."""
    expired: int = 0
    """Access tokens that came to their end by being used up."""
    refused: int = 0
    served: int = 0
    failed: int = 0
    seen: Counter[str] = field(default_factory=Counter)


@dataclass
class OAuthProvider:
    """What it grants, and how badly it behaves.

    lives_s: expires_in of each new token, by its number; None says nothing. uses: API calls a token
    is good for. before_answer: called in the middle of a token call, the grant already changed.
    lost_answers: so many token answers never arrive. failing: so many token calls are a 503 first.
    """

    manners: Manners = "strict"
    lives_s: Callable[[int], float | None] = lambda _: 3600
    uses: int = 10**9
    clock: Clock = field(default_factory=SystemClock)
    before_answer: Callable[[], None] = lambda: None
    lost_answers: int = 0
    failing: int = 0
    refuses: Callable[[str], bool] = lambda _: False
    slack_s: float = 0.0
    account: str = "1"
    extra: dict[str, Any] = field(default_factory=dict)
    public_key: str = ""
    issuer: str | None = None
    expires: bool = True
    error: tuple[int, dict[str, str]] | None = None
    url: str = ""

    def __post_init__(self) -> None:
        self.counts = Counts()
        self.lock = threading.Lock()
        self.access: dict[str, Token] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.refresh: dict[str, str] = {}
        """Good and used refresh tokens to their family."""
        self.used: set[str] = set()
        self.families: set[str] = set()
        self.current: dict[str, str] = {}
        """Family to its newest access token."""
        self.asked: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []

    def __enter__(self) -> OAuthProvider:
        provider = self

        class Handler(_Handler):
            pass

        Handler.provider = provider
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    # ── what tests arrange ──

    def new_refresh_token(self) -> str:
        """The first of a new family."""
        family, token = secrets.token_hex(4), "rt-" + secrets.token_urlsafe(16)
        self.families.add(family)
        self.refresh[token] = family
        return token

    def end_access(self) -> None:
        """All access tokens given so far are refused from now on."""
        with self.lock:
            for token in self.access.values():
                token.is_over = True

    # ── token endpoint ──

    def token_call(self, form: dict[str, str], headers: Any) -> tuple[int, dict[str, Any]]:
        with self.lock:
            self.counts.token_calls += 1
            self.asked.append(form)
            self.headers.append(dict(headers.items()))
            if self.failing:
                self.failing -= 1
                return 503, {}
            if self.error is not None:
                return self.error
            if form["grant_type"] != ASSERTION and not self._knows_client(form, headers):
                return 401, {"error": "invalid_client"}
            answer = self._grant(form)
        self.before_answer()
        return answer

    def _knows_client(self, form: dict[str, str], headers: Any) -> bool:
        if basic := headers.get("Authorization", "").removeprefix("Basic "):
            name, _, secret = base64.b64decode(basic).decode().partition(":")
            return (unquote_plus(name), unquote_plus(secret)) == (CLIENT, SECRET)
        if assertion := form.get("client_assertion"):
            claims = self._claims(assertion)
            return claims["iss"] == claims["sub"] == CLIENT
        return (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)

    def _claims(self, assertion: str) -> dict[str, Any]:
        token = jwt.decode(assertion, jwk.import_key(self.public_key, "RSA"), ["RS256"])
        assert token.claims["aud"] == self.url + "/token"
        assert token.claims["exp"] > self.clock.now().timestamp()
        assert token.claims["jti"] not in self.used
        self.used.add(token.claims["jti"])
        return dict(token.claims)

    def _grant(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        match form["grant_type"]:
            case "client_credentials":
                return 200, self._issue("clients", None)
            case "authorization_code":
                return self._redeem(form)
            case "refresh_token":
                return self._rotate(form["refresh_token"])
            case _ if form["grant_type"] == ASSERTION:
                assert self._claims(form["assertion"])["iss"]
                return 200, self._issue("assertions", None)
        return 400, {"error": "unsupported_grant_type"}

    def _redeem(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or asked["code_challenge"] != proof
            or asked["code_challenge_method"] != "S256"
            or asked["redirect_uri"] != form.get("redirect_uri")
        ):
            return self._invalid_grant("a code that is not yours")
        token = self.new_refresh_token()
        return 200, self._issue(self.refresh[token], token)

    def _rotate(self, token: str) -> tuple[int, dict[str, Any]]:
        family = self.refresh.get(token)
        if family is None or family not in self.families:
            return self._invalid_grant("unknown or revoked")
        if token in self.used and self.manners == "strict":
            self.families.discard(family)
            self.access.pop(self.current.get(family, ""), None)
            return self._invalid_grant("used twice: the family is revoked")
        current = self.access.get(self.current.get(family, ""))
        fresh = current is not None and current.served < current.uses and self._is_good(current)
        self.counts.needless += fresh
        self.counts.rotations += 1
        if self.manners == "lax":
            return 200, self._issue(family, None)
        self.used.add(token)
        successor = "rt-" + secrets.token_urlsafe(16)
        self.refresh[successor] = family
        return 200, self._issue(family, successor)

    def _invalid_grant(self, why: str) -> tuple[int, dict[str, Any]]:
        self.counts.invalid_grant += 1
        return 400, {"error": "invalid_grant", "error_description": why}

    def _issue(self, family: str, refresh_token: str | None) -> dict[str, Any]:
        number = len(self.access)
        lives = self.lives_s(number)
        token = f"at-{number}-{secrets.token_urlsafe(12)}"
        ends_at = self.clock.monotonic() + (lives + self.slack_s if lives is not None else 10**9)
        self.access[token] = Token(ends_at, self.uses)
        self.current[family] = token
        answer: dict[str, Any] = {"access_token": token, "token_type": "Bearer", **self.extra}
        if refresh_token is not None:
            answer["refresh_token"] = refresh_token
        if lives is not None:
            answer["expires_in"] = lives
        return answer

    # ── consent page ──

    def consent(self, query: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Redirect URI and its parameters: the person always agrees."""
        assert query["client_id"] == CLIENT
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        answer = {"code": code, "state": query["state"], "realmId": "realm-9"}
        if self.issuer is not None:
            answer["iss"] = self.issuer
        return query["redirect_uri"], answer

    # ── the API ──

    def api_call(self, target: str, authorization: str) -> tuple[int, Any]:
        path, _, query = target.partition("?")
        with self.lock:
            self.counts.seen[path] += 1
            token = self.access.get(authorization.removeprefix("Bearer "))
            user = dict(parse_qsl(query)).get("user", "")
            if token is None or not self._is_good(token, user) or self.refuses(target):
                self.counts.refused += 1
                return 401, {"error": "who are you?"}
            token.users.add(user)
            token.served += 1
            if token.served == token.uses:
                self.counts.expired += 1
            self.counts.served += 1
        if path == "/me":
            return 200, {"id": self.account, "name": f"Company {self.account}"}
        page = int(dict(parse_qsl(query)).get("page", "1"))
        more = page + 1 if page < 3 else None
        rows = [{"id": f"{page}-{n}", "name": f"Row {page}-{n}"} for n in range(2)]
        return 200, {"data": rows, "next": more}

    def _is_good(self, token: Token, user: str = "") -> bool:
        used_up = token.served >= token.uses and user in token.users
        return not (token.is_over or used_up or self.clock.monotonic() >= token.ends_at)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: OAuthProvider

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        path = self.path.partition("?")[0]
        if path != "/token":
            self._api()
            return
        status, answer = self.provider.token_call(dict(parse_qsl(body.decode())), self.headers)
        if self.provider.lost_answers and status == 200:
            self.provider.lost_answers -= 1
            self._break()
            return
        self._answer(status, answer)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/counts":
            self._answer(200, asdict(self.provider.counts))
        elif parts.path == "/authorize":
            uri, answer = self.provider.consent(dict(parse_qsl(parts.query)))
            self.send_response(302)
            self.send_header("Location", f"{uri}?{urlencode(answer)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._api()

    def _api(self) -> None:
        self._answer(*self.provider.api_call(self.path, self.headers.get("Authorization", "")))

    def _answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _break(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Nothing: a test says what it saw."""


def main(manners: str, uses: str) -> None:
    """Every third token says that it is short-lived, every third nothing, the rest an hour."""
    kinds: tuple[float | None, ...] = (3600, None, 1)
    provider = OAuthProvider(
        manners=manners,  # type: ignore[arg-type]
        lives_s=lambda number: kinds[number % 3],
        uses=int(uses),
    )
    with provider:
        print(provider.url, provider.new_refresh_token(), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
