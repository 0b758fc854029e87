"""Drift: a page's fields against those of everything before. Pure.

What an account shows until its first enumeration is complete is learnt. Later every difference is
told once: it is part of the shape from then on. How often a field is absent or null is judged on
as many records as make chance an unlikely answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from math import log
from typing import NamedTuple

import msgspec

from penstock.model import shape as shapes
from penstock.model.drift import Drift, DriftKind
from penstock.model.shape import Field, Fields, Shape

WINDOW = 100
"""So many recent records are compared with all before them, and then join them."""
FEWEST = 3
"""Of fewer records without a field nothing is said."""
JUMP = 0.1
"""A share of nulls and absences that has not grown by so much has not jumped."""
ODDS, ODDS_IF_NEVER = log(1e6), log(1e3)
"""Chance is ruled out at a million to one; at a thousand to one where it never happened before."""
PER_VALUE = 5
"""An enumeration is known when it was seen so often for each of its values, and as often again for
each that was seen but once."""
NUMBERS = 20
"""A number's precision is known when it was seen so often."""


class Compared(NamedTuple):
    """shape: with the page in it. grown: whether it shows more than higher counts."""

    shape: Shape
    drifts: list[Drift]
    grown: bool


def compare(known: Shape, page: Fields, run_no: int) -> Compared:
    """The shape with a page's fields in it, and how they differ from what was known."""
    known, page = same_maps(known, page)
    if len(page) >= shapes.FIELDS:
        known = msgspec.structs.replace(known, crowded=True)
    if known.learnt_in is None or known.learnt_in == run_no:
        return _bounded(known, _learnt(known, page), {}, [])
    fields, recent = dict(known.fields), dict(known.recent)
    drifts: list[Drift] = []
    for path, field in page.items():
        before = known.fields.get(path)
        if before is None:
            drifts += _new_field(known, path, field)
            fields[path] = field
        elif not _adds_nothing(before, field):
            drifts += _differences(path, before, field)
            fields[path] = before + _uncounted(field)
    if len(page) < shapes.FIELDS:  # else what seems absent may only have been left out
        drifts += _weigh(known, page, fields, recent)
    return _bounded(known, fields, recent, drifts)


def shows(drift: Drift, record: Fields) -> bool:
    """Whether the fields of one record show a drift. record: with `same_maps` as the shape."""
    field = record.get(drift.path)
    match drift.kind:
        case DriftKind.VANISHED | DriftKind.NULLS:
            return bool(_seen(drift.path, record)) and (field is None or field.empty > 0)
        case DriftKind.NEW_FIELD:
            return field is not None
        case DriftKind.TYPE_CHANGE:
            return field is not None and drift.detail in field.types
        case DriftKind.NEW_VALUE:
            return field is not None and drift.detail in (field.values or ())
        case DriftKind.PRECISION:
            return field is not None and field.scale >= int(drift.detail)


# ── what a page adds ──


def _learnt(known: Shape, page: Fields) -> Fields:
    """With nothing to compare with, the page is added."""
    fields = dict(known.fields)
    for path, before in known.fields.items():
        if seen := _seen(path, page):
            fields[path] = before + page.get(path, Field(seen))
    for path, field in page.items():
        if path not in fields:
            outer = known.fields.get(shapes.parent(path), Field())
            fields[path] = field if shapes.is_each(path) else Field(outer.objects) + field
    return fields


def _adds_nothing(before: Field, field: Field) -> bool:
    """But counts."""
    return (
        field.types <= before.types
        and field.scale <= before.scale
        and field.whole <= before.whole
        and (
            before.values is None
            or (field.values is not None and field.values.keys() <= before.values.keys())
        )
    )


def _uncounted(field: Field) -> Field:
    """What the field showed; its counts are weighed with all the others."""
    values = None if field.values is None else dict.fromkeys(field.values, 0)
    return Field(types=field.types, values=values, whole=field.whole, scale=field.scale)


def _new_field(known: Shape, path: str, field: Field) -> Iterator[Drift]:
    """Told for the outermost field only; what lies in it is new with it."""
    outer = known.fields.get(shapes.parent(path))
    if outer is not None and outer.objects and len(known.fields) < shapes.FIELDS:
        what = " or ".join(sorted(field.types)) or "null"
        message = f"{path} is new ({what}): {_share(field.present, field.seen)} records have it"
        yield Drift(DriftKind.NEW_FIELD, path, "", message)


def _differences(path: str, before: Field, field: Field) -> Iterator[Drift]:
    name = path or "the record"
    for kind in sorted(field.types - before.types) if before.types else ():
        was = " or ".join(sorted(before.types))
        yield Drift(DriftKind.TYPE_CHANGE, path, kind, f"{name} was always {was}, now {kind} too")
    for value in _new_values(path, before, field):
        known = ", ".join(sorted(before.values or ()))
        message = f"{name} has a new value {value!r}; known are {known}"
        yield Drift(DriftKind.NEW_VALUE, path, value, message)
    if field.scale > before.scale and "number" in before.types and before.filled >= NUMBERS:
        message = f"{name} has {field.scale} digits after the point, before at most {before.scale}"
        yield Drift(DriftKind.PRECISION, path, str(field.scale), message)


def _new_values(path: str, before: Field, field: Field) -> list[str]:
    """Those that a known enumeration did not have; the members of a map are none."""
    both = shapes.together(before.values, field.values)
    if not both or not before.values or path.endswith(shapes.ANY):
        return []
    once = sum(number <= 1 for number in before.values.values())
    if sum(before.values.values()) < PER_VALUE * len(before.values) * (1 + once):
        return []
    return sorted(both.keys() - before.values.keys())


# ── what is missing ──


def _weigh(known: Shape, page: Fields, fields: Fields, recent: Fields) -> list[Drift]:
    """Count the page for every known field, and judge those that are empty too often.

    fields, recent: changed in place.
    """
    drifts = []
    for path, before in known.fields.items():
        seen = _seen(path, page)
        if not seen or path not in fields:
            continue
        here = page.get(path)
        counted = _counts(here) if here else Field(seen)
        late = recent[path] + counted if path in recent else counted
        drift = _missed(path, before, late) if late.empty else None
        if drift is None and late.seen < WINDOW:
            recent[path] = late
            continue
        recent.pop(path, None)
        if drift is None:
            fields[path] += late
        elif drift.kind is DriftKind.VANISHED:
            _drop(path, fields, recent)
        else:
            fields[path] = _counted_anew(fields[path], late)
        drifts += [drift] if drift else []
    return drifts


def _missed(path: str, before: Field, late: Field) -> Drift | None:
    """The drift where a field is empty more often than chance explains."""
    if late.seen < FEWEST:
        return None
    if not late.present and _is_no_chance(late.seen, late.seen, before.absent, before.seen):
        was = _share(before.present, before.seen)
        message = f"{path} is gone: {was} records had it, none of the last {late.seen:,}"
        return Drift(DriftKind.VANISHED, path, "", message)
    jump = late.empty / late.seen - before.empty / max(before.seen, 1)
    if jump >= JUMP and _is_no_chance(late.empty, late.seen, before.empty, before.seen):
        now, was = _share(late.empty, late.seen), _share(before.empty, before.seen)
        message = f"{path} is null or absent in {now} records, before in {was}"
        return Drift(DriftKind.NULLS, path, "", message)
    return None


def _is_no_chance(times: int, of: int, times_before: int, of_before: int) -> bool:
    """Whether something happens more often than before, and not by chance.

    By Chernoff's bound: the logarithm of the odds against chance is at least `of` times the
    divergence of the new share from the old one.
    """
    share, expected = times / of, (times_before + 1) / (of_before + 2)
    if share <= expected:
        return False
    rest = (1 - share) * log((1 - share) / (1 - expected)) if share < 1 else 0.0
    odds = of * (share * log(share / expected) + rest)
    return odds >= (ODDS if times_before else ODDS_IF_NEVER)


def _seen(path: str, page: Fields) -> int:
    """How many places of the page could have had a value at the path."""
    if shapes.is_each(path) or path == shapes.ROOT:
        return page[path].seen if path in page else 0
    outer = page.get(shapes.parent(path))
    return outer.objects if outer else 0


def _drop(path: str, fields: Fields, recent: Fields) -> None:
    for gone in [inner for inner in fields if shapes.within(inner, path)]:
        del fields[gone]
        recent.pop(gone, None)


def _counted_anew(field: Field, late: Field) -> Field:
    """The recent counts are what later ones are compared with."""
    return msgspec.structs.replace(field, seen=late.seen, present=late.present, nulls=late.nulls)


def _counts(field: Field) -> Field:
    return Field(field.seen, field.present, field.nulls, field.objects, values=field.values)


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"


# ── bounds ──


def _bounded(known: Shape, fields: Fields, recent: Fields, drifts: list[Drift]) -> Compared:
    """Objects with too many members become maps, fields beyond the last one are left out."""
    crowded = known.crowded
    if fields.keys() != known.fields.keys():
        fields = _folded(fields, _maps(fields))
        crowded = crowded or len(fields) > shapes.FIELDS
        fields = dict(islice(fields.items(), shapes.FIELDS))
        recent = {path: field for path, field in recent.items() if path in fields}
    grown = fields.keys() != known.fields.keys() or not all(
        _adds_nothing(known.fields[path], field) for path, field in fields.items()
    )
    shape = Shape(fields, recent, known.learnt_in, crowded)
    return Compared(shape, drifts, grown or bool(drifts))


def _maps(fields: Fields) -> set[str]:
    """The paths for all members of those objects that have turned out to be maps."""
    members: dict[str, list[int]] = {}
    for path, field in fields.items():
        if not shapes.is_each(path):
            members.setdefault(shapes.parent(path), []).append(field.present)
    return {
        shapes.any_member(path)
        for path, counts in members.items()
        if path != shapes.ROOT
        and shapes.is_map(len(counts), sum(counts), fields.get(path, Field()).objects)
    }


def same_maps(known: Shape, page: Fields) -> tuple[Shape, Fields]:
    """Both with the members of an object as one where either has them so."""
    known_maps = {path for path in known.fields if path.endswith(shapes.ANY)}
    maps = known_maps | {path for path in page if path.endswith(shapes.ANY)}
    if maps != known_maps:
        fields, recent = _folded(known.fields, maps), _folded(known.recent, maps)
        known = Shape(fields, recent, known.learnt_in, known.crowded)
    return known, _folded(page, maps)


def _folded(fields: Fields, maps: Iterable[str]) -> Fields:
    """With one path for all members of each map. maps: such paths."""
    for path in sorted(maps, key=len):
        folded: Fields = {}
        for inner, field in fields.items():
            name = _in_map(inner, path)
            one = folded[name] + field if name in folded else field
            if name.endswith(shapes.ANY):  # none of its members is missed
                one = msgspec.structs.replace(one, seen=one.present)
            folded[name] = one
        fields = folded
    return fields


def _in_map(path: str, of: str) -> str:
    """A path with the name of a map's member replaced by that for all of them."""
    before = of.removesuffix(shapes.ANY)
    if not path.startswith(before) or path == shapes.ROOT or path[len(before) :].startswith("["):
        return path
    rest = path[len(before) :]
    end = min(place for mark in (".", "[") if (place := f"{rest}{mark}".find(mark)) >= 0)
    return of + rest[end:]
