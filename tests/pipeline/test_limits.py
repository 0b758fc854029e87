"""A response beyond a limit ends the run with a reason; the last good checkpoint stays."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import httpx2
import pytest

from penstock.model.run import RunState
from penstock.upstream import wire
from penstock.upstream.transport import HEADER_BYTES

from .plant import Plant, Provider, customer, page_of


def body(content: bytes, **headers: str) -> Callable[[httpx2.Request], httpx2.Response]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: httpx2.Response(200, stream=httpx2.ByteStream(content), headers=fields)


def page_with(record: bytes) -> bytes:
    return b'{"data": [%b], "next_cursor": null}' % record


HOSTILE = {
    "a bomb": (body(gzip.compress(bytes(50_000_000)), content_encoding="gzip"), "100 to 1"),
    "too large": (body(b" " * (64 * 1024 * 1024 + 1)), "passes 67108864 bytes"),
    "stacked encodings": (
        body(gzip.compress(gzip.compress(b"{}")), content_encoding="gzip, gzip"),
        "content encoding 'gzip, gzip'",
    ),
    "an encoding nobody asked for": (body(b"\x1b\x03", content_encoding="br"), "encoding 'br'"),
    "no gzip": (body(b"{}", content_encoding="gzip"), "is no gzip"),
    "header fields": (body(b"{}", x="v" * HEADER_BYTES), "header fields pass"),
    "nesting": (
        body(b'{"data": [], "n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "deeper than 128",
    ),
    "records": (body(page_with(b",".join([b"1"] * 100_001))), "100001 records"),
    "values": (body(page_with(b"1") + b" " + b"[]," * 3_000_000), "4000000 values"),
    "a long name": (body(b'{"data": [], "%b": 1}' % (b"n" * 10_000_000)), "member name has more"),
    "a long text": (body(b'{"data": [], "t": "%b"}' % (b"t" * 17_000_000)), "a text has more"),
    "members": (
        body(b'{"data": [], %b}' % b",".join(b'"%d":0' % n for n in range(1_000_000))),
        "more than 100000 members",
    ),
    "digits": (body(b'{"data": [], "n": ' + b"9" * 5000 + b"}"), "128 digits"),
    "doubled names": (body(b'{"data": [], "n": 1, "n": 2}'), "'n' stands twice"),
    "Latin-1": (body('{"data": [], "n": "é"}'.encode("latin-1")), "not UTF-8"),
    "UTF-16 that is not declared": (body('{"data": []}'.encode("utf-16")), "but UTF-16"),
    "UTF-16 that is none": (
        body(b'{"data": []} ', content_type="application/json; charset=utf-16"),
        "not the utf-16 that it declares",
    ),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_limit_ends_the_run_and_leaves_the_last_good_checkpoint(
    plant: Plant, provider: Provider, hostile: str
) -> None:
    """SA11, DS5, DS9, DS11, DS12"""
    reply, said = HOSTILE[hostile]
    provider.records = [customer(n) for n in range(6)]
    provider.answers = [None, reply]
    report = plant.run()
    assert (report.state, report.reason) == (RunState.FAILED, "invalid_page")
    assert said in str(report.message)
    assert report.counters.created == 2
    assert plant.checkpoint()[0]["params"] == [["cursor", "2026-03-01T09:00:01Z/cus_1"]]
    assert plant.run().counters.created == 4


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (b'{"id": "cus_9", "%b": 1}' % (b"n" * 1025), "malformed_payload"),
        (b'{"id": "cus_9", "n": ' + b"9" * 5000 + b"}", "malformed_payload"),
        (b'{"id": "cus_9", "n": 1e400}', "malformed_payload"),
        (b'{"id": "cus_9", "n": ' + b"[" * 200 + b"]" * 200 + b"}", "malformed_payload"),
        (b'{"id": "cus_9", "id": "cus_8"}', "malformed_payload"),
        (b'{"id": "cus_9", "n": "\\ud800"}', "invalid_text"),
        (b'{"id": "cus_9", "t": "%b"}' % (b"t" * wire.RECORD_BYTES), "payload_too_large"),
        (b'{"id": "cus_9", "n": [%b0]}' % (b"0," * wire.RECORD_VALUES), "payload_too_large"),
    ],
    ids=["name", "digits", "exponent", "nesting", "doubled", "surrogate", "bytes", "values"],
)
def test_a_record_beyond_a_limit_is_set_aside_and_the_others_are_stored(
    plant: Plant, provider: Provider, record: bytes, code: str
) -> None:
    """DS5, DS7, DS8, DS11, DS12"""
    good = json.dumps(customer(1)).encode()
    provider.answers = [body(page_with(good + b"," + record))]
    report = plant.run()
    assert report.counters.created == 1
    (letter,) = plant.letters()
    assert letter.reason == code
    assert letter.raw == record


def test_a_page_in_utf_16_is_read_where_it_is_declared(plant: Plant, provider: Provider) -> None:
    """DS9"""
    text = page_of([customer(1, display_name="Žofie")]).text
    declared = "application/json; charset=UTF-16"
    provider.answers = [body(text.encode("utf-16"), content_type=declared)]
    assert plant.run().counters.created == 1
    assert plant.names() == {"cus_1": "Žofie"}


def test_utf_8_that_is_declared_as_something_else_is_utf_8(
    plant: Plant, provider: Provider
) -> None:
    """DS9: servers declare Latin-1 out of habit; taking their word would garble every name."""
    page = page_of([customer(1, display_name="Žofie")])
    declared = "application/json; charset=ISO-8859-1"
    provider.answers = [body(page.content, content_type=declared)]
    assert plant.run().counters.created == 1
    assert plant.names() == {"cus_1": "Žofie"}
