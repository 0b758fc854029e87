"""The way a run has come through the pages, so that a provider cannot lead it in circles."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from penstock.errors import PageRefusedError
from penstock.upstream.request import Request

RECENT = 8


@dataclass(frozen=True, slots=True)
class Trail:
    """Digests of some requests already sent, a few hundred bytes however long the way.

    The last RECENT ones find short circles (A→A, A→B→A) at once. A mark that moves up at every
    power of two finds any other circle, within about three times its length (R. P. Brent, "An
    improved Monte Carlo factorization algorithm", 1980).
    """

    recent: tuple[str, ...] = ()
    mark: str = ""
    steps: int = 0

    def follow(self, step: Any) -> Trail:
        """The trail with one more step: a request, or a request or cursor as JSON.

        Raises PageRefusedError with code cursor_repeated.
        """
        digest = _digest(step)
        if digest == self.mark or digest in self.recent:
            raise PageRefusedError(
                "the provider hands out a page a second time; "
                "the run stops here, and what is stored stays",
                code="cursor_repeated",
            )
        steps = self.steps + 1
        mark = digest if steps & (steps - 1) == 0 else self.mark
        return Trail((*self.recent, digest)[-RECENT:], mark, steps)

    def as_json(self) -> dict[str, Any]:
        return {"recent": list(self.recent), "mark": self.mark, "steps": self.steps}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Trail:
        return cls(tuple(value["recent"]), value["mark"], value["steps"])


def _digest(step: Any) -> str:
    content = json.dumps(step, sort_keys=True, default=_as_json)
    return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:32]


def _as_json(value: Any) -> Any:
    return value.as_json() if isinstance(value, Request) else str(value)
