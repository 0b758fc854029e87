"""Stop before a whole source drains into dead letters. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import TooManyRejectedError
from penstock.model.outcome import Counters


@dataclass(frozen=True, slots=True)
class Brake:
    """Stops a run once `rejected` records are set aside, if they are more than `share` of all."""

    rejected: int = 50
    share: float = 0.5

    def check(self, counters: Counters) -> None:
        """Raises TooManyRejectedError. The letters are kept and the checkpoint has moved on."""
        total = counters.submitted + counters.mapping_errors
        bad = counters.set_aside
        if bad >= self.rejected and bad > total * self.share:
            raise TooManyRejectedError(
                f"{bad} of {total} records were rejected; the run stops before it drains the "
                "source into dead letters. See `penstock dead-letters list`, mend the mapping, "
                "then `penstock dead-letters replay`"
            )
