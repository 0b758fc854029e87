"""Customers, as the company knows them and as its API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from penstock.simulator.calendar import rfc3339


@dataclass(frozen=True, slots=True)
class Customer:
    """test: a customer of the provider's sandbox, whose records a reader leaves out."""

    document: ClassVar[str] = "customer"

    id: str
    name: str
    email: str
    business: bool
    currency: str
    street: str
    city: str
    postal_code: str
    country: str
    vat_id: str | None
    terms_days: int
    joined: datetime
    test: bool

    def shape(self, updated_at: datetime) -> dict[str, Any]:
        """The record as the API delivers it."""
        return {
            "id": self.id,
            "display_name": self.name,
            "kind": "business" if self.business else "person",
            "email": self.email,
            "address": {
                "street": self.street,
                "city": self.city,
                "zip": self.postal_code,
                "country": self.country,
            },
            "vat_id": self.vat_id,
            "currency": self.currency,
            "terms_days": self.terms_days,
            "test": self.test,
            "joined_at": rfc3339(self.joined),
            "updated_at": rfc3339(updated_at),
        }

    def facts(self) -> dict[str, str]:
        """What a reader must have understood, in canonical names and forms."""
        return {
            "customer_id": self.id,
            "name": self.name,
            "email": self.email,
            "currency": self.currency,
            "entity_type": "company" if self.business else "individual",
        }
