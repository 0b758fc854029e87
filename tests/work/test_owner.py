"""Who holds a lease, and whether that process is certainly dead."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from penstock.work.owner import Owner, start_of


def test_an_owner_survives_its_text() -> None:
    me = Owner.of_this_process()
    assert Owner.parse(str(me)) == me
    assert Owner.parse("somebody else") is None


def test_we_are_alive() -> None:
    me = Owner.of_this_process()
    assert not me.is_dead(here=me)


def test_a_process_that_ended_is_dead() -> None:
    me = Owner.of_this_process()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    its = replace(me, pid=child.pid, started=start_of(child.pid) or "")
    assert not its.is_dead(here=me)
    child.kill()
    child.communicate()
    assert its.is_dead(here=me)


def test_a_pid_used_again_is_another_process() -> None:
    me = Owner.of_this_process()
    assert replace(me, started="1").is_dead(here=me)


def test_an_earlier_boot_is_dead_and_another_host_may_live() -> None:
    me = Owner.of_this_process()
    assert replace(me, boot="before").is_dead(here=me)
    assert not replace(me, host="elsewhere", pid=999_999_999).is_dead(here=me)
