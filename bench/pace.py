"""Four processes against one API that allows so many requests a second: who is refused, who waits.

Each process reads a stream of its own, all of one connection. The provider notes what came.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import Paced
from ingests import say
from peers import HERE, Command, dlt, penstock_program
from process import BenchError, run
from throttled import PAGE_RECORDS
from throttled_connector import READERS

ALLOWED = 20
"""Requests in a second."""

TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Peer:
    """prepare: commands for a URL, not measured. read: the command of one reader at a URL, which
    prints JSON with the number of its records."""

    name: str
    prepare: Callable[[str], tuple[Command, ...]]
    read: Callable[[str, str], Command]


def penstock() -> Peer:
    program = (penstock_program(), "--database", "sqlite:///penstock.db")
    connect = (*program, "connect", str(HERE / "throttled_connector.py"), "--name", "api")

    def prepare(url: str) -> tuple[Command, ...]:
        return ((*connect, "--set", f"base_url={url}", "--allow-loopback"),)

    return Peer("penstock", prepare, lambda _, reader: (*program, "run", "api", reader, "--json"))


def four_dlt(environment: Path) -> Peer:
    script = (str(environment / "bin" / "python"), str(HERE / "throttled_dlt.py"))

    def read(url: str, reader: str) -> Command:
        return (*script, "--url", url, "--reader", reader, "--directory", "dlt")

    return Peer("dlt", lambda url: dlt(url, environment).prepare, read)


def at_once(peer: Peer, pages: int, work: Path, *, retry_after: bool) -> Paced:
    """All readers of a peer at the same time, and what the provider saw of it."""
    told = "with" if retry_after else "without"
    directory, log = work / f"paced-{peer.name}-{told}", work.parent / "bench.log"
    directory.mkdir()
    load = round(os.getloadavg()[0], 2)
    say(f"{peer.name}: four processes, {4 * pages} requests, {told} Retry-After")
    with throttled(pages, retry_after=retry_after) as url:
        for command in peer.prepare(url):
            run(command, directory=directory, log=log, timeout_s=TIMEOUT_S)

        def read(reader: str) -> bool:
            try:
                ended = run(
                    peer.read(url, reader), directory=directory, log=log, timeout_s=TIMEOUT_S
                )
                return records(ended.stdout) == pages * PAGE_RECORDS
            except BenchError as error:
                say(f"{peer.name}: {error}")
                return False

        with ThreadPoolExecutor(len(READERS)) as pool:
            failed = list(pool.map(read, READERS)).count(False)
        with urllib.request.urlopen(f"{url}/report", timeout=60) as answer:
            report = json.load(answer)
    return Paced(peer.name, retry_after, load_before=load, failed=failed, **seen(report))


def records(stdout: str) -> int:
    """What a reader says it brought: penstock in a list of runs, dlt in one object."""
    try:
        said = json.loads(stdout.strip().splitlines()[-1] if stdout[:1] == "{" else stdout)
        said = said[0] if isinstance(said, list) else said
        return int(said.get("fetched", said.get("records")))
    except (ValueError, TypeError, LookupError) as error:
        raise BenchError(f"not the expected report of a reader: {stdout[-200:]!r}") from error


def seen(report: dict[str, Any]) -> dict[str, Any]:
    """The measures that can be read off what came, and when."""
    accepted, refused = report["accepted"], report["refused"]
    came = len(accepted) + len(refused)
    seconds = accepted[-1][0] - accepted[0][0]
    return {
        "requests": came,
        "refused": len(refused),
        "refused_percent": round(100 * len(refused) / came, 2),
        "used_percent": round(100 * (len(accepted) - 1) / (seconds * report["allow"]), 1),
        "least_share_percent": round(100 * least_share(accepted), 1),
        "seconds": round(seconds, 2),
    }


def least_share(accepted: list[tuple[float, str]]) -> float:
    """Of the reader that got least while all were reading, over its fair share."""
    if {who for _, who in accepted} != set(READERS):
        return 0.0
    firsts = [min(at for at, who in accepted if who == reader) for reader in READERS]
    lasts = [max(at for at, who in accepted if who == reader) for reader in READERS]
    shared = Counter(who for at, who in accepted if max(firsts) <= at <= min(lasts))
    return min(shared[reader] for reader in READERS) * len(READERS) / max(shared.total(), 1)


@contextmanager
def throttled(pages: int, *, retry_after: bool) -> Iterator[str]:
    """The API in a process of its own, which ends with its standard input. Gives its URL."""
    command = [sys.executable, str(HERE / "throttled.py"), "--pages", str(pages)]
    command += ["--allow", str(ALLOWED)]
    command += ["--retry-after"] * retry_after
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        try:
            ready, _, _ = select.select([process.stdout], [], [], 60)
            url = process.stdout.readline().decode().strip() if ready else ""
            if not url:
                raise BenchError("the throttled provider did not start")
            yield url
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
