# SPDX-License-Identifier: Apache-2.0
"""What lies in the kernel is seen, and read before anybody goes on."""

from __future__ import annotations

import asyncio
import socket

from postroom.concurrency.unread import is_anything_unread, read_all


class Hearer(asyncio.Protocol):
    def __init__(self) -> None:
        self.heard, self.lost = 0, False

    def data_received(self, data: bytes) -> None:
        self.heard += len(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


async def test_what_lies_in_the_kernel_is_read_before_anybody_goes_on() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        loop = asyncio.get_running_loop()
        transport, hearer = await loop.create_connection(Hearer, sock=ours)
        assert not is_anything_unread(transport)
        theirs.sendall(b"x" * 100_000)
        assert (is_anything_unread(transport), hearer.heard) == (True, 0)
        await read_all(transport)
        assert (is_anything_unread(transport), hearer.heard) == (False, 100_000)
        theirs.shutdown(socket.SHUT_WR)
        assert is_anything_unread(transport)
        await read_all(transport)
        assert not is_anything_unread(transport)
    await asyncio.sleep(0)
    assert hearer.lost


async def test_who_does_not_read_is_not_waited_for_without_end() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        loop = asyncio.get_running_loop()
        transport, hearer = await loop.create_connection(Hearer, sock=ours)
        transport.pause_reading()
        theirs.sendall(b"x")
        await read_all(transport)
        assert (is_anything_unread(transport), hearer.heard) == (True, 0)
        transport.abort()
        await asyncio.sleep(0)


async def test_without_a_connection_there_is_nothing() -> None:
    await read_all(None)
