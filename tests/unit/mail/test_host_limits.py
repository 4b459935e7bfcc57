# SPDX-License-Identifier: Apache-2.0
"""The limits per host: turns, the budget of refusals over time, and that memory stays bounded."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.limits import (
    HOST_LIMIT,
    REFUSALS,
    WINDOW,
    Hosts,
    RefusalBudget,
    was_refused,
)
from postroom.mail.report import ProbeReport


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def refuse(budget: RefusalBudget) -> bool:
    """Try a login that is refused; tell whether it was tried."""
    tried = await budget.reserve()
    if tried:
        budget.settle(refused=True)
    return tried


async def test_a_spent_budget_lets_nobody_sign_in() -> None:
    budget = RefusalBudget(Clock())
    assert [await refuse(budget) for _ in range(5)] == [True, True, True, False, False]


async def test_a_budget_recovers_with_time() -> None:
    clock = Clock()
    budget = RefusalBudget(clock)
    for clock.now in (0.0, 100.0, 200.0):
        assert await refuse(budget)
    clock.now = WINDOW - 1
    assert not await refuse(budget)
    clock.now = WINDOW
    assert await refuse(budget)
    assert not await refuse(budget)


async def test_logins_that_succeed_cost_nothing() -> None:
    budget = RefusalBudget(Clock())
    for _ in range(20):
        assert await budget.reserve()
        budget.settle(refused=False)


async def test_a_login_waits_for_those_that_may_spend_the_budget() -> None:
    budget = RefusalBudget(Clock())
    for _ in range(REFUSALS):
        assert await budget.reserve()
    waiting = [asyncio.create_task(budget.reserve()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)
    budget.settle(refused=False)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [one.done() for one in waiting] == [True, False]
    for _ in range(REFUSALS):
        budget.settle(refused=True)
    assert await waiting[1] is False


async def test_who_gives_up_waiting_holds_up_nobody() -> None:
    budget = RefusalBudget(Clock())
    for _ in range(REFUSALS):
        await budget.reserve()
    impatient = asyncio.create_task(budget.reserve())
    patient = asyncio.create_task(budget.reserve())
    await asyncio.sleep(0)
    impatient.cancel()
    budget.settle(refused=False)
    assert await patient is True


@given(st.lists(st.tuples(st.floats(0, 300), st.booleans()), max_size=40))
def test_no_window_holds_more_refusals_than_allowed(tries: list[tuple[float, bool]]) -> None:
    async def play() -> list[float]:
        clock, refused = Clock(), []
        budget = RefusalBudget(clock)
        for pause, wrong in tries:
            clock.now += pause
            if await budget.reserve():
                budget.settle(refused=wrong)
                refused += [clock.now] if wrong else []
        return refused

    moments = asyncio.run(play())
    for moment in moments:
        assert sum(moment <= one < moment + WINDOW for one in moments) <= REFUSALS


async def test_turns_of_a_host() -> None:
    host, inside = Hosts(Clock()).of("mail.example.com"), 0
    most = 0

    async def visit() -> None:
        nonlocal inside, most
        async with host.turn():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(10)))
    assert most == HOST_LIMIT
    assert host.forgettable


def test_a_name_is_one_host_however_it_is_written() -> None:
    hosts = Hosts(Clock())
    assert hosts.of("Mail.Example.com.") is hosts.of("mail.example.com")


async def test_idle_hosts_are_forgotten_and_others_are_not() -> None:
    hosts = Hosts(Clock())
    refusing, busy = hosts.of("refusing.example.com"), hosts.of("busy.example.com")
    await refuse(refusing.budget)
    async with busy.turn():
        for number in range(5000):
            hosts.of(f"h{number}.example.com")
        assert len(hosts) < 2000
        assert hosts.of("refusing.example.com") is refusing
        assert hosts.of("busy.example.com") is busy


def test_only_a_refusal_of_credentials_counts() -> None:
    report = ProbeReport(ProbeStage.AUTH, Reason.AUTHENTICATION_REJECTED, "x", True, False)
    assert was_refused(report)
    later = ProbeReport(ProbeStage.AUTH, Reason.TEMPORARY_FAILURE, "x", False, None)
    assert not was_refused(later)
    assert not was_refused(None)
