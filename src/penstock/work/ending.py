"""How a run ended, and where that leaves its stream. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import (
    ForbiddenError,
    LeaseLostError,
    NeedsReauthError,
    ParkedError,
    PausedByDriftError,
    PenstockError,
    StoppedError,
    UpstreamError,
    UpstreamUnavailableError,
)
from penstock.model import times
from penstock.model.run import RunState
from penstock.model.standing import ALL_WELL, Condition, Standing

_BY_ERROR: tuple[tuple[type[PenstockError], Condition], ...] = (
    (NeedsReauthError, Condition.NEEDS_REAUTH),
    (ForbiddenError, Condition.FORBIDDEN),
    (PausedByDriftError, Condition.PAUSED_BY_DRIFT),
    (UpstreamUnavailableError, Condition.UPSTREAM_FAILING),
)
_BY_STATUS = {
    401: Condition.NEEDS_REAUTH,
    403: Condition.FORBIDDEN,
    404: Condition.NOT_FOUND,
    410: Condition.NOT_FOUND,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """reason: a code. message: a sentence. standing: None where the stream is another worker's."""

    state: RunState
    reason: str | None
    message: str | None
    standing: Standing | None

    @classmethod
    def of(cls, stopped: PenstockError | None, now: int) -> Ending:
        """The ending of a run that `stopped` ended, None for a good one."""
        if stopped is None:
            return cls(RunState.DONE, None, None, ALL_WELL)
        parked = isinstance(stopped, ParkedError | StoppedError)
        return cls(
            RunState.PARKED if parked else RunState.FAILED,
            stopped.code,
            told(stopped),
            None if isinstance(stopped, LeaseLostError) else standing_after(stopped, now),
        )


def standing_after(stopped: PenstockError, now: int) -> Standing:
    """Where a stream stands after a run that did not reach its end."""
    if isinstance(stopped, StoppedError):
        return Standing(Condition.PARKED, stopped.message, now)
    if isinstance(stopped, ParkedError):
        condition = Condition.RATE_LIMITED if stopped.throttled else Condition.PARKED
        return Standing(condition, stopped.message, times.microseconds(stopped.until))
    return Standing(_condition(stopped), told(stopped))


def told(stopped: PenstockError) -> str:
    """What happened, and what to do where the provider's own words do not say it."""
    if isinstance(stopped, UpstreamError) and stopped.status == 401:
        return (
            f"{stopped.message}. The credentials are not taken: give others with `penstock secrets "
            "set`, or connect again with `penstock connect`"
        )
    return stopped.message


def _condition(stopped: PenstockError) -> Condition:
    if isinstance(stopped, UpstreamError):
        usual = Condition.UPSTREAM_FAILING if stopped.status >= 500 else Condition.FAILED
        return _BY_STATUS.get(stopped.status, usual)
    for kind, condition in _BY_ERROR:
        if isinstance(stopped, kind):
            return condition
    return Condition.FAILED
