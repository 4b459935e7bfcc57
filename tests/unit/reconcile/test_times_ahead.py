# SPDX-License-Identifier: Apache-2.0
"""A status whose times lie far ahead: a clock that was wrong wrote it, or somebody's hand. The next
look tells none of them on, but for those of a message that was sent, of which nothing else is known
(they hold nothing up)."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.names import Key
from postroom.api.sendingdomain import RecordState
from postroom.api.times import timestamp
from unit.reconcile.assessments import NOW, Stored
from unit.reconcile.domain_worlds import BLIND, GOOD, but, verified
from unit.reconcile.mail_worlds import ACCOUNT, SERVER
from unit.reconcile.message_worlds import MessageWorld

FAR = "2400-01-01T00:00:00Z"
_LATEST = timestamp(NOW.replace(year=NOW.year + 1))


def moved(value: Any, to: str = FAR) -> Any:
    """A stored value with another time in the place of all that were."""
    if isinstance(value, dict):
        return {name: moved(inner, to) for name, inner in value.items()}
    if isinstance(value, list):
        return [moved(inner, to) for inner in value]
    is_time = isinstance(value, str) and value[4:5] == "-" and value.endswith("Z")
    return to if is_time and value < _LATEST else value


def places(value: Any, where: str = "") -> list[str]:
    """Where a stored value tells the time that lies far ahead."""
    if isinstance(value, dict):
        return [each for name, inner in value.items() for each in places(inner, f"{where}.{name}")]
    if isinstance(value, list):
        return [each for inner in value for each in places(inner, f"{where}[]")]
    return [where] if value == FAR else []


@pytest.mark.parametrize("key", [SERVER, ACCOUNT])
@pytest.mark.parametrize("restarts", [False, True])
async def test_of_a_server_and_an_account(key: Key, restarts: bool) -> None:
    world = MessageWorld(default=True)
    world.objects[SERVER]["spec"] = Stored({**world.objects[SERVER]["spec"], "default": True})
    created = {"creationTimestamp": timestamp(NOW)}
    for each in (SERVER, ACCOUNT):
        world.objects[each]["metadata"] |= created
    await world.ready()
    before = world.objects[key]["status"]
    world.objects[key]["status"] = Stored(moved(before))
    expected = {SERVER: {".defaultSince"}, ACCOUNT: {".connectedAt", ".launch.items[].since"}}
    assert set(places(world.objects[key]["status"])) > expected[key] | {".lastReadyTime"}
    if restarts:
        world.restart()
    await world.look(key)
    assert places(world.objects[key]["status"]) == []


@pytest.mark.parametrize("states", [GOOD, BLIND, but(dkim_k1=RecordState.MISSING)])
@pytest.mark.parametrize("restarts", [False, True])
def test_of_a_domain(states: Any, restarts: bool) -> None:
    domain = verified()
    domain.stored = Stored(moved(domain.stored))
    assert ".verifiedAt" in places(domain.stored)
    if restarts:
        domain.restart()
    domain.look(states)
    assert places(domain.stored) == []
