"""What an answer means where its status does not say it.

Providers put errors into bodies of 200 and limits into a 403. A connector's `verdict=` function
is asked first, whatever the status, and answers one of these or None; a route may raise the same.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from penstock.errors import (
    CursorExpiredError,
    ForbiddenError,
    NeedsReauthError,
    ParkedError,
    PenstockError,
    RouteFailedError,
)
from penstock.upstream.request import Response

USUAL_PAUSE = timedelta(seconds=60)
"""After a limit that does not say how long it lasts, where no retry is left."""


class Verdict(Exception):
    """Base of the verdicts."""

    def error(self, now: datetime) -> PenstockError:
        """The error that ends the run, where nothing can be done at once."""
        raise NotImplementedError


class Throttled(Verdict):
    """Too many requests. after: seconds until the next one may be sent, None if nobody says."""

    def __init__(self, after: float | timedelta | None = None) -> None:
        self.after = None if after is None else duration(after)
        super().__init__("the provider's rate limit is reached")

    def error(self, now: datetime) -> PenstockError:
        until = now + (USUAL_PAUSE if self.after is None else self.after)
        return ParkedError(self.args[0], until=until, throttled=True)


class Later(Verdict):
    """Not ready yet, a report being made for instance: this run goes on in so many seconds."""

    def __init__(self, seconds: float | timedelta) -> None:
        self.after = duration(seconds)
        super().__init__("the provider is not ready yet")

    def error(self, now: datetime) -> PenstockError:
        return ParkedError(self.args[0], until=now + self.after)


class Reauth(Verdict):
    """The credentials are not taken: as for a 401, a token is refreshed once, then it is over."""

    def __init__(self, why: str) -> None:
        super().__init__(why)

    def error(self, now: datetime) -> PenstockError:  # noqa: ARG002
        return NeedsReauthError(self.args[0])


class Forbidden(Verdict):
    """The credentials are good but not for this: a scope, a plan, a permission is missing."""

    def __init__(self, why: str) -> None:
        super().__init__(why)

    def error(self, now: datetime) -> PenstockError:  # noqa: ARG002
        return ForbiddenError(self.args[0])


class Restart(Verdict):
    """The place to go on from is gone: the enumeration begins again from the watermark."""

    def __init__(self, why: str = "the provider no longer knows the place to go on from") -> None:
        super().__init__(why)

    def error(self, now: datetime) -> PenstockError:  # noqa: ARG002
        return CursorExpiredError(self.args[0])


class Fail(Verdict):
    """This answer ends the run."""

    def __init__(self, why: str) -> None:
        super().__init__(why)

    def error(self, now: datetime) -> PenstockError:  # noqa: ARG002
        return RouteFailedError(self.args[0])


VerdictOf = Callable[[Response], Verdict | None]
"""A connector's own judgement; None where the status says it all."""


def duration(seconds: float | timedelta) -> timedelta:
    """Seconds as a duration, never below 0. Raises ValueError for what is none."""
    given = seconds if isinstance(seconds, timedelta) else timedelta(seconds=float(seconds))
    return max(given, timedelta(0))
