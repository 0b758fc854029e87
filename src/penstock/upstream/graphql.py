"""Relay connections: how most GraphQL APIs page (GraphQL Cursor Connections Specification)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

from penstock.errors import PageRefusedError
from penstock.upstream.fields import MISSING, Path
from penstock.upstream.paging import PageView
from penstock.upstream.request import Request, Response

SHOWN = 3
MESSAGE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class GraphQL:
    """`pageInfo { hasNextPage endCursor }` of the connection at `path` leads to the next page.

    path: "data.invoices"; the collection's records are then "data.invoices.nodes" or
    "data.invoices.edges". The cursor goes into `variables` under the name `variable`. Sends POST,
    and as a query only reads, it may be repeated. An answer with `errors` is refused, its status
    notwithstanding.
    """

    path: str
    _: KW_ONLY
    variable: str = "after"

    def first(self, request: Request) -> Request:
        return replace(request, method="POST", safe=True)

    def next(self, request: Request, page: PageView) -> Request | None:
        refuse_errors(page.document)
        info = Path.parse(f"{self.path}.pageInfo").get(page.document)
        if type(info) is not dict or not isinstance(info.get("hasNextPage"), bool):
            raise _refused(
                f"the answer has no pageInfo at {self.path!r}; "
                "ask for pageInfo { hasNextPage endCursor } in the query"
            )
        if not info["hasNextPage"]:
            return None
        cursor = info.get("endCursor")
        if not isinstance(cursor, str) or not cursor:
            raise _refused("hasNextPage announces more, but there is no endCursor to go on from")
        variables = Path.parse(f"variables.{self.variable}")
        return replace(request, json=variables.put(request.json, cursor))

    def refuse(self, response: Response) -> None:
        """Raise what the answer's own `errors` say, before anybody misses its records."""
        refuse_errors(response.json())


def refuse_errors(document: Any) -> None:
    """Raises PageRefusedError with code graphql_errors where the document holds some."""
    errors = Path.parse("errors").get(document)
    if errors is MISSING or not errors:
        return
    listed = errors if isinstance(errors, list) else [errors]
    told = "; ".join(_message(error) for error in listed[:SHOWN])
    raise PageRefusedError(f"the provider answers with errors: {told}", code="graphql_errors")


def _message(error: Any) -> str:
    told = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(told).split())[:MESSAGE_CHARACTERS]


def _refused(message: str) -> PageRefusedError:
    return PageRefusedError(message, code="invalid_page")
