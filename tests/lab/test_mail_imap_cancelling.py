# SPDX-License-Identifier: Apache-2.0
"""Checks and errands over IMAP that are cancelled after each step of a server, and at many moments
in between: each ends at once, and leaves no task and no socket."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable, Coroutine
from datetime import date
from typing import Any

import pytest

from lab.hostile import Hostile, Step, answer, imap_until_login
from lab.imap_lab import OK, Server
from lab.mail_probing import (
    LOGIN,
    context,
    imap,
    nothing_leaks,  # noqa: F401 - a fixture
)
from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.mail.operations import (
    HistoryReport,
    Position,
    Removal,
    RemovalReport,
    ScanReport,
)
from postroom.mail.report import ProbeReport

PROOF = "0123456789abcdef"
OPENED = answer(b"OK", b"1 EXISTS", b"OK [UIDVALIDITY 5] x", b"OK [UIDNEXT 9] x")
OURS = answer(
    b"OK",
    b'1 FETCH (UID 8 INTERNALDATE "01-May-2026 12:00:00 +0000" BODY[HEADER] {38}\r\n'
    b"X-Postroom-Probe: v " + PROOF.encode() + b"\r\n)",
)
OFFERS = (b"ID", b"NAMESPACE", b"SPECIAL-USE", b"QUOTA", b"UIDPLUS")
CHECK: tuple[Step, ...] = (
    *("read", OK, "read", OK, "read", OPENED),
    *(one for _ in range(4) for one in ("read", OK)),
)
UPGRADE: tuple[Step, ...] = (
    *imap_until_login(b"STARTTLS"),
    *("read", OK, "tls", *imap_until_login(*OFFERS, after=("read", OK, *CHECK))[1:]),
)


class Paced(Hostile):
    """Plays some of its steps, then no more; `reached` is set when it is there."""

    def __init__(self, *steps: Step, stop: int, implicit: bool) -> None:
        super().__init__(*steps[:stop], "stall", context=context(), implicit=implicit)
        self.reached = asyncio.Event()

    async def _play(
        self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if step == "stall":
            self.reached.set()
        await super()._play(step, reader, writer)


Report = ProbeReport | ScanReport | RemovalReport | HistoryReport
Work = Callable[[Hostile], Coroutine[None, None, Report]]


def signed_in(*after: Step) -> tuple[Step, ...]:
    return imap_until_login(*OFFERS, after=("read", OK, *after))


async def check(server: Hostile) -> ProbeReport:
    return await imap(server, LOGIN)


async def upgraded(server: Hostile) -> ProbeReport:
    return await imap(server, LOGIN, mode=TLSMode.START_TLS)


async def scan(server: Hostile) -> ScanReport:
    return await Server(server.port).scan(Position("INBOX", 5, 8))


async def remove(server: Hostile) -> RemovalReport:
    return await Server(server.port).remove(Removal("INBOX", 5, 8, PROOF))


async def history(server: Hostile) -> HistoryReport:
    return await Server(server.port).history(date(2026, 5, 1))


#: The answer to ID.
NAMED: tuple[Step, ...] = ("read", OK)
SEARCHED = answer(b"OK", b"SEARCH 8")
WORK: dict[str, tuple[Work, tuple[Step, ...]]] = {
    "check": (check, signed_in(*CHECK)),
    "upgraded": (upgraded, UPGRADE),
    "scan": (scan, signed_in(*NAMED, "read", OPENED, "read", OURS)),
    "remove": (remove, signed_in(*NAMED, "read", OPENED, "read", OURS, *("read", OK) * 2)),
    "history": (history, signed_in(*NAMED, "read", OPENED, "read", SEARCHED, "read", OURS)),
}
STOPS = [(name, stop) for name, (_, steps) in WORK.items() for stop in range(len(steps))]


def sockets_to(port: int) -> list[socket.socket]:
    """Our ends of connections to a port, which is still listened at."""
    gc.collect()
    found = [one for one in gc.get_objects() if issubclass(type(one), socket.socket)]
    return [one for one in found if one.fileno() != -1 and peer_port(one) == port]


def peer_port(one: socket.socket) -> int | None:
    try:
        return int(one.getpeername()[1])
    except (OSError, IndexError):
        return None


async def let_go(task: asyncio.Task[Report], before: set[asyncio.Task[Any]], port: int) -> None:
    """Cancel it, and see that it is over at once with all that it began."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 0.2)
    for _ in range(500):
        left = [one for one in asyncio.all_tasks() - before if not is_servers(one)]
        if not left and not sockets_to(port):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"left behind: {left} {sockets_to(port)}")


def is_servers(task: asyncio.Task[Any]) -> bool:
    """Whether it is of the scripted server, which is still open."""
    return "Hostile." in repr(task.get_coro())


@pytest.mark.parametrize(("name", "stop"), STOPS)
async def test_cancelling_after_each_step(name: str, stop: int) -> None:
    work, steps = WORK[name]
    async with Paced(*steps, stop=stop, implicit=name != "upgraded") as server:
        before = asyncio.all_tasks()
        task = asyncio.create_task(work(server))
        await asyncio.wait_for(server.reached.wait(), 2)
        # What the server sent last may be read, or not yet.
        await asyncio.sleep(0.02 * (stop % 2))
        assert not task.done()
        await let_go(task, before, server.port)


@pytest.mark.parametrize("name", ["check", "upgraded"])
async def test_cancelling_at_many_moments(name: str) -> None:
    work, steps = WORK[name]
    for turns in (*range(40), *range(40, 400, 20)):
        async with Paced(*steps, stop=len(steps), implicit=name == "check") as server:
            before = asyncio.all_tasks()
            task = asyncio.create_task(work(server))
            for _ in range(turns):
                await asyncio.sleep(0)
            if not task.done():
                await let_go(task, before, server.port)


@pytest.mark.parametrize("name", WORK)
async def test_the_scripts_go_to_the_end(name: str) -> None:
    work, steps = WORK[name]
    async with Paced(*steps, stop=len(steps), implicit=name != "upgraded") as server:
        report = await work(server)
        await asyncio.wait_for(server.reached.wait(), 1)
    session = report if isinstance(report, ProbeReport) else report.session
    assert session.stage is ProbeStage.DONE
