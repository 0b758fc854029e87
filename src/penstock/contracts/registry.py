"""The door to the contracts: by name, with an answer for names that are not there.

A new document type is a `Description` in its family's module and one line here.
"""

from __future__ import annotations

from difflib import get_close_matches
from threading import Lock

from penstock.contracts.banking import BANK_ACCOUNT, BANK_TRANSACTION
from penstock.contracts.catalogue import OTHER_WORDS, TYPES
from penstock.contracts.contract import Contract
from penstock.contracts.description import Description
from penstock.contracts.parties import CUSTOMER
from penstock.contracts.sales import INVOICE, PAYMENT
from penstock.errors import UnknownDocumentTypeError

_DESCRIPTIONS = {
    description.document_type: description
    for description in (CUSTOMER, BANK_ACCOUNT, INVOICE, PAYMENT, BANK_TRANSACTION)
}
_contracts: dict[str, Contract] = {}
_making = Lock()


def contract(document_type: str) -> Contract:
    """The contract of that name, made when it is first asked for: a run needs one or two of them.

    Raises UnknownDocumentTypeError, which names near ones.
    """
    try:
        description = _DESCRIPTIONS[document_type]
    except (KeyError, TypeError):
        raise UnknownDocumentTypeError(_answer(document_type)) from None
    return _contracts.get(document_type) or _made(description)


def types() -> tuple[str, ...]:
    """The document types that are served, in the order of the catalogue."""
    return tuple(_DESCRIPTIONS)


def _made(description: Description) -> Contract:
    with _making:
        name = description.document_type
        if name not in _contracts:
            _contracts[name] = Contract(description)
        return _contracts[name]


def _answer(name: object) -> str:
    if not isinstance(name, str):
        return f"a document type is a text, not {type(name).__name__}"
    if name in TYPES:
        return (
            f"document type {name} is in the catalogue but not served yet; "
            f"served: {', '.join(types())}"
        )
    near = _near(name)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"{name[:64]!r} is no document type{hint} Served: {', '.join(types())}"


def _near(name: str) -> list[str]:
    word = name.lower().replace("-", "_").replace(" ", "_")
    words = (word, word.removesuffix("s"), word.removesuffix("es"))
    exact = [t for w in words for t in (w if w in TYPES else None, OTHER_WORDS.get(w)) if t]
    near = exact or get_close_matches(word, TYPES, n=3, cutoff=0.6)
    return list(dict.fromkeys(near))
