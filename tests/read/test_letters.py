"""Dead letters as people see them: the record as received and every reason."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest

from penstock.errors import UsageError
from penstock.model.identity import as_text
from penstock.model.unit import LetterState

from .conftest import NOON, Keeper


def test_a_letter_shows_the_record_as_received_and_every_reason(read, keeper):
    identity = keeper.letter(b"one")
    shown = read.letter(as_text(identity)).as_json()
    assert shown["letter_id"] == as_text(identity)
    assert shown["reason"] == "missing_field"
    assert shown["errors"] == [
        {"code": "missing_field", "path": "/name", "invariant": None, "message": "name is required"}
    ]
    assert shown["raw"] == '{"id":"cus_9","balance":0.1234567890123456789}'
    assert shown["payload"]["balance"] == Decimal("0.1234567890123456789")
    assert shown["first_seen_at"] == "2026-03-02T10:00:00.5Z"
    assert (shown["state"], shown["attempts"], shown["closed_at"]) == ("open", 1, None)
    assert (shown["gone"], shown["parent_id"]) == (False, None)


def test_a_delete_below_a_parent_says_so(read, keeper):
    kept = b'{"at":"2026-03-01T00:00:00","source_version":"9"}'
    parent = keeper.customer("cus_1", "Ann")
    identity = keeper.letter(b"one", payload=kept, gone=True, parent_id=parent)
    shown = read.letter(as_text(identity)).as_json()
    assert shown["payload"] == {"at": "2026-03-01T00:00:00", "source_version": "9"}
    assert (shown["gone"], shown["parent_id"]) == (True, as_text(parent))


def test_raw_bytes_that_are_no_text_are_shown_in_base64(read, keeper):
    identity = keeper.letter(b"one", raw=b"\xff\xfe", payload=None)
    shown = read.letter(as_text(identity)).as_json()
    assert shown["raw"] is None
    assert base64.b64decode(shown["raw_base64"]) == b"\xff\xfe"
    assert shown["payload"] is None


def test_a_payload_that_is_no_json_is_shown_as_text(read, keeper):
    identity = keeper.letter(b"one", payload=b'{"a":', raw=None)
    shown = read.letter(as_text(identity)).as_json()
    assert (shown["payload"], shown["raw"], shown["raw_base64"]) == ('{"a":', None, None)


def test_a_listing_goes_on_where_it_ended(read, keeper):
    written = sorted(as_text(keeper.letter(bytes([n]))) for n in range(5))
    first = read.letters(limit=3)
    rest = read.letters(limit=3, after=first.after)
    assert [view.letter_id for view in first.items + rest.items] == written
    assert rest.after is None


def test_letters_are_chosen_by_reason_stream_connection_and_state(read, store, keeper):
    keeper.letter(b"one")
    other = Keeper(store, connection="beta", stream="invoices")
    closed = other.letter(b"two", reason="totals_mismatch")
    assert len(read.letters(reason="totals_mismatch").items) == 1
    assert len(read.letters(stream="invoices").items) == 1
    assert len(read.letters(connection="acme").items) == 1
    store.letters.close([closed], LetterState.DISCARDED, now=NOON)
    assert len(read.letters().items) == 1
    assert len(read.letters(state=None).items) == 2
    assert read.letter(as_text(closed)).closed_at == "2026-03-02T10:00:00Z"
    assert read.counts().letters == {"missing_field": 1}


def test_a_letter_of_another_workspace_is_not_there(read, store):
    identity = Keeper(store, workspace="other").letter(b"one")
    assert read.letters(state=None).items == ()
    with pytest.raises(UsageError, match="no dead letter"):
        read.letter(as_text(identity))


@pytest.mark.parametrize("text", ["", "seven", "3f1c9a7e-0000-4000-8000-000000000001"])
def test_an_id_that_names_no_letter_is_a_usage_error(read, text):
    with pytest.raises(UsageError, match="dead letter"):
        read.letter(text)
