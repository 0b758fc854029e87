from __future__ import annotations

import gzip
import zlib

import pytest

from penstock.errors import PageRefusedError
from penstock.upstream.body import CutError, read_body

TEXT = bytes(range(256)) * 40


def pieces(data: bytes, size: int = 1000) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_plain():
    assert read_body(pieces(TEXT), "") == TEXT
    assert read_body([], "identity") == b""


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_gzip_in_any_pieces(size):
    assert read_body(pieces(gzip.compress(TEXT), size), "gzip") == TEXT


def test_gzip_of_several_members():
    assert read_body([gzip.compress(b"one ") + gzip.compress(b"two")], "GZIP") == b"one two"


def test_gzip_without_anything():
    assert read_body([], "gzip") == b""


def test_gzip_that_is_cut():
    """SA7"""
    with pytest.raises(CutError):
        read_body(pieces(gzip.compress(TEXT)[:-9]), "gzip")


def test_gzip_that_is_none():
    with pytest.raises(PageRefusedError, match="no gzip"):
        read_body([b"{}"], "gzip")


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "deflate", "zstd"])
def test_other_encodings_are_refused(encoding):
    """SA11"""
    with pytest.raises(PageRefusedError, match="gzip that was asked for"):
        read_body([zlib.compress(TEXT)], encoding)


def test_a_bomb_stops_at_its_ratio_long_before_its_size():
    """SA11"""
    made = 0

    def bomb():
        nonlocal made
        for chunk in pieces(gzip.compress(bytes(30_000_000), 9), 4096):
            made += 1
            yield chunk

    with pytest.raises(PageRefusedError, match="more than 100 to 1"):
        read_body(bomb(), "gzip")
    assert made <= 3


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_body_beyond_the_limit(encoding):
    """SA11"""

    def sent(size: int) -> list[bytes]:
        return pieces(gzip.compress(TEXT[:size]) if encoding else TEXT[:size])

    assert read_body(sent(5000), encoding, 5000) == TEXT[:5000]
    with pytest.raises(PageRefusedError, match="passes 5000 bytes"):
        read_body(sent(5001), encoding, 5000)
