"""The first tokens of a connection, while it is being made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.errors import SecretError, UsageError
from penstock.model.token import TokenPair
from penstock.upstream import token_answer
from penstock.upstream.auth import Credentials, TokenRequest
from penstock.upstream.consent import Callback, Consent
from penstock.upstream.oauth import OAuth2
from penstock.upstream.request import Response


@dataclass(frozen=True, slots=True)
class Granted:
    """facts: what the declaration keeps of the token endpoint's answer and of the callback."""

    pair: TokenPair
    facts: dict[str, Any]


def granted(
    oauth: OAuth2,
    credentials: Credentials,
    ask: Callable[[TokenRequest], Response],
    callback: Callback | None,
) -> Granted:
    """Ask for tokens; a person is asked first where the grant is theirs.

    Raises SecretError where the provider refuses, UsageError where the person does or is not
    there to be asked, and what asking raises.
    """
    if oauth.asks_a_person:
        asked, said = _consented(oauth, credentials, callback)
        token = None
    else:
        token = credentials.need(oauth.refresh_token) if oauth.grant == "refresh_token" else None
        asked, said = oauth.ask(credentials, token), {}
    try:
        answer = token_answer.read(ask(asked))
    except token_answer.RefusedError as refused:
        raise SecretError(
            f"the provider gives no tokens ({credentials.redact(str(refused))}); check the "
            "connection's settings and secrets"
        ) from refused
    pair = answer.pair(token)
    credentials.hide(pair.access_token, pair.refresh_token)
    return Granted(pair, answer.facts(oauth.facts, said))


def _consented(
    oauth: OAuth2, credentials: Credentials, callback: Callback | None
) -> tuple[TokenRequest, Mapping[str, str]]:
    if callback is None:
        raise UsageError(
            "this connector needs a person's consent: connect it with `penstock connect`"
        )
    consent = Consent.begin(oauth, credentials, callback.redirect_uri)
    said = callback.answer(consent)
    return consent.redeem(consent.code(said), credentials), said
