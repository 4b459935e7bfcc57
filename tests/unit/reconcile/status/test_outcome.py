# SPDX-License-Identifier: Apache-2.0
"""What the engine remembers between two runs: nothing at first, and no errand that has ended."""

from __future__ import annotations

import gc

import pytest

from postroom.api.emailaccount_status import SyncPhase
from postroom.reconcile.status.outcome import Memory
from unit.reconcile.assessments import NOW
from unit.reconcile.message_worlds import TAKEN


def test_a_mailbox_is_busy_for_as_long_as_something_is_done_there() -> None:
    memory = Memory()
    with memory.busy_at_mailbox(SyncPhase.SYNCING, NOW):
        assert memory.at_mailbox == (SyncPhase.SYNCING, NOW)
    assert memory.at_mailbox is None


def test_it_is_no_longer_where_that_fails() -> None:
    memory = Memory()
    with pytest.raises(OSError, match="gone"), memory.busy_at_mailbox(SyncPhase.SYNCING, NOW):
        raise OSError("gone")
    assert memory.at_mailbox is None


def test_two_objects_share_no_memory() -> None:
    one, other = Memory(), Memory()
    one.sends["token"] = TAKEN
    one.wrong["spf"] = (NOW, ("v=spf1 -all",))
    one.failed_probes["SMTP"] = 1
    assert other.known() == Memory().known()


def test_no_room_is_kept_for_what_there_is_none_of() -> None:
    memory = Memory()
    memory.sends["token"] = TAKEN
    assert memory.due == {} and memory.wrong == {}
    before = memory.known()
    memory.tidy()
    kept = [one for one in gc.get_referents(memory) if isinstance(one, dict)]
    assert kept == [{"token": TAKEN}]
    assert memory.known() == before


def test_what_is_put_where_there_was_none_is_there() -> None:
    memory = Memory()
    memory.tidy()
    memory.due["SMTP"] = NOW
    memory.tidy()
    assert memory.due == {"SMTP": NOW}


def test_it_has_nothing_of_another_name() -> None:
    assert not hasattr(Memory(), "due_at")
