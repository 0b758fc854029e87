"""Streams: what is scheduled, retried, checkpointed and watched by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from penstock.errors import ConnectorError
from penstock.model.drift import DriftPolicy
from penstock.sdk.declared import Place, caller

StreamMode = Literal["poll", "backfill", "webhook"]

KEY = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a connector.

    key: one string everywhere (routes, ingest calls, files, commands). schedule: five cron fields,
    polls only; in UTC, or in the zone named before them, "CRON_TZ=Europe/Berlin 0 3 * * *". full:
    the same, for moments from which on the next run enumerates everything and ignores the
    watermark. covered_by: the poll streams that find what a webhook stream may miss. rate: the name
    of the connector's rate that its requests count against. drift: what happens when the provider's
    records look different from before, "allow" (noted), "warn" or "pause" (the stream stands still
    until somebody accepts it).
    Raises ConnectorError for a malformed key, an unknown mode or policy.
    """

    key: str
    mode: StreamMode
    schedule: str | None = None
    full: str | None = None
    covered_by: tuple[str, ...] = ()
    rate: str | None = None
    drift: DriftPolicy = "warn"
    place: Place = field(default_factory=lambda: caller(2), compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.key, str) or not KEY.fullmatch(self.key):
            raise ConnectorError(
                f"stream key {self.key!r} must be lower snake case, at most 63 characters, "
                "such as 'bank_transactions'"
            )
        if self.mode not in get_args(StreamMode):
            raise ConnectorError(
                f"stream {self.key}: mode {self.mode!r} must be one of "
                f"{', '.join(get_args(StreamMode))}"
            )
        if self.drift not in get_args(DriftPolicy):
            raise ConnectorError(
                f"stream {self.key}: drift {self.drift!r} must be one of "
                f"{', '.join(get_args(DriftPolicy))}"
            )
