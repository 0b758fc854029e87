"""The connector under measurement: what an author would write for the billing API of provider.py.

One collection with a cursor and `updated_since`; the mapping gives an `invoice` with its lines,
document tax and billing address. Amounts come as decimal strings and stay as they are.
"""

from __future__ import annotations

from typing import Any

from penstock import Bearer, Connector, Cursor, Permissions, Since, Stream

bench = Connector(
    key="bench",
    name="Bench Billing",
    provider="bench",
    version="0.1.0",
    base_url="{settings.base_url}",
    settings={
        "type": "object",
        "required": ["base_url", "api_key"],
        "properties": {
            "base_url": {"type": "string", "format": "uri"},
            "api_key": {"type": "string", "x-secret": True},
        },
    },
    auth=Bearer(secret="api_key"),
    permissions=Permissions(http=["http://127.0.0.1/*"], documents={"invoice": ["write"]}),
    streams=[Stream("invoices", mode="poll", schedule="*/15 * * * *")],
)


@bench.collection(
    "invoices",
    path="/invoices",
    params={"limit": 1000},
    records="data",
    id="id",
    pages=Cursor("next_cursor", param="cursor"),
    since=Since(param="updated_since", field="updated_at"),
    document="invoice",
)
def invoice(record: dict[str, Any]) -> dict[str, Any]:
    customer, billing = record["customer"], record["billing"]
    return {
        "invoice_id": record["id"],
        "document_number": record["number"],
        "customer_id": customer["id"],
        "customer_name": customer["name"],
        "status": record["state"],
        "currency": record["currency"],
        "document_date": record["issued_on"],
        "due_date": record["due_on"],
        "subtotal": record["net"],
        "tax_amount": record["tax"],
        "total_amount": record["gross"],
        "reported_amount_paid": record["paid"],
        "reported_amount_due": record["due"],
        "po_number": record["order"],
        "payment_terms": record["terms"],
        "memo": record["note"],
        "billing_address": {
            "line1": billing["street"],
            "city": billing["city"],
            "postal_code": billing["zip"],
            "country": billing["country"],
        },
        "tax_lines": [
            {
                "rate_percent": record["tax_rate"],
                "taxable_amount": record["net"],
                "tax_amount": record["tax"],
            }
        ],
        "line_items": [
            {
                "line_ref": line["id"],
                "description": line["text"],
                "product_id": line["product"],
                "quantity": line["quantity"],
                "unit_price": line["unit_price"],
                "amount": line["net"],
            }
            for line in record["lines"]
        ],
        "issued_at": record["created_at"],
        "source_updated_at": record["updated_at"],
    }
