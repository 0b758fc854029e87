"""Two streams of the billing API of provider.py: each has all invoices, as documents of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock import Connector, Cursor, Permissions, Stream

STREAMS = ("east", "west")
PAGE_RECORDS = 250

Record = dict[str, Any]

slow = Connector(
    key="slow",
    name="Bench Billing, far away",
    provider="slow",
    version="0.1.0",
    base_url="{settings.base_url}",
    settings={"type": "object", "properties": {"base_url": {"type": "string", "format": "uri"}}},
    permissions=Permissions(http=["http://127.0.0.1/*"], documents={"invoice": ["write"]}),
    streams=[Stream(name, mode="poll") for name in STREAMS],
)


def named(stream: str) -> Callable[[Record], str]:
    return lambda record: f"{stream}-{record['id']}"


def mapping(stream: str) -> Callable[[Record], Record]:
    def invoice(record: Record) -> Record:
        return {
            "invoice_id": named(stream)(record),
            "document_number": record["number"],
            "customer_id": record["customer"]["id"],
            "status": record["state"],
            "currency": record["currency"],
            "document_date": record["issued_on"],
            "subtotal": record["net"],
            "tax_amount": record["tax"],
            "total_amount": record["gross"],
            "line_items": [
                {
                    "line_ref": line["id"],
                    "description": line["text"],
                    "quantity": line["quantity"],
                    "unit_price": line["unit_price"],
                    "amount": line["net"],
                }
                for line in record["lines"]
            ],
            "source_updated_at": record["updated_at"],
        }

    return invoice


for name in STREAMS:
    slow.collection(
        name,
        path="/invoices",
        params={"limit": PAGE_RECORDS},
        records="data",
        id=named(name),
        pages=Cursor("next_cursor", param="cursor"),
        document="invoice",
    )(mapping(name))
