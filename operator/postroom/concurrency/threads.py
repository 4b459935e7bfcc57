# SPDX-License-Identifier: Apache-2.0
"""Work that keeps a processor busy, in threads that parties share evenly.

Python's own few threads serve whoever comes first: a tenant whose servers ask for costly proofs
would have all others wait for theirs, and the API client with them.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from postroom.concurrency.acting import party
from postroom.concurrency.shortage import shortage_in
from postroom.concurrency.slots import Slots

ParametersT = ParamSpec("ParametersT")
ResultT = TypeVar("ResultT")

#: At a time, of all parties and of one; and beside those, of who has a bound of its own.
_AT_A_TIME, _OF_ONE, _BESIDE = 4, 2, 4
_PLACES: WeakKeyDictionary[asyncio.AbstractEventLoop, Slots] = WeakKeyDictionary()
_THREADS: WeakKeyDictionary[asyncio.AbstractEventLoop, "Threads"] = WeakKeyDictionary()


class Threads(ThreadPoolExecutor):
    """Threads that are as many as can be had: where no further one can be started, those that run
    take its work in their turn. Raises `Shortage` where there is none at all."""

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError as error:
            lack = shortage_in(error)
            if lack is None:
                raise
            if self._threads:
                return
            # Left there, it would be done later, for nobody.
            self._work_queue.get_nowait()
            raise lack from None


async def in_thread(
    work: Callable[ParametersT, ResultT], *args: ParametersT.args, **kwargs: ParametersT.kwargs
) -> ResultT:
    """Return what work yields that would hold up the event loop, begun when its party's turn is."""
    places = _PLACES.setdefault(asyncio.get_running_loop(), Slots(_AT_A_TIME, _OF_ONE))
    async with places.slot(party()):
        return await to_its_end(work, *args, **kwargs)


async def to_its_end(
    work: Callable[ParametersT, ResultT], *args: ParametersT.args, **kwargs: ParametersT.kwargs
) -> ResultT:
    """Return what work yields in a thread.

    A thread cannot be stopped: who is cancelled goes on only once it has ended, so that nothing is
    taken away from under it. Raises `Shortage` where there is no thread.
    """
    loop = asyncio.get_running_loop()
    ours = _THREADS.get(loop) or _THREADS.setdefault(loop, Threads(_AT_A_TIME + _BESIDE))
    begun = partial(contextvars.copy_context().run, work, *args, **kwargs)
    running = loop.run_in_executor(ours, begun)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise
