"""What a list leaves out is fetched record by record, before the mapping sees it.

Only records that are to be read are completed, several at once within the pace; one whose listed
bytes made the current version is not asked for again. From here on the completed record is the
record: its bytes are kept with a dead letter, and replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from penstock.errors import PenstockError
from penstock.sdk.emit import Gone
from penstock.sdk.request import RouteRequest
from penstock.telemetry import carried
from penstock.upstream.request import MANY_AT_ONCE
from penstock.upstream.verdict import Verdict
from penstock.upstream.wire import BadRecordError

Complete = Callable[[RouteRequest, Any], Any]
"""The author's function: the whole record, or Gone where it has ended meanwhile."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A listed record that its completion found to be gone."""

    record: Any
    gone: Gone


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A listed record whose completion raised what its author did not mean to raise."""

    record: Any
    error: Exception


@dataclass(frozen=True, slots=True)
class Completion:
    """Completes the records of one stream. request: what the author's function is called with."""

    function: Complete
    request: RouteRequest

    def of(self, records: Sequence[Any]) -> list[Any]:
        """For each record the whole one, Ended or Incomplete; a BadRecordError stays what it is.

        Raises what ends the run: a provider that cannot be asked ends it for all records.
        """
        with ThreadPoolExecutor(MANY_AT_ONCE, thread_name_prefix="penstock-complete") as threads:
            one = carried(self.one)
            pending = [threads.submit(one, record) for record in records]
            try:
                return [done.result() for done in pending]
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise

    def one(self, record: Any) -> Any:
        if isinstance(record, BadRecordError):
            return record
        try:
            whole = self.function(self.request, record)
        except (PenstockError, Verdict):
            raise
        except Exception as error:
            return Incomplete(record, error)
        return Ended(record, whole) if isinstance(whole, Gone) else whole
