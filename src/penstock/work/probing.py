"""`penstock probe`: an endpoint looked at, that of a declared stream or any URL."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlsplit

from penstock.clock import Clock
from penstock.contracts import registry
from penstock.errors import UsageError
from penstock.pipeline.collection import opening
from penstock.pipeline.reading import Installation
from penstock.upstream.auth import Credentials, Flow
from penstock.upstream.client import Client
from penstock.upstream.guard import Egress
from penstock.upstream.probe.declaration import Collection
from penstock.upstream.probe.probe import Findings, probe
from penstock.upstream.request import Pair, Request, Response

PLACE = re.compile(r"\{(\w+)\}")
TELLING = re.compile(r"auth|cookie|key|secret|signature|token", re.IGNORECASE)
"""Names of header fields whose value is a credential, however it was given."""

EgressOf = Callable[[list[str]], Egress]


def probe_stream(
    installation: Installation, stream: str, send: Callable[[Request], Response]
) -> Findings:
    """Look at the endpoint of a declared collection. Raises UsageError where a route fetches."""
    connector = installation.loaded.connector
    connector.stream(stream)
    mapping = connector.mappings.get(stream)
    if mapping is None or mapping.endpoint is None:
        raise UsageError(
            f"stream {stream} of {connector.key} is fetched by a route; probe the address it asks: "
            "penstock probe URL"
        )
    endpoint = mapping.endpoint
    declared = Collection(
        stream=stream,
        path=endpoint.path,
        document=mapping.document,
        id=mapping.id,
        connector=connector.key.replace("-", "_"),
        method=endpoint.method,
        params=endpoint.params,
        headers=endpoint.headers,
        json=endpoint.json,
        pages=endpoint.pages,
        since=endpoint.since,
    )
    return probe(
        send,
        opening(endpoint, installation.values),
        declared,
        records=endpoint.records,
        declared=endpoint.pages,
    )


def probe_url(
    url: str,
    headers: Mapping[str, str],
    secrets: Mapping[str, str],
    egress_of: EgressOf,
    clock: Clock,
) -> Findings:
    """Look at any URL. headers and the URL's query may name secrets: "Bearer {key}".

    Raises UsageError for a placeholder without a secret, and for what is no URL.
    """
    parts = _parts(url)
    base = f"{parts.scheme}://{parts.netloc}"
    query = parse_qsl(parts.query, keep_blank_values=True)
    plain = tuple((n, v) for n, v in query if not PLACE.search(v))
    open_headers = tuple((n, v) for n, v in headers.items() if not _is_credential(n, v))
    given = Given(
        headers=tuple((n, v) for n, v in headers.items() if _is_credential(n, v)),
        params=tuple((n, v) for n, v in query if PLACE.search(v)),
    )
    given.require(secrets)
    told = dict(given.headers)
    client = Client(
        base,
        egress=egress_of([f"{base}/*"]),
        clock=clock,
        auth=given,
        credentials=Credentials({**told, **secrets}),
    )
    stream = _stream(parts.path)
    known = Collection(
        stream=stream,
        path=parts.path or "/",
        document=_document(stream),
        id=None,
        params=dict(plain),
        headers=dict(open_headers),
    )
    request = Request("GET", base + (parts.path or "/"), params=plain, headers=open_headers)
    with client:
        return probe(client.send, request, known)


@dataclass(frozen=True, slots=True)
class Given:
    """Header fields and parameters that are credentials, as a person gave them."""

    headers: tuple[Pair, ...]
    params: tuple[Pair, ...]

    def require(self, secrets: Mapping[str, str]) -> None:
        """Raises UsageError where a placeholder has no secret."""
        for _, text in (*self.headers, *self.params):
            for name in PLACE.findall(text):
                if name not in secrets:
                    raise UsageError(f"{{{name}}} has no value: give --secret {name}=env:VARIABLE")

    def flow(self, request: Request, credentials: Credentials) -> Flow:
        def filled(pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
            return tuple((n, PLACE.sub(lambda m: credentials[m[1]], text)) for n, text in pairs)

        yield request.with_headers(*filled(self.headers)).with_params(*filled(self.params))


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError
    except ValueError:
        raise UsageError(f"{url[:100]!r} is no URL such as https://api.acme.test/items") from None
    return parts


def _is_credential(name: str, value: str) -> bool:
    return bool(TELLING.search(name) or PLACE.search(value))


def _stream(path: str) -> str:
    """A stream's key from the last part of the path."""
    last = path.rstrip("/").rpartition("/")[2].partition(".")[0]
    key = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last).lower())
    return key.strip("_") if re.match(r"[a-z]", key) else "records"


def _document(stream: str) -> str:
    """The document type that the stream's name speaks of; else the plainest, to be exchanged."""
    types = registry.types()
    return next((name for name in types if stream.removesuffix("s") == name), "customer")
