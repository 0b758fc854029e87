"""The demo: a simulated company, pulled twice and compared with its own truth."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.app import App, Progress, RunReport
from penstock.config import Settings
from penstock.contracts import registry
from penstock.errors import UsageError
from penstock.model.outcome import Counters
from penstock.simulator import Company, Truth, serve

CONNECTION = "demo"
FILE = "penstock.db"

Show = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What happened. differences: sentences, empty when the store equals the company's truth."""

    database: Path
    documents: dict[str, int]
    versions: int
    first: Counters
    second: Counters
    dead_letters: dict[str, int]
    differences: tuple[str, ...]
    seconds: float

    @property
    def balanced(self) -> bool:
        return not self.differences

    def as_json(self) -> dict[str, Any]:
        return {
            "database": str(self.database),
            "documents": self.documents,
            "versions": self.versions,
            "first_run": self.first.as_json(),
            "second_run": self.second.as_json(),
            "unchanged_second_run": self.second.unchanged,
            "dead_letters": self.dead_letters,
            "balanced": self.balanced,
            "differences": list(self.differences),
            "work_seconds": round(self.seconds, 3),
        }

    def lines(self) -> Iterator[str]:
        """For a person."""
        first, second = self.first, self.second
        yield "1. A simulated company was connected and pulled:"
        yield f"   {first.fetched} records fetched, {_told(first)}"
        yield "2. A day passed there; everything was pulled again (--full):"
        yield f"   {second.fetched} records fetched, {_told(second)}"
        yield "3. What is stored now:"
        for name, count in self.documents.items():
            yield f"   {count:>7} {name}"
        yield f"   {self.versions:>7} versions of them in all"
        yield f"   {sum(self.dead_letters.values()):>7} dead letters, each with its reason:"
        for reason, count in self.dead_letters.items():
            yield f"   {count:>9} {reason}"
        if self.balanced:
            yield "4. Every count and every document equals the company's own truth: balanced."
        else:
            yield "4. NOT balanced. The company's own truth differs:"
            yield from (f"   {difference}" for difference in self.differences)
        where = f"--database sqlite:///{self.database}"
        yield ""
        yield f"Look around:  penstock {where} documents list invoice"
        yield f"              penstock {where} dead-letters list"
        yield f"              penstock {where} drift"
        yield f"              penstock {where} runs"


def demo(directory: Path, records: int, seed: int, progress: Show | None = None) -> DemoReport:
    """Run the demo; keeps exactly DIR/penstock.db. Raises UsageError where that file exists."""
    directory.mkdir(parents=True, exist_ok=True)
    database = directory / FILE
    if database.exists():
        raise UsageError(f"{database} exists; give another --directory, or remove it first")
    # The key lives as long as the demo: the simulator's token is all it seals.
    key = b64encode(secrets.token_bytes(32)).decode()
    company = Company(seed=seed, records=records)
    settings = Settings(database=f"sqlite:///{database}", master_key=key)
    try:
        return _live(company, settings, database, progress)
    finally:
        database.with_name(database.name + "-lock").unlink(missing_ok=True)


def _live(
    company: Company, settings: Settings, database: Path, progress: Show | None
) -> DemoReport:
    """Pull, let a day pass, pull again in full, compare."""
    with serve(company) as served, App.open(settings) as app:
        app.connect(
            "simulated",
            CONNECTION,
            {"base_url": served.url},
            {"api_key": served.token},
            allow_loopback=True,
        )
        first = app.run(CONNECTION, progress=progress)
        company.tick()
        second = app.run(CONNECTION, full=True, progress=progress)
        return _report(app, database, company.truth(), first, second)


def _report(
    app: App,
    database: Path,
    truth: Truth,
    first: Sequence[RunReport],
    second: Sequence[RunReport],
) -> DemoReport:
    workspace = app.settings.workspace
    counts = app.store.reader.counts(workspace)
    letters = dict(sorted(app.store.letters.counts(workspace).items()))
    documents = {name: counts[name]["documents"] for name in truth.expected if name in counts}
    versions = sum(count["versions"] for count in counts.values())
    differences = [
        *_failures((*first, *second)),
        *_differing("versions", versions, truth.versions),
        *_differing("dead letters", letters, truth.dead_letters),
        *_differing("fetched by the second run", _sum(second).fetched, truth.fetched),
        *_differing("filtered by the second run", _sum(second).filtered, truth.filtered),
        *(line for name in truth.expected for line in _document_differences(app, name, truth)),
    ]
    return DemoReport(
        database=database,
        documents=documents,
        versions=versions,
        first=_sum(first),
        second=_sum(second),
        dead_letters=letters,
        differences=tuple(differences),
        seconds=sum(report.work_seconds for report in (*first, *second)),
    )


def _document_differences(app: App, document_type: str, truth: Truth) -> Iterator[str]:
    """The store's documents of a type against the facts the company knows of them."""
    facts = truth.expected[document_type].facts
    contract = registry.contract(document_type)
    seen = set()
    for document, content in app.store.reader.contents(app.settings.workspace, document_type):
        seen.add(document.source_id)
        payload = contract.read(content, document.source_version, document.source_updated_at)
        expected = facts.get(document.source_id)
        if expected is None:
            yield f"{document_type} {document.source_id} is stored, the company has no such record"
            continue
        for field, value in expected.items():
            if payload.get(field) != value:
                yield (
                    f"{document_type} {document.source_id}: {field} is {payload.get(field)!r}, "
                    f"the company says {value!r}"
                )
    for missing in sorted(set(facts) - seen):
        yield f"{document_type} {missing} is missing"


def _failures(reports: Sequence[RunReport]) -> Iterator[str]:
    for report in reports:
        if report.failed:
            yield f"the run of {report.stream} failed: {report.message}"


def _differing(what: str, stored: object, true: object) -> Iterator[str]:
    if stored != true:
        yield f"{what}: stored {stored}, true {true}"


def _sum(reports: Sequence[RunReport]) -> Counters:
    return sum((report.counters for report in reports), Counters())


def _told(counters: Counters) -> str:
    parts = {
        "created": counters.created,
        "updated": counters.updated,
        "unchanged": counters.unchanged,
        "stale": counters.stale,
        "filtered": counters.filtered,
        "set aside": counters.set_aside,
    }
    return ", ".join(f"{count} {name}" for name, count in parts.items() if count)
