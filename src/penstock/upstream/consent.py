"""A person's consent (RFC 6749 section 4.1): the page they are sent to, and what comes back.

PKCE (RFC 7636, S256 only), a state that is used once, the redirect URI exactly as it was sent,
and the issuer where the provider names one (RFC 9207).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode, urlsplit

from penstock.errors import UsageError
from penstock.upstream import template
from penstock.upstream.auth import Credentials, TokenRequest
from penstock.upstream.oauth import OAuth2


class NotOursError(Exception):
    """A callback with a state that we never sent, or have seen before."""


@dataclass(frozen=True, slots=True)
class Consent:
    """One visit to a provider's consent page. url: where the person goes."""

    oauth: OAuth2
    url: str = field(repr=False)
    redirect_uri: str
    issuer: str | None
    state: str = field(repr=False)
    verifier: str = field(repr=False)

    @classmethod
    def begin(cls, oauth: OAuth2, credentials: Credentials, redirect_uri: str) -> Consent:
        """A visit with a state and a verifier that nobody can guess. Raises SecretError."""
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        places = credentials.places
        page = template.url(oauth.authorize_url or "", places)
        query = {
            "response_type": "code",
            "client_id": credentials.need(oauth.client_id),
            "redirect_uri": redirect_uri,
            "scope": " ".join(oauth.scopes),
            **dict(template.pairs(oauth.authorize_params.items(), places)),
            "state": state,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        sent = urlencode({name: value for name, value in query.items() if value})
        url = f"{page}{'&' if '?' in page else '?'}{sent}"
        issuer = template.url(oauth.issuer, places) if oauth.issuer else None
        return cls(oauth, url, redirect_uri, issuer, state, verifier)

    def code(self, callback: Mapping[str, str]) -> str:
        """The code that a callback brings.

        Raises NotOursError for another state, whoever sent it: go on waiting. Raises UsageError
        where the person or the provider said no, or somebody else than the provider answered.
        """
        if not hmac.compare_digest(callback.get("state", "").encode(), self.state.encode()):
            raise NotOursError
        self._check_issuer(callback.get("iss"))
        if error := callback.get("error"):
            told = callback.get("error_description") or "no reason given"
            raise UsageError(f"no consent: the provider says {_plain(error)}: {_plain(told)}")
        if not callback.get("code"):
            raise UsageError("no consent: the provider's answer holds no code")
        return callback["code"]

    def redeem(self, code: str, credentials: Credentials) -> TokenRequest:
        """The code for tokens; it is good for one such request."""
        form = (
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri),
            ("code_verifier", self.verifier),
        )
        return self.oauth.asking(form, credentials)

    def _check_issuer(self, issuer: str | None) -> None:
        if issuer is None:
            return
        known = (self.issuer,) if self.issuer else (_origin(self.url),)
        if (issuer if self.issuer else _origin(issuer)) not in known:
            raise UsageError(
                f"the answer comes from the issuer {_plain(issuer)}, and the consent was asked of "
                f"{known[0]}; if that is the provider, declare OAuth2(issuer=…)"
            )


class Callback(Protocol):
    """Where a person's browser comes back to."""

    @property
    def redirect_uri(self) -> str: ...

    def answer(self, consent: Consent) -> Mapping[str, str]:
        """Send the person to `consent.url`; the parameters of the callback that fits its state.

        Raises UsageError where none comes in time, and what `Consent.code` raises.
        """


def challenge(verifier: str) -> str:
    """The S256 challenge of a verifier."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:200]
