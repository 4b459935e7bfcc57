# SPDX-License-Identifier: Apache-2.0
"""IDLE, by which a server tells of new messages at once (RFC 2177): its steps, each bounded."""

import asyncio
from collections.abc import Callable
from typing import Any

from postroom.concurrency.patience import PeerDeadline


class Idle:
    """One IDLE while it goes on, for a mailbox of whose new messages was told `arrivals` times."""

    def __init__(self, arrivals: int) -> None:
        self._arrivals = arrivals
        self._told = asyncio.Event()
        #: Set once the server says that it idles.
        self.begun = asyncio.Event()

    def hears_of(self, arrivals: int) -> None:
        """The server has told of new messages that often."""
        if arrivals > self._arrivals:
            self._told.set()

    async def ended_by(
        self,
        answer: asyncio.Future[Any],
        done: Callable[[], None],
        seconds: float,
        patience: float,
    ) -> bool:
        """Wait for news, for some seconds at most, then be `done`, and wait for the answer.

        False where the server answers without being told that we are done.

        A server that leaves us waiting for its word that it idles, or
        for its answer to DONE, for longer than `patience` seconds is a `TimeoutError`.
        """
        # Seen, should nobody wait for it any more.
        answer.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        # Before the server says that it idles, DONE would be a command that it does not know.
        await _first(answer, self.begun, patience)
        if not answer.done() and not self.begun.is_set():
            raise TimeoutError
        await _first(answer, self._told, seconds)
        if answer.done():
            return False
        done()
        async with PeerDeadline(patience):
            await asyncio.wait({answer})
        return True


async def _first(answer: asyncio.Future[Any], event: asyncio.Event, seconds: float) -> None:
    """Wait for an answer or an event, whichever comes first, or for some seconds."""
    told = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({answer, told}, timeout=seconds, return_when="FIRST_COMPLETED")
    finally:
        told.cancel()
