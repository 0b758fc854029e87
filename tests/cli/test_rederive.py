"""`penstock rederive`: what a person sees, and what the exit code says."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.cli.main import execute
from tests.cli.conftest import Answer
from tests.database import KEY, url_in

NAME = 'record["display_name"]'


@pytest.fixture
def pulled(backend, tmp_path, monkeypatch, provider) -> Callable[..., Answer]:
    """A shell on a database of either kind, with the customers of the simulated company in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_MASTER_KEY", KEY)
    monkeypatch.setenv("PENSTOCK_DATABASE", url_in(tmp_path))

    def shell(line: str) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = execute(line.split())
        return Answer(code, out.getvalue(), err.getvalue())

    shell("init acme")
    shell(
        f"connect acme.py --name acme --set base_url={provider.url} "
        f"--secret api_key={provider.token}"
    )
    assert shell("run acme customers").code in (0, 1)
    shell("dead-letters discard --connection acme")
    return shell


def edit(old: str, new: str) -> None:
    text = Path("acme.py").read_text()
    assert old in text
    Path("acme.py").write_text(text.replace(old, new))


def test_the_difference_is_shown_then_applied_and_then_there_is_none(pulled):
    documents = len(pulled("documents list customer --limit 1000 --json").json["items"])
    edit(NAME, f"{NAME}.upper()")
    looked = pulled("rederive acme customers --dry-run")
    assert looked.code == 0, looked.err
    assert f"would be updated    {documents}" in looked.out
    assert "/name" in looked.out
    assert "to apply it: penstock rederive acme customers" in looked.err
    assert pulled("rederive acme customers --dry-run --json").json["applied"] is False

    applied = pulled("rederive acme customers --json").json
    assert applied["documents"]["updated"] == documents
    (field,) = applied["fields"]
    assert (field["path"], field["documents"]) == ("/name", documents)
    example = field["examples"][0]
    assert example["new"] == example["old"].upper()
    assert applied["counters"]["updated"] == documents
    (run, *_) = pulled("runs --json").json
    assert (run["run"], run["kind"]) == (applied["run"], "rederive")

    again = pulled("rederive acme customers")
    assert again.code == 0
    assert "no field differs" in again.err
    assert f"unchanged      {documents}" in again.out


def test_refused_records_end_with_1_and_become_dead_letters(pulled):
    edit(f'"name": {NAME}', f'"name": {NAME} if record["id"] > "cus_000005" else 5')
    looked = pulled("rederive acme customers --dry-run")
    assert looked.code == 1
    assert pulled("dead-letters list --json").json["items"] == []
    assert "rejected: invalid_type" in looked.err
    applied = pulled("rederive acme customers")
    assert applied.code == 1
    assert "penstock dead-letters list --connection acme" in applied.err
    rejected = pulled("rederive acme customers --json")
    assert rejected.code == 0
    letters = pulled("dead-letters list --json").json["items"]
    assert rejected.json["untouched"] == {"dead_letter": len(letters)}


def test_documents_whose_pages_are_forgotten_are_told(pulled, monkeypatch):
    from penstock import config
    from penstock.app import App
    from penstock.clock import SystemClock
    from penstock.work.retention import Retainer, Retention

    class NextYear(SystemClock):
        def now(self):
            return super().now().replace(year=super().now().year + 1)

    with App.open(config.load({})) as app:
        retainer = Retainer(app.store, Retention.of_days(pages="30"), NextYear())
        assert retainer.tick()["pages"] > 0
        assert retainer.tick()["pages"] == 0
    edit(NAME, f"{NAME}.upper()")
    looked = pulled("rederive acme customers --dry-run")
    assert looked.code == 0
    assert "no longer kept: `penstock run --full` asks for them" in looked.err


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rederive nobody customers", "there is no connection 'nobody'"),
        ("rederive acme nothing", "nothing"),
        ("rederive acme customers --processes 2 --scheduler tcp://h:1", "exclude each other"),
        ("rederive acme customers --processes 0", "--processes"),
    ],
)
def test_a_wrong_call_is_a_usage_error(pulled, line, said):
    answer = pulled(line)
    assert answer.code == 2
    assert said in answer.err


@pytest.mark.sqlite
def test_what_an_observing_connection_would_differ_in_can_only_be_looked_at(pulled):
    pulled("connections set acme --observe")
    assert pulled("rederive acme customers").code == 2
    assert pulled("rederive acme customers --dry-run").code == 0


@pytest.mark.sqlite
def test_days_to_keep_pages_are_whole_numbers(pulled, monkeypatch):
    monkeypatch.setenv("PENSTOCK_KEEP_PAGES_DAYS", "a month")
    answer = pulled("doctor")
    assert answer.code == 2
    assert "keep_pages_days 'a month' must be a whole number of days" in answer.err
