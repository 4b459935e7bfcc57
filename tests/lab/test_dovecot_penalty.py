# SPDX-License-Identifier: Apache-2.0
"""What a wrong password of one account costs another's good login: with Dovecot's auth penalty on.

Dovecot delays every login from an address that sent wrong passwords: 4 s after the first, 8 s after
the second, then 15 s, until one is good. Covers: an account that is checked again and again, by the
schedule and because somebody asks; and many broken accounts at once, with the same server showing
in the same test what a client without our policy suffers.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.dovecot_server import Dovecot, dovecot
from lab.dovecot_server_files import ALICE, BOB, PASSWORDS
from lab.dovecot_server_world import TimedProbes, account, verdict, world_at
from lab.mail_probing import nothing_leaks  # noqa: F401 - a fixture
from postroom.api.conditions import ConditionType
from postroom.api.mailserver import ProbeStage
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.mail.limits.hosts import REFUSALS, Host
from postroom.mail.probes import NetworkProbes
from postroom.mail.report import Endpoint, Login, ProbeReport

pytestmark = [pytest.mark.real_mail_server, pytest.mark.slow]

#: Seconds: the delay after one wrong password, and how old the last must be for there to be none.
FIRST_PENALTY, FORGOTTEN = 4.0, 15


class Noting(TimedProbes):
    """Probes that note of each login when its sessions began and ended."""

    def __init__(self, server: Dovecot) -> None:
        super().__init__(server)
        self.sessions: dict[str, list[tuple[float, float]]] = {}

    async def _check(self, host: Host, endpoint: Endpoint, login: Login | None, *more: Any) -> Any:
        begun = time.monotonic()
        report = await super()._check(host, endpoint, login, *more)
        if login is not None:
            self.sessions.setdefault(login.username, []).append((begun, time.monotonic()))
        return report


async def test_an_account_that_is_checked_again_and_again(tmp_path: Path) -> None:
    """Its password is sent once, and once more because somebody asks, however often that is."""
    secrets = {
        "alice": {"username": ALICE, "password": "hunter2-wrong"},
        "bob": {"username": BOB, "password": PASSWORDS[BOB]},
    }
    accounts = {
        ALICE: {"credentialsRef": {"name": "alice"}},
        BOB: {"credentialsRef": {"name": "bob"}},
    }
    async with dovecot(penalty=True) as server:
        probes = Noting(server)
        world = world_at(server, tmp_path, accounts, secrets, probes)
        await world.look()
        for _ in range(5):
            for one in (ALICE, BOB):
                world.ask_for_a_check(account(one))
            await world.look(timedelta(seconds=10))
        for _ in range(3):
            await world.look(timedelta(minutes=5))
        refusals = server.refusals
    assert refusals == 2
    assert verdict(world, account(ALICE), ConditionType.READY)[1] == "AuthenticationRejected"
    assert verdict(world, account(BOB), ConditionType.READY)[:2] == ("True", "Succeeded")
    took = [one for one in probes.took if one.username == BOB]
    assert [one.report.stage for one in took] == [ProbeStage.DONE] * 18
    # None began while the server would have held it for a wrong password.
    good, refused = probes.sessions[BOB], probes.sessions[ALICE]
    held = [
        (mine, other)
        for mine in good
        for other in refused
        if mine[1] > other[0] and mine[0] < other[1] + FORGOTTEN
    ]
    assert (len(good), len(refused), held) == (18, 2, [])


def broken(number: int) -> Login:
    """Another password each: Dovecot does not count the same one twice."""
    return Login(ALICE, Masked(f"hunter2-wrong-{number}"))


async def good(probes: NetworkProbes, server: Dovecot) -> ProbeReport:
    return await probes.probe(server.endpoint("imaps"), Login(BOB, Masked(PASSWORDS[BOB])), "INBOX")


async def test_many_broken_accounts() -> None:
    """The host gets no more wrong passwords than it may; meanwhile nobody waits for its penalty."""
    async with dovecot(penalty=True) as server:
        ours, where = server.probes(), server.endpoint("submissions")
        reports = await asyncio.gather(*(ours.probe(where, broken(one)) for one in range(9)))
        spared = await good(ours, server)
        # What is not sent is held by nobody.
        assert BOB not in server.log
        # The floor: whoever signs in now all the same, waits, and is refused nothing.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(FIRST_PENALTY - 1):
                await good(server.probes(), server)
        refusals = server.refusals
    assert refusals == REFUSALS
    reasons = [report.reason for report in reports]
    assert reasons.count(Reason.AUTHENTICATION_REJECTED) == REFUSALS
    assert reasons.count(Reason.HOST_AUTH_COOLDOWN) == 9 - REFUSALS
    assert (spared.reason, spared.conclusive) == (Reason.HOST_AUTH_COOLDOWN, False)
    assert spared.tls is not None
