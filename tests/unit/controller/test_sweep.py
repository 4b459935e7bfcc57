# SPDX-License-Identifier: Apache-2.0
"""The first fill and the sweep: what counts as known, as gone, and as missed by the watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest

from postroom.api.names import Key, Kind
from postroom.controller.cache import Cache
from postroom.controller.client import ApiError, Listed
from postroom.controller.intake import START_ORDER, Intake
from postroom.controller.queue import KeyedQueue
from postroom.controller.sweep import Sweep
from postroom.metrics import Metrics
from unit.controller.samples import ACCOUNT, SERVER, Object, ready, stored


class Cluster:
    """Objects that can be listed and read, and failures of the next lists."""

    def __init__(self, *objects: tuple[Key, Object]) -> None:
        self.objects = dict(objects)
        #: Namespaces whose lists are refused.
        self.refuse: set[str | None] = set()
        self.failures: list[int] = []
        #: What is answered for an object, and what was asked for.
        self.unreadable: dict[Key, int] = {}
        self.read: list[Key] = []
        self.lists: list[tuple[Kind, str | None]] = []

    async def list_metadata(self, kind: Kind, namespace: str | None) -> dict[Key, Listed]:
        self.lists.append((kind, namespace))
        if self.failures:
            raise ApiError("GET list", self.failures.pop(0))
        if namespace in self.refuse:
            raise ApiError("GET list", 403)
        return {
            key: Listed(raw["metadata"]["uid"], raw["metadata"]["resourceVersion"])
            for key, raw in self.objects.items()
            if key.kind is kind and namespace in (None, key.namespace)
        }

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        self.read.append(key)
        if key in self.unreadable:
            raise ApiError("GET", self.unreadable[key])
        return self.objects.get(key)


class Bench:
    """A sweep over a cluster."""

    def __init__(self, cluster: Cluster, *namespaces: str) -> None:
        self.cluster = cluster
        self.intake = Intake(Cache(), KeyedQueue())
        self.metrics = Metrics()
        self.later = 0.0
        self.sweep = Sweep(
            cluster, self.intake, namespaces, self.metrics, self.clock, watch_lag=0.01
        )

    def clock(self) -> float:
        return time.monotonic() + self.later

    def released(self, *objects: tuple[Key, Object]) -> Bench:
        for key, raw in objects:
            self.intake.seen(key.kind, raw)
        self.intake.release()
        return self

    @property
    def left_out(self) -> dict[str, float | None]:
        return {
            part: self.metrics.registry.get_sample_value("postroom_sweep_left_out", {"part": part})
            for part in ("namespaces", "objects")
        }

    @property
    def missed(self) -> float | None:
        return self.metrics.registry.get_sample_value("postroom_watch_missed_total")


def server(version: int = 10, **changes: Any) -> tuple[Key, Object]:
    return SERVER, stored(SERVER, version=version, **{"status": ready(), **changes})


async def test_an_empty_cluster_is_filled_at_once() -> None:
    one = Bench(Cluster())
    await asyncio.wait_for(one.sweep.fill(), 1)
    one.intake.seen(SERVER.kind, server()[1])
    assert one.intake.queue.waiting == 1


async def test_nothing_starts_before_the_watch_has_brought_everything() -> None:
    one = Bench(Cluster(server()))
    fill = asyncio.ensure_future(one.sweep.fill())
    await asyncio.sleep(0.1)
    assert not fill.done()
    assert one.intake.queue.waiting == 0
    one.intake.seen(SERVER.kind, server()[1])
    await asyncio.wait_for(fill, 1)
    assert one.intake.queue.waiting == 1
    assert one.sweep.age() >= 0


async def test_all_else_goes_on_while_many_objects_are_released() -> None:
    keys = [SERVER._replace(name=f"s{number}") for number in range(200)]
    one = Bench(Cluster(*((key, stored(key)) for key in keys)))
    for key in keys:
        one.intake.seen(key.kind, stored(key))
    waiting: list[int] = []

    async def look() -> None:
        while True:
            waiting.append(one.intake.queue.waiting)
            await asyncio.sleep(0)

    looking = asyncio.ensure_future(look())
    await asyncio.wait_for(one.sweep.fill(), 10)
    looking.cancel()
    assert one.intake.queue.waiting == len(keys)
    steps = [after - before for before, after in pairwise([0, *waiting, len(keys)])]
    assert 0 < max(steps) < len(keys) // 2


async def test_an_object_that_goes_before_it_came_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("postroom.controller.sweep._RELIST", 0.05)
    cluster = Cluster(server())
    one = Bench(cluster)
    fill = asyncio.ensure_future(one.sweep.fill())
    await asyncio.sleep(0.02)
    cluster.objects.clear()
    await asyncio.wait_for(fill, 2)


async def test_the_fill_outlasts_failures_and_absent_crds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("postroom.controller.sweep.Backoff.delay", lambda *_: 0.0)
    cluster = Cluster()
    cluster.failures = [0, 503, 404]
    one = Bench(cluster)
    await asyncio.wait_for(one.sweep.fill(), 1)
    assert "kubectl apply --server-side -k crds" in caplog.text


async def test_one_namespace_that_refuses_us_holds_no_other_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("postroom.controller.sweep.Backoff.delay", lambda *_: 0.0)
    cluster = Cluster(server())
    one = Bench(cluster, "gone", SERVER.namespace)
    cluster.refuse = {"gone"}
    one.intake.seen(SERVER.kind, server()[1])
    await asyncio.wait_for(one.sweep.fill(), 5)
    assert one.intake.queue.waiting == 1
    assert caplog.text.count("nothing of namespace gone is looked at") == 1
    # An API server that begins may refuse everybody, one namespace after the other.
    first = [scope for asked, scope in cluster.lists if asked is Kind.SENDING_DOMAIN]
    assert first.count("gone") > 3


async def test_a_process_that_is_refused_everywhere_does_not_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = asyncio.Event()
    cluster = Cluster()
    cluster.refuse = {"a", "b"}

    def delay(_: object, failures: int) -> float:
        if failures > 20:
            tried.set()
        return 0.0

    monkeypatch.setattr("postroom.controller.sweep.Backoff.delay", delay)
    one = Bench(cluster, "a", "b")
    fill = asyncio.ensure_future(one.sweep.fill())
    await asyncio.wait_for(tried.wait(), 5)
    assert not fill.done()
    cluster.refuse = set()
    await asyncio.wait_for(fill, 5)


async def test_what_may_not_be_listed_is_kept_and_the_rest_is_swept() -> None:
    hidden = SERVER._replace(namespace="hidden")
    cluster = Cluster()
    one = Bench(cluster, "hidden", SERVER.namespace)
    one.released(server(), (hidden, stored(hidden, status=ready())))
    await one.sweep.fill()
    cluster.refuse = {"hidden"}
    one.later = 4000.0
    await one.sweep.once()
    assert hidden in one.intake.cache
    assert SERVER not in one.intake.cache
    assert one.sweep.age() < 1000.0, "one namespace's trouble is not everybody's"
    assert one.left_out == {"namespaces": 1, "objects": 0}
    cluster.refuse = set()
    await one.sweep.once()
    assert one.left_out == {"namespaces": 0, "objects": 0}


async def test_what_is_refused_for_an_hour_is_taken_to_be_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hidden, told = SERVER._replace(namespace="hidden"), list[Key]()
    beside = ACCOUNT._replace(namespace="hidden")
    cluster = Cluster(server())
    one = Bench(cluster, "hidden", SERVER.namespace)
    one.released(*((key, stored(key, status=ready())) for key in (SERVER, hidden, beside)))
    one.intake.on_gone = told.append

    async def sweep(minutes: float) -> None:
        one.later += 60 * minutes
        await one.sweep.once()

    cluster.refuse = {"hidden"}
    for minutes in (0, 30, 25):
        await sweep(minutes)
    # Whoever has the permission back for a moment begins anew.
    cluster.refuse = set()
    cluster.objects |= {key: stored(key, status=ready()) for key in (hidden, beside)}
    await one.sweep.once()
    cluster.refuse = {"hidden"}
    for minutes in (0, 30, 25):
        await sweep(minutes)
    assert told == []
    await sweep(6)
    assert sorted(told) == sorted([hidden, beside])
    assert SERVER in one.intake.cache
    assert not {hidden, beside} & set(one.intake.cache.keys(hidden.kind))
    assert caplog.text.count("are taken to be gone") == 2
    await sweep(60)
    assert len(told) == 2
    # What is there after all comes back with the watch, as new.
    one.intake.seen(hidden.kind, stored(hidden, status=ready()))
    assert hidden in one.intake.cache


async def test_a_list_that_expires_half_way_is_started_again() -> None:
    cluster = Cluster(server())
    cluster.failures = [410]
    one = Bench(cluster).released(server())
    await one.sweep.once()
    assert SERVER in one.intake.cache


async def test_each_namespace_is_listed_by_itself() -> None:
    cluster = Cluster()
    await Bench(cluster, "a", "b").sweep.fill()
    assert {namespace for _, namespace in cluster.lists} == {"a", "b"}


async def test_a_sweep_over_an_equal_cluster_reads_nothing_else() -> None:
    one = Bench(Cluster(server())).released(server())
    await one.sweep.once()
    assert one.missed == 0


async def test_what_vanished_unseen_is_dropped() -> None:
    one = Bench(Cluster()).released(server())
    await one.sweep.once()
    assert SERVER not in one.intake.cache
    assert one.missed == 1


async def test_what_a_list_of_some_time_ago_does_not_show_is_kept() -> None:
    """Else whatever stands on the object would fall with it."""
    cluster = Cluster(server())
    one = Bench(cluster).released(server())

    async def stale(kind: Kind, namespace: str | None) -> dict[Key, Listed]:
        return {}

    cluster.list_metadata = stale  # type: ignore[method-assign]
    await one.sweep.once()
    assert SERVER in one.intake.cache
    assert one.missed == 0


async def test_what_another_of_the_same_name_replaced_is_known_by_its_own_uid() -> None:
    cluster = Cluster((SERVER, stored(SERVER, uid="new", version=30)))
    one = Bench(cluster).released(server())

    async def stale(kind: Kind, namespace: str | None) -> dict[Key, Listed]:
        return {}

    cluster.list_metadata = stale  # type: ignore[method-assign]
    await one.sweep.once()
    found = one.intake.cache.get(SERVER)
    assert found is not None and found["metadata"]["uid"] == "new"
    assert one.missed == 1


async def test_what_appears_during_the_list_is_kept() -> None:
    cluster = Cluster()
    one = Bench(cluster).released()
    listing = cluster.list_metadata

    async def slow(kind: Kind, namespace: str | None) -> dict[Key, Listed]:
        listed = await listing(kind, namespace)
        one.intake.seen(SERVER.kind, server()[1])
        return listed

    cluster.list_metadata = slow  # type: ignore[method-assign]
    await one.sweep.once()
    assert SERVER in one.intake.cache


async def test_what_was_recreated_meanwhile_is_kept() -> None:
    one = Bench(Cluster()).released(server())
    sweep = asyncio.ensure_future(one.sweep.once())
    await asyncio.sleep(0.003)
    one.intake.seen(*_seen(server(version=20, uid="uid-2")))
    await sweep
    assert SERVER in one.intake.cache


def _seen(pair: tuple[Key, Object]) -> tuple[Kind, Object]:
    return pair[0].kind, pair[1]


async def test_what_the_watch_never_brought_is_read() -> None:
    one = Bench(Cluster(server())).released()
    await one.sweep.once()
    assert SERVER in one.intake.cache
    assert one.intake.queue.waiting + one.intake.queue.scheduled == 1
    assert one.missed == 1


async def test_a_change_that_the_watch_never_brought_is_read() -> None:
    one = Bench(Cluster(server(version=11, generation=2))).released(server())
    await one.sweep.once()
    assert one.intake.queue.waiting == 1
    assert one.missed == 1


async def test_a_change_that_the_watch_brings_a_little_late_is_not_missed() -> None:
    one = Bench(Cluster(server(version=11))).released(server())
    sweep = asyncio.ensure_future(one.sweep.once())
    await asyncio.sleep(0.003)
    one.intake.seen(*_seen(server(version=11)))
    await sweep
    assert one.missed == 0


async def test_a_cache_that_is_ahead_of_the_list_is_left_alone() -> None:
    cluster = Cluster(server(version=11))
    one = Bench(cluster).released(server(version=12))
    sweep = asyncio.ensure_future(one.sweep.once())
    await asyncio.sleep(0.003)
    cluster.objects = dict([server(version=12)])
    await sweep
    assert one.missed == 0


async def test_versions_that_ran_backwards_are_believed_in_the_end() -> None:
    restored = (ACCOUNT, stored(ACCOUNT, version=5, uid="uid-restored", status=ready()))
    one = Bench(Cluster(restored)).released((ACCOUNT, stored(ACCOUNT, version=90)))
    await one.sweep.once()
    cached = one.intake.cache.get(ACCOUNT)
    assert cached is not None and cached["metadata"]["uid"] == "uid-restored"


async def test_a_failed_sweep_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster()
    cluster.failures = [503]
    one = Bench(cluster).released()
    task = asyncio.ensure_future(one.sweep.run(0.01))
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if one.sweep.age() >= 0:
            break
    task.cancel()
    assert "sweep failed" in caplog.text
    assert one.sweep.age() >= 0


_FIRST, _LAST = (SERVER._replace(name=name) for name in ("first", "last"))


@pytest.mark.parametrize("status", [400, 403, 500])
@pytest.mark.parametrize("gone", [True, False])
async def test_an_object_that_cannot_be_read_is_the_only_one_left_out(
    status: int, caplog: pytest.LogCaptureFixture, *, gone: bool
) -> None:
    objects = [(key, stored(key, status=ready())) for key in (_FIRST, _LAST)]
    later = (ACCOUNT, stored(ACCOUNT, status=ready()))
    cluster = Cluster(later) if gone else Cluster(*objects, later)
    one = Bench(cluster).released(*(objects if gone else ()))
    cluster.unreadable = {_FIRST: status}
    await one.sweep.once()
    assert (_FIRST in one.intake.cache, _LAST in one.intake.cache) == (gone, not gone)
    assert ACCOUNT in one.intake.cache, "other kinds are swept, too"
    assert one.sweep.age() >= 0.0, "the sweep got round"
    assert one.left_out == {"namespaces": 0, "objects": 1}
    assert str(_FIRST) in caplog.text


async def test_a_kind_that_may_not_be_listed_holds_no_other_up() -> None:
    cluster = Cluster((ACCOUNT, stored(ACCOUNT, status=ready())))
    one = Bench(cluster).released()
    listing = cluster.list_metadata

    async def refused(kind: Kind, namespace: str | None) -> dict[Key, Listed]:
        if kind is START_ORDER[0]:
            raise ApiError("GET list", 403)
        return await listing(kind, namespace)

    cluster.list_metadata = refused  # type: ignore[method-assign]
    with pytest.raises(ApiError):
        await one.sweep.once()
    assert ACCOUNT in one.intake.cache
    assert one.sweep.age() == -1.0, "the sweep did not get round"


NO_RIGHT = "list mailservers in {}: grant this service account get, list and watch on mailservers"


@pytest.mark.parametrize(
    ("namespaces", "status", "said"),
    [
        ((), 403, NO_RIGHT.format("all namespaces") + " of postroom.dev"),
        (("a", "b"), 403, NO_RIGHT.format("namespace a, b")),
        ((), 404, "the CRDs: mailservers are not served; kubectl apply"),
        ((), 503, "the API server, which answers 503"),
        ((), 401, "the API server to accept our credentials, which it answers with 401"),
        ((), 0, "the API server, which gives no answer: no route"),
    ],
)
async def test_what_the_first_list_waits_for_is_named(
    namespaces: tuple[str, ...],
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster, found = Cluster(), list[str | None]()
    one = Bench(cluster, *namespaces)

    async def list_metadata(kind: Kind, namespace: str | None) -> dict[Key, Listed]:
        if kind is Kind.MAIL_SERVER and len(found) < 3:
            raise ApiError("GET list", status, "no route")
        return {}

    def delay(_: object, failures: int) -> float:
        found.append(one.sweep.obstacle)
        return 0.0

    monkeypatch.setattr("postroom.controller.sweep.Backoff.delay", delay)
    cluster.list_metadata = list_metadata  # type: ignore[method-assign]
    assert one.sweep.obstacle is None
    await one.sweep.fill()
    assert [text is not None and said in text for text in found] == [True] * 3, found
    assert one.sweep.obstacle is None


async def test_a_watch_that_brings_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.controller.sweep._RELIST", 0.01)
    one = Bench(Cluster(server()))
    fill = asyncio.ensure_future(one.sweep.fill())
    for _ in range(2000):
        await asyncio.sleep(0.01)
        if one.sweep.obstacle is not None:
            break
    said = "the watch of mailservers, which has not brought 1 of 1 that are listed"
    assert one.sweep.obstacle is not None and one.sweep.obstacle.startswith(said)
    one.intake.seen(*_seen(server()))
    await fill
    assert one.sweep.obstacle is None


async def pauses(
    sweep: Sweep,
    count: int,
    monkeypatch: pytest.MonkeyPatch,
    then: Mapping[int, Callable[[], object]] | None = None,
) -> list[float]:
    """So many pauses between sweeps, which take no time; what is to happen as one of them begins
    goes by its number."""
    slept, sleep = list[float](), asyncio.sleep

    async def asleep(seconds: float) -> None:
        if seconds > 1.0:
            slept.append(seconds)
            if then and len(slept) in then:
                then[len(slept)]()
        await sleep(0)
        if len(slept) == count:
            raise asyncio.CancelledError

    monkeypatch.setattr("postroom.controller.sweep.asyncio.sleep", asleep)
    with pytest.raises(asyncio.CancelledError):
        await sweep.run(900.0)
    return slept


@pytest.mark.parametrize("status", [0, 401, 408, 429, 502, 503, 504])
async def test_an_api_server_that_is_away_is_asked_for_one_object_and_soon_again(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = [(key, stored(key, status=ready())) for key in (_FIRST, _LAST)]
    cluster = Cluster(*objects)
    one = Bench(cluster).released()
    cluster.unreadable = dict.fromkeys((_FIRST, _LAST), status)
    with pytest.raises(ApiError):
        await one.sweep.once()
    assert len(cluster.read) == 1
    # Three times in a row, and then at the interval again.
    slept = await pauses(one.sweep, 6, monkeypatch, {4: cluster.unreadable.clear})
    assert (slept[0], slept[4:]) == (900.0, [900.0, 900.0])
    assert all(10.0 <= each <= 90.0 for each in slept[1:4])
    assert {_FIRST, _LAST} <= set(one.intake.cache.keys(SERVER.kind))


async def test_the_right_to_list_that_was_taken_away_is_named_until_it_is_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That a server which begins refuses everybody is over long before the next sweep is due."""
    cluster = Cluster(server())
    cluster.refuse = {None}
    one, told = Bench(cluster).released(), list[str | None]()

    def given_back() -> None:
        told.append(one.sweep.obstacle)
        cluster.refuse.clear()

    slept = await pauses(one.sweep, 4, monkeypatch, {2: given_back})
    kinds = ", ".join(kind.plural for kind in START_ORDER)
    said = f"the right to list {kinds} in all namespaces: grant this service account get, list and"
    assert len(told) == 1 and str(told[0]).startswith(said)
    assert f"sweep failed: waiting for {said}" in caplog.text
    assert one.sweep.obstacle is None
    assert (slept[0], slept[2:]) == (900.0, [900.0] * 2)
    assert 10.0 <= slept[1] <= 90.0


async def test_what_may_not_be_read_is_told_with_what_to_grant(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = Cluster(server())
    cluster.unreadable = {SERVER: 403}
    one = Bench(cluster).released()
    await one.sweep.once()
    assert (
        "grant this service account get, list and watch on the kinds of postroom.dev" in caplog.text
    )
    # All that the watch brings goes on: that is no reason not to be ready.
    assert one.sweep.obstacle is None


async def test_what_is_wrong_with_one_object_alone_is_looked_at_at_the_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(server())
    cluster.unreadable = {SERVER: 403}
    slept = await pauses(Bench(cluster).released().sweep, 3, monkeypatch)
    assert slept == [900.0] * 3
