# SPDX-License-Identifier: Apache-2.0
"""The limits per host: turns, the budget of refusals over time, and that memory stays bounded."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.mailserver import ProbeStage
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.concurrency.shards import Shard
from postroom.mail.limits.hosts import (
    HOST_LIMIT,
    QUIET,
    REFUSALS,
    REFUSING_HOSTS,
    WINDOW,
    Hosts,
    Proven,
    RefusalBudget,
    Refusing,
    was_refused,
)
from postroom.mail.report import Login, ProbeReport


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def budget_at(clock: Clock) -> RefusalBudget:
    return RefusalBudget(clock, sleep=clock.sleep)


async def refuse(budget: RefusalBudget) -> bool:
    """Try a login that is refused; tell whether it was tried."""
    tried = await budget.reserve()
    if tried:
        budget.settle(refused=True)
    return tried


async def test_a_spent_budget_lets_nobody_sign_in() -> None:
    budget = budget_at(Clock())
    assert [await refuse(budget) for _ in range(5)] == [True, True, True, False, False]


async def test_a_budget_recovers_with_time() -> None:
    clock = Clock()
    budget = budget_at(clock)
    for clock.now in (0.0, 100.0, 200.0):
        assert await refuse(budget)
    clock.now = WINDOW - 1
    assert not await refuse(budget)
    clock.now = WINDOW
    assert await refuse(budget)
    assert not await refuse(budget)


async def test_a_budget_says_when_it_frees() -> None:
    clock = Clock()
    budget = budget_at(clock)
    for clock.now in (0.0, 100.0, 200.0):
        assert budget.frees_in == 0
        await refuse(budget)
    clock.now = 250.0
    assert budget.frees_in == WINDOW - 250
    clock.now = WINDOW
    assert budget.frees_in == 0


async def test_logins_that_succeed_cost_nothing() -> None:
    budget = budget_at(Clock())
    for _ in range(20):
        assert await budget.reserve()
        budget.settle(refused=False)


async def test_a_login_waits_for_those_that_may_spend_the_budget() -> None:
    budget = budget_at(Clock())
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
    budget = budget_at(Clock())
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
        budget = budget_at(clock)
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
        async with host.slot("a"):
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
    await refuse(refusing.budget("a"))
    async with busy.slot("a"):
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


async def test_a_login_that_goes_alone_has_none_beside_it() -> None:
    budget = budget_at(Clock())
    assert await budget.reserve(alone=True)
    other = asyncio.ensure_future(budget.reserve())
    await asyncio.sleep(0)
    assert not other.done()
    budget.settle(refused=False)
    assert await other


async def test_who_goes_alone_waits_for_those_before() -> None:
    budget = budget_at(Clock())
    assert await budget.reserve()
    other = asyncio.ensure_future(budget.reserve(alone=True))
    await asyncio.sleep(0)
    assert not other.done()
    budget.settle(refused=False)
    assert await other
    budget.settle(refused=False)


async def test_whoever_gives_up_waiting_keeps_nobody_out() -> None:
    budget = budget_at(Clock())
    assert await budget.reserve(alone=True)
    waiting = asyncio.ensure_future(budget.reserve(alone=True))
    await asyncio.sleep(0)
    waiting.cancel()
    budget.settle(refused=False)
    assert await budget.reserve()


async def test_after_a_refusal_the_next_one_waits() -> None:
    clock = Clock()
    budget = budget_at(clock)
    times = []
    for _ in range(REFUSALS):
        assert await refuse(budget)
        times.append(clock.now)
    assert times == [0.0, QUIET, 2 * QUIET]


def test_what_a_host_accepted_is_known_until_it_refuses_it() -> None:
    proven, login, host = Proven(), Login("support", Masked("s3cret")), "mail.example.com"
    assert not proven.has("a", host, login)
    proven.note("a", host, login, report(True))
    assert proven.has("a", host, login)
    assert not proven.has("b", host, login)
    assert not proven.has("a", "other.example.com", login)
    assert not proven.has("a", host, Login("support", Masked("other")))
    proven.note("a", host, login, report(False))
    assert not proven.has("a", host, login)


def test_logins_of_one_namespace_do_not_crowd_out_those_of_another() -> None:
    proven, login = Proven(), Login("support", Masked("s3cret"))
    proven.note("a", "mail.example.com", login, report(True))
    for number in range(5000):
        proven.note("b", f"h{number}.example.com", login, report(True))
    assert proven.has("a", "mail.example.com", login)
    assert not proven.has("b", "h0.example.com", login)


def test_an_access_token_is_known_by_its_account() -> None:
    proven = Proven()
    proven.note("a", "mail.example.com", Login("user", Masked("t1"), token=True), report(True))
    assert proven.has("a", "mail.example.com", Login("user", Masked("t2"), token=True))
    assert not proven.has("a", "mail.example.com", Login("user", Masked("t1")))


def report(authenticated: bool | None) -> ProbeReport:
    stage = ProbeStage.DONE if authenticated else ProbeStage.AUTH
    return ProbeReport(stage, Reason.PROBE_SUCCEEDED, "", True, authenticated=authenticated)


ACCEPTED = ProbeReport(ProbeStage.DONE, Reason.PROBE_SUCCEEDED, "", True, authenticated=True)
REJECTED = ProbeReport(
    ProbeStage.AUTH, Reason.AUTHENTICATION_REJECTED, "", True, authenticated=False
)


class Counting:
    """Signs in at one host, and counts how many are at it at a time."""

    def __init__(self, limit: int) -> None:
        self._host = Hosts(lambda: 0.0, quiet=0.0, limit=limit).of("mail.example.com")
        self._now = self.most = self.tried = 0

    async def sign_in(self, number: int, report: ProbeReport = ACCEPTED) -> None:
        login = Login(f"user{number}", Masked("secret"))
        async with self._host.signing_in("mail", login) as attempt:
            if not attempt.allowed:
                return
            async with self._host.slot("mail"):
                self._now, self.tried = self._now + 1, self.tried + 1
                self.most = max(self.most, self._now)
                for _ in range(200):
                    await asyncio.sleep(0)
                self._now -= 1
            attempt.report = report


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 10, 50])
async def test_as_many_sign_in_at_a_time_as_the_limit_says(limit: int) -> None:
    counting = Counting(limit)
    for number in range(60):
        await counting.sign_in(number)
    assert counting.most == 1
    await asyncio.gather(*(counting.sign_in(number) for number in range(60)))
    assert counting.most == limit


async def test_who_never_signed_in_goes_alone_whatever_the_limit() -> None:
    counting = Counting(50)
    await asyncio.gather(*(counting.sign_in(number) for number in range(20)))
    assert counting.most == 1


@pytest.mark.parametrize("limit", [1, 3, 10, 50])
async def test_after_a_refusal_the_budget_holds_whatever_the_limit(limit: int) -> None:
    counting = Counting(limit)
    for number in range(60):
        await counting.sign_in(number)
    await counting.sign_in(60, REJECTED)
    counting.tried = 0
    await asyncio.gather(*(counting.sign_in(number, REJECTED) for number in range(60)))
    assert counting.tried == REFUSALS - 1


@pytest.mark.parametrize(("shard", "most"), [(Shard(0, 1), 12), (Shard(1, 5), 2), (Shard(4, 5), 3)])
async def test_shards_divide_what_a_host_bears_of_all_namespaces(shard: Shard, most: int) -> None:
    host, together = Hosts(Clock(), shard=shard).of("mail.example.com"), 0
    release = asyncio.Event()

    async def visit(namespace: str) -> None:
        nonlocal together
        async with host.slot(namespace):
            together += 1
            await release.wait()

    visits = [asyncio.ensure_future(visit(f"ns{number}")) for number in range(20)]
    await asyncio.sleep(0)
    assert together == most
    release.set()
    await asyncio.gather(*visits)


def test_who_was_refused_by_many_hosts_begins_anew_once_that_is_long_ago() -> None:
    clock = Clock()
    refusing = Refusing(clock)
    for number in range(REFUSING_HOSTS):
        assert refusing.may_begin("a", f"{number}.example.com")
        refusing.note("a", f"{number}.example.com")
        clock.now += 1
    assert not refusing.may_begin("a", "other.example.com")
    assert refusing.may_begin("a", "0.example.com") and refusing.may_begin("b", "0.example.com")
    clock.now = WINDOW
    assert refusing.may_begin("a", "other.example.com"), "the first of them counts no more"
    clock.now += WINDOW
    assert refusing.may_begin("a", "other.example.com")
    refusing.note("b", "other.example.com")
    assert refusing.may_begin("a", "other.example.com")


def test_of_a_namespace_that_is_gone_no_refusal_is_left() -> None:
    clock = Clock()
    refusing = Refusing(clock)
    for number in range(100):
        clock.now += WINDOW / 10
        refusing.note(f"n{number}", "smtp.example.com")
        assert len(refusing._since) <= 11
