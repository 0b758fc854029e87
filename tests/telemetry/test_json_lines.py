"""A log line for machines is one JSON object, complete, on one line, without secrets."""

from __future__ import annotations

import json
import logging

from penstock.telemetry.json_lines import JsonLines


def line(redact=lambda text: text, **more) -> dict:
    values = {"name": "penstock.run", "levelname": "WARNING", "created": 1772445600.25} | more
    written = JsonLines(redact).format(logging.makeLogRecord(values))
    assert "\n" not in written
    return json.loads(written)


def test_an_event_has_its_fields_as_members():
    fields = {"connection": "acme", "records": 2, "seconds": 0.5, "reason": None}
    told = line(event="run.finished", fields=fields)
    assert told == {
        "at": "2026-03-02T10:00:00.250000Z",
        "level": "warning",
        "event": "run.finished",
        **fields,
    }
    assert list(told)[:3] == ["at", "level", "event"]


def test_a_field_does_not_hide_time_and_level():
    told = line(event="x.y", fields={"at": "never", "level": 3})
    assert told["at"] == "2026-03-02T10:00:00.250000Z"
    assert told["level"] == "warning"


def test_what_is_no_event_has_its_logger_and_message():
    told = line(name="alembic", msg="went %s", args=("up\nand on",))
    assert (told["logger"], told["message"]) == ("alembic", "went up\nand on")


def test_secrets_are_taken_out_before_they_are_written():
    def redact(text: str) -> str:
        return text.replace('s"1', "***")

    assert line(redact, event="x.y", fields={"why": 'key s"1 refused'})["why"] == "key *** refused"
    assert line(redact, msg='s"1')["message"] == "***"


def test_a_trace_is_a_member():
    try:
        raise ValueError("no")
    except ValueError as error:
        told = line(msg="broken", exc_info=(ValueError, error, error.__traceback__))
    assert "ValueError: no" in told["trace"]
