"""A response body read whole, within limits that hold before memory is spent."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from penstock.errors import PageRefusedError

BODY_BYTES = 64 * 1024 * 1024
"""After decompression."""
RATIO = 100
RATIO_FREE_BYTES = 1024 * 1024
"""Up to here any compression ratio will do."""

_STEP_BYTES = 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


class CutError(Exception):
    """A compressed body ended in the middle; the exchange may be repeated."""


def read_body(chunks: Iterable[bytes], encoding: str) -> bytes:
    """The whole body, decompressed.

    encoding: the Content-Encoding field, of which only gzip is understood (it is all that is asked
    for). Raises PageRefusedError with code invalid_page at a limit or for another encoding,
    CutError where the compressed stream has no end.
    """
    match encoding.strip().lower():
        case "" | "identity":
            pieces = iter(chunks)
        case "gzip" | "x-gzip":
            pieces = _inflated(chunks)
        case other:
            raise _refused(f"content encoding {other[:40]!r} is not the gzip that was asked for")
    return b"".join(_capped(pieces))


def _capped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > BODY_BYTES:
            raise _refused(f"the body passes {BODY_BYTES} bytes")
        yield piece


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Bounded steps: 200 kB of gzip can hold 200 MB."""
    received = produced = 0
    stream = zlib.decompressobj(_GZIP)
    for chunk in chunks:
        received += len(chunk)
        left = chunk
        while left:
            if stream.eof:
                stream = zlib.decompressobj(_GZIP)
            piece = _step(stream, left)
            produced += len(piece)
            if produced > max(RATIO_FREE_BYTES, RATIO * received):
                raise _refused(f"the body is compressed more than {RATIO} to 1")
            yield piece
            left = stream.unused_data if stream.eof else stream.unconsumed_tail
    if received and not stream.eof:
        raise CutError("the compressed body ends in the middle")


def _step(stream: zlib._Decompress, compressed: bytes) -> bytes:
    try:
        return stream.decompress(compressed, _STEP_BYTES)
    except zlib.error as error:
        raise _refused("the body is no gzip, though it says so") from error


def _refused(message: str) -> PageRefusedError:
    return PageRefusedError(f"the response cannot be read: {message}", code="invalid_page")
