"""The API keeps its manners: tokens, limits, cursors, ties, counters and a clean end."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from penstock.simulator import Company, Served, serve

from .reader import DOCUMENTS, Reader


@pytest.fixture(scope="module")
def company() -> Company:
    return Company(records=2000)


@pytest.fixture(scope="module")
def served(company: Company) -> Iterator[Served]:
    with serve(company) as served:
        yield served


@pytest.fixture
def reader(served: Served) -> Reader:
    return Reader(served.url, served.token)


@pytest.mark.parametrize("path", ["/customers", "/account", "/requests", "/truth"])
@pytest.mark.parametrize("token", ["", "sim-tokem", "sim-token ätsch"])
def test_nothing_is_told_without_the_token(served: Served, path: str, token: str):
    header = {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
    request = urllib.request.Request(served.url + path, headers=header if token else {})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    with refused.value as answer:
        assert answer.code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert json.load(answer)["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("path", ["/", "/refunds", "/invoices/inv_000001", "/tick"])
def test_what_is_not_there_is_a_404_in_json(reader: Reader, path: str):
    status, body = reader.get(path)
    assert (status, json.loads(body)["error"]["code"]) == (404, "not_found")


def test_the_account_says_whose_data_it_is(reader: Reader):
    status, body = reader.get("/account")
    assert status == 200
    assert json.loads(body)["home_currency"] == "EUR"


@pytest.mark.parametrize("collection", DOCUMENTS)
@pytest.mark.parametrize("limit", [7, 200, 1000])
def test_any_page_size_gives_every_record_once_in_order(
    reader: Reader, company: Company, collection: str, limit: int
):
    pages = reader.pages(collection, limit=limit)
    assert [len(page["data"]) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    records = [record for page in pages for record in page["data"]]
    keys = [(record["updated_at"], record["id"]) for record in records]
    assert keys == sorted(set(keys))
    assert len(keys) == len(company.listings[DOCUMENTS[collection]].rows)


@pytest.mark.parametrize("collection", ["invoices", "payments", "bank_transactions"])
def test_records_with_one_stamp_lie_on_both_sides_of_a_page_border(reader: Reader, collection: str):
    borders = pairwise(reader.pages(collection, limit=200))
    torn = [a for a, b in borders if a["data"][-1]["updated_at"] == b["data"][0]["updated_at"]]
    assert torn


@pytest.mark.parametrize("collection", ["invoices", "bank_transactions"])
def test_updated_since_includes_its_own_moment(reader: Reader, collection: str):
    records = reader.walk(collection, limit=1000)
    stamps = Counter(record["updated_at"] for record in records)
    stamp = sorted(stamps)[len(stamps) // 2]
    since = reader.walk(collection, limit=1000, updated_since=stamp)
    assert since == [record for record in records if record["updated_at"] >= stamp]
    assert since[0]["updated_at"] == stamp


def test_updated_since_reads_offsets_fractions_and_seconds_alike(reader: Reader):
    at = [
        "2025-05-01T20:00:00Z",
        "2025-05-01T22:00:00+02:00",
        "2025-05-01T20:00:00.000000Z",
        "1746129600",
    ]
    found = [reader.walk("invoices", limit=1000, updated_since=text) for text in at]
    assert found[0]
    assert found.count(found[0]) == len(at)
    later = reader.walk("invoices", limit=1000, updated_since="2025-05-01T20:00:00.000001Z")
    assert later == [r for r in found[0] if r["updated_at"] > "2025-05-01T20:00:00Z"]
    assert later != found[0]


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "ten", "", "1.5", "٣", "9" * 5000])
def test_a_limit_that_means_nothing_is_refused(reader: Reader, limit: str):
    refused(reader, "limit", limit=limit)


def forged(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        "!!",
        "YWJj",
        "é",
        forged([1]),
        forged(["1", "a"]),
        forged(5),
        forged([True, "a"]),
    ],
)
def test_a_cursor_it_never_handed_out_is_refused(reader: Reader, cursor: str):
    refused(reader, "cursor", cursor=cursor)


@pytest.mark.parametrize(
    "since", ["yesterday", "2025-05-01T12:00:00", "-5", "2025-13-01T00:00:00Z"]
)
def test_a_moment_that_means_nothing_is_refused(reader: Reader, since: str):
    refused(reader, "updated_since", updated_since=since)


def refused(reader: Reader, about: str, **params: str) -> None:
    status, body = reader.get("/invoices", **params)
    error = json.loads(body)["error"]
    assert (status, error["code"]) == (400, "bad_request")
    assert error["message"].startswith(about)


def test_a_cursor_stays_good_while_the_company_ticks():
    company = Company(seed=8, records=600)
    with serve(company) as served:
        reader = Reader(served.url, served.token)
        before = {r["id"]: r for r in reader.walk("invoices", limit=1000)}
        page = reader.page("invoices", limit=10)
        found = page["data"]
        ticks = iter(range(5))
        while page["has_more"]:
            if next(ticks, None) is not None:
                company.tick()
            page = reader.page("invoices", limit=10, cursor=page["next_cursor"])
            found += page["data"]
        after = {r["id"]: r for r in reader.walk("invoices", limit=1000)}
    seen = Counter((record["id"], record["updated_at"]) for record in found)
    assert max(seen.values()) == 1
    assert {record["id"]: record for record in found} == after
    assert after != before


def test_requests_and_records_are_counted():
    with serve(Company(records=100)) as served:
        reader = Reader(served.url, served.token)
        reader.walk("invoices", limit=20)
        Reader(served.url, "wrong").get("/invoices")
        counters = json.loads(reader.get("/requests")[1])
        assert counters == {"requests": 2, "records": 36, "refused": 1}


def test_a_tick_can_be_asked_for():
    company = Company(records=100)
    with serve(company) as served:
        headers = {"Authorization": f"Bearer {served.token}"}
        request = urllib.request.Request(served.url + "/tick", method="POST", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            moved = json.load(answer)
        told = json.loads(Reader(served.url, served.token).get("/truth")[1])
    assert moved["invoice"]["created"] >= 1
    assert told == company.truth().as_json()
    assert told["now"] == "2025-07-01T06:00:00Z"


def test_latency_is_waited_before_an_answer():
    with serve(Company(records=20), latency=0.05) as served:
        started = time.monotonic()
        Reader(served.url, served.token).page("customers")
        assert time.monotonic() - started >= 0.05


def test_it_ends_cleanly_and_gives_the_port_back():
    company = Company(records=20)
    threads_before = set(threading.enumerate())
    with serve(company) as served:
        port = int(served.url.rpartition(":")[2])
        Reader(served.url, served.token).page("customers")
        assert set(threading.enumerate()) > threads_before
    assert set(threading.enumerate()) == threads_before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    with serve(company, port=port) as again:
        assert again.url == served.url
        assert Reader(again.url, again.token).page("customers")["data"]


def test_a_taken_port_is_an_error_at_once():
    with serve(Company(records=20)) as served:
        second = serve(Company(records=20), port=int(served.url.rpartition(":")[2]))
        with pytest.raises(OSError, match="in use"):
            second.__enter__()


def test_by_hand_it_says_where_it_is_and_ends_on_ctrl_c():
    command = [sys.executable, "-m", "penstock.simulator", "--port", "0", "--records", "50"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first = process.stdout.readline()
        url = first.partition(" open at ")[2].partition(",")[0]
        status, _ = Reader(url, "sim-token").get("/truth")
        os.kill(process.pid, signal.SIGINT)
        told = process.stdout.read()
        assert (status, process.wait(timeout=10)) == (200, 0)
    assert f"'{url}/invoices?limit=2'" in told


def test_by_hand_wrong_arguments_are_one_sentence():
    command = [sys.executable, "-m", "penstock.simulator", "--records", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: a company has at least 20 records, not 3\n"
