"""The store contract: tokens that one refresher at a time replaces."""

from __future__ import annotations

from dataclasses import replace

from penstock.model.connection import ConnectionState
from penstock.store.rows import StoredTokens
from penstock.testing.store_case import StoreCase, in_threads
from penstock.testing.store_worker import EVERY_BYTE, NOW, connection

OURS = ("default", "acme")


class TokensContract(StoreCase):
    """Role `Tokens`."""

    def test_a_connection_without_tokens_has_no_row(self) -> None:
        assert self.store.tokens.get(*OURS) is None
        self._connect(tokens=None)
        assert self.store.tokens.get(*OURS) is None

    def test_tokens_come_with_the_connection_they_belong_to(self) -> None:
        self._connect(tokens=EVERY_BYTE)
        assert self._row() == StoredTokens(1, "", EVERY_BYTE, None, None, None)

    def test_a_new_grant_replaces_everything_and_moves_on(self) -> None:
        self._connect()
        assert self.store.tokens.begin(*OURS, 1, "a", over="", now=NOW)
        self.store.tokens.save(*OURS, 1, b"second", now=NOW)
        assert self.store.tokens.begin(*OURS, 2, "b", over="", now=NOW)
        self._connect(tokens=b"new grant")
        assert self._row() == StoredTokens(3, "", b"new grant", None, None, None)

    def test_saving_a_connection_leaves_its_tokens(self) -> None:
        self._connect()
        before = self._row()
        self._connect(tokens=None)
        assert self._row() == before

    def test_the_first_intent_makes_the_row(self) -> None:
        self._connect(tokens=None)
        assert self.store.tokens.begin(*OURS, 0, "a", over="", now=NOW)
        assert self._row() == StoredTokens(0, "a", None, None, None, None)
        assert not self.store.tokens.begin(*OURS, 0, "b", over="", now=NOW)

    def test_one_attempt_at_a_time(self) -> None:
        self._connect()
        tokens = self.store.tokens
        assert tokens.begin(*OURS, 1, "a", over="", now=NOW)
        assert not tokens.begin(*OURS, 1, "b", over="", now=NOW)
        assert not tokens.begin(*OURS, 1, "b", over="c", now=NOW)
        assert not tokens.begin(*OURS, 0, "b", over="a", now=NOW)
        assert self._row().attempt == "a"

    def test_a_named_attempt_is_taken_over_by_one(self) -> None:
        self._connect()
        self.store.tokens.begin(*OURS, 1, "dead", over="", now=NOW)
        stores, got = [self.store, self.open_again()], []

        def begin(n: int) -> None:
            if stores[n % 2].tokens.begin(*OURS, 1, f"worker {n}", over="dead", now=NOW):
                got.append(f"worker {n}")

        in_threads(*(lambda n=n: begin(n) for n in range(8)))
        assert got == [self._row().attempt]

    def test_a_saved_pair_is_current_and_the_old_one_previous(self) -> None:
        self._connect()
        self.store.tokens.begin(*OURS, 1, "a", over="", now=NOW)
        assert self.store.tokens.save(*OURS, 1, b"second", now=NOW)
        assert self._row() == StoredTokens(2, "", b"second", b"first", None, None)

    def test_a_late_pair_is_kept_beside_and_moves_nothing(self) -> None:
        self._connect()
        assert self.store.tokens.save(*OURS, 1, b"second", now=NOW)
        assert not self.store.tokens.save(*OURS, 1, b"late", now=NOW)
        assert self._row() == StoredTokens(2, "", b"second", b"first", b"late", None)

    def test_what_has_worked_needs_no_other(self) -> None:
        self._connect()
        self.store.tokens.save(*OURS, 1, b"second", now=NOW)
        self.store.tokens.save(*OURS, 1, b"late", now=NOW)
        self.store.tokens.worked(*OURS, 1)
        assert self._row().previous == b"first"
        self.store.tokens.worked(*OURS, 2)
        assert self._row() == StoredTokens(2, "", b"second", None, None, None)

    def test_only_the_attempt_itself_is_abandoned(self) -> None:
        self._connect()
        self.store.tokens.begin(*OURS, 1, "a", over="", now=NOW)
        self.store.tokens.abandon(*OURS, "b")
        assert self._row().attempt == "a"
        self.store.tokens.abandon(*OURS, "a")
        assert self._row().attempt == ""

    def test_a_lost_grant_says_so_at_its_connection(self) -> None:
        self._connect()
        self.store.tokens.begin(*OURS, 1, "a", over="", now=NOW)
        assert self.store.tokens.lose(*OURS, 1, "a", reason="gone", now=NOW)
        assert self._row() == StoredTokens(1, "", b"first", None, None, "gone")
        assert self._state() == (ConnectionState.NEEDS_REAUTH, "gone")
        assert not self.store.tokens.begin(*OURS, 1, "b", over="", now=NOW)

    def test_only_who_has_the_word_loses_it(self) -> None:
        self._connect()
        tokens = self.store.tokens
        tokens.begin(*OURS, 1, "a", over="", now=NOW)
        tokens.begin(*OURS, 1, "b", over="a", now=NOW)
        assert not tokens.lose(*OURS, 1, "a", reason="gone", now=NOW)
        assert tokens.save(*OURS, 1, b"second", now=NOW)
        assert not tokens.lose(*OURS, 1, "b", reason="gone", now=NOW)
        assert self._state() == (ConnectionState.ACTIVE, None)

    def test_a_late_pair_saves_what_was_lost(self) -> None:
        self._connect()
        self.store.tokens.begin(*OURS, 1, "b", over="", now=NOW)
        self.store.tokens.lose(*OURS, 1, "b", reason="gone", now=NOW)
        assert self.store.tokens.save(*OURS, 1, b"late", now=NOW)
        assert self._state() == (ConnectionState.ACTIVE, None)
        assert self._row().sealed == b"late"

    def test_a_pause_is_not_ended_by_tokens(self) -> None:
        self._connect()
        self.store.connections.set(*OURS, state=ConnectionState.PAUSED)
        self.store.tokens.save(*OURS, 1, b"second", now=NOW)
        assert self._state() == (ConnectionState.PAUSED, None)

    def test_tokens_go_with_their_connection_and_belong_to_their_workspace(self) -> None:
        self._connect()
        theirs = connection(workspace="theirs")
        self.store.connections.save(theirs, {}, tokens=b"theirs", now=NOW)
        self.store.connections.remove(*OURS)
        assert self.store.tokens.get(*OURS) is None
        found = self.store.tokens.get("theirs", "acme")
        assert found is not None
        assert found.sealed == b"theirs"

    def test_facts_and_a_reason_are_kept(self) -> None:
        facts = {"instance_url": "https://acme.test", "deep": [1, None, "ä"]}
        ours = replace(connection(), facts=facts, state=ConnectionState.NEEDS_REAUTH, reason="gone")
        self.store.connections.save(ours, {}, now=NOW)
        assert self.store.connections.get(*OURS) == ours

    def _connect(self, tokens: bytes | None = b"first") -> None:
        self.store.connections.save(connection(), {}, tokens=tokens, now=NOW)

    def _row(self) -> StoredTokens:
        row = self.store.tokens.get(*OURS)
        assert row is not None
        return row

    def _state(self) -> tuple[ConnectionState, str | None]:
        found = self.store.connections.get(*OURS)
        assert found is not None
        return found.state, found.reason
