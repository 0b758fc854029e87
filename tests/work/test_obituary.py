"""Who holds something and is certainly dead, looked up now and then."""

from __future__ import annotations

from dataclasses import replace

from penstock.testing.clock import ManualClock
from penstock.work.obituary import LOOK_S, Obituary
from penstock.work.owner import Owner

LIVING = Owner.of_this_process()
DEAD = replace(LIVING, boot="an earlier one")
ELSEWHERE = replace(DEAD, host="another host")


def test_only_what_the_dead_of_this_host_hold_is_told() -> None:
    held = [str(LIVING), str(DEAD), str(ELSEWHERE), "somebody"]
    assert Obituary(ManualClock()).read(lambda: held, str) == [str(DEAD)]


def test_it_is_not_read_at_every_tick() -> None:
    clock = ManualClock()
    obituary = Obituary(clock)
    looks: list[int] = []

    def held() -> list[str]:
        looks.append(1)
        return [str(DEAD)]

    assert obituary.read(held, str) == [str(DEAD)]
    clock.advance(LOOK_S - 1)
    assert obituary.read(held, str) == []
    clock.advance(1)
    assert obituary.read(held, str) == [str(DEAD)]
    assert len(looks) == 2
