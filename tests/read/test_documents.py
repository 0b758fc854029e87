"""Documents as people see them: envelope, payload with its marks, history, origin."""

from __future__ import annotations

import json

import pytest

from penstock.errors import UnknownDocumentTypeError, UsageError
from penstock.model.identity import as_text
from penstock.model.unit import DocumentState

from .conftest import Keeper


def test_a_document_shows_its_payload_with_the_source_marks_put_back(read, keeper):
    identity = keeper.customer(
        "cus_77", "Nordlicht GmbH", source_updated_at="2026-03-01T09:30:00+01:00"
    )
    shown = read.document(as_text(identity)).as_json()
    assert shown["payload"] == {
        "customer_id": "cus_77",
        "name": "Nordlicht GmbH",
        "source_updated_at": "2026-03-01T08:30:00Z",
    }
    assert shown["document_id"] == as_text(identity)
    assert shown["connection_id"] == "acme"
    assert shown["idempotency_key"] == "acme:customer:cus_77"
    assert (shown["version"], shown["state"]) == (1, "live")
    assert shown["recorded_at"] == "2026-03-02T10:00:00.5Z"
    assert len(shown["payload_hash"]) == 64
    assert shown["flags"][0]["code"] == "future_dated"


def test_a_document_tells_where_it_came_from(read, keeper):
    identity = keeper.customer("cus_77", "Nordlicht GmbH")
    origin = read.document(as_text(identity)).as_json()["provenance"]
    assert origin["connector"] == "acme"
    assert origin["stream"] == "customers"
    assert origin["url"] == "https://api.acme.test/customers?limit=200"
    assert origin["received_at"] == "2026-03-02T10:00:00Z"
    assert origin["raw_sha256"] == bytes(range(32)).hex()


def test_a_history_has_every_version_oldest_first(read, keeper):
    for name in ("Nordlicht", "Nordlicht GmbH", "Nordlicht AG"):
        identity = keeper.customer("cus_77", name)
    story = read.document(as_text(identity))
    history = story.with_history()["history"]
    assert [version["version"] for version in history] == [1, 2, 3]
    assert [version["payload"]["name"] for version in history] == [
        "Nordlicht",
        "Nordlicht GmbH",
        "Nordlicht AG",
    ]
    assert len({version["document_version_id"] for version in history}) == 3
    assert story.as_json()["document_version_id"] == history[-1]["document_version_id"]
    assert "history" not in story.as_json()


def test_everything_shown_is_json(read, keeper):
    identity = keeper.customer("cus_77", "Zoë 🙂")
    shown = read.document(as_text(identity)).with_history()
    assert json.loads(json.dumps(shown)) == shown


def test_a_document_is_found_by_the_providers_own_id(read, keeper):
    identity = keeper.customer("cus_77", "Nordlicht GmbH")
    assert read.document("cus_77").document.document_id == as_text(identity)
    assert read.document("cus_77", "customer", "acme").document.source_id == "cus_77"


def test_a_providers_id_that_looks_like_ours_is_found_too(read, keeper):
    theirs = "3f1c9a7e-0000-4000-8000-000000000001"
    keeper.customer(theirs, "Nordlicht GmbH")
    assert read.document(theirs).document.source_id == theirs


def test_several_documents_with_one_providers_id_are_named(read, store, keeper):
    keeper.customer("cus_77", "Nordlicht GmbH")
    Keeper(store, connection="other").customer("cus_77", "Someone else")
    with pytest.raises(UsageError, match=r"acme .* other"):
        read.document("cus_77")
    assert read.document("cus_77", connection="other").document.payload["name"] == "Someone else"


@pytest.mark.parametrize("reference", ["cus_1", "3f1c9a7e-0000-4000-8000-000000000001"])
def test_what_is_not_there_is_a_usage_error(read, keeper, reference):
    keeper.customer("cus_77", "Nordlicht GmbH")
    with pytest.raises(UsageError, match="no document"):
        read.document(reference)


def test_a_deleted_document_says_so_and_keeps_its_content(read, keeper):
    keeper.customer("cus_77", "Nordlicht GmbH")
    keeper.customer("cus_77", "Nordlicht GmbH", state=DocumentState.DELETED)
    shown = read.documents("customer").items[0]
    assert (shown.state, shown.lifecycle, shown.version) == ("deleted", "deleted", 2)
    assert shown.payload["name"] == "Nordlicht GmbH"


def test_another_workspace_sees_nothing_of_it(store, read, keeper):
    theirs = Keeper(store, workspace="other")
    identity = theirs.customer("cus_77", "Nordlicht GmbH")
    assert read.documents("customer").items == ()
    for reference in (as_text(identity), "cus_77"):
        with pytest.raises(UsageError):
            read.document(reference)


def test_a_listing_goes_on_where_it_ended_and_misses_nothing(read, store, keeper):
    for number in range(7):
        keeper.customer(f"cus_{number}", f"Customer {number}")
    Keeper(store, connection="beta").customer("cus_0", "Same id elsewhere")
    seen, after = [], None
    while True:
        listing = read.documents("customer", limit=2, after=after)
        assert len(listing.items) <= 2
        seen += [(view.connection_id, view.source_id) for view in listing.items]
        after = listing.after
        if after is None:
            break
    assert seen == [("acme", f"cus_{n}") for n in range(7)] + [("beta", "cus_0")]


def test_documents_that_share_a_source_id_are_never_cut_apart(read, keeper):
    for key in "abc":
        keeper.customer("cus_1", "One id, three keys", key=key)
    keeper.customer("cus_2", "Another")
    first = read.documents("customer", limit=2)
    rest = read.documents("customer", limit=2, after=first.after)
    assert len(first.items) == 3
    assert [view.source_id for view in rest.items] == ["cus_2"]
    assert rest.after is None


def test_a_listing_that_ends_exactly_at_its_limit_promises_no_more(read, keeper):
    keeper.customer("cus_1", "One")
    keeper.customer("cus_2", "Two")
    assert read.documents("customer", limit=2).after is None
    assert read.documents("customer", "acme", limit=1).after is not None
    assert read.documents("customer", "nobody").as_json() == {"items": [], "after": None}


@pytest.mark.parametrize("after", ["%%%", "bm9uc2Vuc2U", "WyJhIl0"])
def test_a_place_that_no_listing_gave_is_refused(read, after):
    with pytest.raises(UsageError):
        read.documents("customer", after=after)


def test_wrong_questions_are_refused(read):
    with pytest.raises(UnknownDocumentTypeError):
        read.documents("custommer")
    with pytest.raises(UsageError):
        read.documents("customer", limit=0)


def test_counts_are_by_type(read, keeper):
    keeper.customer("cus_1", "One")
    keeper.customer("cus_1", "One and more")
    keeper.customer("cus_2", "Two")
    counts = read.counts().as_json()
    assert counts["documents"]["customer"] == {"documents": 2, "deleted": 0, "versions": 3}
    assert counts["dead_letters"] == {}
