"""A response body read whole, within limits that hold before memory is spent."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import IO

from penstock.errors import PageRefusedError

BODY_BYTES = 64 * 1024 * 1024
"""After decompression."""
FILE_BYTES = 4 * 1024 * 1024 * 1024
"""Of a file on disk, and of each thing in it when unpacked."""
RATIO = 100
RATIO_FREE_BYTES = 1024 * 1024
"""Up to here any compression ratio will do."""

_STEP_BYTES = 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_SELF_ENDING = (b"\x1f\x8b", b"PK")


class CutError(Exception):
    """A compressed body ended in the middle; the exchange may be repeated."""


def read_body(chunks: Iterable[bytes], encoding: str, limit: int = BODY_BYTES) -> bytes:
    """The whole body, decompressed.

    encoding: the Content-Encoding field, of which only gzip is understood (it is all that is asked
    for). limit: of bytes, decompressed. Raises PageRefusedError with code invalid_page at a limit
    or for another encoding, CutError where the compressed stream has no end.
    """
    return b"".join(_capped(_decoded(chunks, encoding), limit))


def copy_body(
    chunks: Iterable[bytes], encoding: str, into: IO[bytes], *, ends_itself: bool
) -> None:
    """Write the whole body, decompressed, into an empty file; raises as `read_body` does.

    ends_itself: whether a cut would be noticed. Without that, and without gzip's own end, a file
    that was cut between two lines looks like a whole one, and is refused.
    """
    into.seek(0)
    into.truncate()
    for piece in _capped(_decoded(chunks, encoding), FILE_BYTES):
        into.write(piece)
    into.seek(0)
    magic = into.read(2)
    if not (ends_itself or encoding or magic in _SELF_ENDING):
        raise _refused("nothing tells the end of this file: no length, no chunks, no archive")
    into.seek(0)


def _decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    match encoding.strip().lower():
        case "" | "identity":
            return iter(chunks)
        case "gzip" | "x-gzip":
            return _inflated(chunks)
        case other:
            raise _refused(f"content encoding {other[:40]!r} is not the gzip that was asked for")


def _capped(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise _refused(f"the body passes {limit} bytes")
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
