"""What a unit keeps holds no secret of its connection; the rest is as it was."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import zstandard

from penstock.app import open_store
from penstock.model.unit import Checkpoint, UnitOfWork
from penstock.pipeline.cleansing import cleansed
from penstock.pipeline.unit import archive
from penstock.testing.store_worker import Worker
from penstock.upstream.headers import Headers
from penstock.upstream.request import Request, Response
from penstock.vault.redaction import Redactor
from tests.database import url_in

SECRET = "canary-of-a-connection"
REDACT = Redactor(SECRET)
UNIT = UnitOfWork("default", "acme", "invoices", 1, 0)


def test_a_letter_keeps_everything_but_the_secret(backend, tmp_path) -> None:
    with open_store(url_in(tmp_path)) as store:
        letter = replace(
            Worker(store).letter("1"),
            message=f"cannot map {SECRET}",
            errors=f'[{{"message":"{SECRET}"}}]'.encode(),
            raw=f'{{"key":"{SECRET}","n":1.50}}'.encode(),
            payload=None,
        )
    (kept,) = cleansed(replace(UNIT, letters=(letter,)), REDACT).letters
    assert kept.message == "cannot map ***"
    assert kept.errors == b'[{"message":"***"}]'
    assert kept.raw == b'{"key":"***","n":1.50}'
    assert kept.payload is None
    assert (kept.letter_id, kept.reason) == (letter.letter_id, letter.reason)


def test_a_resume_point_is_kept_without_the_secret_and_else_as_it_is() -> None:
    clean = Checkpoint({"after": 12}, {"high": 9}, 7)
    assert cleansed(replace(UNIT, checkpoint=clean), REDACT).checkpoint == clean
    point = Checkpoint({"next": f"/x?key={SECRET}", "after": 12}, None, 7)
    kept = cleansed(replace(UNIT, checkpoint=point), REDACT).checkpoint
    assert kept == Checkpoint({"next": "/x?key=***", "after": 12}, None, 7)


def test_a_unit_without_either_is_the_same() -> None:
    assert cleansed(UNIT, REDACT) is UNIT


def test_an_archived_page_is_the_response_without_the_secret() -> None:
    body = f'{{"data":[],"next":"/x?token={SECRET}"}}'.encode()
    response = Response(
        Request("GET", "https://api.acme.test/x"), 200, Headers([]), body,
        "https://api.acme.test/x", datetime(2026, 3, 2, tzinfo=UTC), redact=REDACT,
    )  # fmt: skip
    page = archive(response)
    kept = zstandard.ZstdDecompressor().decompress(page.body)
    assert kept == body.replace(SECRET.encode(), b"***")
    assert (page.sha256, page.size) == (hashlib.sha256(kept).digest(), len(kept))
