# SPDX-License-Identifier: Apache-2.0
"""When the way to authoritative servers counts as blocked, and how it is tried again."""

from __future__ import annotations

import asyncio

import pytest

from postroom.dns.asking.reach import OpenWay


class Time:
    """The loop's clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    moved = Time()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", moved)
    return moved


def blocked() -> OpenWay:
    reach = OpenWay()
    for apex in ("a.test", "b.test"):
        reach.silent(apex)
    return reach


async def test_one_silent_zone_blocks_nothing(time: Time) -> None:
    reach = OpenWay()
    for _ in range(10):
        reach.silent("a.test")
    assert (reach.blocked, reach.may_ask()) == (False, True)


async def test_two_silent_zones_block_the_way_for_minutes(time: Time) -> None:
    reach = blocked()
    assert (reach.blocked, reach.may_ask()) == (True, False)
    time.now += 200
    assert not reach.may_ask()


async def test_then_one_look_in_a_while_tries_again(time: Time) -> None:
    reach = blocked()
    time.now += 301
    assert [reach.may_ask() for _ in range(3)] == [True, False, False]
    time.now += 16
    assert [reach.may_ask() for _ in range(2)] == [True, False]
    assert reach.blocked


async def test_more_silence_blocks_it_again(time: Time) -> None:
    reach = blocked()
    time.now += 301
    assert reach.may_ask()
    reach.silent("c.test")
    time.now += 200
    assert not reach.may_ask()


async def test_any_reply_opens_it(time: Time) -> None:
    reach = blocked()
    reach.heard()
    assert (reach.blocked, reach.may_ask()) == (False, True)
    reach.silent("a.test")
    assert not reach.blocked
