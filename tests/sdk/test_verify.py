"""`penstock check`: every fault is found at its line, with its cure, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.sdk import verify

FOLDER = Path(__file__).parent / "broken"
MARK = "# broken"

FAULTS = {
    "syntax_error.py": ("was never closed", "mend this line"),
    "raising_import.py": ("KeyError: 'invoices'", "mend this line"),
    "two_mappings.py": ("stream customers has a mapping already", "mend this line"),
    "undeclared_stream.py": (
        "serves stream 'people', which is not declared",
        'add Stream("people", mode="poll") to streams=[…]',
    ),
    "poll_without_source.py": (
        "poll stream orders has no collection and no sync route",
        '@acme.collection("orders", …)',
    ),
    "collection_and_route.py": ("has a collection and a sync route", "keep one"),
    "ingest_into_undeclared_stream.py": (
        "ingest.batch names stream 'people', which is not declared",
        "declared streams: customers",
    ),
    "ingest_not_permitted.py": (
        "do not allow to write invoice",
        'add "invoice": ["write"] to Permissions',
    ),
    "delete_not_permitted.py": (
        "do not allow to delete customer",
        'add "customer": ["delete"] to Permissions',
    ),
    "document_not_permitted.py": (
        "do not allow to write customer",
        'add "customer": ["write"] to Permissions',
    ),
    "unknown_document.py": ("did you mean customer?", "penstock contracts list"),
    "host_not_permitted.py": ("api.acme.example", "add the host to Permissions(http=[…])"),
    "bare_secret.py": ("'api_key', which is not marked as a secret", '"x-secret": True'),
    "secret_not_in_settings.py": ("'token', which is not in the settings", 'add "token"'),
    "unknown_setting.py": ("{settings.tenant} is not in the settings", 'add "tenant"'),
    "bad_schedule.py": ("of customers: '0 25 * * *' is no cron schedule", "write five fields"),
    "bad_full.py": ("full of customers: '0 3 * * 9' is no cron schedule", '"0 3 * * sun"'),
    "absence_not_permitted.py": (
        "do not allow to delete customer",
        'add "customer": ["delete"] to Permissions',
    ),
    "format_without_year.py": ("does not name a day in full", "year, month and day"),
    "token_host_not_permitted.py": ("login.acme.test", "add the host to auth_hosts="),
    "client_id_not_in_settings.py": ("'client_id', which is not in the settings", "client_id"),
    "credentials_without_a_place.py": ("there is no base_url", "auth_hosts="),
    "wrong_wildcard.py": ("*.test", "mend the pattern"),
    "backfill_without_route.py": (
        "backfill stream history has no backfill route",
        '@acme.backfill("history")',
    ),
    "misnamed": (
        "file sync/clients.py serves stream 'customers'",
        "rename the file to sync/customers.py",
    ),
}


def marked(target: Path) -> tuple[str, int]:
    """The file and line that bear the mark."""
    (found,) = _marks(target)
    return found


def _marks(target: Path) -> Iterator[tuple[str, int]]:
    for file in target.rglob("*.py") if target.is_dir() else [target]:
        for number, line in enumerate(file.read_text().splitlines(), start=1):
            if line.endswith(MARK):
                yield str(file), number


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_found_where_it_is(name: str) -> None:
    message, cure = FAULTS[name]
    (finding,) = verify.check(str(FOLDER / name))
    assert (finding.file, finding.line) == marked(FOLDER / name)
    assert finding.severity == "error"
    assert message in finding.message
    assert cure in finding.cure


def test_every_broken_connector_is_checked() -> None:
    modules = {file.name for file in FOLDER.glob("*.py")}
    packages = {file.parent.name for file in FOLDER.glob("*/connector.py")}
    assert modules | packages == {*FAULTS, "clean.py"}


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert verify.check(str(FOLDER / "clean.py")) == []


@pytest.mark.parametrize("key", ["xero", "simulated"])
def test_the_shelf_has_no_errors(key: str) -> None:
    assert [f for f in verify.check(key) if f.severity == "error"] == []


def test_a_mended_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "acme.py"
    broken = (FOLDER / "bad_schedule.py").read_text()
    file.write_text(broken)
    assert len(verify.check(str(file))) == 1
    file.write_text(broken.replace("0 25 * * *", "0 23 * * *"))
    assert verify.check(str(file)) == []


def test_all_faults_come_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    file = tmp_path / "acme.py"
    broken = (FOLDER / "bad_schedule.py").read_text()
    file.write_text(broken.replace('path="/customers"', 'path="/{settings.tenant}"'))
    first, second = verify.check(str(file))
    assert first.line < second.line
    assert "cron" in first.message
    assert "tenant" in second.message


def manifest_with(tmp_path: Path, old: str, new: str) -> str:
    """The clean connector with one piece of it exchanged."""
    text = (FOLDER / "clean.py").read_text()
    assert old in text
    file = tmp_path / "acme.py"
    file.write_text(text.replace(old, new))
    return str(file)


STREAM = 'Stream("customers", mode="poll")'


@pytest.mark.parametrize(
    ("stream", "message", "severity"),
    [
        ('Stream("hook", mode="webhook", covered_by=("customers",))', "no webhook route", "error"),
        ('Stream("hook", mode="webhook")', "is covered by no poll", "warning"),
        ('Stream("hook", mode="webhook", covered_by=("people",))', "'people', which is", "error"),
    ],
)
def test_webhook_streams(tmp_path: Path, stream: str, message: str, severity: str) -> None:
    target = manifest_with(tmp_path, STREAM, f"{STREAM}, {stream}")
    found = {finding.message: finding.severity for finding in verify.check(target)}
    assert [s for told, s in found.items() if message in told] == [severity]


def test_a_backfill_stream_may_have_a_collection_with_both_bounds(tmp_path: Path) -> None:
    history = STREAM.replace("poll", "backfill")
    target = manifest_with(tmp_path, STREAM, history)
    (finding,) = verify.check(target)
    assert "has no backfill route" in finding.message
    assert "Since(param=…, until=…)" in finding.cure
    file = Path(target)
    file.write_text(file.read_text().replace('id="id",', f'id="id", {SINCE}, until="to"),'))
    assert verify.check(target) == []


def test_an_upper_bound_without_a_lower_one_is_a_warning(tmp_path: Path) -> None:
    bounds = SINCE.replace('param="since", ', 'until="to", ') + "),"
    (finding,) = verify.check(manifest_with(tmp_path, 'id="id",', f'id="id", {bounds}'))
    assert finding.severity == "warning"
    assert "sends no lower bound" in finding.message


def test_what_only_a_backfill_has_is_not_needed_by_a_poll(tmp_path: Path) -> None:
    path = 'path="/{partition.region}/customers"'
    (finding,) = verify.check(manifest_with(tmp_path, 'path="/customers"', path))
    assert "only a backfill has partitions" in finding.message
    params = 'path="/customers", params={"region": "{partition.region}"}'
    assert verify.check(manifest_with(tmp_path, 'path="/customers"', params)) == []


def test_partitions_belong_to_single_streams(tmp_path: Path) -> None:
    old, new = 'base_url="https://api.acme.test"', 'base_url="https://api.acme.test/{partition.x}"'
    found = [finding.message for finding in verify.check(manifest_with(tmp_path, old, new))]
    assert any("{partition.x} stands where all streams look" in message for message in found)


def test_a_loopback_permission_is_a_warning(tmp_path: Path) -> None:
    old, new = '["https://api.acme.test/*"]', '["https://api.acme.test/*", "http://127.0.0.1/*"]'
    (finding,) = verify.check(manifest_with(tmp_path, old, new))
    assert finding.severity == "warning"
    assert "reach this machine" in finding.message


def test_an_offset_can_skip_rows(tmp_path: Path) -> None:
    """SA14. A warning: nothing keeps the connector from working."""
    old, new = 'id="id",', 'id="id", pages=__import__("penstock").Offset(),'
    (finding,) = verify.check(manifest_with(tmp_path, old, new))
    assert finding.severity == "warning"
    assert "rows can be skipped" in finding.message
    assert "in the order of something that never changes" in finding.cure


def test_an_offset_that_is_read_anew_now_and_then_skips_none_for_good(tmp_path: Path) -> None:
    target = manifest_with(tmp_path, 'id="id",', 'id="id", pages=__import__("penstock").Offset(),')
    file = Path(target)
    file.write_text(file.read_text().replace(STREAM, f'{STREAM[:-1]}, full="0 3 * * sun")'))
    assert verify.check(target) == []


def test_a_private_network_may_be_opened_where_the_connector_is_used(tmp_path: Path) -> None:
    target = manifest_with(tmp_path, "https://api.acme.test/*", "https://10.1.2.3/*")
    path = Path(target)
    path.write_text(path.read_text().replace("https://api.acme.test", "https://10.1.2.3"))
    assert verify.check(target) == []


def test_settings_that_are_no_schema(tmp_path: Path) -> None:
    (finding,) = verify.check(manifest_with(tmp_path, '"type": "object"', '"type": "thing"'))
    assert "no valid JSON Schema" in finding.message


def test_no_permission_to_reach_anything(tmp_path: Path) -> None:
    (finding,) = verify.check(manifest_with(tmp_path, '["https://api.acme.test/*"]', "[]"))
    assert "no host at all" in finding.message


def test_a_target_that_is_not_there() -> None:
    (finding,) = verify.check("./nowhere.py")
    assert (finding.file, finding.line) == ("./nowhere.py", 1)
    assert "no file nowhere.py" in finding.message


SINCE = 'since=__import__("penstock").Since(param="since", field="at"'


def test_no_time_to_settle_is_a_warning(tmp_path: Path) -> None:
    """SA20: changes that are committed late would be lost."""
    settle = '__import__("datetime").timedelta(0)'
    target = manifest_with(tmp_path, 'id="id",', f'id="id", {SINCE}, settle={settle}),')
    (finding,) = verify.check(target)
    assert finding.severity == "warning"
    assert "no time to settle" in finding.message


@pytest.mark.parametrize(("full", "warnings"), [("", 1), (', full="0 3 * * sun"', 0)])
def test_absence_is_proven_by_full_runs(tmp_path: Path, full: str, warnings: int) -> None:
    target = manifest_with(tmp_path, 'id="id",', f'id="id", deletes="absent", {SINCE}),')
    file = Path(target)
    text = file.read_text().replace('["write"]', '["write", "delete"]')
    file.write_text(text.replace(STREAM, STREAM.replace(")", full + ")")))
    found = verify.check(target)
    assert [finding.severity for finding in found] == ["warning"] * warnings
    assert all("needs complete enumerations" in finding.message for finding in found)
