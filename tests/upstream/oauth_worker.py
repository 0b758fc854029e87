"""A process that uses one connection from several threads, as a worker does.

`python -m tests.upstream.oauth_worker DATABASE KEY THREADS REQUESTS MANNER` prints one JSON object:
how many requests were answered, and how others ended. MANNER `shared` keeps tokens as the app does;
`per-process` keeps them as tools do that lock in memory and read their configuration once.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field

from penstock.app import App
from penstock.config import Settings
from penstock.errors import PenstockError
from penstock.model.token import TokenPair
from penstock.upstream.client import Client
from penstock.upstream.grant import Grant, OwnTokens, Tokens
from penstock.upstream.request import Request


@dataclass
class PerProcess(OwnTokens):
    """One refresh at a time in this process, whatever others do."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    is_busy: bool = False

    def current(self) -> Grant:
        return dataclasses.replace(self.grant, is_free=not self.is_busy)

    def begin(self, grant: Grant) -> Grant | None:
        with self.lock:
            if self.is_busy or grant.generation != self.grant.generation:
                return None
            self.is_busy = True
            return grant

    def save(self, grant: Grant, pair: TokenPair) -> Grant:
        saved = super().save(grant, pair)
        self.is_busy = False
        return saved

    def abandon(self, grant: Grant) -> None:
        self.is_busy = False

    def lose(self, grant: Grant, why: str) -> Grant:
        self.is_busy = False
        return super().lose(grant, why)


def client(app: App, name: str, manner: str) -> Client:
    installation = app.wiring.installation(name)
    kept = app.wiring.tokens(installation.connection)
    tokens: Tokens = kept if manner == "shared" else PerProcess(kept.current())
    return app.wiring.client(installation, app.wiring.secrets(name), tokens=tokens)


def use(client: Client, requests: int, seen: Counter[str]) -> None:
    user = f"{os.getpid()}-{threading.get_ident()}"
    for _ in range(requests):
        try:
            client.send(Request("GET", f"{client.base_url}/items?user={user}"))
        except PenstockError as error:
            seen[f"{error.code}: {error.message}"] += 1
            return
        seen["answered"] += 1


def main(database: str, key: str, threads: str, requests: str, manner: str) -> None:
    with App.open(Settings(database=database, master_key=key)) as app:
        shared = client(app, "acme", manner)
        seen = [Counter[str]() for _ in range(int(threads))]
        print("ready", flush=True)
        sys.stdin.readline()
        at_work = [
            threading.Thread(target=use, args=(shared, int(requests), each)) for each in seen
        ]
        for thread in at_work:
            thread.start()
        for thread in at_work:
            thread.join()
    print(json.dumps(sum(seen, Counter())), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
