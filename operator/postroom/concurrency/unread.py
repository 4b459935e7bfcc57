# SPDX-License-Identifier: Apache-2.0
"""What the other side has sent, and the event loop has not read yet.

Whoever asks first what was said unasked so far has seen only what was read. What lies in the kernel
would be read with the next turn of the loop, after the question was sent, and pass for its answer.
"""

import asyncio
import select

#: Turns of the event loop, in each of which some of it is read.
_TURNS = 64


def is_anything_unread(transport: asyncio.BaseTransport) -> bool:
    """Whether anything has come that was not read: octets, or the end of the connection."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return False
    # Not select.select: it knows no descriptors beyond 1,023.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


async def read_all(transport: asyncio.BaseTransport | None) -> None:
    """Have the loop read what has come until now; of somebody who never stops, much of it."""
    for _ in range(_TURNS):
        if transport is None or not is_anything_unread(transport):
            return
        await asyncio.sleep(0)
