"""Many processes, one rotating grant: no refresh token is ever used twice.

The provider lives in this process, the users in others; what the provider counted is the truth.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from base64 import b64encode
from collections import Counter
from pathlib import Path

import pytest

from penstock.app import App
from penstock.config import Settings
from penstock.errors import NeedsReauthError
from penstock.model.connection import ConnectionState
from penstock.model.run import RunState
from tests.database import url_in

from .oauth_plant import connector
from .oauth_provider import SECRET, OAuthProvider

KEY = b64encode(b"k" * 32).decode()
ROOT = Path(__file__).parents[2]
EXPIRIES = (40, pytest.param(200, marks=pytest.mark.torture))


@pytest.fixture
def settings(backend, tmp_path) -> Settings:
    return Settings(database=url_in(tmp_path), master_key=KEY)


def connect(settings: Settings, provider: OAuthProvider, folder: Path) -> None:
    secrets = {"client_secret": SECRET, "refresh_token": provider.new_refresh_token()}
    target = connector(folder, 'grant="refresh_token"')
    with App.open(settings) as app:
        app.connect(target, "acme", {"host": provider.url}, secrets, allow_loopback=True)


def start(
    settings: Settings, threads: int, requests: int, manner: str = "shared", kill_at: str = ""
) -> subprocess.Popen[str]:
    arguments = (settings.database, KEY, str(threads), str(requests), manner)
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.upstream.oauth_worker", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PENSTOCK_KILL_AT": kill_at},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def work(children: list[subprocess.Popen[str]]) -> Counter[str]:
    """Let them all go at once; what they saw together."""
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    return sum((Counter(json.loads(child.communicate()[0])) for child in children), Counter())


def killed(settings: Settings, point: str) -> None:
    """One process with one request, dead at the named moment."""
    child = start(settings, 1, 1, kill_at=point)
    child.communicate("go\n")
    assert child.returncode == -signal.SIGKILL


def state(settings: Settings) -> ConnectionState:
    with App.open(settings) as app:
        found = app.store.connections.get("default", "acme")
    assert found is not None
    return found.state


def run_to_the_end(settings: Settings) -> tuple[RunState, str | None]:
    with App.open(settings) as app:
        (report,) = app.run("acme")
    return report.state, report.reason


@pytest.mark.parametrize("expiries", EXPIRIES)
def test_refresh_race_and_lost_rotation(settings, tmp_path, expiries):
    """8 threads in 4 processes through 200 expiries: 0 invalid_grant, and nobody noticed (SA25).

    Some tokens say that they are short-lived, some nothing; some end without a word.
    """
    kinds = (3600, None, 1)
    threads, processes, uses = 8, 4, 16
    # Each of the 32 comes once with every token, and a few come twice.
    requests = int(expiries * 1.2)
    ends = {"uses": uses, "lives_s": lambda number: kinds[number % 3], "slack_s": 30.0}
    with OAuthProvider(**ends) as provider:
        connect(settings, provider, tmp_path)
        seen = work([start(settings, threads, requests) for _ in range(processes)])
    counts = provider.counts
    assert dict(seen) == {"answered": threads * processes * requests}
    assert counts.rotations >= expiries
    assert counts.invalid_grant == 0
    # A token that says it lives for a second is renewed before its end, and that is all.
    assert counts.needless <= counts.rotations / 3 + 1
    assert state(settings) is ConnectionState.ACTIVE


def test_control_a_lock_in_each_process_is_not_enough(settings, tmp_path):
    """Must fail: the same users with a lock in memory lose the grant."""
    with OAuthProvider(uses=8) as provider:
        connect(settings, provider, tmp_path)
        seen = work([start(settings, 4, 30, "per-process") for _ in range(2)])
    assert provider.counts.invalid_grant > 0
    assert seen["answered"] < 2 * 4 * 30


class TestKilled:
    """SA27: dead at any moment of a rotation, against providers of three manners."""

    def test_between_answer_and_save_with_a_strict_provider(self, settings, tmp_path):
        """Exactly one invalid_grant, then needs_reauth at once."""
        with OAuthProvider("strict") as provider:
            connect(settings, provider, tmp_path)
            provider.end_access()
            before = provider.counts.rotations
            killed(settings, "token.called:1")
            assert provider.counts.rotations == before + 1
            assert run_to_the_end(settings) == (RunState.FAILED, "needs_reauth")
            assert provider.counts.invalid_grant == 1
            assert state(settings) is ConnectionState.NEEDS_REAUTH
            calls = provider.counts.token_calls
            with App.open(settings) as app, pytest.raises(NeedsReauthError, match="connect"):
                app.run("acme")
            assert provider.counts.token_calls == calls

    def test_between_answer_and_save_with_a_provider_that_grants_grace(self, settings, tmp_path):
        with OAuthProvider("grace") as provider:
            connect(settings, provider, tmp_path)
            provider.end_access()
            killed(settings, "token.called:1")
            assert run_to_the_end(settings) == (RunState.DONE, None)
            assert provider.counts.invalid_grant == 0
            assert state(settings) is ConnectionState.ACTIVE

    @pytest.mark.parametrize("manners", ["strict", "grace", "lax"])
    @pytest.mark.parametrize("point", ["token.intent_saved:1", "token.saved:1", "page.fetched:1"])
    def test_at_any_other_moment(self, settings, tmp_path, manners, point):
        with OAuthProvider(manners) as provider:
            connect(settings, provider, tmp_path)
            provider.end_access()
            killed(settings, point)
            assert run_to_the_end(settings) == (RunState.DONE, None)
            assert provider.counts.invalid_grant == 0
            assert provider.counts.rotations == 2  # the first one connected it

    @pytest.mark.parametrize("manners", ["grace", "lax"])
    def test_in_the_middle_of_the_call(self, settings, tmp_path, manners):
        with OAuthProvider(manners) as provider:
            connect(settings, provider, tmp_path)
            provider.end_access()
            child = start(settings, 1, 1)
            provider.before_answer = child.kill
            child.communicate("go\n")
            assert child.returncode == -signal.SIGKILL
            provider.before_answer = lambda: None
            assert run_to_the_end(settings) == (RunState.DONE, None)
            assert provider.counts.invalid_grant == 0
