"""A file that a provider hands out: lines, JSON lines, CSV, zip members, XML; memory stays bounded.

The file lies on disk, whole, before the first record of it is read: what is cut on its way is
fetched again and never half read. A record that cannot be read is a value, BadRecordError, to be
handed on to `ingest.records` with the others: it becomes a dead letter, and the rest is stored.
"""

from __future__ import annotations

import csv
import gzip
import io
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import IO, Any
from xml.parsers import expat

from penstock.errors import PageRefusedError
from penstock.upstream import wire
from penstock.upstream.body import BODY_BYTES, FILE_BYTES
from penstock.upstream.wire import RECORD_BYTES, BadRecordError

MEMBERS = 10_000
RATIO = 200
RATIO_FREE_BYTES = 16 * 1024 * 1024
XML_DEPTH = 64

_CHUNK_BYTES = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"


class Download:
    """A file from a provider, read from its beginning each time one of its methods is asked.

    Compressed with gzip it is unpacked on the way. name: of the zip member, or of the URL.
    Methods raise PageRefusedError, code invalid_page, where the file is not what it should be.
    """

    def __init__(self, content: IO[bytes], name: str = "") -> None:
        self.name = name
        self._content = content

        weakref.finalize(self, content.close)

    def read(self) -> bytes:
        """The whole content, at most 64 MiB of it."""
        with self._opened() as file:
            content = file.read(BODY_BYTES + 1)
        if len(content) > BODY_BYTES:
            raise self._refused(f"has more than {BODY_BYTES} bytes; read it by lines")
        return content

    def lines(self) -> Iterator[str]:
        """Lines of UTF-8 text without their ends; the last one may lack its own."""
        for number, line in self._numbered():
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise self._refused(f"is not UTF-8: {error.reason} in line {number}") from error

    def json_lines(self) -> Iterator[Any]:
        """A value for each line that is not blank; BadRecordError for one that is no exact JSON."""
        for _, line in self._numbered():
            if line := line.strip():
                try:
                    yield wire.decode_record(line)
                except BadRecordError as error:
                    yield error.with_raw(line)

    def csv(self, delimiter: str = ",", encoding: str = "utf-8-sig") -> Iterator[Any]:
        """A dict of texts for each row below the header row; BadRecordError for one of another
        length."""
        with self._opened() as file, io.TextIOWrapper(file, encoding, newline="") as text:
            rows = csv.reader(text, delimiter=delimiter, strict=True)
            try:
                header = next(rows, [])
                if len(set(header)) < len(header):
                    raise self._refused("names a column twice")
                for row in rows:
                    if row:
                        yield _row(header, row, rows.line_num, delimiter)
            except (csv.Error, UnicodeDecodeError) as error:
                raise self._refused(f"is no CSV behind line {rows.line_num}: {error}") from error

    def members(self, pattern: str = "*") -> Iterator[Download]:
        """The files in a zip archive whose names match, in order; folders are left out."""
        try:
            archive = zipfile.ZipFile(self._content)
        except (zipfile.BadZipFile, OSError) as error:
            raise self._refused(f"is no zip archive: {error}") from error
        entries = [e for e in archive.infolist() if not e.is_dir()]
        if len(entries) > MEMBERS:
            raise self._refused(f"holds {len(entries)} files, the limit is {MEMBERS}")
        for entry in entries:
            if fnmatchcase(entry.filename, pattern):
                self._check_size(entry)
                yield _Member(self, archive, entry)

    def xml(self, *tags: str) -> Iterator[dict[str, Any]]:
        """A dict for each element of that local name: children by name (a list where a name stands
        more than once), attributes as "@name", text of an element that has more as "#text".

        With several names they come in the order of the file, each with its own as "#name".
        Namespaces are left out. A document type declaration is refused.
        """
        reader = _XmlReader(tags)
        with self._opened() as file:
            try:
                while chunk := file.read(_CHUNK_BYTES):
                    reader.feed(chunk)
                    yield from reader.found()
                reader.end()
            except expat.ExpatError as error:
                raise self._refused(f"is no XML: {error}") from error
            except _TooMuchError as error:
                raise self._refused(str(error)) from error

    def _numbered(self) -> Iterator[tuple[int, bytes]]:
        with self._opened() as file:
            number = 0
            while line := file.readline(RECORD_BYTES + 2):
                number += 1
                if len(line) > RECORD_BYTES and not line.endswith(b"\n"):
                    raise self._refused(f"has more than {RECORD_BYTES} bytes in line {number}")
                yield number, line.rstrip(b"\r\n")

    def _opened(self) -> io.BufferedReader:
        self._content.seek(0)
        magic = self._content.read(2)
        self._content.seek(0)
        packed = magic == _GZIP_MAGIC
        pieces = self._inflated() if packed else iter(lambda: self._content.read(_CHUNK_BYTES), b"")
        return io.BufferedReader(_Pieces(pieces), _CHUNK_BYTES)

    def _inflated(self) -> Iterator[bytes]:
        """Bounded: a small archive may hold more than any disk."""
        size = 0
        with gzip.GzipFile(fileobj=self._content) as file:
            try:
                while piece := file.read(_CHUNK_BYTES):
                    size += len(piece)
                    if size > max(RATIO_FREE_BYTES, RATIO * self._content.tell()):
                        raise self._refused(f"is compressed more than {RATIO} to 1")
                    if size > FILE_BYTES:
                        raise self._refused(f"has more than {FILE_BYTES} bytes")
                    yield piece
            except (OSError, EOFError, zlib.error) as error:
                raise self._refused(f"is no whole gzip: {error}") from error

    def _check_size(self, entry: zipfile.ZipInfo) -> None:
        name, size = entry.filename[:80], entry.file_size
        if size > FILE_BYTES:
            raise self._refused(f"holds {name!r} with more than {FILE_BYTES} bytes")
        if size > max(RATIO_FREE_BYTES, RATIO * entry.compress_size):
            raise self._refused(f"holds {name!r} compressed more than {RATIO} to 1")
        if entry.flag_bits & 1:
            raise self._refused(f"holds {name!r}, which is encrypted")

    def _refused(self, message: str) -> PageRefusedError:
        return PageRefusedError(
            f"the file {self.name or 'received'} {message}", code="invalid_page"
        )


class _Member(Download):
    """A file in an archive: zip writes its size down, and what passes that is refused."""

    def __init__(self, whole: Download, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
        super().__init__(archive.open(entry), entry.filename)
        self._whole = whole  # whose file would be closed without it


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._rest or next(self._pieces, b"")
        taken = min(len(buffer), len(piece))
        buffer[:taken], self._rest = piece[:taken], piece[taken:]
        return taken


class _TooMuchError(ValueError):
    """An XML document beyond its limits, or with a document type."""


class _XmlReader:
    """Builds the wanted elements only; all others pass by."""

    def __init__(self, tags: Sequence[str]) -> None:
        self._tags = tags
        self._open: list[tuple[str, dict[str, Any], list[str]]] = []
        self._depth = self._size = 0
        self._done: list[dict[str, Any]] = []

        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, chunk: bytes) -> None:
        self._parser.Parse(chunk, False)

    def end(self) -> None:
        self._parser.Parse(b"", True)

    def found(self) -> list[dict[str, Any]]:
        """The elements that are complete since the last time."""
        done, self._done = self._done, []
        return done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > XML_DEPTH:
            raise _TooMuchError(f"is nested deeper than {XML_DEPTH} elements")
        name = name.rpartition(" ")[2]
        if self._open or name in self._tags:
            members = {"@" + key.rpartition(" ")[2]: text for key, text in attributes.items()}
            self._open.append((name, members, []))
            self._weigh(name, *members.values())

    def _text(self, text: str) -> None:
        if self._open:
            self._weigh(text)
            self._open[-1][2].append(text)

    def _end(self, _name: str) -> None:
        self._depth -= 1
        if not self._open:
            return
        name, members, texts = self._open.pop()
        if not self._open:
            named = {"#name": name} if len(self._tags) > 1 else {}
            self._done.append(named | _element(members, texts))
            self._size = 0
            return
        value = _element(members, texts) if members else "".join(texts).strip()
        around = self._open[-1][1]
        if name not in around:
            around[name] = value
        elif isinstance(around[name], list):
            around[name].append(value)
        else:
            around[name] = [around[name], value]

    def _weigh(self, *texts: str) -> None:
        self._size += sum(map(len, texts))
        if self._size > RECORD_BYTES:
            raise _TooMuchError(
                f"has more than {RECORD_BYTES} characters in one {self._open[0][0]}"
            )

    def _doctype(self, *_: object) -> None:
        raise _TooMuchError("has a document type declaration, which is refused")


def _element(members: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    text = "".join(texts).strip()
    return {**members, "#text": text} if text else members


def _row(header: list[str], row: list[str], line: int, delimiter: str) -> Any:
    if len(row) == len(header):
        return dict(zip(header, row, strict=True))
    message = f"line {line} has {len(row)} fields, the header has {len(header)}"
    return BadRecordError(message).with_raw(delimiter.join(row).encode())
