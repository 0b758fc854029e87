"""Faults of a provider, one at a time: does what is stored end as it would have without it?

Each peer reads pages of payments twice: once while the fault strikes, once after it is over. A
fault is stood when the second run leaves exactly the source's payments, and when the first one did
not report success over something else. Nothing here is measured; it is counted.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ingests import say
from peers import HERE, Command, dlt, penstock_program

from penstock.clock import Clock, SystemClock
from penstock.testing import FAULTS, Answer, Fault, HostileProvider, Sent

PAYMENTS = [(f"pay_{n}", f"{n}0.50") for n in range(1, 7)]
EXACT = "90071992547409.93"
"""More digits than a float has."""
TIMEOUT_S = 120.0

CHOSEN = (
    *("throttled_silently", "throttled_by_403", "unavailable", "hangs_up", "cut", "cut_chunks"),
    *("html", "half_json", "not_a_number", "doubled_name", "not_utf8", "empty", "bomb"),
    *("redirects_inside", "forbidden", "not_found"),
)


def _body(value: Any) -> Callable[[Answer, Clock], Iterator[bytes]]:
    def reply(_answer: Answer, _clock: Clock) -> Iterator[bytes]:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        yield b"Content-Length: %d\r\n\r\n" % len(body)
        yield body

    return reply


OWN = (
    Fault("no_list", "{} where the list should be", "stops", _body({})),
    Fault("error_in_200", "an error with status 200", "stops", _body({"error": "internal"})),
    Fault(
        "same_cursor",
        "the same cursor again and again",
        "stops",
        _body({"data": [], "next_cursor": "2"}),
        40,
    ),
    Fault(
        "wrong_type",
        "an amount that is an object",
        "goes on",
        _body({"data": [{"id": "pay_3", "amount": {"value": 1}}], "next_cursor": "4"}),
    ),
)


SIXTEEN_DIGITS = Fault("sixteen_digits", "an amount of sixteen digits", "goes on", _body({}), 0)


@dataclass(frozen=True, slots=True)
class Stood:
    """What one fault did to one peer. outcome: stood, silent (success was reported over something
    else than the source), lost (a later run did not mend it), hung, or never struck."""

    peer: str
    fault: str
    what: str
    outcome: str
    first_run: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Peer:
    """prepare: commands, once. read: pulls at the URL. stored: what is there, id to amount."""

    name: str
    prepare: Callable[[str], Sequence[Command]]
    read: Callable[[str], Command]
    stored: Callable[[Path], dict[str, str]]


def penstock() -> Peer:
    program = (penstock_program(), "--database", "sqlite:///penstock.db")
    connector = str(HERE / "faulty_connector.py")

    def prepare(url: str) -> Sequence[Command]:
        connect = (*program, "connect", connector, "--name", "api")
        return [(*connect, "--set", f"base_url={url}", "--allow-loopback")]

    def stored(directory: Path) -> dict[str, str]:
        from penstock.app import App
        from penstock.config import Settings

        with App.open(Settings(database=f"sqlite:///{directory / 'penstock.db'}")) as app:
            rows = app.store.reader.contents("default", "payment")
            return {row.source_id: json.loads(content)["amount"] for row, content in rows}

    return Peer("penstock", prepare, lambda _: (*program, "run", "api", "--full"), stored)


def one_dlt(environment: Path) -> Peer:
    script = (str(environment / "bin" / "python"), str(HERE / "faulty_dlt.py"))

    def stored(directory: Path) -> dict[str, str]:
        found = directory / "stored.json"
        return json.loads(found.read_text()) if found.exists() else {}

    return Peer(
        "dlt",
        lambda url: dlt(url, environment).prepare,
        lambda url: (*script, "--url", url),
        stored,
    )


def answer(payments: Sequence[tuple[str, str]], sent: Sent) -> Answer:
    """Pages of two payments, well."""
    start = int(sent.params.get("cursor", "0"))
    rows = ",".join(
        f'{{"id": "{name}", "amount": {amount}}}' for name, amount in payments[start : start + 2]
    )
    following = f'"{start + 2}"' if start + 2 < len(payments) else "null"
    return Answer.of(f'{{"data": [{rows}], "next_cursor": {following}}}', headers=_JSON)


_JSON = {"Content-Type": "application/json"}


def faults() -> tuple[Fault, ...]:
    return (*(fault for fault in FAULTS if fault.name in CHOSEN), *OWN)


def through_all(peer: Peer, work: Path) -> list[Stood]:
    """The peer put through every fault, and through amounts that no float holds."""
    stood = [through(peer, fault, work, PAYMENTS) for fault in faults()]
    return [*stood, through(peer, SIXTEEN_DIGITS, work, [*PAYMENTS[:4], ("pay_5", EXACT)])]


def through(peer: Peer, fault: Fault, work: Path, payments: Sequence[tuple[str, str]]) -> Stood:
    say(f"{peer.name}: {fault.name}")
    directory = work / f"fault-{peer.name}-{fault.name}"
    directory.mkdir()
    source = dict(payments)
    with HostileProvider(partial(answer, payments), fault, clock=SystemClock(), at=2) as provider:
        for command in peer.prepare(provider.url):
            ended(command, directory)
        first = ended(peer.read(provider.url), directory)
        told = peer.stored(directory) == source
        struck = provider.fired > 0 or fault.strikes == 0
        provider.calm()
        ended(peer.read(provider.url), directory)
        mended = peer.stored(directory) == source
    outcome = judged(struck=struck, first=first, told=told, mended=mended)
    return Stood(peer.name, fault.name, fault.what, outcome, first)


def judged(*, struck: bool, first: str, told: bool, mended: bool) -> str:
    if not struck:
        return "never struck"
    if first == "hung":
        return "hung"
    if first == "done" and not told:
        return "silent"
    return "stood" if mended else "lost"


def ended(command: Command, directory: Path) -> str:
    """done, failed or hung. Its words go to the log beside it."""
    with (directory / "log").open("ab") as log:
        try:
            run = subprocess.run(
                command, cwd=directory, stdout=log, stderr=log, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return "hung"
    return "done" if run.returncode == 0 else "failed"
