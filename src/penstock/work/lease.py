"""Taking a stream's lease: at once from nobody or the dead, by waiting from the living."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from penstock.clock import Clock
from penstock.errors import StoreUnavailableError, StreamBusyError
from penstock.model import times
from penstock.model.connection import StreamState
from penstock.model.unit import Lease
from penstock.pipeline.pull import LEASE
from penstock.store.roles import Streams
from penstock.telemetry import event, kill_point
from penstock.work.owner import Owner, names_the_dead

POLL = timedelta(seconds=0.5)

GIVE_BACK_ATTEMPTS = 3
"""A lease that is not given back keeps its stream waiting until it runs out."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease and the stream's row as it was when taken."""

    lease: Lease
    state: StreamState


def take(
    streams: Streams,
    workspace: str,
    connection: str,
    stream: str,
    *,
    wait_s: float,
    clock: Clock,
    partition: str = "",
) -> Held:
    """Take the lease, waiting up to `wait_s` seconds for a living owner.

    Raises StreamBusyError naming the owner and when its lease ends.
    """
    me = Owner.of_this_process()
    free = Lease(workspace, connection, stream, str(me), 0, clock.now(), partition)
    deadline = clock.monotonic() + wait_s
    while True:
        held = _try(streams, free, me, clock)
        if held is not None:
            kill_point("lease.claimed")
            return held
        if clock.monotonic() >= deadline:
            raise _busy(streams, workspace, connection, stream, partition)
        clock.sleep(POLL.total_seconds())


def give_back(streams: Streams, lease: Lease) -> None:
    """Release the lease if it is still ours; a connection lost on the way is no reason to keep it.

    Raises StoreUnavailableError where the store does not answer at all.
    """
    _insist(lambda: streams.release(lease))


def _insist(give_back: Callable[[], object]) -> None:
    for attempt in range(1, GIVE_BACK_ATTEMPTS + 1):
        try:
            give_back()
            return
        except StoreUnavailableError:
            if attempt == GIVE_BACK_ATTEMPTS:
                raise


def _try(streams: Streams, free: Lease, me: Owner, clock: Clock) -> Held | None:
    now = clock.now()
    before = streams.get(free.workspace, free.connection, free.stream, free.partition)
    dead = _dead_owner(before, me)
    if dead is not None:
        event(
            "lease.taken_over",
            connection=free.connection,
            stream=free.stream,
            partition=free.partition,
            dead_owner=dead,
        )
    wanted = replace(free, until=now + LEASE)
    try:
        state = streams.claim(wanted, now=times.microseconds(now), held_by=dead)
    except StoreUnavailableError:
        # The claim may have gone through and only its answer been lost: nobody would know it is
        # ours. Where the store does not answer now either, the lease has to run out.
        with suppress(StoreUnavailableError):
            _insist(lambda: streams.release_all(free.owner))
        raise
    return None if state is None else Held(replace(wanted, epoch=state.epoch), state)


def _dead_owner(state: StreamState | None, me: Owner) -> str | None:
    if state is None or not state.lease_owner:
        return None
    return state.lease_owner if names_the_dead(state.lease_owner, me) else None


def _busy(
    streams: Streams, workspace: str, connection: str, stream: str, partition: str
) -> StreamBusyError:
    state = streams.get(workspace, connection, stream, partition)
    text = state.lease_owner if state else ""
    owner = Owner.parse(text)
    who = f"process {owner.pid} on {owner.host}" if owner else text or "another worker"
    until = times.moment(state.lease_until) if state else None
    ends = f", its lease ends {times.write(until)}" if until else ""
    return StreamBusyError(
        f"stream {stream} of {connection} is being run by {who}{ends}; wait for it, or try again "
        "with a longer --wait",
        owner=text,
        until=until,
    )
