"""OAuth 2.0 (RFC 6749): a scheme whose token expires, and is renewed when it does.

`flow` reads like a table of contents: a usable grant, the signed request; after a 401 a renewed
grant, and the request once more. Whatever waits, waits through the clock; whatever is kept, is
kept by the port `Tokens`, which says how one refresh at a time is kept so on many hosts.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from penstock.errors import ConnectorError, CursorExpiredError, NeedsReauthError
from penstock.model import times
from penstock.model.token import TokenPair
from penstock.telemetry import event, kill_point
from penstock.upstream import template, token_answer
from penstock.upstream.assertion import SigningKey
from penstock.upstream.auth import Credentials, Flow, TokenRequest
from penstock.upstream.grant import LOOK_EVERY_S, Grant, Patience
from penstock.upstream.request import Pair, Request, Response
from penstock.upstream.token_request import ClientAuth, OAuthClient

GrantKind = Literal["client_credentials", "refresh_token", "authorization_code", "jwt_bearer"]
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

Renewing = Generator[TokenRequest, Response, Grant]


@dataclass(frozen=True, slots=True)
class OAuth2:
    """`Authorization: Bearer` with a token of one's own, renewed in time.

    grant: client_credentials; refresh_token (a first one is given as a secret); authorization_code
    (with PKCE; `penstock connect` asks the person); jwt_bearer (RFC 7523).
    token_url, authorize_url, issuer: templates. The token endpoint must be permitted, or be among
    the connector's auth_hosts.
    client_id, client_secret, refresh_token, private_key, key_id: names of settings, secret or not.
    client_auth: how the client shows who it is; basic unless the grant is jwt_bearer.
    private_key: PEM or a JWK, for jwt_bearer and private_key_jwt. algorithm: of its signature.
    claims: more claims of a jwt_bearer's assertion, or other ones than iss and aud as usual.
    params, authorize_params: more parameters of the token request and of the consent page's URL.
    facts: name to "token.member" or "callback.parameter"; requests use them as {facts.name}.

    Raises ConnectorError for what cannot be.
    """

    grant: GrantKind
    token_url: str
    authorize_url: str | None = None
    scopes: Sequence[str] = ()
    client_id: str = "client_id"
    client_secret: str = "client_secret"  # noqa: S105 - a name
    client_auth: ClientAuth | None = None
    refresh_token: str = "refresh_token"  # noqa: S105 - a name
    private_key: str = "private_key"
    key_id: str | None = None
    algorithm: str = "RS256"
    claims: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    issuer: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.grant not in get_args(GrantKind):
            known = ", ".join(get_args(GrantKind))
            raise ConnectorError(f"OAuth2: grant {self.grant!r} is none of {known}")
        if self.client_auth is not None and self.client_auth not in get_args(ClientAuth):
            known = ", ".join(get_args(ClientAuth))
            raise ConnectorError(f"OAuth2: client_auth {self.client_auth!r} is none of {known}")
        if (self.grant == "authorization_code") != (self.authorize_url is not None):
            raise ConnectorError(
                "OAuth2: authorization_code, and no other grant, has authorize_url"
            )
        SigningKey(self.private_key, self.key_id, self.algorithm)
        if isinstance(self.scopes, str):
            raise ConnectorError("OAuth2: scopes is a list of names")
        for name, source in self.facts.items():
            if source.partition(".")[0] not in ("token", "callback"):
                raise ConnectorError(
                    f'OAuth2: fact {name!r} comes from {source!r}; write "token.member" or '
                    '"callback.parameter"'
                )

    @property
    def asks_a_person(self) -> bool:
        return self.grant == "authorization_code"

    @property
    def who(self) -> ClientAuth | None:
        """How the client shows who it is; None where the grant's assertion says it all."""
        usual: ClientAuth | None = None if self.grant == "jwt_bearer" else "basic"
        return self.client_auth or usual

    @property
    def secrets(self) -> frozenset[str]:
        """Names of the secrets it uses."""
        used = {
            self.client_secret: self.who in ("basic", "post"),
            self.private_key: self.grant == "jwt_bearer" or self.who == "private_key_jwt",
            self.refresh_token: self.grant == "refresh_token",
        }
        return frozenset(name for name, is_used in used.items() if is_used)

    @property
    def settings(self) -> frozenset[str]:
        """Names of the other settings it uses."""
        needs_id = self.who is not None or "iss" not in self.claims
        names = (self.client_id if needs_id else None, self.key_id)
        return frozenset(name for name in names if name is not None)

    @property
    def templates(self) -> tuple[Any, ...]:
        """Everything in it that may hold placeholders."""
        urls = tuple(url for url in (self.token_url, self.authorize_url, self.issuer) if url)
        return (*urls, dict(self.params), dict(self.authorize_params), dict(self.claims))

    def flow(self, request: Request, credentials: Credentials) -> Flow:
        grant = yield from self._usable(credentials)
        response = yield _signed(request, grant, credentials)
        if response.status == 401:
            grant = yield from self._renewed(grant, credentials)
            response = yield _signed(request, grant, credentials)
        if response.status == 401 and request.follows and 401 not in request.expect:
            raise CursorExpiredError(
                f"{request.method} {request.url.partition('?')[0]} is answered with 401 although "
                "the token is new: the place to go on from is gone"
            )
        if response.status < 400:
            credentials.tokens.worked(grant)

    def ask(self, credentials: Credentials, token: str | None) -> TokenRequest:
        """The request for new tokens. token: what is used up, None where the grant needs none."""
        url = template.url(self.token_url, credentials.places)
        return self.asking(self._form(url, credentials, token), credentials)

    def asking(self, form: Iterable[Pair], credentials: Credentials) -> TokenRequest:
        """A token request with this form, the declared parameters, and the client's own name."""
        url = template.url(self.token_url, credentials.places)
        form = (*form, *template.pairs(self.params.items(), credentials.places))
        if self.who is None:
            return TokenRequest(url, form)
        key = SigningKey(self.private_key, self.key_id, self.algorithm)
        client = OAuthClient(self.who, self.client_id, self.client_secret, key)
        return client.ask(url, form, credentials)

    def _form(self, url: str, credentials: Credentials, token: str | None) -> tuple[Pair, ...]:
        scope = (("scope", " ".join(self.scopes)),) if self.scopes else ()
        match self.grant:
            case "client_credentials":
                return (("grant_type", "client_credentials"), *scope)
            case "jwt_bearer":
                claims = {"aud": url, **template.deep(dict(self.claims), credentials.places)}
                if "iss" not in claims:
                    claims["iss"] = credentials.need(self.client_id)
                key = SigningKey(self.private_key, self.key_id, self.algorithm)
                assertion = ("assertion", key.sign(claims, credentials))
                return (("grant_type", JWT_BEARER), assertion, *scope)
            case _:
                return (("grant_type", "refresh_token"), ("refresh_token", token or ""))

    def _usable(self, credentials: Credentials) -> Renewing:
        """The grant this process knows, renewed first where its end is near."""
        grant = credentials.tokens.held()
        if _is_due(grant, credentials):
            return (yield from self._renewed(grant, credentials))
        return grant

    def _renewed(self, seen: Grant, credentials: Credentials) -> Renewing:
        """A newer grant than the one `seen`, by another refresher or by us.

        Of all that ask, one refreshes; the others wait for the generation to move.
        """
        tokens, patience = credentials.tokens, Patience(credentials.clock)
        while True:
            grant = tokens.current()
            if grant.lost:
                raise NeedsReauthError(grant.lost)
            if grant.generation > seen.generation and not _is_due(grant, credentials):
                return grant
            if grant.is_free or patience.is_over(grant):
                begun = tokens.begin(grant)
                renewed = (yield from self._refreshed(begun, credentials)) if begun else None
                if renewed is not None:
                    return renewed
            credentials.clock.sleep(LOOK_EVERY_S)

    def _refreshed(
        self, begun: Grant, credentials: Credentials
    ) -> Generator[TokenRequest, Response, Grant | None]:
        """Our own refresh, its intent stored. Any end without an answer frees the way.

        None where another refresher, who took over, has the word.
        """
        kill_point("token.intent_saved")
        try:
            pair = yield from self._answered(begun, credentials)
        except token_answer.RefusedError as refused:
            _lost(begun, refused, credentials)
            return None
        except BaseException:
            credentials.tokens.abandon(begun)
            raise
        credentials.hide(pair.access_token, pair.refresh_token)
        grant = credentials.tokens.save(begun, pair)
        kill_point("token.saved")
        event("token.saved", generation=grant.generation)
        return grant

    def _answered(
        self, begun: Grant, credentials: Credentials
    ) -> Generator[TokenRequest, Response, TokenPair]:
        """The first pair that a token of ours is good for; each is tried once."""
        refused: token_answer.RefusedError | None = None
        for token in self._tokens_to_try(begun, credentials):
            credentials.hide(token)
            response = yield self.ask(credentials, token)
            kill_point("token.called")
            try:
                return token_answer.read(response).pair(token)
            except token_answer.RefusedError as error:
                refused = refused or error
        if refused is None:
            raise token_answer.RefusedError("it has ended, and there is no refresh token")
        raise token_answer.RefusedError(f"the provider refuses to renew it ({refused})")

    def _tokens_to_try(self, begun: Grant, credentials: Credentials) -> Sequence[str | None]:
        if self.grant in ("client_credentials", "jwt_bearer"):
            return (None,)
        if begun.generation == 0 and self.grant == "refresh_token":
            return (credentials.need(self.refresh_token),)
        return begun.refresh_tokens()


def _lost(begun: Grant, refused: token_answer.RefusedError, credentials: Credentials) -> None:
    """Nothing but a person can help, unless another refresher may be luckier."""
    grant = credentials.tokens.lose(begun, credentials.redact(str(refused)))
    if grant.lost:
        event("token.lost", generation=grant.generation)
        raise NeedsReauthError(grant.lost) from refused


def _signed(request: Request, grant: Grant, credentials: Credentials) -> Request:
    assert grant.pair is not None  # only a grant with one is usable
    credentials.hide(grant.pair.access_token, grant.pair.refresh_token)
    return request.with_headers(("Authorization", f"Bearer {grant.pair.access_token}"))


def _is_due(grant: Grant, credentials: Credentials) -> bool:
    if grant.pair is None:
        return True
    due = grant.pair.renew_at
    return due is not None and times.microseconds(credentials.clock.now()) >= due
