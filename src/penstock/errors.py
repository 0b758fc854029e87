"""Every error penstock raises, grouped by what to do next.

PenstockError
├── TryAgainError            the same thing may work later, unchanged
│   ├── StoreUnavailableError     the database is down, full, locked or read-only
│   ├── WriteConflictError        another writer changed the same document first
│   ├── StreamBusyError           a live worker holds the stream's lease
│   ├── LeaseLostError            another worker took the stream over; nothing was written
│   ├── UpstreamUnavailableError  the provider did not answer properly, retries used up
│   ├── ParkedError               this run goes on later, at a known time
│   └── StoppedError              somebody asked this run to end between two pages
├── MendError                somebody must change a call, a setting or a connector
│   ├── UsageError                the command or call itself is wrong
│   ├── UnknownDocumentTypeError  no such contract
│   ├── UnsupportedContractVersionError
│   ├── UnknownStreamError        the connector declares no such stream
│   ├── PermissionDeniedError     the connector's permissions do not allow it
│   ├── OutsideRouteError         ingest and sync work only inside a connector's route
│   ├── ConnectorError            the connector's declaration is wrong
│   ├── SettingsError             a connection's settings do not fit their schema
│   ├── SecretError               a secret or the master key is missing or does not open
│   ├── NeedsReauthError          the provider no longer takes the connection's credentials
│   ├── EgressDeniedError         a request to an address the manifest does not allow
│   └── DatabaseError             schema version or database settings do not fit this release
├── RecordRejectedError      this record is set aside as a dead letter
└── StopRunError             this run ends; what was committed stays
    ├── PageRefusedError          a whole response cannot be read; the checkpoint stays
    ├── TooManyRejectedError      the rejected share passed its limit
    ├── RouteFailedError          the author's route or another part raised
    ├── PausedByDriftError        the records look different, and somebody must accept that first
    ├── ParentsFailedError        some parents of a child stream could not be pulled
    ├── CursorExpiredError        the provider no longer knows the place to go on from
    ├── ForbiddenError            the credentials are good, but not for this
    └── UpstreamError             a final 4xx or 5xx answer

`code` is the reason code of contracts, section 6, where one exists, else a name of ours in the
same style. The first argument is always a sentence a person can act on.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.model.rejection import Rejection


class PenstockError(Exception):
    """Base of all errors that penstock raises on purpose."""

    code = "internal_error"

    @property
    def message(self) -> str:
        """The sentence for a person, without the class name."""
        return str(self.args[0]) if self.args else type(self).__doc__ or self.code


class TryAgainError(PenstockError):
    """The same thing may work later, unchanged."""


class StoreUnavailableError(TryAgainError):
    """The store is down, full, locked or read-only."""

    code = "store_unavailable"


class WriteConflictError(TryAgainError):
    """Another writer changed the same document first."""

    code = "write_conflict"


class StreamBusyError(TryAgainError):
    """A live worker holds the stream's lease."""

    code = "stream_busy"

    def __init__(self, message: str, *, owner: str = "", until: datetime | None = None) -> None:
        super().__init__(message)
        self.owner = owner
        self.until = until


class LeaseLostError(TryAgainError):
    """Another worker took the stream over; this one wrote nothing."""

    code = "lease_lost"


class UpstreamUnavailableError(TryAgainError):
    """The provider did not answer properly and the retries are used up."""

    code = "upstream_unavailable"


class ParkedError(TryAgainError):
    """This run goes on later: `until` is too far away to sleep through.

    throttled: because the provider's rate limit says so.
    """

    code = "parked"

    def __init__(self, message: str, *, until: datetime, throttled: bool = False) -> None:
        super().__init__(message)
        self.until = until
        self.throttled = throttled
        if throttled:
            self.code = "rate_limited"


class StoppedError(TryAgainError):
    """This run ended between two pages, as it was asked to; the next one goes on from there."""

    code = "stopped"


class MendError(PenstockError):
    """Somebody must change a call, a setting or a connector."""


class UsageError(MendError):
    """The command or call itself is wrong."""

    code = "usage"


class UnknownDocumentTypeError(MendError):
    """No contract has this name."""

    code = "unknown_document_type"


class UnsupportedContractVersionError(MendError):
    """The asked-for contract version is not accepted."""

    code = "unsupported_contract_version"


class UnknownStreamError(MendError):
    """The connector declares no such stream."""

    code = "unknown_stream"


class PermissionDeniedError(MendError):
    """The connector's permissions do not allow this."""

    code = "permission_denied"


class OutsideRouteError(MendError):
    """ingest and sync work only inside a connector's route."""

    code = "outside_route"


class ConnectorError(MendError):
    """The connector's declaration is wrong. file, line: where, if known (else "" and 0)."""

    code = "connector_invalid"

    def __init__(self, message: str, *, file: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.file = file
        self.line = line


class SettingsError(MendError):
    """A connection's settings do not fit their schema."""

    code = "settings_invalid"


class SecretError(MendError):
    """A secret or the master key is missing or does not open."""

    code = "secret_unavailable"


class NeedsReauthError(MendError):
    """The provider no longer takes the connection's credentials: somebody must connect again."""

    code = "needs_reauth"


class EgressDeniedError(MendError):
    """A request to an address that the manifest does not allow."""

    code = "egress_denied"


class DatabaseError(MendError):
    """The database's schema version or settings do not fit this release."""

    code = "database_unfit"


class RecordRejectedError(PenstockError):
    """One record does not pass its contract; `rejection` has every reason."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.message)
        self.rejection = rejection
        self.code = rejection.reason


class StopRunError(PenstockError):
    """This run ends; what was committed stays."""


class PageRefusedError(StopRunError):
    """A whole response cannot be read; its bytes are kept and the checkpoint stays."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class TooManyRejectedError(StopRunError):
    """The rejected share passed its limit."""

    code = "too_many_rejected"


class PausedByDriftError(StopRunError):
    """The provider's records look different: the stream waits until somebody accepts that."""

    code = "paused_by_drift"


class RouteFailedError(StopRunError):
    """The author's route raised; `__cause__` is what it raised."""

    code = "route_failed"


class ParentsFailedError(StopRunError):
    """Some parents of a child stream could not be pulled; those of the others are stored."""

    code = "parents_failed"


class CursorExpiredError(StopRunError):
    """The provider no longer knows the place to go on from: begin again from the watermark."""

    code = "cursor_expired"


class ForbiddenError(StopRunError):
    """The provider knows the connection and does not let it do this: a scope or plan is missing."""

    code = "forbidden"


class UpstreamError(StopRunError):
    """A final 4xx or 5xx answer of the provider.

    status: the HTTP status. body: at most the first 64 KiB of the answer.
    """

    code = "upstream_error"

    def __init__(self, message: str, *, status: int, body: bytes = b"") -> None:
        super().__init__(message)
        self.status = status
        self.body = body
