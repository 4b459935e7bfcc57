# SPDX-License-Identifier: Apache-2.0
"""An API server that fails in every way that a door before a real one can have it fail."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from aiohttp import web

from cluster.api_client import apply
from cluster.faults import api_proxy
from cluster.faults.api_proxy import ApiProxy, Forward, Script
from cluster.faults.conftest import Identity
from cluster.faults.etcd import compact
from cluster.faults.scene import Keeper, Place, Raw, assert_all_is_well, takes
from cluster.objects import eventually
from postroom.api.crd import definition
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane


@dataclass(frozen=True)
class Fault:
    """`script` is what befalls requests for so many seconds; `more_writes` what may come of it for
    each object that is changed, and `ends` whether the operator may have ended."""

    name: str
    script: Callable[[ApiProxy], Script]
    seconds: float = 3.0
    cuts: bool = False
    more_writes: int = 0
    ends: int = 0


def refused(status: int, retry_after: str | None = None) -> Callable[[ApiProxy], Script]:
    return lambda proxy: api_proxy.answering(status, retry_after)


async def _passing(request: web.Request, forward: Forward) -> web.StreamResponse:
    return await forward()


async def _cutting(request: web.Request, forward: Forward) -> web.StreamResponse:
    return api_proxy.cut(request)


def servers_of(proxy: ApiProxy) -> dict[tuple[str, str], bytes]:
    """The lists of servers as they were last seen."""
    return {asked: seen for asked, seen in proxy.lists.items() if "/mailservers" in asked[0]}


FAULTS = (
    Fault("slow", lambda proxy: api_proxy.slow(1.0), seconds=4.0),
    Fault("429", refused(429)),
    Fault("429 with Retry-After", refused(429, "1")),
    Fault("500", refused(500)),
    Fault("500 with Retry-After", refused(500, "1")),
    Fault("503", refused(503)),
    Fault("503 with Retry-After", refused(503, "2")),
    Fault("conflicts", lambda proxy: api_proxy.conflicting(3)),
    Fault("answers lost", lambda proxy: api_proxy.losing_answers(), more_writes=3),
    Fault("everything cut", lambda proxy: _cutting, cuts=True),
    Fault("watches cut", lambda proxy: _passing, cuts=True),
    Fault("410 Gone", lambda proxy: api_proxy.expired(), cuts=True),
    Fault("stale list", lambda proxy: api_proxy.stale(servers_of(proxy)), seconds=12, cuts=True),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_api_server_fails_for_a_while(
    fault: Fault, place: Place, proxy: ApiProxy, keeper: Keeper
) -> None:
    ended = keeper.ends
    proxy.hits.clear()
    proxy.script = fault.script(proxy)
    if fault.cuts:
        proxy.cut_watches()
    place.busy()
    until = time.monotonic() + fault.seconds
    while time.monotonic() < until:
        time.sleep(0.3)
        keeper.look()
        if fault.cuts:
            proxy.cut_watches()
    proxy.script = None
    assert proxy.hits, "no request met the fault"
    assert_all_is_well(place, keeper, more_writes=fault.more_writes)
    assert keeper.ends - ended <= fault.ends, keeper.operator.tail()


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "restarted"])
def test_the_api_server_goes_away_and_comes_back(
    kill: bool, place: Place, installed: ControlPlane, keeper: Keeper
) -> None:
    place.busy()
    installed.restart(kill=kill)
    assert_all_is_well(place, keeper, more_writes=1)


def test_etcd_is_compacted_while_nobody_watches(
    place: Place, proxy: ApiProxy, installed: ControlPlane, keeper: Keeper
) -> None:
    """Restarted, the API server remembers no more than etcd does: what goes on from before is told
    410 Gone."""
    proxy.script = _cutting
    proxy.cut_watches()
    place.busy()
    compact(installed, place.revision())
    installed.restart()
    proxy.script = None
    assert_all_is_well(place, keeper, more_writes=1)


def test_the_token_is_rotated(
    place: Place, proxy: ApiProxy, identity: Identity, keeper: Keeper
) -> None:
    old = identity.current
    identity.issue()
    identity.revoke(old)
    proxy.cut_watches()
    place.busy()
    assert_all_is_well(place, keeper)
    assert keeper.ends == 0


def test_the_token_ends_before_there_is_another(
    place: Place, proxy: ApiProxy, identity: Identity, keeper: Keeper
) -> None:
    ended = keeper.ends
    before = proxy.answers[401]
    identity.revoke(identity.current)
    eventually(lambda: proxy.answers[401] > before, "a request is refused")
    proxy.cut_watches()
    place.busy()
    identity.issue()
    assert_all_is_well(place, keeper)
    assert keeper.ends == ended, keeper.operator.tail()


LONG = {"domain": "nine.test"}


def tightened(definition: Raw) -> None:
    """What stands is no longer allowed."""
    properties = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    properties["spec"]["properties"]["domain"]["maxLength"] = 8


def with_another_version(definition: Raw) -> None:
    versions = definition["spec"]["versions"]
    versions.append({**versions[0], "name": "v1beta1", "storage": False})


@pytest.mark.parametrize(
    ("change", "is_so"),
    [
        (tightened, lambda plane: not takes(plane, LONG)),
        (with_another_version, lambda plane: takes(plane, LONG, "postroom.dev/v1beta1")),
    ],
    ids=["tightened", "with_another_version"],
)
def test_the_definition_is_replaced(
    change: Callable[[Raw], None],
    is_so: Callable[[ControlPlane], bool],
    place: Place,
    installed: ControlPlane,
    keeper: Keeper,
) -> None:
    ended = keeper.ends
    given = definition(Kind.SENDING_DOMAIN)
    replaced = copy.deepcopy(given)
    change(replaced)
    try:
        apply(installed, json.dumps(replaced))
        eventually(lambda: is_so(installed), "it is served as it is now")
        place.ask(Kind.SENDING_DOMAIN, "standing")
        place.busy()
        eventually(lambda: place.answered(Kind.SENDING_DOMAIN, "standing"), "it is looked at")
        assert_all_is_well(place, keeper, bystanders={"standing": 1})
    finally:
        apply(installed, json.dumps(given))
        eventually(lambda: not is_so(installed), "it is served as before")
    assert keeper.ends == ended, keeper.operator.tail()
