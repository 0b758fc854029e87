"""Pages that name the next one by a link: in the Link header (RFC 8288) or in the body.

A link is followed as it stands: the request is repeated with the link in place of its URL and
parameters. What is stored of it holds no credential: those that auth puts on every request are cut
out, and a link that is signed is kept in memory only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote_plus, urljoin, urlsplit, urlunsplit

from penstock.errors import PageRefusedError
from penstock.upstream.fields import MISSING, Path
from penstock.upstream.paging import PageView
from penstock.upstream.request import Request, Response
from penstock.vault.redaction import HIDDEN

CREDENTIALS = frozenset(
    {
        "access_token",
        "api_key",
        "api_token",
        "apikey",
        "auth_token",
        "bearer_token",
        "client_secret",
        "hapikey",
        "id_token",
        "oauth_token",
        "password",
        "refresh_token",
        "subscription_key",
        "x_api_key",
    }
)
"""Parameters that are a credential whatever their value; auth puts its own on every request."""

SIGNATURES = frozenset(
    {
        "hmac",
        "oauth_signature",
        "sig",
        "signature",
        "x_amz_credential",
        "x_amz_security_token",
        "x_amz_signature",
        "x_goog_credential",
        "x_goog_signature",
    }
)
"""Parameters that sign the link they stand in; nobody but the provider can make them anew."""

TELLING = 12
"""So many characters of a secret inside a longer value are no coincidence."""

Redact = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class LinkHeader:
    """The response header `Link` holds the next page's URL: `<…>; rel="next"` (RFC 8288)."""

    rel: str = "next"

    def first(self, request: Request) -> Request:
        return request

    def next(self, request: Request, page: PageView) -> Request | None:
        header = page.response.headers.get("link", "")
        target = next((link.target for link in parse(header) if link.leads(self.rel)), None)
        return None if target is None else follow(request, page.response, target)


@dataclass(frozen=True, slots=True)
class NextUrl:
    """The URL of the next page stands at `path` in the body; absent, null or empty ends."""

    path: str

    def first(self, request: Request) -> Request:
        return request

    def next(self, request: Request, page: PageView) -> Request | None:
        target = Path.parse(self.path).get(page.document)
        if target is MISSING or target in (None, "", False):
            return None
        if not isinstance(target, str):
            raise _refused(f"{self.path!r} is a {type(target).__name__}, not a URL")
        return follow(request, page.response, target)


def follow(request: Request, response: Response, target: str) -> Request:
    """The request for the page behind a link, which may be relative to the response's URL.

    Raises PageRefusedError for a link that cannot be read or leads nowhere.
    """
    try:
        url = urlunsplit(urlsplit(urljoin(response.url, target.strip()))._replace(fragment=""))
        kept = stored(url, response.redact)
    except ValueError:
        raise _refused("the link to the next page is no URL") from None
    if not kept.startswith(("https://", "http://")):
        raise _refused("the link to the next page leads to no web address")
    link = url if is_signed(url, response.redact) else None
    return replace(request, url=kept, params=(), link=link)


def stored(url: str, redact: Redact) -> str:
    """The URL as it may be stored: no user name or password, no parameter that is a credential.

    Everything else stays letter for letter. redact: takes the connection's secrets out of a text.
    """
    parts = urlsplit(url)
    pairs = [pair for pair in parts.query.split("&") if not _is_credential(pair, redact)]
    host = parts.netloc.rpartition("@")[2]
    path = redact(parts.path) if _tells(parts.path, redact) else parts.path
    return urlunsplit((parts.scheme, host, path, "&".join(pairs), parts.fragment))


def is_signed(url: str, redact: Redact) -> bool:
    """Whether the URL holds what auth cannot put back: a signature, or a secret in its path."""
    parts = urlsplit(url)
    names = {_name(pair) for pair in parts.query.split("&")}
    return not SIGNATURES.isdisjoint(names) or _tells(parts.path, redact)


def _is_credential(pair: str, redact: Redact) -> bool:
    if _name(pair) in CREDENTIALS | SIGNATURES:
        return True
    value = pair.partition("=")[2]
    return _tells(value, redact) or _tells(unquote_plus(value), redact)


def _name(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0]).lower().replace("-", "_")


def _tells(text: str, redact: Redact) -> bool:
    """Whether a text is a secret or holds a good part of one."""
    shown = redact(text)
    return shown != text and (shown == HIDDEN or len(text) - len(shown) > TELLING - len(HIDDEN))


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the header. rels: its relations, lower case. anchored: it leads away from
    another resource than this one."""

    target: str
    rels: tuple[str, ...]
    anchored: bool

    def leads(self, rel: str) -> bool:
        return not self.anchored and rel.lower() in self.rels


_SPACE = r"[ \t]*"
_TARGET = re.compile(rf"{_SPACE}<([^>]*)>{_SPACE}")
_PARAMETER = re.compile(
    rf"{_SPACE};{_SPACE}(?:([^\s;,=\"<>]+){_SPACE}"
    rf'(?:={_SPACE}(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?)?{_SPACE}'
)
_COMMA = re.compile(rf"{_SPACE}(?:,|$)")


def parse(header: str) -> Iterator[Link]:
    """The links of a Link header, in order (RFC 8288, section 3 and appendix B.2).

    A quoted value may hold commas and semicolons; of a parameter that stands twice the first
    counts. Raises PageRefusedError where the header cannot be read: an unread link would end the
    enumeration unseen.
    """
    place = 0
    while place < len(header):
        if empty := _COMMA.match(header, place):
            place = empty.end()
            continue
        found = _TARGET.match(header, place)
        if found is None:
            raise _refused("the Link header cannot be read")
        parameters: dict[str, str] = {}
        place = found.end()
        while given := _PARAMETER.match(header, place):
            name, quoted, token = given.groups()
            value = token or "" if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.setdefault((name or "").lower(), value)
            place = given.end()
        if not (comma := _COMMA.match(header, place)):
            raise _refused("the Link header cannot be read")
        place = comma.end()
        rels = tuple(parameters.get("rel", "").lower().split())
        yield Link(found[1], rels, "anchor" in parameters)


def _refused(message: str) -> PageRefusedError:
    return PageRefusedError(message, code="invalid_page")
