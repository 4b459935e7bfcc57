# SPDX-License-Identifier: Apache-2.0
"""One host, several namespaces: what one is refused, or how long it holds the host, costs others.

On a virtual clock, so that times are exact.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.api.mailserver import ProbeStage
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.mail.limits.hosts import (
    HOST_LIMIT,
    LONGEST_WAIT,
    QUIET,
    REFUSALS,
    REFUSING_HOSTS,
    WINDOW,
    Host,
    Hosts,
)
from postroom.mail.report import Login, ProbeReport

SHARED = "mail.example.com"
GOOD = Login("a", Masked("good"))
#: Seconds that refusals of others may cost who was not accepted before.
PROMISED = 30.0


def report(accepted: bool) -> ProbeReport:
    stage = ProbeStage.DONE if accepted else ProbeStage.AUTH
    reason = Reason.PROBE_SUCCEEDED if accepted else Reason.AUTHENTICATION_REJECTED
    return ProbeReport(stage, reason, "", True, authenticated=accepted)


class Stage:
    """A host that takes a second for a login, and accepts those whose password is good."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.hosts = Hosts(self.loop.time)
        self.host: Host = self.hosts.of(SHARED)
        #: (namespace, when it was sent, whether it was refused)
        self.sent: list[tuple[str, float, bool]] = []

    async def sign_in(self, namespace: str, login: Login, lasts: float = 1.0) -> float | None:
        """Sign in as the probes do; return how long that waited, None: it was not sent."""
        begun = self.loop.time()
        async with self.host.signing_in(namespace, login) as attempt:
            if not attempt.allowed:
                return None
            async with self.host.slot(namespace):
                waited = self.loop.time() - begun
                accepted = login.password.reveal() == "good"
                self.sent.append((namespace, self.loop.time(), not accepted))
                await asyncio.sleep(lasts)
                attempt.report = report(accepted)
                return waited

    def refusals(self, namespace: str) -> list[float]:
        return [moment for whose, moment, refused in self.sent if refused and whose == namespace]


def play(scene: Callable[[Stage], Awaitable[Any]]) -> Any:
    async def perform() -> Any:
        return await scene(Stage())

    coroutine: Coroutine[Any, Any, Any] = perform()
    return run(coroutine)


def wrong(number: int) -> Login:
    return Login("b", Masked(f"wrong-{number}"))


async def nag(stage: Stage, namespace: str, until: float) -> None:
    """Send wrong passwords, a new one each, for as long as that lasts."""
    number = 0
    while stage.loop.time() < until:
        number += 1
        if await stage.sign_in(namespace, wrong(number)) is None:
            await asyncio.sleep(1)


def test_refusals_of_a_neighbour_never_delay_what_was_accepted() -> None:
    async def scene(stage: Stage) -> None:
        assert await stage.sign_in("a", GOOD) == 0
        end = stage.loop.time() + 3 * WINDOW
        nagging = [asyncio.create_task(nag(stage, f"b{number}", end)) for number in range(5)]
        while stage.loop.time() < end:
            assert await stage.sign_in("a", GOOD) == 0
            await asyncio.sleep(5)
        await asyncio.gather(*nagging)
        assert len([one for one in stage.sent if one[2]]) > 10 * REFUSALS

    play(scene)


def test_nor_what_was_not_for_more_than_half_a_minute() -> None:
    async def scene(stage: Stage) -> None:
        end = stage.loop.time() + 2 * WINDOW
        nagging = [asyncio.create_task(nag(stage, f"b{number}", end)) for number in range(20)]
        await asyncio.sleep(0.5)
        for number in range(40):
            waited = await stage.sign_in(f"a{number}", GOOD)
            assert waited is not None
            assert waited <= PROMISED
            await asyncio.sleep(20)
        await asyncio.gather(*nagging)

    play(scene)


def test_a_neighbour_whose_logins_never_end_holds_up_nobody_for_longer() -> None:
    async def scene(stage: Stage) -> None:
        holding = [asyncio.create_task(stage.sign_in("b", wrong(1), lasts=3600)) for _ in range(9)]
        await asyncio.sleep(1)
        waited = await stage.sign_in("a", GOOD)
        assert waited == LONGEST_WAIT
        assert await stage.sign_in("a", GOOD) == 0
        for one in holding:
            one.cancel()
        await asyncio.gather(*holding, return_exceptions=True)

    play(scene)


def test_a_namespace_answers_for_its_own_refusals() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sign_in("a", GOOD)
        for number in range(REFUSALS):
            assert await stage.sign_in("a", wrong(number)) is not None
        assert await stage.sign_in("a", wrong(9)) is None
        assert await stage.sign_in("a", GOOD) is None
        assert stage.host.budget("a").frees_in > WINDOW / 2
        assert await stage.sign_in("c", GOOD) is not None
        await asyncio.sleep(WINDOW)
        assert await stage.sign_in("a", GOOD) is not None

    play(scene)


def test_the_host_is_spared_bursts_of_refusals() -> None:
    """As long as nobody waits for long, each refusal has passed before the next login comes."""

    async def scene(stage: Stage) -> None:
        await asyncio.gather(*(stage.sign_in(name, wrong(1)) for name in ("b", "c")))
        moments = [moment for _, moment, _ in stage.sent]
        assert moments[1] - moments[0] >= QUIET

    play(scene)


#: While the first waits for its turn, others come who were never here: its budget is not forgotten.
WAITING = [("b0", 0.0, 12.0, False), *[("b1", 0.0, 1.0, False)] * 7]


@settings(max_examples=25, deadline=None)
@example(WAITING)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["b0", "b1", "b2"]), st.floats(0, 60), st.floats(0.1, 40), st.booleans()
        ),
        max_size=40,
    )
)
def test_whatever_neighbours_do(tries: list[tuple[str, float, float, bool]]) -> None:
    async def scene(stage: Stage) -> None:
        await stage.sign_in("a", GOOD)
        tasks = list[asyncio.Task[float | None]]()
        for number, (namespace, pause, lasts, good) in enumerate(tries):
            login = Login(namespace, Masked("good")) if good else wrong(number)
            tasks.append(asyncio.create_task(stage.sign_in(namespace, login, lasts)))
            await asyncio.sleep(pause)
            assert await stage.sign_in("a", GOOD) == 0
            waited = await stage.sign_in(f"new{number}", GOOD)
            assert waited is not None
            assert waited <= PROMISED
        await asyncio.gather(*tasks)
        for namespace in ("b0", "b1", "b2"):
            moments = stage.refusals(namespace)
            for moment in moments:
                assert sum(moment <= one < moment + WINDOW for one in moments) <= REFUSALS

    play(scene)


def test_slow_probes_of_neighbours_leave_turns_at_a_shared_host() -> None:
    async def scene(stage: Stage) -> None:
        async def hold(namespace: str) -> None:
            async with stage.host.slot(namespace):
                await asyncio.sleep(3600)

        holding = [asyncio.create_task(hold(name)) for name in ("b", "c") for _ in range(100)]
        await asyncio.sleep(1)
        async with asyncio.timeout(0.1):
            for _ in range(HOST_LIMIT):
                async with stage.host.slot("a"):
                    pass
        for one in holding:
            one.cancel()
        await asyncio.gather(*holding, return_exceptions=True)

    play(scene)


def test_endless_hosts_that_refuse_neither_fill_memory_nor_wash_a_refusal_away() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sign_in("b", wrong(0))
        sent = 0
        for number in range(5000):
            host = stage.hosts.of(f"h{number}.evil.example")
            async with host.signing_in("b", wrong(number)) as attempt:
                if attempt.allowed:
                    sent += 1
                    attempt.report = report(False)
        assert sent <= REFUSING_HOSTS
        assert len(stage.hosts) < 2000
        assert stage.hosts.of(SHARED) is stage.host
        assert await stage.sign_in("a", GOOD) is not None
        await asyncio.sleep(WINDOW)
        async with stage.hosts.of("later.example").signing_in("b", wrong(1)) as attempt:
            assert attempt.allowed

    play(scene)


def test_who_gives_up_waiting_keeps_nobody_out() -> None:
    async def scene(stage: Stage) -> None:
        held = asyncio.create_task(stage.sign_in("b", wrong(1), lasts=10))
        await asyncio.sleep(1)
        impatient = asyncio.create_task(stage.sign_in("c", GOOD))
        await asyncio.sleep(1)
        impatient.cancel()
        held.cancel()
        await asyncio.gather(held, impatient, return_exceptions=True)
        assert await stage.sign_in("a", GOOD) == 0
        assert stage.host.forgettable

    play(scene)
