"""Deletes proven by absence: what two complete enumerations in a row did not show is gone.

More than PERCENT of a stream at once is more likely the provider's mistake than the truth, so it
waits for a person.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from penstock.model import times
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.examine import Origin
from penstock.pipeline.letters import Postmaster
from penstock.pipeline.reading import Installation
from penstock.pipeline.stage import Stage
from penstock.sdk.emit import Gone
from penstock.sdk.submission import Submission
from penstock.store.roles import Sweeps
from penstock.store.rows import Absence, GoneDocument, Sweep
from penstock.telemetry import event, kill_point

PERCENT = 5
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Makes the deletes of one stream, a unit of AT_ONCE at a time."""

    installation: Installation
    postmaster: Postmaster
    sweeps: Sweeps

    def stages(self, *, confirmed: bool) -> Iterator[Stage]:
        """What is to be deleted now; each stage is committed before the next one is asked for.

        confirmed: also more than PERCENT at once. Between two complete enumerations there is
        nothing to do, and after a crash the rest.
        """
        post = self.postmaster
        sweep = self.sweeps.get(post.workspace, post.connection, post.stream)
        if sweep is None or sweep.before is None or (sweep.swept == sweep.began and not confirmed):
            return
        absence = self.sweeps.absence(sweep)
        if not confirmed and is_too_much(absence):
            self.sweeps.settle(sweep, absence)
            event("deletes.waiting", logging.WARNING, stream=post.stream, gone=absence.gone)
            return
        after = b""
        while gone := self.sweeps.gone(sweep, after=after, limit=AT_ONCE):
            yield self.stage(gone, sweep)
            kill_point("sweep.page")
            after = gone[-1].document_id
        self.sweeps.settle(sweep, None)

    def waiting(self) -> str | None:
        """What a person is asked, while deletes wait to be confirmed."""
        post = self.postmaster
        sweep = self.sweeps.get(post.workspace, post.connection, post.stream)
        if sweep is None or sweep.waiting is None:
            return None
        return (
            f"{sweep.waiting} of {sweep.members} records are no longer listed, more than "
            f"{PERCENT} % at once; if that is true: penstock deletes confirm "
            f"{post.connection} {post.stream}"
        )

    def stage(self, gone: Sequence[GoneDocument], sweep: Sweep) -> Stage:
        """Tombstones as of the first of the two enumerations: what came later speaks for itself."""
        as_of = sweep.before_at or 0
        stage = Stage(as_of, self.postmaster, absent=True)
        origin = Origin(as_of, times.moment(as_of).date())
        for document in gone:
            kind = document.document_type
            self.installation.check_permission(kind, "delete")
            desk = self.installation.desk(self.postmaster.stream, kind)
            made = desk.examine(Submission(kind, Gone(), document.idempotency_key), origin)
            assert isinstance(made, Candidate)  # its key is a stored one
            stage.candidates.append(made)
        stage.extra_emits = len(stage.candidates)
        return stage


def is_too_much(absence: Absence) -> bool:
    """Whether so many deletes at once wait for a person."""
    return absence.gone * 100 > absence.members * PERCENT
