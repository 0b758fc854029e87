"""The door of a route that is called once more: archived responses answer it, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import zstandard

from penstock.errors import RouteFailedError
from penstock.model import times
from penstock.store.rows import StoredPage
from penstock.upstream.client import resolve
from penstock.upstream.files import Download
from penstock.upstream.headers import Headers
from penstock.upstream.request import Request, Response, address
from penstock.vault.redaction import NOTHING_HIDDEN, Redactor


@dataclass(slots=True)
class ArchivedAnswers:
    """Each archived response of a unit answers one request: the one for its URL, or else the next
    one for its path, since a parameter may have been the time of the day."""

    base_url: str
    left: list[StoredPage]

    @property
    def redact(self) -> Redactor:
        """What is archived holds no secrets."""
        return NOTHING_HIDDEN

    def send(self, request: Request) -> Response:
        """Raises RouteFailedError where no such response is archived."""
        url = address(replace(request, url=resolve(self.base_url, request.url)))
        place = _found(url, [page.url for page in self.left])
        if place is None:
            raise RouteFailedError(
                f"it asks for {request.method} {url.partition('?')[0]} now, and no such response "
                "is archived with this page"
            )
        return response_of(self.left.pop(place), request)

    def send_many(self, requests: Sequence[Request]) -> list[Response]:
        return [self.send(request) for request in requests]

    def download(self, request: Request) -> Download:
        """Files are never archived."""
        raise RouteFailedError(
            f"it asks for the file {request.url} now, and files are not archived"
        )


def response_of(page: StoredPage, request: Request | None = None) -> Response:
    """An archived page as the response it was; of its header fields only the type is known."""
    return Response(
        request=request or Request("GET", page.url),
        status=page.status,
        headers=Headers([("content-type", page.content_type)]),
        body=zstandard.ZstdDecompressor().decompress(page.body, max_output_size=page.size),
        url=page.url,
        received_at=times.moment(page.received_at),
    )


def _found(url: str, archived: Sequence[str]) -> int | None:
    if url in archived:
        return archived.index(url)
    path = url.partition("?")[0]
    same = [place for place, one in enumerate(archived) if one.partition("?")[0] == path]
    return same[0] if same else None
