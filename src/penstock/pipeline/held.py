"""A page of an update that counts only as a whole, on its way through the store.

What a route staged is kept as it is, so that applying it later asks nobody again.
"""

from __future__ import annotations

from typing import Any

import msgspec
import zstandard

from penstock.model.shape import Shape
from penstock.model.unit import ArchivedPage, NewLetter, Wake
from penstock.pipeline.candidate import Candidate
from penstock.pipeline.cleansing import cleansed_letter
from penstock.pipeline.letters import Postmaster, payload_bytes
from penstock.pipeline.source import Page
from penstock.pipeline.stage import Stage
from penstock.pipeline.unit import ZSTD_LEVEL, archived
from penstock.vault.redaction import NOTHING_HIDDEN, Redactor


class _Held(msgspec.Struct, array_like=True):
    has_more: bool
    watermark: int | None
    hold: bool
    received_at: int
    archived: list[ArchivedPage]
    raws: dict[int, bytes]
    candidates: list[Candidate]
    payloads: dict[int, bytes]
    letters: list[NewLetter]
    fetched: int
    extra_emits: int
    filtered: int
    mapping_errors: int
    rejected: int
    high: int | None
    unmarked: int
    wakes: list[Wake]
    looks: dict[str, tuple[list[int], bytes]]


_DECODER = msgspec.msgpack.Decoder(_Held)
"""Made here, for two threads that make one at once crash the process (msgspec 0.22)."""


def write(page: Page, redact: Redactor = NOTHING_HIDDEN) -> bytes:
    """The page as bytes, without the connection's secrets; its cursor and trail stand in the
    checkpoint."""
    stage = page.stage
    held = _Held(
        has_more=page.has_more,
        watermark=page.watermark,
        hold=page.hold,
        received_at=stage.received_at,
        archived=list(archived(stage)),
        raws={place: redact.data(raw) for place, raw in stage.raws.items()},
        candidates=[candidate._replace(payload=None) for candidate in stage.candidates],
        payloads={
            place: redact.data(payload_bytes(candidate.payload))
            for place, candidate in enumerate(stage.candidates)
            if candidate.payload is not None
        },
        letters=[cleansed_letter(letter, redact) for letter in stage.letters],
        fetched=stage.fetched,
        extra_emits=stage.extra_emits,
        filtered=stage.filtered,
        mapping_errors=stage.mapping_errors,
        rejected=stage.rejected,
        high=stage.high,
        unmarked=stage.unmarked,
        wakes=stage.wakes,
        looks={
            stream: (look.places, redact.data(Shape(look.fields()).as_bytes()))
            for stream, look in stage.looks.items()
        },
    )
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(msgspec.msgpack.encode(held))


def read(body: bytes, postmaster: Postmaster, cursor: Any) -> Page:
    """The page behind `write`, to be decided afresh."""
    plain = zstandard.ZstdDecompressor().decompress(body)
    held = _DECODER.decode(plain)
    candidates = [
        candidate._replace(payload=msgspec.json.decode(held.payloads[place]))
        if place in held.payloads
        else candidate
        for place, candidate in enumerate(held.candidates)
    ]
    stage = Stage(
        received_at=held.received_at,
        postmaster=postmaster,
        archived=held.archived,
        raws=held.raws,
        candidates=candidates,
        letters=held.letters,
        fetched=held.fetched,
        extra_emits=held.extra_emits,
        filtered=held.filtered,
        mapping_errors=held.mapping_errors,
        rejected=held.rejected,
        high=held.high,
        unmarked=held.unmarked,
        wakes=held.wakes,
    )
    for stream, (places, shape) in held.looks.items():
        stage.look(stream).places += places
        stage.look(stream).take(Shape.from_bytes(shape).fields)
    return Page(stage, cursor, held.has_more, watermark=held.watermark, hold=held.hold)
