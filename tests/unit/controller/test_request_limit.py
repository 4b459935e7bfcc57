# SPDX-License-Identifier: Apache-2.0
"""Whoever patches in a loop has an object looked at now and then, and who edits by hand at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.names import Key, Kind
from postroom.controller import request_limit
from postroom.controller.cache import Cache
from postroom.controller.intake import Intake
from postroom.controller.queue import KeyedQueue
from postroom.controller.request_limit import BURST, EVERY, RequestLimiter
from unit.controller.samples import ACCOUNT, SERVER, ready, stored


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_who_edits_by_hand_never_waits(clock: Clock) -> None:
    limiter = RequestLimiter(clock)
    for _ in range(50):
        assert limiter.wait(ACCOUNT) == 0
        clock.now += EVERY
    clock.now += BURST * EVERY
    assert [limiter.wait(ACCOUNT) for _ in range(BURST)] == [0] * BURST


def test_more_becomes_one_look_for_all_of_them(clock: Clock) -> None:
    limiter = RequestLimiter(clock)
    for _ in range(BURST):
        limiter.wait(ACCOUNT)
    assert [limiter.wait(ACCOUNT) for _ in range(100)] == [EVERY] * 100
    clock.now += 4
    assert limiter.wait(ACCOUNT) == EVERY - 4
    assert limiter.wait(SERVER) == 0, "it is nobody else's business"


@given(st.lists(st.floats(0, 30), max_size=120))
def test_no_minute_holds_more_looks_than_that(pauses: list[float]) -> None:
    clock = Clock()
    limiter, looks = RequestLimiter(clock), set[float]()
    for pause in pauses:
        clock.now += pause
        before = len(looks)
        wait = limiter.wait(ACCOUNT)
        assert 0 <= wait <= EVERY + 1e-6, "what waits is soon served"
        looks.add(round(clock.now + wait, 6) + before * 1e-9 * (wait == 0))
    for first in looks:
        within = [look for look in looks if first <= look < first + 60]
        assert len(within) <= BURST + 60 / EVERY + 1


def test_what_comes_and_goes_under_ever_other_names_fills_no_memory(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limit, "_REMEMBERED", 10)
    limiter = RequestLimiter(clock)
    for number in range(100):
        for _ in range(BURST + 1):
            limiter.wait(Key(Kind.MAIL_SERVER, "mail", f"smtp-{number}"))
        clock.now += BURST * EVERY
    assert len(limiter._whole_at) + len(limiter._promised) < 40


async def test_an_annotation_that_is_patched_in_a_loop_is_one_look_in_ten_seconds() -> None:
    intake = Intake(Cache(), KeyedQueue())
    intake.seen(SERVER.kind, stored(SERVER, version=10, status=ready()))
    intake.release()
    looks = 0
    for number in range(200):
        raw = stored(SERVER, version=11 + number, status=ready())
        raw["metadata"]["annotations"] = {"postroom.dev/requested-at": str(number)}
        intake.seen(SERVER.kind, raw)
        if intake.queue.waiting:
            intake.queue.done(await intake.queue.take())
            looks += 1
    assert looks == BURST
    assert intake.queue.scheduled == 1, "the last one is not lost"


async def test_a_watched_secret_that_changes_in_a_loop_is_one_look_in_ten_seconds() -> None:
    intake = Intake(Cache(), KeyedQueue())
    account = Key(Kind.EMAIL_ACCOUNT, ACCOUNT.namespace, ACCOUNT.name)
    intake.seen(account.kind, stored(account, version=10, status=ready()))
    intake.release()
    intake.dependants.update(account, frozenset({"Secret/login"}))
    looks = 0
    for number in range(50):
        intake.source_seen("Secret", account.namespace, "login", str(number))
        if intake.queue.waiting:
            intake.queue.done(await intake.queue.take())
            looks += 1
    assert looks == BURST


async def test_an_object_that_is_deleted_and_created_in_a_loop_is_no_new_one() -> None:
    intake = Intake(Cache(), KeyedQueue())
    intake.release()
    looks = 0
    for number in range(50):
        raw = stored(SERVER, version=10 + number)
        raw["metadata"]["uid"] = f"uid-{number}"
        intake.seen(SERVER.kind, raw)
        if intake.queue.waiting:
            intake.queue.done(await intake.queue.take())
            looks += 1
        if number < 49:
            intake.gone(SERVER)
    assert looks == BURST
    assert intake.queue.scheduled == 1
