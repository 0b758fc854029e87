"""Look at an endpoint: two pages of it, and what they tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from penstock.errors import PageRefusedError, UpstreamError
from penstock.upstream import wire
from penstock.upstream.counted import Offset
from penstock.upstream.paging import Pager, PageView, SinglePage
from penstock.upstream.probe.declaration import Collection, spelled
from penstock.upstream.probe.guess import Guess, guesses
from penstock.upstream.probe.limits import limits, rate
from penstock.upstream.probe.sight import Sight, look
from penstock.upstream.probe.watermark import Watermark, watermark
from penstock.upstream.request import Request, Response, address

TRIES = 4
"""Second pages asked for, where the first does not tell which parameter takes its mark."""

Send = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Paging:
    """How the endpoint pages. confirmed: the second page was asked for so, and held other records;
    None where there was none to ask for."""

    pager: Pager
    reason: str
    confirmed: bool | None

    def as_json(self) -> dict[str, Any]:
        return {
            "declaration": spelled(self.pager),
            "reason": self.reason,
            "confirmed": self.confirmed,
        }


@dataclass(frozen=True, slots=True)
class Findings:
    """What two pages told. pages: those seen, the first one and at most one more."""

    url: str
    requests: int
    pages: tuple[Sight, ...]
    paging: Paging
    watermark: Watermark | None
    limits: dict[str, str]
    collection: Collection

    @property
    def declaration(self) -> str:
        return self.collection.spelled()

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a person should know before pasting, as sentences."""
        return tuple(_doubts(self))

    def as_json(self) -> dict[str, Any]:
        first = self.pages[0]
        return {
            "url": self.url,
            "requests": self.requests,
            "records": first.path,
            "counts": [len(page.records) for page in self.pages],
            "id": first.id,
            "fields": [field.as_json() for field in first.fields],
            "paging": self.paging.as_json(),
            "watermark": self.watermark and self.watermark.as_json(),
            "rate_limits": self.limits,
            "rate": rate(self.limits),
            "declaration": self.declaration,
            "notes": list(self.doubts),
        }


def probe(
    send: Send,
    request: Request,
    collection: Collection,
    *,
    records: str | None = None,
    declared: Pager | None = None,
) -> Findings:
    """Fetch the first page and one more, and say what they tell.

    request: for the first page, without any paging. collection: what is known of the declaration
    already. records: the path of the records, None to find it. declared: the pager that stands
    there now, tried first. Raises PageRefusedError where no listing comes, and what sending raises.
    """
    first = look(send(request), records)
    candidates = guesses(first, request)
    if declared is not None and declared != SinglePage():
        candidates.insert(0, Guess(declared, "so it is declared"))
    paging, second, tried = _second_page(send, request, first, candidates[:TRIES])
    pages = (first,) if second is None else (first, second)
    found = watermark([record for page in pages for record in page.records])
    return Findings(
        url=address(replace(request, params=())),
        requests=1 + tried,
        pages=pages,
        paging=paging,
        watermark=found,
        limits=limits(first.response),
        collection=_completed(collection, first, paging, found),
    )


def _second_page(
    send: Send, request: Request, first: Sight, candidates: list[Guess]
) -> tuple[Paging, Sight | None, int]:
    """(how it pages, the page that shows it, requests made)."""
    refuted: list[str] = []
    for guess in candidates:
        following = _following(guess.pager, request, first)
        if following is None:
            return (
                Paging(guess.pager, f"{guess.reason}; all came at once", None),
                None,
                len(refuted),
            )
        second = _answer(send, following, first.path)
        if second is not None and second.names() - first.names():
            return Paging(guess.pager, guess.reason, True), second, len(refuted) + 1
        if second is not None and not second.records:
            reason = f"{guess.reason}; the second page is empty"
            return Paging(guess.pager, reason, None), second, len(refuted) + 1
        refuted.append(spelled(guess.pager))
    if not candidates:
        return Paging(SinglePage(), "nothing names a next page", None), None, 0
    best = candidates[0]
    reason = f"{best.reason}, but no further records came with {', '.join(refuted)}"
    return Paging(best.pager, reason, False), None, len(refuted)


def _following(pager: Pager, request: Request, sight: Sight) -> Request | None:
    try:
        envelope = wire.split(sight.response.json_text(), sight.path)
        raw = envelope.records
        view = PageView(
            sight.response,
            envelope.rest,
            len(raw),
            last=lambda: wire.decode_record(raw[-1]),
            raw=raw,
        )
        return pager.next(pager.first(request), view)
    except PageRefusedError:
        return None


def _answer(send: Send, request: Request, path: str) -> Sight | None:
    """The second page, None where the provider refuses the request or answers something else."""
    try:
        return look(send(request), path)
    except (UpstreamError, PageRefusedError):
        return None


def _completed(
    known: Collection, first: Sight, paging: Paging, found: Watermark | None
) -> Collection:
    """The declaration with what was found; what is known stays."""
    pages = paging.pager if paging.confirmed is not False else known.pages
    sent = {getattr(pages, "param", None)}
    params = {name: value for name, value in (known.params or {}).items() if name not in sent}
    return replace(
        known,
        records=first.path,
        id=known.id or first.id or "id",
        params=params,
        pages=pages,
        since=known.since or (found.since if found else None),
    )


def _doubts(findings: Findings) -> Iterator[str]:
    first, found, since = findings.pages[0], findings.watermark, findings.collection.since
    if findings.paging.confirmed is False:
        yield "how it pages is not known; see the table of pagers in the author's guide"
    if isinstance(findings.collection.pages, Offset):
        yield "offset paging can skip rows that move meanwhile; ask in the order of an id"
    if first.id is None:
        yield "no field names a record: id= is a guess"
    if since is None:
        yield "no field tells a time of change: every run will read everything"
    elif not since.asks:
        yield "since= only measures: add param= or header= where the API filters by it"
    if found is not None and found.note:
        yield f"{found.since.field}: {found.note}"
    if found is not None and found.missing:
        yield f"{found.since.field} is missing in {found.missing} of the records"
    if told := rate(findings.limits):
        yield f"the provider tells its pace; on the Connector: rate={told}"
