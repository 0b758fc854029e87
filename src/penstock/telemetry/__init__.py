"""Named events, the one place that logs, metrics and traces hang on.

`events` is imported everywhere and costs nothing; `json_lines`, `metrics` and `traces` hear them,
and are imported by whoever wants them.
"""

from penstock.telemetry.events import Fields, Listener, about, carried, event, heard_by, kill_point

__all__ = ["Fields", "Listener", "about", "carried", "event", "heard_by", "kill_point"]
