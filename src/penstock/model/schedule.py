"""A schedule: five cron fields, read in a time zone. Pure.

Daylight saving follows cronsim: `30 2 * * *` fires once in the night that has that hour twice, and
at 03:00 in the one that lacks it; what fires several times an hour fires in both equal hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

ZONE = "CRON_TZ="
"""Before the fields, with the name of a zone: `CRON_TZ=Europe/Berlin 0 3 * * *`."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """fields: minute, hour, day, month, weekday. zone: an IANA name."""

    fields: str
    zone: str = "UTC"

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Raises ValueError with a sentence for fields that are none or an unknown zone."""
        zone, fields = "UTC", text.strip()
        if fields.startswith(ZONE):
            zone, _, fields = fields.removeprefix(ZONE).partition(" ")
        schedule = cls(fields.strip(), zone)
        schedule.after(datetime(2026, 1, 1, tzinfo=UTC))
        return schedule

    def after(self, moment: datetime) -> datetime:
        """The first time behind a moment, in UTC."""
        return self._times(moment, 1)[0]

    def pause(self, moment: datetime) -> timedelta:
        """How long it is from the first time behind a moment to the second."""
        first, second = self._times(moment, 2)
        return second - first

    def _times(self, moment: datetime, count: int) -> list[datetime]:
        from cronsim import CronSim, CronSimError

        if len(self.fields.split()) != 5:
            raise ValueError(f"{self.fields!r} has not five fields")
        try:
            zone = ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"there is no time zone {self.zone!r}") from None
        try:
            found = list(islice(CronSim(self.fields, moment.astimezone(zone)), count))
        except CronSimError as error:
            raise ValueError(f"{self.fields!r} is no cron schedule: {error}") from error
        if len(found) < count:
            raise ValueError(f"{self.fields!r} never comes")
        return [time.astimezone(UTC) for time in found]
