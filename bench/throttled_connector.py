"""What an author would write for the API of throttled.py: four streams, and how fast it allows."""

from __future__ import annotations

from typing import Any

from penstock import Connector, Cursor, Permissions, Rate, Stream

READERS = ("one", "two", "three", "four")

throttled = Connector(
    key="throttled",
    name="Throttled",
    provider="throttled",
    version="0.1.0",
    base_url="{settings.base_url}",
    settings={"type": "object", "properties": {"base_url": {"type": "string", "format": "uri"}}},
    permissions=Permissions(http=["http://127.0.0.1/*"], documents={"customer": ["write"]}),
    rate=Rate(20),
    streams=[Stream(reader, mode="poll") for reader in READERS],
)


def customer(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "customer_id": record["id"],
        "name": record["name"],
        "source_updated_at": record["updated_at"],
    }


for reader in READERS:
    throttled.collection(
        reader,
        path=f"/customers/{reader}",
        records="data",
        id="id",
        pages=Cursor("next_cursor", param="cursor"),
        document="customer",
    )(customer)
