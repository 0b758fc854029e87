"""What a candidate does to a document, for every state the document can be in."""

from __future__ import annotations

from penstock.contracts import registry
from penstock.model.outcome import Outcome

CREATED, UPDATED = Outcome.CREATED, Outcome.UPDATED
UNCHANGED, STALE = Outcome.UNCHANGED, Outcome.STALE
CUSTOMER = registry.contract("customer")
