"""What a connector may raise, because its provider needs it: as far as here, and never away."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import ConnectorError
from penstock.upstream.body import BODY_BYTES

READ_S = 30.0
TOTAL_S = 120.0

BODY_BYTES_AT_MOST = 1024 * 1024 * 1024
WAIT_S_AT_MOST = 170.0
"""A worker may keep its stream for 180 seconds without a word."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may take.

    body_bytes: of its body, unpacked; a page that is n times the usual 64 MiB may hold n times the
    records, too. read_s: seconds until its next byte, the first one included. total_s: seconds for
    all of it. Raises ConnectorError for less than the usual, and for more than can be borne.
    """

    body_bytes: int = BODY_BYTES
    read_s: float = READ_S
    total_s: float = TOTAL_S

    def __post_init__(self) -> None:
        _check("body_bytes", self.body_bytes, BODY_BYTES, BODY_BYTES_AT_MOST)
        _check("read_s", self.read_s, READ_S, WAIT_S_AT_MOST)
        _check("total_s", self.total_s, TOTAL_S, WAIT_S_AT_MOST)


def _check(name: str, value: float, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ConnectorError(
            f"Limits({name}={value!r}): it can be raised, from {least:g} to {most:g} at most; "
            "a file of any size is read with request.http.stream"
        )


USUAL_LIMITS = Limits()
