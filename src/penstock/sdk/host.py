"""The one door between author code and the platform.

A route, a mapping and a discovery run while a host is current; `ingest`, `sync` and
`request.http` find it here. Who stands behind the door (this process, another one, a test) is
not the author's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from penstock.errors import OutsideRouteError
from penstock.sdk.results import CanonicalBatchFailedRecord, CanonicalIngestResult, IngestStatus
from penstock.sdk.submission import Submission
from penstock.upstream.files import Download
from penstock.upstream.request import Request, Response


class Host(Protocol):
    """Everything author code can make the platform do."""

    def send(self, request: Request) -> Response:
        """Send a request with the connection's credentials; see upstream.client for errors."""

    def send_many(self, requests: Sequence[Request]) -> list[Response]:
        """Send several, some at once; the answers in their order."""

    def download(self, request: Request) -> Download:
        """Fetch a file: whole, or not at all."""

    def status(self) -> IngestStatus:
        """ "observed" in observation mode, else "ingested"."""

    def ingest(
        self, stream: str, submissions: Sequence[Submission], *, continue_on_error: bool
    ) -> Sequence[CanonicalIngestResult | CanonicalBatchFailedRecord]:
        """Validate, decide and stage; one answer for each submission, in order.

        Raises RecordRejectedError at the first bad record unless continue_on_error, and MendError
        for an unknown stream, an unknown document type or a missing permission.
        """

    def ingest_records(
        self, stream: str, records: Sequence[Any], *, gone: bool, as_of: int | None
    ) -> tuple[str, Sequence[CanonicalIngestResult | CanonicalBatchFailedRecord]]:
        """Run the stream's mapping over provider records and stage what it makes.

        Returns the document type of the mapping and one answer for each submission.
        """

    def wake(self, stream: str, *, full: bool) -> None:
        """Make another stream due with the commit of this page; see sync.wake."""

    def log(self, message: str) -> None:
        """A line in the run's log."""


_current: ContextVar[Host | None] = ContextVar("penstock_host", default=None)


@contextmanager
def entered(host: Host) -> Iterator[None]:
    """Make a host current for author code called inside."""
    token = _current.set(host)
    try:
        yield
    finally:
        _current.reset(token)


def current(call: str) -> Host:
    """The current host. call: what the author wrote, for the error.

    Raises OutsideRouteError outside a route.
    """
    host = _current.get()
    if host is None:
        raise OutsideRouteError(
            f"{call} works only inside a connector's route; to bring records in from a program of "
            "your own, write a connector and `penstock run` it"
        )
    return host
