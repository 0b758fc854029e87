"""How an endpoint seems to page, judged from its first page. Pure.

A rule is a generator from a page to guesses; `RULES` lists them, the most telling first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from penstock.upstream.counted import Offset, PageNumber
from penstock.upstream.graphql import GraphQL
from penstock.upstream.links import LinkHeader, NextUrl, parse
from penstock.upstream.paging import Cursor, Pager
from penstock.upstream.probe.sight import Sight, leaf, members, plain
from penstock.upstream.request import Request

LINKS = ("next", "nextlink", "nexturl", "nexthref", "nexturi", "nextpage", "nextpageurl")
HOLDERS = ("href", "link", "uri", "url")
CURSORS = (
    "after",
    "bookmark",
    "continuation",
    "continuationtoken",
    "cursor",
    "endcursor",
    "marker",
    "next",
    "nextcursor",
    "nextid",
    "nextkey",
    "nextmarker",
    "nextpage",
    "nextpagecursor",
    "nextpagetoken",
    "nextstartkey",
    "nexttoken",
    "pagetoken",
    "scrollid",
)
FLAGS = ("hasmore", "more", "moreavailable", "hasnext", "hasnextpage", "moreitems")
PAGES = ("totalpages", "pagecount", "lastpage", "numpages", "pages", "nbpages")
TOTALS = ("total", "totalcount", "totalresults", "totalrecords", "totalitems", "count", "size")
OFFSETS = ("offset", "skip", "start", "startat", "startindex")
SIZES = ("limit", "perpage", "pagesize", "size", "count", "maxresults", "top", "take")
USUAL_SIZES = (10, 20, 25, 30, 50, 100, 200, 250, 500, 1000)


@dataclass(frozen=True, slots=True)
class Guess:
    """pager: what would be declared. reason: what was seen, as a sentence's end."""

    pager: Pager
    reason: str


Rule = Callable[[Sight, Request], Iterator[Guess]]


def guesses(sight: Sight, request: Request) -> list[Guess]:
    """All of them, the likeliest first. request: the one that was answered."""
    return [guess for rule in RULES for guess in rule(sight, request)]


def _link_header(sight: Sight, request: Request) -> Iterator[Guess]:  # noqa: ARG001
    header = sight.response.headers.get("link", "")
    if any(link.leads("next") for link in parse(header)):
        yield Guess(LinkHeader(), "the header Link names the next page")


def _graphql(sight: Sight, request: Request) -> Iterator[Guess]:
    for path, value in members(sight.document):
        if path.endswith(".pageInfo") and isinstance(value, dict) and "hasNextPage" in value:
            query = request.json.get("query", "") if isinstance(request.json, dict) else ""
            named = re.search(r"\bafter\s*:\s*\$(\w+)", str(query))
            pager = GraphQL(path.removesuffix(".pageInfo"), variable=named[1] if named else "after")
            yield Guess(pager, f"{path} is that of a relay connection")


def _next_url(sight: Sight, request: Request) -> Iterator[Guess]:  # noqa: ARG001
    for path, value in members(sight.document):
        parent = leaf(path.rpartition(".")[0])
        names_next = leaf(path) in LINKS or (leaf(path) in HOLDERS and parent == "next")
        names_next = names_next or plain(path).endswith(("nextlink", "nextrecordsurl"))
        if names_next and isinstance(value, str) and _is_link(value):
            yield Guess(NextUrl(path), f"{path} holds the next page's URL")


def _cursor(sight: Sight, request: Request) -> Iterator[Guess]:
    for path, value in members(sight.document):
        if leaf(path) not in CURSORS or not _is_mark(path, value):
            continue
        for param in _params(path, request):
            pager = _flagged(Cursor, sight, path=path, param=param)
            yield Guess(pager, f"{path} holds a mark, sent back as {param!r}")


def _cursor_header(sight: Sight, request: Request) -> Iterator[Guess]:
    for name, value in sight.response.headers.items():
        bare = plain(name.lower().removeprefix("x-").removeprefix("ms-"))
        if bare in CURSORS and value and not (bare == "nextpage" and value.isdecimal()):
            for param in _params(name.lower().removeprefix("x-"), request):
                pager = Cursor(header=name, param=param)
                yield Guess(pager, f"the header {name} holds a mark, sent back as {param!r}")


def _last_record(sight: Sight, request: Request) -> Iterator[Guess]:
    flag = _flag(sight)
    if flag is None or not sight.id or not flag[1]:
        return
    known = [name for name, _ in request.params if name in ("starting_after", "since_id")]
    for param in (*known, "starting_after", "after"):
        pager = _flagged(Cursor, sight, param=param, record=f"last.{sight.id}")
        yield Guess(pager, f"{flag[0]} announces more and nothing names it but the last record")


def _numbered(sight: Sight, request: Request) -> Iterator[Guess]:
    told = _whole_numbers(sight)
    totals = [path for path in told if leaf(path) in PAGES]
    current = [path for path in told if leaf(path) in ("page", "currentpage", "pagenumber")]
    following = [path for path in told if leaf(path) == "nextpage"]
    if not (totals or current or following):
        return
    start = told[current[0]] if current else 1
    asked = [name for name, _ in request.params if plain(name) in ("page", "pagenumber", "p")]
    usual = [path.rpartition(".")[2] for path in current if leaf(path) == "pagenumber"]
    seen = ", ".join((totals or current or following)[:2])
    for param in dict.fromkeys((*asked, "page", *usual)):
        size_param, _ = _size(request)
        pager = PageNumber(
            param, start if start in (0, 1) else 1, size_param, pages=totals[0] if totals else None
        )
        yield Guess(pager, f"{seen} counts pages, asked for with {param!r}")


def _offset(sight: Sight, request: Request) -> Iterator[Guess]:
    told = _whole_numbers(sight)
    asked = [name for name, _ in request.params if plain(name) in OFFSETS]
    named = [path for path in told if leaf(path) in OFFSETS]
    if not (named or asked):
        return
    total = next((path for path in told if leaf(path) in TOTALS and _is_total(path, told)), None)
    for param in dict.fromkeys((*asked, *(path.rpartition(".")[2] for path in named))):
        size_param, size = _size(request)
        pager = Offset(param, size_param=size_param, size=size, total=total)
        yield Guess(pager, f"{param!r} counts rows")


def _blind(sight: Sight, request: Request) -> Iterator[Guess]:
    """Nothing names a next page, yet there seem to be more: the two commonest ways are tried."""
    told = _whole_numbers(sight)
    totals = [path for path in told if leaf(path) in TOTALS and told[path] > len(sight.records)]
    if len(sight.records) in USUAL_SIZES or totals:
        seen = f"{totals[0]} is more than came" if totals else "the page is as long as full ones"
        size_param, size = _size(request)
        yield Guess(PageNumber(size_param=size_param), f"{seen}, and 'page' moves on")
        total = totals[0] if totals else None
        pager = Offset(size_param=size_param, size=size, total=total)
        yield Guess(pager, f"{seen}, and 'offset' moves on")


RULES: tuple[Rule, ...] = (
    _link_header,
    _graphql,
    _next_url,
    _cursor,
    _cursor_header,
    _last_record,
    _numbered,
    _offset,
    _blind,
)


def _is_link(value: str) -> bool:
    return value.startswith(("https://", "http://", "/", "?"))


def _is_mark(path: str, value: Any) -> bool:
    if isinstance(value, str):
        return bool(value) and not _is_link(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and leaf(path) not in ("nextpage", "nextid")


def _params(path: str, request: Request) -> list[str]:
    """Parameters that may take a mark, from its own name."""
    name = path.rpartition(".")[2]
    bare = re.sub(r"^(next|end)[-_]?(?=.)", "", name, flags=re.IGNORECASE)
    bare = bare[:1].lower() + bare[1:] if name[:1].islower() else bare
    asked = [n for n, _ in request.params if plain(n) in CURSORS]
    usual = (bare, name, "cursor", "after", "page_token", "starting_after")
    return list(dict.fromkeys([*asked, *(p for p in usual if plain(p) != "next")]))


def _flag(sight: Sight) -> tuple[str, bool] | None:
    """(path, value) of the flag that says whether there is more."""
    return next(
        ((p, v) for p, v in members(sight.document) if leaf(p) in FLAGS and isinstance(v, bool)),
        None,
    )


def _flagged(make: type[Cursor], sight: Sight, **places: Any) -> Cursor:
    flag = _flag(sight)
    return make(**places) if flag is None else make(**places, more=flag[0])


def _whole_numbers(sight: Sight) -> dict[str, int]:
    found = dict(members(sight.document))
    return {p: v for p, v in found.items() if isinstance(v, int) and not isinstance(v, bool)}


def _is_total(path: str, told: dict[str, int]) -> bool:
    """`count` and `size` are often those of the page; a total beside them is the better word."""
    others = [leaf(other) for other in told if leaf(other).startswith("total")]
    return leaf(path).startswith("total") or (not others and leaf(path) not in ("count", "size"))


def _size(request: Request) -> tuple[str | None, int | None]:
    """(parameter, value) of the page's length, where the request names it."""
    for name, value in request.params:
        if plain(name) in SIZES and value.isdecimal():
            return name, None
    return None, None
