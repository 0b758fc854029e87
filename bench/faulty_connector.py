"""The connector for the faults of faults.py: payments behind a cursor."""

from __future__ import annotations

from typing import Any

from penstock import Connector, Cursor, Permissions, Stream, money

faulty = Connector(
    key="faulty",
    name="Faulty Pay",
    provider="faulty",
    version="0.1.0",
    base_url="{settings.base_url}",
    settings={
        "type": "object",
        "required": ["base_url"],
        "properties": {"base_url": {"type": "string", "format": "uri"}},
    },
    permissions=Permissions(http=["http://127.0.0.1/*"], documents={"payment": ["write"]}),
    streams=[Stream("payments", mode="poll")],
)


@faulty.collection(
    "payments",
    path="/payments",
    records="data",
    id="id",
    pages=Cursor("next_cursor", param="cursor"),
    document="payment",
)
def payment(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "payment_id": record["id"],
        "amount": money.amount(record["amount"]),
        "currency": "EUR",
        "status": "completed",
        "payment_date": "2026-03-01",
    }
