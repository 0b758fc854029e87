"""Exact JSON: nothing is lost, nothing is changed, and one bad record leaves the others alone."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import PageRefusedError
from penstock.upstream import wire
from penstock.upstream.wire import BadRecordError, decode, decode_record, decode_records, split


class TestDecode:
    def test_fractions_are_exact(self):
        """DS6"""
        assert decode(b"[0.1234567890123456789, 12345678901234567890.12, 1.10]") == [
            Decimal("0.1234567890123456789"),
            Decimal("12345678901234567890.12"),
            Decimal("1.10"),
        ]
        assert str(decode(b"1.10")) == "1.10"

    def test_whole_numbers_beyond_64_bits_are_exact(self):
        """DS5"""
        assert decode(b'{"n": 123456789012345678901234567890}') == {
            "n": 123456789012345678901234567890
        }

    def test_text_is_taken_as_well(self):
        assert decode('{"name": "Köln"}') == {"name": "Köln"}

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (b"", "nothing"),
            (b"  ", "nothing"),
            (b"NaN", "no JSON"),
            (b"[Infinity]", "no JSON"),
            (b"[-Infinity]", "no JSON"),
            (b"[1,]", "no JSON"),
            (b"{'a': 1}", "no JSON"),
            (b"{} {}", "no JSON"),
            (b"01", "no JSON"),
            (b'"a\nb"', "no JSON"),
            (b'"\xff"', "not UTF-8"),
            (b'"\xed\xa0\x80"', "not UTF-8"),
            ('{"a": 1}'.encode("utf-16"), "not UTF-8, but UTF-16"),
            ('{"a": 1}'.encode("utf-16-be"), "not UTF-8, but UTF-16"),
            ('{"a": 1}'.encode("utf-32-le"), "not UTF-8, but UTF-16 or UTF-32"),
            (b"\xef\xbb\xbf{}", "byte-order mark"),
            (b"<!DOCTYPE html><html>", "HTML"),
            (b'{"a": 1, "a": 1}', "'a' stands twice"),
            (b'{"a": 1, "\\u0061": 1}', "'a' stands twice"),
            (b'[{"x": {"a": 1, "b": 2, "a": 3}}]', "'a' stands twice"),
            (b'{"\\u0022": 1, "\\"": 2}', "stands twice"),
            (b'"\\ud800"', "surrogate"),
            (b'{"\\udc00": 1}', "surrogate"),
            (b'["\\ud800", nul]', "no JSON"),
        ],
    )
    def test_refuses(self, text, said):
        """SA9, SA10, DS7, DS8, DS9, DS11"""
        with pytest.raises(PageRefusedError, match=said) as refusal:
            decode(text)
        assert refusal.value.code == "invalid_page"

    def test_refuses_lone_surrogates_of_python_text(self):
        with pytest.raises(PageRefusedError, match="surrogate"):
            decode('"\ud800"')

    def test_whole_surrogate_pairs_are_text(self):
        assert decode(b'"\\ud83d\\ude00"') == "\U0001f600"


class TestLimits:
    @pytest.mark.parametrize(
        "number",
        ["9" * wire.NUMBER_DIGITS, "0." + "3" * wire.NUMBER_DIGITS, "1e64", "-9.99e-64", "0e5"],
    )
    def test_numbers_inside(self, number):
        assert decode_record(number.encode()) == Decimal(number)

    @pytest.mark.parametrize(
        "number",
        [
            "9" * (wire.NUMBER_DIGITS + 1),
            "-" + "9" * 5000,
            "1." + "3" * wire.NUMBER_DIGITS,
            "1e65",
            "1e400",
            "1e-65",
            "1e99999999999999999999999999",
            "0." + "0" * 64 + "1",
        ],
    )
    def test_numbers_beyond(self, number):
        """DS5, DS7"""
        with pytest.raises(BadRecordError, match="128 digits or an exponent beyond 64") as refusal:
            decode_record(b'{"n": ' + number.encode() + b"}")
        assert refusal.value.code == "malformed_payload"

    def test_long_digits_inside_text_are_no_number(self):
        assert decode_record(b'"' + b"7" * 500 + b'"') == "7" * 500

    @pytest.mark.parametrize("shift", range(16))
    def test_endless_numbers_are_found_wherever_they_stand(self, shift):
        raw = b" " * shift + b"7" * (wire.NUMBER_DIGITS + 1)
        assert isinstance(decode_records([b"1", raw])[1], BadRecordError)

    def test_nesting_up_to_the_limit(self):
        raw = b"[" * wire.DEPTH + b"]" * wire.DEPTH
        assert decode_record(raw) is not None

    @pytest.mark.parametrize("depth", [wire.DEPTH + 1, 900, 100_000, 200_000])
    def test_nesting_beyond(self, depth):
        """DS12"""
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            with pytest.raises(BadRecordError, match="deeper than 128"):
                decode_record(opening * depth + b"1" + closing * depth)

    @pytest.mark.parametrize("depth", [wire.DEPTH + 1, 900, 5000])
    def test_nesting_beyond_in_one_record_of_many(self, depth):
        first, deep, last = decode_records([b"1", b"[" * depth + b"]" * depth, b"2"])
        assert (first, last) == (1, 2)
        assert isinstance(deep, BadRecordError)

    def test_many_brackets_side_by_side_are_not_deep(self):
        raw = b'{"lines": [' + b",".join([b'{"tags": ["[[["]}'] * 500) + b"]}"
        assert len(decode_records([raw])[0]["lines"]) == 500

    def test_record_size(self):
        fits = b'"' + b"a" * (wire.RECORD_BYTES - 2) + b'"'
        assert len(decode_record(fits)) == wire.RECORD_BYTES - 2
        good, bad = decode_records([b"1", fits[:1] + fits])
        assert good == 1
        assert isinstance(bad, BadRecordError)
        assert bad.code == "payload_too_large"

    def test_large_records_that_fit_together_are_found(self):
        large = b'"' + b"a" * wire.RECORD_BYTES + b'"'
        bad, good = decode_records([large, b"2"])
        assert (bad.code, good) == ("payload_too_large", 2)

    def test_whole_numbers_beyond_64_bits_do_not_hide_a_doubled_name(self):
        huge = b'{"n":%d}' % 10**100
        fine, doubled, plain = decode_records([huge, b'{"a":1,"a":2}', b"3"])
        assert (fine, plain) == ({"n": 10**100}, 3)
        assert isinstance(doubled, BadRecordError)

    def test_quotation_marks_spelled_as_codes_do_not_hide_a_doubled_name(self):
        doubled = b'{"a":1,"a":2,"b":"\\u0022\\u0022"}'
        bad, fine = decode_records([doubled, b'{"b":"\\u0022"}'])
        assert isinstance(bad, BadRecordError)
        assert fine == {"b": '"'}

    def test_records_of_a_page(self):
        body = b"[" + b",".join([b"1"] * (wire.PAGE_RECORDS + 1)) + b"]"
        with pytest.raises(PageRefusedError, match="100001 records"):
            split(body, "")


class TestSizes:
    """DS12: each limit has a number, is named, and takes one record, not the page."""

    def test_a_name_may_be_a_kilobyte_long(self):
        name = b"n" * wire.NAME_BYTES
        assert decode_record(b'{"%b":1}' % name) == {name.decode(): 1}

    @pytest.mark.parametrize(
        "name",
        [
            b"n" * (wire.NAME_BYTES + 1),
            b"n" * 10_000_000,
            "é".encode() * (wire.NAME_BYTES // 2 + 1),
            b'\\"' * (wire.NAME_BYTES + 1),
            b'\\"'.join([b"n" * 600] * 2),
            b"\\u0022" * (wire.NAME_BYTES + 1),
            b"\\n" * (wire.NAME_BYTES + 1),
        ],
        ids=["longer", "ten megabytes", "two bytes each", "marks", "one mark", "codes", "escapes"],
    )
    @pytest.mark.parametrize("gap", [b"", b" " * 3000])
    def test_a_longer_one_is_refused(self, name, gap):
        """DS12"""
        text = b'{"a":"' + b"x" * 2000 + b'","%b"%b:1}' % (name, gap)
        with pytest.raises(PageRefusedError, match="a member name has more than 1024 bytes"):
            decode(text)
        first, bad, last = decode_records([b"1", text, b"2"])
        assert (first, last) == (1, 2)
        assert isinstance(bad, BadRecordError)

    def test_escapes_may_make_a_short_name_look_long(self):
        raw = b'{"%b":1}' % (b"\\u0061" * 1000)
        assert decode_records([raw]) == [{"a" * 1000: 1}]

    def test_long_texts_are_no_long_names(self):
        raw = b'{"a":"%b","b":["%b"],"c":[%b]}' % (b"t" * 5000, b":" * 5000, b"1, " * 2000 + b"1")
        (value,) = decode_records([raw])
        assert len(value["a"]) == len(value["b"][0]) == 5000

    def test_members_of_one_object(self):
        """DS12: a million of them in a response, and one more than the limit in a record."""
        members = [b'"%d":0' % n for n in range(1_000_000)]
        whole = b"{%b}" % b",".join(members[: wire.MEMBERS])
        assert len(decode(whole)) == wire.MEMBERS
        with pytest.raises(PageRefusedError, match="more than 100000 members"):
            decode(b"{%b}" % b",".join(members))
        too_many = b"{%b}" % b",".join(members[: wire.MEMBERS + 1])
        fine, bad = decode_records([whole, too_many])
        assert len(fine) == wire.MEMBERS
        assert bad.code == "payload_too_large"

    def test_many_members_beside_each_other_are_not_in_one_object(self):
        lines = b",".join([b'{"a":1,"b":2}'] * 60_000)
        assert len(decode(b"[%b]" % lines)) == 60_000

    def test_a_doubled_name_among_many_is_found_at_once(self):
        """DS11"""
        members = b",".join(b'"%d":0' % n for n in range(wire.MEMBERS - 1))
        with pytest.raises(PageRefusedError, match="stands twice"):
            decode(b'{%b,"99998":1}' % members)

    def test_one_text(self):
        """DS12"""
        fits = b'{"a":"%b"}' % (b"x" * wire.TEXT_BYTES)
        assert len(decode(fits)["a"]) == wire.TEXT_BYTES
        with pytest.raises(PageRefusedError, match="a text has more than 16777216 bytes"):
            decode(b'{"a":"%b"}' % (b"x" * (wire.TEXT_BYTES + 1)))

    def test_values_of_a_record(self):
        small = b"[%b]" % b",".join([b"0"] * wire.RECORD_VALUES)
        large = b"[%b]" % b",".join([b"0"] * (wire.RECORD_VALUES + 1))
        assert len(decode_record(small)) == wire.RECORD_VALUES
        bad, good = decode_records([large, b"7"])
        assert (bad.code, good) == ("payload_too_large", 7)

    def test_commas_in_a_text_are_no_values(self):
        raw = b'"%b"' % (b"," * (3 * wire.RECORD_VALUES))
        assert decode_record(raw) == "," * (3 * wire.RECORD_VALUES)

    def test_values_of_a_response(self):
        """P10: 64 MiB of brackets would be gigabytes of lists."""
        body = b"[%b]" % b",".join([b"[]"] * (wire.VALUES // 2 + 1))
        for read in (decode, lambda text: split(text, "")):
            with pytest.raises(PageRefusedError, match="more than 4000000 values"):
                read(body)

    @pytest.mark.parametrize(
        "body",
        [
            b'{"data":["' + b'\\"' * 300_000,
            b'{"data":[' + b'"' * 300_001,
            b'{"data":["' + b"x" * 30_000_000,
            b'{"data":[' + b"[" * 3_000_000,
            b'{"data":[' + b'{"a":' * 500_000,
            b'{"data":[' + b"," * 1_000_000 + b"]}",
            b'{"data":["' + b"\\" * 1_000_001,
        ],
        ids=["marks", "quotes", "text", "brackets", "braces", "commas", "backslashes"],
    )
    def test_torn_pages_are_refused_in_time_that_grows_with_them(self, body):
        """SA7, SA9: trying each quotation mark anew took minutes for the first of these."""
        with pytest.raises(PageRefusedError) as refusal:
            split(body, "data")
        assert refusal.value.code == "invalid_page"

    def test_a_long_text_among_brackets_is_measured_in_bounded_memory(self):
        """A pattern that remembers each letter took 120 bytes for it: 7 GB for a whole response."""
        import resource

        text = b'["%b"%b]' % (b"x" * (wire.TEXT_BYTES - 2), b",[]" * 200)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert len(decode(text)) == 201
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


class TestSplit:
    def test_cuts_out_the_raw_records(self):
        body = b'{"data": [ {"id": 1 , "total":1.10}, "x" ,null], "next": {"cursor": "c\\u0041"}}'
        page = split(body, "data")
        assert page.records == (b'{"id": 1 , "total":1.10}', b'"x"', b"null")
        assert page.rest == {"data": [], "next": {"cursor": "cA"}}

    @pytest.mark.parametrize(
        ("body", "path", "records"),
        [
            (b"[1, 2]", "", (b"1", b"2")),
            (b" [] ", "", ()),
            (b'{"data":[]}', "data", ()),
            (b'{"Query":{"Invoice":[{}],"max":1}}', "Query.Invoice?", (b"{}",)),
            (b'{"Query":{}}', "Query.Invoice?", ()),
            (b'{"Query":{"Invoice":null}}', "Query.Invoice?", ()),
            (b'{"d\\u0061ta":[1]}', "data", (b"1",)),
            (b'{"\\"":0,"data":[1]}', "data", (b"1",)),
        ],
    )
    def test_paths(self, body, path, records):
        assert split(body, path).records == records

    @pytest.mark.parametrize(
        ("body", "path", "said"),
        [
            (b'{"data":null}', "data", "'data' should be a list of records, but is null"),
            (b'{"data":{"id":1}}', "data", "'data' should be a list of records, but is an object"),
            (b'{"data":"x"}', "data", "'data' should be a list of records, but is a text"),
            (b'{"items":[],"n":0}', "data", "with items, n"),
            (b"{}", "data", "the response should be an object with 'data'"),
            (b"null", "", "the response should be a list of records, but is null"),
            (b"[]", "data", "the response should be an object with 'data', but is a list"),
            (b"{}", "Query.Invoice?", "the response should be an object with 'Query'"),
            (b'{"Query":null}', "Query.Invoice?", "'Query' should be an object with 'Invoice'"),
            (b'{"Query":[]}', "Query.Invoice?", "'Query' should be an object with 'Invoice'"),
        ],
    )
    def test_something_else_than_records_is_no_empty_page(self, body, path, said):
        """SA10"""
        with pytest.raises(PageRefusedError, match=said) as refusal:
            split(body, path)
        assert refusal.value.code == "records_path_missing"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html><body>maintenance</body></html>",
            b'{"data":[1,2]',
            b'{"data":[1,2]} trailing',
            b'{"data":[1,,2]}',
            b'{"data":[1,2,]}',
            b'{"data":[nul]}',
            b'{"data":[{"a":1]}',
            b'{"data":[1}]',
            b'{"data":["\xff"]}',
            b'{"data":[1],"sum":NaN}',
            b'{"data":[1],"data":[2]}',
            b'{"data":[1] , "data" : [1]}',
            b'{"data":[1],"page":{"n":1,"n":2}}',
            b'{"data":[1],"\\u0022":1,"\\"":2}',
            b'{"data":[1],"\\u0022":0,"\\u0022x":0,"a":1,"a":2}',
            b'{"data":[1] "x":2}',
            b'{"data":[1],"x"}',
        ],
    )
    def test_a_page_that_is_no_exact_json_is_refused(self, body):
        """SA9, DS9, DS11"""
        with pytest.raises(PageRefusedError) as refusal:
            split(body, "data")
        assert refusal.value.code == "invalid_page"

    def test_bad_records_leave_the_others_alone(self):
        deep = b"[" * 5000 + b"]" * 5000
        body = b'{"data":[{"id":1},{"a":1,"a":2},"\\ud800",' + deep + b',1e400,{"id":2}],"n":1}'
        page = split(body, "data")
        first, doubled, surrogate, nested, huge, last = decode_records(page.records)
        assert (first, last, page.rest) == ({"id": 1}, {"id": 2}, {"data": [], "n": 1})
        assert [bad.code for bad in (doubled, surrogate, nested, huge)] == [
            "malformed_payload",
            "invalid_text",
            "malformed_payload",
            "malformed_payload",
        ]


# JSON text written with every freedom the grammar has: white space, escapes, doubled names.

_space = st.sampled_from(["", "", " ", "\n", "\t ", "\r\n"])
_letter = st.sampled_from(
    ["a", "b", ":", ",", "{", "]", "\\\\", '\\"', "\\u0022", "\\u003a", "\\u0061", "\\n", "é"]
)
_text = st.lists(_letter, max_size=3).map(lambda letters: '"' + "".join(letters) + '"')
_plain = st.one_of(_text, st.sampled_from(["0", "-1", "1.50", "2e3", "true", "null"]))


def _joined(parts: list[str], space: str) -> str:
    return f"{space},{space}".join(parts)


def _members(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.builds(lambda n, v, s, t: f"{s}{n}{s}:{t}{v}", _text, values, _space, _space)
    return st.builds(
        lambda parts, s: "{" + s + _joined(parts, s) + s + "}", st.lists(member, max_size=4), _space
    )


def _lists(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda parts, s: "[" + s + _joined(parts, s) + "]", st.lists(values, max_size=4), _space
    )


_json = st.recursive(_plain, lambda inner: _members(inner) | _lists(inner), max_leaves=12)


class _DoubledError(Exception):
    pass


def _by_the_book(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise _DoubledError
        return dict(pairs)

    return json.loads(text, object_pairs_hook=unique, parse_float=Decimal)


def _longest_name(text: str) -> int:
    names: list[str] = [""]
    json.loads(text, object_pairs_hook=lambda pairs: names.extend(name for name, _ in pairs))
    return max(len(name.encode()) for name in names)


def _first_trouble(text: str) -> str:
    """ "long" or "doubled", whichever the innermost and first object shows first; "" for none."""
    found: list[str] = []

    def object_of(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if len(name.encode()) > 4:
                found.append("long")
            elif name in seen:
                found.append("doubled")
            seen.add(name)

    json.loads(text, object_pairs_hook=object_of)
    return found[0] if found else ""


class TestByTheBook:
    @given(st.lists(_json, max_size=4))
    def test_long_names_are_found_and_only_those(self, texts):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wire, "NAME_BYTES", 4)
            for text, value in zip(texts, decode_records([t.encode() for t in texts]), strict=True):
                refused = isinstance(value, BadRecordError) and "member name has" in str(value)
                assert refused == (_longest_name(text) > 4 and _first_trouble(text) == "long")

    @given(st.lists(_json, max_size=6))
    def test_doubled_names_are_found_and_only_those(self, texts):
        for text, value in zip(texts, decode_records([t.encode() for t in texts]), strict=True):
            try:
                expected = _by_the_book(text)
            except _DoubledError:
                assert isinstance(value, BadRecordError)
            else:
                assert value == expected

    @given(st.lists(_json, max_size=4), _members(_json), _space)
    def test_pages_fall_apart_without_loss(self, texts, other, space):
        body = f'{{"x":{other},{space}"data"{space}:[{_joined(texts, space)}]{space}}}'
        try:
            expected = _by_the_book(other)
        except _DoubledError:
            with pytest.raises(PageRefusedError):
                split(body.encode(), "data")
        else:
            page = split(body.encode(), "data")
            assert page.records == tuple(text.strip().encode() for text in texts)
            assert page.rest == {"x": expected, "data": []}

    @given(_members(_json))
    def test_the_envelope_is_exact_too(self, text):
        body = text[:-1].rstrip() + ("," if text.strip("{ \t\r\n}") else "") + '"data":[]}'
        try:
            expected = _by_the_book(body)
        except _DoubledError:
            with pytest.raises(PageRefusedError):
                split(body.encode(), "data")
        else:
            assert split(body.encode(), "data").rest == expected

    @given(_json, st.integers(0, 40), st.binary(min_size=1, max_size=2))
    def test_damaged_pages_are_refused_or_read_alike(self, text, place, damage):
        whole = f'{{"data":[{text}]}}'.encode()
        at = place % len(whole)
        body = whole[:at] + damage + whole[at + 1 :]
        try:
            expected = _by_the_book(body.decode())["data"]
        except (ValueError, TypeError, KeyError, _DoubledError):
            expected = None
        try:
            values = decode_records(split(body, "data").records)
        except PageRefusedError:
            return
        if expected is not None:
            assert values == expected
        else:
            assert any(isinstance(value, BadRecordError) for value in values)
