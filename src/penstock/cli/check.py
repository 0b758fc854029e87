"""`penstock check`: find what is wrong with a connector before it runs."""

from __future__ import annotations

from penstock.cli import output
from penstock.cli.connect import Target

CLEAN, FOUND = 0, 1


def check(target: Target, as_json: output.AsJson = False) -> int:
    """Check a connector before it runs.

    Needs no database and no network. Ends with 1 when something is wrong.
    """
    from penstock.app import check as findings_of

    findings = findings_of(target)
    wrong = [finding for finding in findings if finding.severity == "error"]
    if as_json:
        names = ("file", "line", "severity", "message", "cure")
        output.show_json(
            [{name: _plain(getattr(finding, name)) for name in names} for finding in findings]
        )
    else:
        for finding in findings:
            output.say(f"{finding.file}:{finding.line}: {finding.severity}: {finding.message}")
            if finding.cure:
                output.say(f"    {finding.cure}")
        errors = output.counted(len(wrong), "error")
        warnings = output.counted(len(findings) - len(wrong), "warning")
        output.say(f"{target}: {errors}, {warnings}")
        if not wrong:
            output.hint(f"penstock connect {target} --name NAME")
    return FOUND if wrong else CLEAN


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, int) else str(value)
