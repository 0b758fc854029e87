"""Serving looks after itself: somebody is told of what the runs have shown, old rows go."""

from __future__ import annotations

import json
import sys

import pytest

from penstock.app import App
from penstock.app.serving import Serving
from penstock.errors import UsageError
from penstock.work.stop import Stop
from tests.app.conftest import connect, settings
from tests.database import url_in


def notify_to(file) -> str:
    code = f"import sys; open({str(file)!r}, 'a').write(sys.stdin.read() + chr(10))"
    return f'{sys.executable} -c "{code}"'


def test_serving_once_tells_of_what_its_runs_have_shown(backend, provider, tmp_path):
    file = tmp_path / "told"
    with App.open(settings(url_in(tmp_path), notify=notify_to(file))) as app:
        connect(app, provider)
        (tmp_path / "acme.py").write_text(FAILING)
        app.connect(str(tmp_path / "acme.py"), "acme", {}, {})
        for _ in range(2):
            assert Serving(app, Stop(), 4).run_once(30)
    messages = [json.loads(line) for line in file.read_text().splitlines()]
    (told,) = [message for message in messages if message["connection"] == "acme"]
    assert (told["cause"], told["stream"]) == ("failed", "customers")
    assert "boom" in told["message"]


@pytest.mark.sqlite
def test_a_notify_that_cannot_work_is_told_before_anything_runs(backend, tmp_path):
    with (
        App.open(settings(url_in(tmp_path), notify="no-such-program")) as app,
        pytest.raises(UsageError, match="no-such-program"),
    ):
        Serving(app, Stop(), 4)


FAILING = """
from penstock import Connector, Permissions, Stream, sync

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0", base_url="https://acme.test",
    permissions=Permissions(http=["https://acme.test/*"], documents={"customer": ["write"]}),
    streams=[Stream("customers", mode="poll", schedule="0 * * * *")],
)


@acme.sync("customers")
def customers(request):
    raise ValueError("boom")
"""
