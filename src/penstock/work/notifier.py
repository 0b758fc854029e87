"""The notifier: somebody is told once of each cause for worry, and again only after it was over."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

from penstock.clock import Clock
from penstock.errors import TryAgainError
from penstock.model import times
from penstock.model.notice import StoredNotice
from penstock.read.late import late
from penstock.store.roles import Store
from penstock.telemetry import event
from penstock.work.causes import Seen
from penstock.work.told import Tell

FIRST_PAUSE_US = 30 * 1_000_000
MOST_ATTEMPTS = 12
"""The n-th attempt comes 30 s x (2^n - 1) after the notice was written: the last one 17 h later."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """One for each process: of several at work on a database, one tells of each notice."""

    store: Store
    tell: Tell
    clock: Clock

    def tick(self) -> None:
        """Write down what is new, clear what is over, tell what nobody was told of yet."""
        seen = self.look()
        notices = self.store.notices
        opened = notices.open()
        known = {notice.subject for notice in opened}
        notices.clear(seen.over(opened), now=seen.now)
        notices.write([new for subject, new in seen.notices().items() if subject not in known])
        for notice in notices.open():
            if is_due(notice, seen.now) and not self.send(notice):
                break  # whoever does not answer is asked again later, not for each notice now

    def look(self) -> Seen:
        now = times.microseconds(self.clock.now())
        return Seen(
            connections=self.store.connections.list(),
            unwell=self.store.streams.unwell(),
            drifting=self.store.shapes.waiting(),
            late=late(self.store.agenda, now),
            now=now,
        )

    def send(self, notice: StoredNotice) -> bool:
        """Tell of it; False where nobody was told.

        The attempt is written down before it is made. A crash in between costs that attempt, and
        one behind it tells twice: at least once is what can be promised.
        """
        if not self.store.notices.attempt(notice):
            return True
        what = notice.subject.cause.value
        try:
            self.tell(message(notice))
        except TryAgainError as error:
            event("notice.unsent", logging.WARNING, cause=what, why=error.message)
            return False
        self.store.notices.told(notice.notice_no, now=times.microseconds(self.clock.now()))
        event("notice.sent", cause=what, notice=notice.notice_no)
        return True


def is_due(notice: StoredNotice, now: int) -> bool:
    """Whether it is time for the next attempt. Pure."""
    if notice.sent_at is not None or notice.attempts >= MOST_ATTEMPTS:
        return False
    pause: int = FIRST_PAUSE_US * (2**notice.attempts - 1)
    return now >= notice.since + pause


def message(notice: StoredNotice) -> bytes:
    """What is told, as JSON text. `text` says all of it in one sentence."""
    workspace, connection, stream, cause = notice.subject
    where = f"{connection} {stream}".strip()
    return json.dumps(
        {
            "notice": notice.notice_no,
            "cause": cause.value,
            "workspace": workspace,
            "connection": connection,
            "stream": stream or None,
            "since": times.write(times.moment(notice.since)),
            "message": notice.detail,
            "text": f"penstock: {where} ({workspace}): {cause.value}: {notice.detail}",
        },
        ensure_ascii=False,
    ).encode()
