"""Three hours of somebody else's API in fast time, with nobody watching."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.app import App
from penstock.config import Settings
from penstock.contracts import registry
from penstock.testing import ManualClock
from tests.database import KEY, url_in
from tests.long.provider import LongDay

CONNECTOR = """
from penstock import Connector, Cursor, OAuth2, Permissions, Rate, Since, Stream

acme = Connector(
    key="acme", name="Acme", provider="acme", version="0.1.0", base_url="{settings.base_url}",
    settings={"type": "object", "required": ["base_url"], "properties": {
        "base_url": {"type": "string"}, "client_id": {"type": "string"},
        "client_secret": {"type": "string", "x-secret": True}}},
    auth=OAuth2("client_credentials", "{settings.base_url}/token"),
    rate=Rate(30, per=60),
    permissions=Permissions(http=["http://127.0.0.1/*"], documents={"customer": ["write"]}),
    streams=[Stream("customers", mode="poll")],
)

@acme.collection("customers", path="/customers", records="data", id="id",
                 pages=Cursor("next_cursor", param="cursor"),
                 since=Since(param="updated_since", field="updated_at"), document="customer")
def customer(record):
    return {"customer_id": record["id"], "name": record["name"],
            "source_updated_at": record["updated_at"]}
"""

PAGES = 2_500
"""At 4 s each, and a limit now and then, a little more than three hours."""


def unattended(app: App, clock: ManualClock) -> int:
    """Run as a scheduler would: again when a parked stream is due, and a minute after a failure.

    How many runs it took; no more than a day of them.
    """
    for number in range(1, 1_000):
        (report,) = app.run("acme", wait_s=0)
        if not report.failed:
            return number
        (state,) = app.store.streams.list("default", "acme")
        now = int(clock.now().timestamp() * 1_000_000)
        due = state.next_run_at or now + 60_000_000
        clock.advance(max(due - now, 0) / 1_000_000)
    raise AssertionError("it did not come to rest by itself")


@pytest.mark.torture
def test_three_hours_with_five_hundred_breaks_end_equal_to_the_source(
    backend: str, tmp_path: Path
) -> None:
    """Tokens expire, limits tighten, records move, the network breaks 500 times."""
    end_to_end(tmp_path, pages=PAGES, breaks=500, hours=3)


def test_a_quarter_of_an_hour_of_it(backend: str, tmp_path: Path) -> None:
    """SA30: every fifth request breaks."""
    end_to_end(tmp_path, pages=260, breaks=52, hours=0.25)


def end_to_end(tmp_path: Path, *, pages: int, breaks: int, hours: float) -> None:
    file = tmp_path / "acme_long.py"
    file.write_text(CONNECTOR)
    clock = ManualClock(datetime(2026, 3, 2, 6, tzinfo=UTC))
    settings = Settings(database=url_in(tmp_path), master_key=KEY)
    with (
        LongDay(clock, records=pages * 20, latency_s=4.0, breaks=breaks) as day,
        App.open(settings, clock=clock) as app,
    ):
        given = {"base_url": day.url, "client_id": "me"}
        app.connect(str(file), "acme", given, {"client_secret": "s3cret"}, allow_loopback=True)
        runs = unattended(app, clock)
        first = day.counts
        assert clock.monotonic() >= hours * 3600
        assert first.broken == breaks, "not every break was met"
        assert first.tokens >= hours * 3600 / 900, "tokens did not expire"
        assert first.refused > 0, "the limit never bit"

        day.moves = False
        clock.advance(600)
        runs += unattended(app, clock)

        stored = {
            row.source_id: registry.contract("customer").read(content, None, None)["name"]
            for row, content in app.store.reader.contents("default", "customer")
        }
        assert stored == {key: row["name"] for key, row in day.rows.items()}
        assert app.store.letters.counts("default") == {}
        # Every record once for each time it moved, what broke once more, and a token now and then.
        pages_at_best = (day.records + day.moved) / 20 + runs
        ideal = pages_at_best + day.counts.broken + day.counts.tokens
        assert day.counts.asked <= 1.02 * ideal, (day.counts, ideal)
        assert day.counts.expired == 0, "a token was used past its time"
