# SPDX-License-Identifier: Apache-2.0
"""Asking several servers in turn without waiting long for a silent one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TypeVar

ServerT = TypeVar("ServerT", bound=Hashable)
ReplyT = TypeVar("ReplyT")

#: Most attempts for one question, over all servers.
ATTEMPTS_LIMIT = 8


async def ask_in_turn(
    servers: Sequence[ServerT],
    ask: Callable[[ServerT], Awaitable[ReplyT]],
    usable: Callable[[ReplyT], bool],
    patience: float,
) -> tuple[ReplyT | None, tuple[ReplyT, ...]]:
    """Return the first usable reply, or None, and the replies that were not usable.

    The next server is asked at once where one gives an unusable reply, and after `patience`
    seconds where it is silent, while the earlier question stays open. A second round over the
    silent ones makes good for lost datagrams.
    """
    waiting = deque([*servers, *servers][:ATTEMPTS_LIMIT])
    failed: dict[ServerT, ReplyT] = {}
    running: dict[asyncio.Future[ReplyT], ServerT] = {}
    try:
        while True:
            while waiting and waiting[0] in failed:
                waiting.popleft()
            if waiting:
                server = waiting.popleft()
                running[asyncio.ensure_future(ask(server))] = server
            elif not running:
                return None, tuple(failed.values())
            done, _ = await asyncio.wait(
                running,
                timeout=patience if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in done:
                reply = attempt.result()
                if usable(reply):
                    return reply, tuple(failed.values())
                failed[running.pop(attempt)] = reply
    finally:
        for attempt in running:
            attempt.cancel()
        await asyncio.gather(*running, return_exceptions=True)
