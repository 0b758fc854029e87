"""Bank statements as files: CAMT.053 (ISO 20022 XML) in zip archives, as EBICS gateways hand out.

A list names the archives; one archive holds a file for each account or day. They may be large, so
they are read element by element. An entry has no id of its own that every bank fills: it is known
by the bank's reference, or else by its place among equal ones of its account and day, so that the
same day delivered again, in another file, is no second day.
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from penstock import Basic, Connector, Permissions, Stream, ingest, sync
from penstock.testing import Answer, Sent, put_through

from .server import Line, joined

camt = Connector(
    key="camt",
    name="CAMT statements",
    provider="camt",
    version="0.1.0",
    base_url="https://ebics.bank.test/v1",
    settings={
        "type": "object",
        "required": ["user", "password"],
        "properties": {
            "user": {"type": "string"},
            "password": {"type": "string", "x-secret": True},
        },
    },
    auth=Basic(username="user", password="password"),
    permissions=Permissions(
        http=["https://ebics.bank.test/*"],
        documents={"bank_account": ["write"], "bank_transaction": ["write"]},
    ),
    streams=[Stream("statements", mode="poll", schedule="30 6 * * *")],
)


@camt.mapping("statements", id="key", document="bank_transaction")
def transaction(record):
    entry = record["entry"]
    amount = entry["Amt"]["#text"]
    details = entry.get("NtryDtls", {}).get("TxDtls", {})
    single = details if isinstance(details, dict) else {}  # a bundle has no one counterparty
    counterparty = "Cdtr" if entry["CdtDbtInd"] == "DBIT" else "Dbtr"
    parties = single.get("RltdPties", {})
    told = single.get("RmtInf", {}).get("Ustrd", entry.get("AddtlNtryInf"))
    return {
        "transaction_id": record["key"],
        "bank_account_id": record["account"],
        "status": {"BOOK": "posted", "PDNG": "pending"}.get(code(entry["Sts"]), "other"),
        "currency": entry["Amt"]["@Ccy"],
        "amount": amount if entry["CdtDbtInd"] == "CRDT" else f"-{amount}",
        "transaction_date": day(entry["BookgDt"]),
        "value_date": day(entry["ValDt"]) if "ValDt" in entry else None,
        "description": " ".join(told) if isinstance(told, list) else told,
        "counterparty_name": name(parties.get(counterparty, {})),
        "reference_number": single.get("Refs", {}).get("EndToEndId"),
    }


def code(status):
    """Text until version 7 of the message, a member Cd from then on."""
    return status["Cd"] if isinstance(status, dict) else status


def day(moment):
    return moment.get("Dt") or moment["DtTm"][:10]


def name(party):
    return party.get("Nm") or party.get("Pty", {}).get("Nm")


@camt.sync("statements")
def statements(request):
    """Archives behind the last one that was read whole, 200 entries to a page."""
    done = request.cursor
    for archive in request.http.get("/statements", params={"after": done}).json()["files"]:
        for file in request.http.stream(f"/statements/{archive['name']}").members("*.xml"):
            for some in batched(entries(file), 200):
                ingest.records("statements", some)
                yield sync.page(cursor=done)
        done = archive["name"]
        yield sync.page(cursor=done)
    return sync.page(cursor=done)


def entries(file):
    """The entries of a file, each with its account; an account is stored as it is met."""
    account, equal = None, Counter()
    for element in file.xml("Acct", "Ntry"):
        if element["#name"] == "Acct":
            account, equal = store_account(element), Counter()
            continue
        reference = element.get("AcctSvcrRef")
        same = f"{day(element['BookgDt'])}:{element['Amt']['#text']}:{element['CdtDbtInd']}"
        equal[same] += 1
        place = reference or f"{same}:{equal[same]}"
        yield {"key": f"{account}:{place}", "account": account, "entry": element}


def store_account(element):
    known = element["Id"].get("IBAN") or element["Id"]["Othr"]["Id"]
    ingest.canonical(
        "bank_account",
        {
            "bank_account_id": known,
            "name": element.get("Nm", known),
            "currency": element["Ccy"],
            "iban": element["Id"].get("IBAN"),
            "holder_name": element.get("Ownr", {}).get("Nm"),
        },
        stream="statements",
        idempotency_key=f"camt:bank_account:{known}",
    )
    return known


def batched(values, size):
    batch = []
    for value in values:
        batch.append(value)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


# The provider ------------------------------------------------------------------------------------

IBAN = "DE89370400440532013000"
NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
HEAD = f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{NAMESPACE}">'
ACCOUNT = "<Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>EUR</Ccy><Ownr><Nm>Acme GmbH</Nm></Ownr></Acct>"
ENTRY = (
    '<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{way}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
    "<BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt>{reference}"
    "<NtryDtls><TxDtls><Refs><EndToEndId>E2E-1</EndToEndId></Refs><RltdPties><Dbtr><Pty>"
    "<Nm>Customer &amp; Sons</Nm></Pty></Dbtr><Cdtr><Pty><Nm>Supplier AG</Nm></Pty></Cdtr>"
    "</RltdPties><RmtInf><Ustrd>Invoice</Ustrd><Ustrd>1001</Ustrd></RmtInf></TxDtls></NtryDtls>"
    "</Ntry>"
)


def entry(
    amount: str, way: str = "CRDT", day: str = "2026-03-01", reference: str | None = None
) -> str:
    shown = f"<AcctSvcrRef>{reference}</AcctSvcrRef>" if reference else ""
    return ENTRY.format(amount=amount, way=way, day=day, reference=shown)


def statement(*entries: str, iban: str = IBAN) -> str:
    balance = '<Bal><Amt Ccy="EUR">1.00</Amt></Bal>'
    rows = "".join(entries)
    inside = f"<Stmt><Id>1</Id>{ACCOUNT.format(iban=iban)}{balance}{rows}</Stmt>"
    return f"{HEAD}<BkToCstmrStmt>{inside}</BkToCstmrStmt></Document>"


def archive(*files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("readme.txt", "not a statement")
        for number, content in enumerate(files):
            target.writestr(f"camt053-{number}.xml", content)
    return packed.getvalue()


@dataclass
class PaperBank:
    """archives: by name, in the order they were made."""

    archives: dict[str, bytes] = field(default_factory=dict)

    def __call__(self, sent: Sent) -> Answer:
        assert sent.headers["authorization"].startswith("Basic ")
        if sent.path == "/v1/statements":
            after = sent.params.get("after", "")
            return Answer.of({"files": [{"name": n} for n in sorted(self.archives) if n > after]})
        return Answer.of(self.archives[sent.path.rpartition("/")[2]])


SETTINGS = {"user": "acme"}
SUNDAY, MONDAY = "2026-03-01.zip", "2026-03-02.zip"


@pytest.fixture
def bank() -> PaperBank:
    day = statement(entry("100.00", reference="B-1"), entry("12.50", "DBIT", reference="B-2"))
    return PaperBank({SUNDAY: archive(day)})


@pytest.fixture
def line(bank: PaperBank) -> Iterator[Line]:
    with joined(camt, bank, settings=SETTINGS) as line:
        yield line


def test_an_archive_becomes_accounts_and_transactions(line):
    line.pull("statements")
    (account,) = line.kit.documents("bank_account")
    assert (account["iban"], account["holder_name"]) == (IBAN, "Acme GmbH")
    stored = line.payloads("bank_transaction", "transaction_id")
    received, paid = stored[f"{IBAN}:B-1"], stored[f"{IBAN}:B-2"]
    assert (received["amount"], received["counterparty_name"]) == ("100.00", "Customer & Sons")
    assert (paid["amount"], paid["counterparty_name"]) == ("-12.50", "Supplier AG")
    assert received["description"] == "Invoice 1001"


def test_the_next_run_asks_for_what_is_behind_the_last_archive(line, bank):
    line.pull("statements")
    line.asked()
    bank.archives[MONDAY] = archive(statement(entry("1.00", day="2026-03-02", reference="B-3")))
    assert line.pull("statements").counters.created == 1
    first, file = line.asked()
    assert (first.params, file.path) == ({"after": SUNDAY}, f"/v1/statements/{MONDAY}")


def test_the_same_day_delivered_again_changes_nothing(line, bank):
    """Another file name, no references of the bank: equal entries are told apart by place."""
    day = statement(
        entry("5.00"), entry("5.00"), entry("5.00", "DBIT"), entry("5.00", day="2026-02-28")
    )
    bank.archives = {SUNDAY: archive(day)}
    line.pull("statements")
    assert len(line.kit.documents("bank_transaction")) == 4
    bank.archives["2026-03-01b.zip"] = archive(day)
    report = line.pull("statements")
    assert (report.counters.created, report.counters.updated) == (0, 0)
    assert report.counters.unchanged == 5


def test_many_files_and_accounts_in_one_archive(line, bank):
    other = "DE75512108001245126199"
    bank.archives = {
        SUNDAY: archive(statement(entry("1.00")), statement(entry("1.00"), iban=other))
    }
    line.pull("statements")
    accounts = {row["bank_account_id"] for row in line.kit.documents("bank_transaction")}
    assert accounts == {IBAN, other}


def test_an_entry_with_a_bad_amount_is_a_dead_letter_and_the_rest_is_stored(line, bank):
    bank.archives = {SUNDAY: archive(statement(entry("12,50"), entry("1.00")))}
    report = line.pull("statements")
    assert (report.counters.created, report.counters.rejected) == (2, 1)


def test_a_long_statement_is_committed_page_by_page(line, bank):
    bank.archives = {SUNDAY: archive(statement(*(entry(f"{n}.00") for n in range(1, 451))))}
    report = line.pull("statements")
    assert (report.counters.created, report.counters.pages) == (451, 5)


def test_a_file_that_ends_early_stops_there_and_is_read_again(line, bank):
    whole = statement(*(entry(f"{n}.00") for n in range(1, 301)))
    bank.archives = {SUNDAY: archive(whole[:-2000])}
    report = line.run("statements")
    assert (report.state, "is no XML" in str(report.message)) == ("failed", True)
    assert line.kit.checkpoint("statements")[0] is None
    bank.archives = {SUNDAY: archive(whole)}
    line.pull("statements")
    assert len(line.kit.documents("bank_transaction")) == 300


def test_entities_are_not_expanded(line, bank):
    bomb = statement(entry("1.00")).replace("<Document", '<!DOCTYPE d [<!ENTITY a "b">]><Document')
    bank.archives = {SUNDAY: archive(bomb)}
    assert "document type" in str(line.run("statements").message)


def test_it_survives_its_provider(bank):
    put_through(camt, "statements", bank, settings=SETTINGS)
