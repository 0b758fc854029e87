"""What a rule of contracts, section 5, is, and in which order and when rules are asked.

A rule is a plain function of a `Scene`. It sees the record in normal form, so every member it
finds is valid; members that were refused are absent, and a rule that needs one is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from penstock.contracts.finding import Finding, Step
from penstock.contracts.tally import Tally
from penstock.contracts.unit import Unit

Record = dict[str, Any]
Findings = Iterable[Finding]


@dataclass(slots=True)
class Scene:
    """A record and what the rules may know beside it.

    record: in normal form. source_id: as resolved by D4. on_date: the resolved document date.
    observed_on: the day the record was received, None where the caller has none. tally: the sums
    of a line-bearing document.
    """

    document_type: str
    record: Record
    unit: Unit
    source_id: str | None
    lifecycle: str | None
    on_date: str | None
    observed_on: date | None
    tally: Tally | None

    @property
    def code(self) -> str:
        return self.unit.code


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, or one direction of it.

    says: the sentence for people and for x-penstock-rules. inputs: dotted paths without indexes;
    if one was refused the rule is skipped. when: members of which one must be there, else the
    rule has nothing to say. rows: asked once for each entry of this array, as (scene, entry); then
    `inputs` and `when` are of the entry. always: asked of void and deleted documents too.
    """

    invariant: str
    says: str
    check: Callable[..., Findings]
    inputs: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    rows: str | None = None
    always: bool = False
    warning: bool = False

    def ask(self, scene: Scene, refused: frozenset[tuple[Step, ...]]) -> Findings:
        """All findings of this rule; refused: paths at which stages 3 and 4 said no."""
        if self.rows is not None:
            return self._ask_rows(scene, refused) if self.rows in scene.record else ()
        if self._applies(scene.record) and not (refused and self._blind(refused)):
            return self.check(scene)
        return ()

    def _ask_rows(self, scene: Scene, refused: frozenset[tuple[Step, ...]]) -> Findings:
        assert self.rows is not None
        for index, row in enumerate(scene.record[self.rows]):
            if not self._applies(row):
                continue
            here = frozenset(path[2:] for path in refused if path[:2] == (self.rows, index))
            if not self._blind(here):
                for finding in self.check(scene, row):
                    yield finding.under(index).under(self.rows)

    def _applies(self, record: Record) -> bool:
        return not self.when or not record.keys().isdisjoint(self.when)

    def _blind(self, refused: frozenset[tuple[Step, ...]]) -> bool:
        for path in refused:
            names = tuple(step for step in path if isinstance(step, str))
            for wanted in self.inputs:
                if tuple(wanted.split("."))[: len(names)] == names:
                    return True
        return False


def flaw(code: str, name: str, message: str, invariant: str) -> tuple[Finding]:
    """One refusal at a member of the record (or of the row)."""
    return (Finding(code, message, invariant, (name,)),)


def warn(code: str, name: str, message: str, invariant: str) -> tuple[Finding]:
    """One flag at a member of the record (or of the row)."""
    return (Finding(code, message, invariant, (name,), warning=True),)
