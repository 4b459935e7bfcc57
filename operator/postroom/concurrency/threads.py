# SPDX-License-Identifier: Apache-2.0
"""Work that keeps a processor busy, in threads that parties share evenly.

Python's own few threads serve whoever comes first: a tenant whose servers ask for costly proofs
would have all others wait for theirs, and the API client with them.
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from postroom.concurrency.acting import party
from postroom.concurrency.slots import Slots

ParametersT = ParamSpec("ParametersT")
ResultT = TypeVar("ResultT")

#: At a time, of all parties and of one: asyncio has five threads at least.
_AT_A_TIME, _OF_ONE = 4, 2
_PLACES: WeakKeyDictionary[asyncio.AbstractEventLoop, Slots] = WeakKeyDictionary()


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
    """Return what work yields in one of Python's own threads.

    A thread cannot be stopped: who is cancelled goes on only once it has ended, so that nothing is
    taken away from under it.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise
