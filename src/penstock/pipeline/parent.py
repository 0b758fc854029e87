"""The document that a child collection's records were fetched below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.contracts import registry
from penstock.pipeline.reading import Installation
from penstock.sdk.collection import Endpoint
from penstock.store.roles import Documents


def payload_of(
    installation: Installation, endpoint: Endpoint, parent_id: bytes, documents: Documents
) -> Mapping[str, Any]:
    """Its payload as it is now. The endpoint names its stream."""
    contract = registry.contract(installation.mapping(str(endpoint.parent)).document)
    head = documents.heads([parent_id])[parent_id]  # none ever leaves the store
    content = documents.content(head.version_no)
    return contract.read(content, head.source_version, head.source_updated_at)
