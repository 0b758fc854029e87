"""Four processes, one database file, one API that allows twenty requests a second: real time.

The benchmark measures more of it, and for longer; see bench/README.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from penstock.app import open_store
from tests.database import url_in

ROOT = Path(__file__).parents[2]
READERS = ("one", "two", "three", "four")
PAGES = 25


@pytest.fixture
def url():
    """The API in a process of its own; it ends with its standard input."""
    provider = subprocess.Popen(
        [sys.executable, ROOT / "bench" / "throttled.py", "--allow", "20", "--pages", str(PAGES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with provider:
        yield provider.stdout.readline().strip()
        provider.stdin.close()


def read_at_once(url, directory, *how):
    """What the provider saw of four processes, which all brought all of their records."""
    database = url_in(directory)
    open_store(database).close()
    worker = [sys.executable, "-m", "tests.upstream.pace_worker", url, database]
    workers = [
        subprocess.Popen([*worker, reader, *how], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for reader in READERS
    ]
    brought = [process.communicate(timeout=60)[0].strip() for process in workers]
    assert brought == [str(20 * PAGES)] * 4
    with urllib.request.urlopen(f"{url}/report", timeout=10) as answer:
        return json.load(answer)


def test_per_process_limiter(backend, url, tmp_path):
    """Four processes keep to one quota: hardly a call is refused, and each gets its part."""
    seen = read_at_once(url, tmp_path)
    assert len(seen["refused"]) <= 1
    firsts, lasts = (
        [pick(at for at, who in seen["accepted"] if who == reader) for reader in READERS]
        for pick in (min, max)
    )
    together = Counter(who for at, who in seen["accepted"] if max(firsts) <= at <= min(lasts))
    assert min(together[reader] for reader in READERS) > 0.6 * together.total() / 4


def test_control_without_a_shared_pace_the_same_api_refuses_many(url, tmp_path):
    """Must fail: each process has its own idea of the quota."""
    seen = read_at_once(url, tmp_path, "unpaced")
    assert len(seen["refused"]) > 1
