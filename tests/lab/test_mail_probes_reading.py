# SPDX-License-Identifier: Apache-2.0
"""Sessions that last, from the probes that others use as well: what they may, and what they take.

Covers: refusals and their budget; slots, which they do not keep; how many one login may have; the
guard; and that a connection that waits for long is kept alive.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from lab.hostile import Hostile, answer, imap_until_login
from lab.imap_lab import Server, lab_server, scripted
from lab.mail_probing import (
    LOGIN,
    SOON,
    context,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    probes,
)
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail import probes as network
from postroom.mail.connect.dial import Deadlines, Failure
from postroom.mail.probes import NetworkProbes
from postroom.mail.report import Endpoint, Login, ProbeReport


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with lab_server() as (running, _):
        yield running


def probes_for(server: Server) -> NetworkProbes:
    return probes(server.where.port, server.addresses, Deadlines())


async def failure_of(made: NetworkProbes, where: Endpoint, login: Login = LOGIN) -> Failure:
    with pytest.raises(Failure) as failed:
        async with made.reading(where, login):
            pass
    return failed.value


async def until(there: Callable[[], bool]) -> None:
    for _ in range(1000):
        if there():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come")


async def test_refusals_count_and_are_not_repeated_soon(server: Server) -> None:
    made = probes_for(server)
    sent: list[str] = []
    made.signed_in = lambda endpoint, login: sent.append(login.username)
    seen: list[tuple[str, ProbeReport]] = []
    made.observe = lambda kind, seconds, report: seen.append((kind, report))
    for number in range(3):
        refused = await failure_of(made, server.where, replace(LOGIN, password=Masked(str(number))))
        assert (refused.reason.value, refused.conclusive) == ("AuthenticationRejected", True)
        assert refused.retry_after is not None
        assert refused.retry_after.total_seconds() == 900
    paused = await failure_of(made, server.where, replace(LOGIN, password=Masked("other")))
    assert (paused.reason.value, paused.conclusive) == ("HostAuthCooldown", False)
    assert paused.retry_after is not None
    assert len(sent) == 3
    assert [(kind, outcome(report)) for kind, report in seen] == [
        ("reading", ("Auth", "AuthenticationRejected"))
    ] * 3
    # Whoever looks at the mailbox stands before the same pause.
    assert (await made.probe(server.where, LOGIN, "INBOX")).reason.value == "HostAuthCooldown"


async def test_sessions_that_last_keep_nobody_out(server: Server) -> None:
    made = probes_for(server)
    seen: list[str] = []
    made.observe = lambda kind, seconds, report: seen.append(f"{kind} {report.reason.value}")
    async with made.reading(server.where, LOGIN) as first, made.reading(server.where, LOGIN):
        assert await first.open("INBOX") == (1, 4)
        looked = [made.probe(server.where, LOGIN, "INBOX") for _ in range(4)]
        reports = await asyncio.wait_for(asyncio.gather(*looked), 20)
        assert {outcome(report) for report in reports} == {("Done", "ProbeSucceeded")}
        assert await first.open("INBOX") == (1, 4)
    assert seen[:2] == ["reading ProbeSucceeded"] * 2


async def test_a_login_has_few_sessions_and_a_new_one_waits_for_the_old(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = probes_for(server)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(made.reading(server.where, LOGIN))
        # Another namespace, which may be another's, has its own.
        elsewhere = replace(server.where, namespace="other")
        await stack.enter_async_context(made.reading(elsewhere, LOGIN))
        monkeypatch.setattr(network, "_HANDOVER", 0.05)
        for who in (LOGIN.username, LOGIN.username.title()):
            refused = await failure_of(made, server.where, replace(LOGIN, username=who))
            assert (refused.reason.value, refused.conclusive) == ("ServerThrottled", False)
        # Of a tag nobody knows whether the server takes it for the same login.
        tagged = replace(LOGIN, username=LOGIN.username.replace("@", "+tag@"))
        rejected = await failure_of(made, server.where, tagged)
        assert rejected.reason.value == "AuthenticationRejected"
        assert (await made.probe(server.where, LOGIN, "INBOX")).reason.value == "ProbeSucceeded"
    async with made.reading(server.where, LOGIN) as reader:
        assert await reader.open("INBOX")


async def test_a_session_that_ends_makes_room(server: Server) -> None:
    made = probes_for(server)
    lasting = [asyncio.Event() for _ in range(3)]
    begun: list[int] = []

    async def last(number: int) -> None:
        async with made.reading(server.where, LOGIN):
            begun.append(number)
            await lasting[number].wait()

    tasks = [asyncio.create_task(last(number)) for number in range(3)]
    for ended in range(3):
        await until(lambda: len(begun) == min(ended + 2, 3))  # noqa: B023 - at once
        lasting[begun[ended]].set()
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    assert sorted(begun) == [0, 1, 2]


async def test_the_guard_is_asked_and_nothing_goes_in_the_clear() -> None:
    async with Hostile(context=context(), implicit=True) as server:
        where = Server(server.port).where
        denied = await failure_of(probes(server.port, ("10.0.0.1",)), where)
        clear = await failure_of(probes(server.port), replace(where, tls=TLSMode.NONE))
    assert denied.reason.value == "AddressDenied"
    assert clear.reason.value == "EncryptionRequired"
    assert server.connections == 0


async def test_a_server_that_stalls_at_the_login_is_left() -> None:
    script = imap_until_login(after=("read", "stall"))
    async with Hostile(*script, context=context(), implicit=True) as server:
        found = await failure_of(probes(server.port, deadlines=SOON), Server(server.port).where)
    assert (found.stage.value, found.reason.value) == ("Auth", "ConnectionTimeout")


async def test_a_connection_that_waits_is_kept_alive(server: Server) -> None:
    async with server.reading() as reader:
        connection = reader._protocol.transport.get_extra_info("socket")
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        probes_sent = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        apart = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        assert idle + probes_sent * apart <= 120


async def test_a_name_is_said_where_it_is_asked_for() -> None:
    answers = {b"ID": answer(b"OK"), b"EXAMINE": answer(b"NO [NONEXISTENT] x")}
    async with scripted(answers, b"ID") as server:
        async with server.reading(SOON):
            pass
        assert server.said == [b'ID ("name" "postroom")']
