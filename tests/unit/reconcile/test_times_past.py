# SPDX-License-Identifier: Apache-2.0
"""A status whose times lie far back, or whose generation is another object's: one of a backup, or
by somebody's hand. Since when something is stays as it is told, which a restore relies on; what is
looked at next, and what may be sent, does not go by it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from postroom.api.conditions import ConditionType
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.reconcile.status import schedule
from unit.reconcile.assessments import NOW, Stored
from unit.reconcile.domain_worlds import Domain, but
from unit.reconcile.mail_worlds import ACCOUNT, REFUSED, SERVER, verdict
from unit.reconcile.message_worlds import MessageWorld
from unit.reconcile.test_times_ahead import moved

BACK = ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2016-12-31T23:59:60Z")
MISSING = but(dkim_k1=RecordState.MISSING)


@pytest.mark.parametrize("back", BACK)
@pytest.mark.parametrize("key", [SERVER, ACCOUNT])
@pytest.mark.parametrize("is_well", [False, True])
async def test_whatever_the_times_are_it_is_looked_at(back: str, key: Key, is_well: bool) -> None:
    world = MessageWorld(default=True)
    await world.ready()
    if not is_well:
        world.probes.away = REFUSED
        await world.look(key)
    world.objects[key]["status"] = Stored(moved(world.objects[key]["status"], back))
    world.restart()
    due = schedule.due_in(key.kind, world.objects[key], world.time)
    assert timedelta() <= due <= schedule.HEARTBEAT
    status = await world.look(key)
    ready = ("True", Reason.SUCCEEDED.value)
    assert (verdict(status, ConditionType.READY) == ready) is is_well
    assert Reason.INTERNAL_ERROR.value not in [each.reason for each in status.conditions]


@pytest.mark.parametrize("back", BACK)
@pytest.mark.parametrize("restarts", [False, True])
def test_what_is_new_is_looked_at_often_whatever_its_status_says(back: str, restarts: bool) -> None:
    domain = Domain(created=NOW)
    domain.look(MISSING)
    domain.stored = Stored(moved(domain.stored, back))
    if restarts:
        domain.restart()
        due = schedule.due_in(Kind.SENDING_DOMAIN, domain.raw, NOW)
        assert due <= timedelta(minutes=1)
    domain.look(MISSING)
    assert domain.next_check <= timedelta(minutes=1)


@pytest.mark.parametrize("succeeds", [False, True])
def test_a_success_of_a_generation_that_is_to_come_is_none(succeeds: bool) -> None:
    """A restored object begins anew to count its generations; its status does not."""
    domain = Domain(generation=3, created=NOW)
    domain.look(but())
    assert domain.status.last_ready_generation == 3
    domain.generation = 1
    domain.look(but() if succeeds else MISSING)
    assert domain.status.last_ready_generation == (1 if succeeds else None)
    for _ in range(2):
        domain.edit(interval="30m")
        domain.look(MISSING)
    assert domain.generation == 3
    assert domain.condition(ConditionType.RECONCILING) is not None


@pytest.mark.parametrize("back", BACK)
async def test_no_message_goes_out_earlier(back: str) -> None:
    world = MessageWorld(roundTrip={"enabled": True})
    await world.ready()
    await world.run(times=5)
    assert len(world.office.sent) == 1
    for _ in range(9):
        world.objects[ACCOUNT]["status"] = Stored(moved(world.objects[ACCOUNT]["status"], back))
        await world.run(30)
    assert len(world.office.sent) == 1
    # Nor ever less than five minutes after another.
    for _ in range(20):
        world.objects[ACCOUNT]["status"] = Stored(moved(world.objects[ACCOUNT]["status"], back))
        await world.run(30)
    assert len(world.office.sent) <= 3
