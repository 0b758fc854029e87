"""The way a run has come through the pages, so that a provider cannot lead it in circles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from penstock.errors import PageRefusedError
from penstock.upstream.request import Request

RECENT = 8
PAGES = 1_000_000
"""Of one enumeration. At twenty requests a second it takes 14 hours to get there."""
EMPTY_PAGES = 1_000
"""In a row, each of them leading on to another."""
SAME_PAGES = 3
"""In a row, the same records again behind different requests. Two may happen: a row that is
inserted can push the one record of a short page onto the next."""
LAPS = 2
"""Returns to one marked page; between them everything else was read again as well."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Digests of some requests already sent, a few hundred bytes however long the way.

    The last RECENT ones find short circles (A→A, A→B→A) at once. A mark that moves up at every
    power of two finds any other circle, within about three times its length (R. P. Brent, "An
    improved Monte Carlo factorization algorithm", 1980). The same is done with what the pages
    hold, for providers that hand out the same records under ever new cursors; same: how many in a
    row were read before, laps: how often the marked one came back, empty: pages without records
    in a row.
    """

    recent: tuple[str, ...] = ()
    mark: str = ""
    steps: int = 0
    pages: tuple[str, ...] = ()
    page_mark: str = ""
    same: int = 0
    laps: int = 0
    empty: int = 0

    def follow(self, step: Any, records: Sequence[bytes] | None = None) -> Trail:
        """The trail with one more step: a request, or a request or cursor as JSON.

        records: those of the page that led to this step. Raises PageRefusedError with code
        cursor_repeated, page_repeated, endless_pages or page_limit.
        """
        digest = _digest(step)
        if digest == self.mark or digest in self.recent:
            raise _refused("cursor_repeated", "the provider hands out a page a second time")
        if self.steps >= PAGES:
            raise _refused("page_limit", f"the enumeration has more than {PAGES:,} pages")
        trail = self if records is None else self._passed(records)
        steps = self.steps + 1
        mark = digest if _is_power_of_two(steps) else self.mark
        return replace(trail, recent=(*self.recent, digest)[-RECENT:], mark=mark, steps=steps)

    def _passed(self, records: Sequence[bytes]) -> Trail:
        if not records:
            if self.empty + 1 >= EMPTY_PAGES:
                raise _refused("endless_pages", f"{EMPTY_PAGES:,} empty pages lead on and on")
            return replace(self, empty=self.empty + 1)
        page = _of_page(records)
        same = self.same + 1 if page in self.pages else 0
        laps = self.laps + (page == self.page_mark)
        if same >= SAME_PAGES or laps >= LAPS:
            raise _refused(
                "page_repeated",
                "the provider hands out the same records again, as if it ignored page or cursor",
            )
        moves = _is_power_of_two(self.steps + 1)
        return replace(
            self,
            pages=(*self.pages, page)[-RECENT:],
            page_mark=page if moves else self.page_mark,
            laps=0 if moves else laps,
            same=same,
            empty=0,
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "recent": list(self.recent),
            "mark": self.mark,
            "steps": self.steps,
            "pages": list(self.pages),
            "page_mark": self.page_mark,
            "same": self.same,
            "laps": self.laps,
            "empty": self.empty,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Trail:
        """The trail that `as_json` wrote."""
        lists = {name: tuple(value.get(name, ())) for name in ("recent", "pages")}
        return cls(**{**value, **lists})


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _of_page(records: Sequence[bytes]) -> str:
    """Its length and its two ends tell a page from any other."""
    ends = b"\0".join((records[0], records[-1]))
    return hashlib.sha256(b"%d\0%b" % (len(records), ends)).hexdigest()[:16]


def _digest(step: Any) -> str:
    content = json.dumps(step, sort_keys=True, default=_as_json)
    return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:32]


def _as_json(value: Any) -> Any:
    return value.as_json() if isinstance(value, Request) else str(value)


def _refused(code: str, what: str) -> PageRefusedError:
    return PageRefusedError(f"{what}; the run stops here, and what is stored stays", code=code)
