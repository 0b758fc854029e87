"""Files that providers hand out, good and hostile; what cannot be read is a value or a reason."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
from decimal import Decimal
from typing import Any

import pytest

from penstock.errors import PageRefusedError
from penstock.upstream import files
from penstock.upstream.body import BODY_BYTES
from penstock.upstream.files import MEMBERS, RATIO_FREE_BYTES, XML_DEPTH, Download
from penstock.upstream.wire import RECORD_BYTES, BadRecordError


def download(content: bytes | str, name: str = "export") -> Download:
    return Download(io.BytesIO(content.encode() if isinstance(content, str) else content), name)


def zipped(*entries: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


class TestLines:
    def test_of_text(self) -> None:
        assert list(download("a\r\nb\n\nc").lines()) == ["a", "b", "", "c"]
        assert list(download("\ufeffa\n").lines()) == ["a"]
        assert list(download("").lines()) == []

    def test_packed_with_gzip(self) -> None:
        assert list(download(gzip.compress(b"a\nb\n")).lines()) == ["a", "b"]

    def test_twice(self) -> None:
        file = download("a\nb\n")
        assert list(file.lines()) == list(file.lines())

    def test_that_are_not_utf8(self) -> None:
        with pytest.raises(PageRefusedError, match=r"export is not UTF-8: .* in line 2"):
            list(download(b"a\n\xff\n").lines())

    def test_without_an_end(self) -> None:
        with pytest.raises(PageRefusedError, match="2097152 bytes in line 1"):
            list(download(b"x" * (RECORD_BYTES + 1)).lines())

    def test_take_little_memory(self) -> None:
        packed = gzip.compress(b"x" * 99 + b"\n", 1) * 100_000
        tracemalloc.start()
        count = sum(1 for _ in download(packed).lines())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == 100_000
        assert peak < 2_000_000 + len(packed)


class TestJsonLines:
    def test_are_exact(self) -> None:
        assert list(download('{"a": 0.10}\n\n[1]\n').json_lines()) == [{"a": Decimal("0.10")}, [1]]

    def test_a_bad_one_is_a_value_and_the_rest_is_there(self) -> None:
        first, bad, last = download('1\n{"a": 1, "a": 2}\n3').json_lines()
        assert (first, last) == (1, 3)
        assert isinstance(bad, BadRecordError)
        assert bad.raw == b'{"a": 1, "a": 2}'
        assert "twice" in bad.message


class TestCsv:
    def test_rows_are_dicts_of_texts(self) -> None:
        rows = list(download('id,name\n1,"Ann; Bob"\n\n2,"two\nlines"\n').csv())
        assert rows == [{"id": "1", "name": "Ann; Bob"}, {"id": "2", "name": "two\nlines"}]

    def test_with_another_delimiter_and_encoding(self) -> None:
        file = download("id;name\n1;Zoë\n".encode("cp1252"))
        assert list(file.csv(delimiter=";", encoding="cp1252")) == [{"id": "1", "name": "Zoë"}]

    def test_a_row_of_another_length_is_a_value(self) -> None:
        bad, good = download("id,name\n1\n2,Bob\n").csv()
        assert isinstance(bad, BadRecordError)
        assert "line 2 has 1 fields, the header has 2" in bad.message
        assert bad.raw == b"1"
        assert good == {"id": "2", "name": "Bob"}

    @pytest.mark.parametrize(
        ("content", "why"),
        [(b"a,a\n1,2\n", "names a column twice"), (b'a\n"x\n', "no CSV"), (b"a\n\xff\n", "no CSV")],
    )
    def test_that_is_none(self, content: bytes, why: str) -> None:
        with pytest.raises(PageRefusedError, match=why):
            list(download(content).csv())


class TestZip:
    def test_members_that_match(self) -> None:
        archive = zipped(("a.csv", b"id\n1\n"), ("b.txt", b"no"), ("c/d.csv", b"id\n2\n"))
        found = {m.name: list(m.csv()) for m in download(archive).members("*.csv")}
        assert found == {"a.csv": [{"id": "1"}], "c/d.csv": [{"id": "2"}]}

    def test_names_that_climb_are_only_names(self) -> None:
        """SE3: nothing is ever written under a member's name."""
        (member,) = download(zipped(("../../etc/passwd", b"x"))).members()
        assert member.read() == b"x"

    def test_a_bomb_is_refused_before_it_is_unpacked(self) -> None:
        bomb = zipped(("bomb.csv", b"\0" * (RATIO_FREE_BYTES + 1)))
        assert len(bomb) < 100_000
        with pytest.raises(PageRefusedError, match="compressed more than"):
            list(download(bomb).members())

    def test_too_many_members(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert MEMBERS == 10_000
        monkeypatch.setattr(files, "MEMBERS", 2)
        with pytest.raises(PageRefusedError, match="holds 3 files, the limit is 2"):
            list(download(zipped(*((f"{n}.csv", b"") for n in range(3)))).members())

    def test_that_is_none(self) -> None:
        with pytest.raises(PageRefusedError, match="no zip archive"):
            list(download("hello").members())


CAMT = """<?xml version="1.0"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><Stmt>
  <Ntry><Amt Ccy="EUR">12.50</Amt><Ref>A</Ref><Ref>B</Ref><Sts><Cd>BOOK</Cd></Sts></Ntry>
  <Ntry><Amt Ccy="EUR">7.00</Amt></Ntry>
</Stmt></Document>"""


class TestXml:
    def test_elements_as_dicts(self) -> None:
        first, second = download(CAMT).xml("Ntry")
        assert first == {
            "Amt": {"@Ccy": "EUR", "#text": "12.50"},
            "Ref": ["A", "B"],
            "Sts": {"Cd": "BOOK"},
        }
        assert second == {"Amt": {"@Ccy": "EUR", "#text": "7.00"}}

    def test_several_names_come_in_the_order_of_the_file(self) -> None:
        content = "<x><Acct>1</Acct><Ntry/><Ntry/><Acct>2</Acct><Ntry><Acct>3</Acct></Ntry></x>"
        assert list(download(content).xml("Acct", "Ntry")) == [
            {"#name": "Acct", "#text": "1"},
            {"#name": "Ntry"},
            {"#name": "Ntry"},
            {"#name": "Acct", "#text": "2"},
            {"#name": "Ntry", "Acct": "3"},
        ]

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "document type declaration"),
            ("<x><y></x>", "no XML"),
            ("<x>", "no XML"),
            ("<x>" * (XML_DEPTH + 1), "nested deeper than 64"),
            (f"<Ntry>{'y' * (RECORD_BYTES + 1)}</Ntry>", "characters in one Ntry"),
        ],
    )
    def test_that_is_refused(self, content: str, why: str) -> None:
        with pytest.raises(PageRefusedError, match=why):
            list(download(content).xml("Ntry"))

    def test_much_of_it_takes_little_memory(self) -> None:
        content = b"<x>" + b"<Ntry><Amt>1.00</Amt></Ntry>" * 50_000 + b"</x>"
        tracemalloc.start()
        count = sum(1 for _ in download(content).xml("Ntry"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (count, peak < 4_000_000) == (50_000, True)


class TestGzip:
    def test_a_bomb(self) -> None:
        """SA11: abort at the cap, and name it."""
        bomb = gzip.compress((b"x" * 999 + b"\n") * (RATIO_FREE_BYTES // 300))
        with pytest.raises(PageRefusedError, match="compressed more than 200 to 1"):
            sum(1 for _ in download(bomb).lines())

    def test_cut_in_the_middle(self) -> None:
        with pytest.raises(PageRefusedError, match="no whole gzip"):
            list(download(gzip.compress(b"a\n" * 1000)[:-9]).lines())


class TestTheWhole:
    def test_is_read_up_to_a_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert BODY_BYTES == 64 * 1024 * 1024
        monkeypatch.setattr(files, "BODY_BYTES", 3)
        assert download("abc").read() == b"abc"
        with pytest.raises(PageRefusedError, match="more than 3 bytes; read it by lines"):
            download("abcd").read()


def test_what_is_read_is_what_ingest_takes() -> None:
    values: list[Any] = list(download('{"id": 1}\nnonsense\n').json_lines())
    assert [type(value).__name__ for value in values] == ["dict", "BadRecordError"]
