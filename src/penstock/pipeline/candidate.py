"""A record that passed its contract, on its way to a decision."""

from __future__ import annotations

from typing import Any, NamedTuple

from penstock.contracts.accepted import Accepted
from penstock.model import times
from penstock.sdk.emit import Gone


class Candidate(NamedTuple):
    """Plain values, so that another process can make it.

    stream: the one the record was handed over for. accepted: None for a delete. raw_mark: 16 bytes
    over raw and mapping, None where the same raw need not mean the same outcome. payload: what a
    route submitted without a raw record, for the letter should the store refuse it. page_index:
    where the record stands in its page, and where the stage has its raw bytes. replaces: the
    version_no it was derived from once more: it counts only in the place of that one, whatever the
    marks say (0: only where there is nothing); None for what a source has shown.
    """

    document_id: bytes
    stream: str
    document_type: str
    contract_version: str
    key: str
    source_id: str | None
    accepted: Accepted | None
    source_version: str | None
    source_updated_at: int | None
    as_of: int
    raw_mark: bytes | None
    payload: Any
    page_index: int | None
    replaces: int | None = None

    @property
    def gone(self) -> Gone | None:
        """The end that it tells of, None where the record lives."""
        if self.accepted is not None:
            return None
        at = self.source_updated_at
        return Gone(None if at is None else times.moment(at))
