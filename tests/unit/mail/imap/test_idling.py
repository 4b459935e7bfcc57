# SPDX-License-Identifier: Apache-2.0
"""The steps of IDLE, each as servers take it or do not."""

from __future__ import annotations

import asyncio

import pytest

from postroom.mail.imap.idling import Idle

LONG, SHORT = 60.0, 0.02


class Server:
    """One IDLE with what a server does to it; `done` is what we do."""

    def __init__(self) -> None:
        self.idle = Idle(3)
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.was_done = False

    def done(self) -> None:
        self.was_done = True
        self.answer.set_result("OK")

    async def ended(self, seconds: float = LONG, patience: float = LONG) -> bool:
        return await asyncio.wait_for(
            self.idle.ended_by(self.answer, self.done, seconds, patience), 5
        )


async def test_news_end_it() -> None:
    server = Server()
    waiting = asyncio.create_task(server.ended())
    server.idle.begun.set()
    server.idle.hears_of(3)
    await asyncio.sleep(SHORT)
    assert not waiting.done()
    server.idle.hears_of(4)
    assert await waiting
    assert server.was_done


async def test_time_ends_it() -> None:
    server = Server()
    server.idle.begun.set()
    assert await server.ended(SHORT)
    assert server.was_done


async def test_a_server_may_refuse_or_end_it() -> None:
    for begun in (False, True):
        server = Server()
        if begun:
            server.idle.begun.set()
        server.answer.set_result("NO")
        assert not await server.ended()
        assert not server.was_done


async def test_news_before_it_has_begun_wait_for_that() -> None:
    server = Server()
    waiting = asyncio.create_task(server.ended())
    server.idle.hears_of(4)
    await asyncio.sleep(SHORT)
    assert not server.was_done
    server.idle.begun.set()
    assert await waiting


async def test_silence_is_not_waited_for() -> None:
    server = Server()
    with pytest.raises(TimeoutError):
        await server.ended(patience=SHORT)
    assert not server.was_done
    deaf = Server()
    deaf.idle.begun.set()
    deaf.idle.hears_of(4)
    deaf.done = lambda: None  # type: ignore[method-assign]
    with pytest.raises(TimeoutError):
        await deaf.ended(patience=SHORT)
