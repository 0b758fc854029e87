"""Whom to tell: a command reads JSON on its standard input, a URL takes it as a POST."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from penstock.errors import UpstreamUnavailableError, UsageError
from penstock.work import told
from penstock.work.told import told_by


def test_a_command_reads_it_and_needs_no_shell(tmp_path):
    file = tmp_path / "it; has $HOME"
    code = f"import sys; open({str(file)!r}, 'w').write(sys.stdin.read())"
    told_by(f'{sys.executable} -c "{code}"')(b'{"cause":"late"}')
    assert json.loads(file.read_text()) == {"cause": "late"}


def test_a_command_that_fails_or_hangs_has_told_nobody(monkeypatch):
    with pytest.raises(UpstreamUnavailableError, match="ended with 7"):
        told_by(f"{sys.executable} -c 'raise SystemExit(7)'")(b"{}")
    monkeypatch.setattr(told, "COMMAND_S", 0.2)
    with pytest.raises(UpstreamUnavailableError, match="longer than"):
        told_by(f"{sys.executable} -c 'import time; time.sleep(60)'")(b"{}")


@pytest.mark.parametrize("setting", ["no-such-program x", "", "ftp://acme.test/hook", "'unclosed"])
def test_a_setting_that_cannot_work_is_refused_at_once(setting):
    with pytest.raises(UsageError, match="notify"):
        told_by(setting)


@contextmanager
def hook(status: int):
    """A URL that answers with that status, and what it was sent."""
    got: list[tuple[str, dict]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.headers["content-type"], json.loads(body)))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/s3cret", got
        server.shutdown()
        thread.join()


def test_a_url_takes_it_as_json():
    with hook(204) as (url, got):
        told_by(url)(b'{"cause":"parked"}')
    assert got == [("application/json", {"cause": "parked"})]


def test_a_url_that_refuses_has_told_nobody_and_stays_out_of_the_sentence():
    with (
        hook(500) as (url, got),
        pytest.raises(UpstreamUnavailableError, match="status 500") as refused,
    ):
        told_by(url)(b"{}")
    with pytest.raises(UpstreamUnavailableError, match="did not answer") as silent:
        told_by(url)(b"{}")
    assert len(got) == 1
    assert "s3cret" not in refused.value.message + silent.value.message
