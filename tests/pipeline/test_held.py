"""A held page on its way through the store comes back as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import zstandard

from penstock.contracts import registry
from penstock.model.identity import document_id
from penstock.model.rejection import rejected
from penstock.model.unit import Wake
from penstock.pipeline import held
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.examine import Desk, Origin
from penstock.pipeline.letters import Postmaster, Subject
from penstock.pipeline.source import Page
from penstock.pipeline.stage import Stage
from penstock.pipeline.unit import archive
from penstock.sdk.emit import Gone
from penstock.sdk.submission import Submission
from penstock.upstream.headers import Headers
from penstock.upstream.request import Request, Response
from penstock.vault.redaction import Redactor

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
POST = Postmaster("default", "acme", "customers")


def candidates() -> list[Candidate]:
    desk = Desk.for_type("default", "acme", "customers", registry.contract("customer"))
    payload = {"customer_id": "1", "name": "Zoë \U0001f600", "email": "z@acme.test"}
    origin = Origin(1, NOW.date(), None, b"m" * 16, 3)
    made = [
        desk.examine(Submission("customer", payload, "acme:customer:1"), origin),
        desk.examine(Submission("customer", Gone(NOW), "acme:customer:2", None, "7"), origin),
    ]
    assert all(isinstance(one, Candidate) for one in made)
    return made


def test_everything_comes_back() -> None:
    request = Request("GET", "https://api.acme.test/sync")
    response = Response(request, 200, Headers(), b'{"added": []}', request.url, NOW)
    stage = Stage(5, POST, responses=[response], candidates=candidates(), raws={3: b"\x00raw"})
    stage.set_aside(
        Subject("customers", "customer", payload={"total": Decimal("1.10")}), rejected("x", "y")
    )
    stage.fetched, stage.filtered, stage.extra_emits, stage.unmarked = 4, 1, 2, 1
    stage.wakes.append(Wake("invoices", full=True))
    stage.saw(7)
    page = Page(stage, {"after": 9}, has_more=True, watermark=11, hold=True)

    again = held.read(held.write(page), POST, {"after": 9})
    assert (again.cursor, again.has_more, again.watermark, again.hold) == (
        {"after": 9},
        True,
        11,
        True,
    )
    back = again.stage
    assert back.candidates == stage.candidates
    assert back.archived == [archive(response)]
    for name in ("raws", "letters", "fetched", "filtered", "extra_emits", "unmarked", "high"):
        assert getattr(back, name) == getattr(stage, name), name
    assert (back.received_at, back.rejected, back.wakes) == (5, 1, [Wake("invoices", full=True)])
    assert back.heads == {}


def test_identities_are_those_of_the_documents() -> None:
    stage = Stage(5, POST, candidates=candidates())
    back = held.read(held.write(Page(stage, None, has_more=False)), POST, None).stage
    key = "acme:customer:1"
    assert back.candidates[0].document_id == document_id("default", "acme", "customer", key)


def test_a_secret_that_the_provider_repeats_is_not_kept() -> None:
    """SE7: neither in the raw record, nor in what was submitted, nor in a letter."""
    secret = "canary-0123456789abcdef"
    made = candidates()[0]._replace(payload={"note": secret})
    stage = Stage(5, POST, candidates=[made], raws={0: f'{{"note": "{secret}"}}'.encode()})
    stage.set_aside(Subject("customers", "customer", payload={"note": secret}), rejected("x", "y"))
    page = Page(stage, None, has_more=True, hold=True)
    for redact, hits in ((Redactor(), 3), (Redactor(secret), 0)):
        plain = zstandard.ZstdDecompressor().decompress(held.write(page, redact))
        assert plain.count(secret.encode()) == hits
