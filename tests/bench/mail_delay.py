# SPDX-License-Identifier: Apache-2.0
"""A long way to a server: what goes through arrives a fixed time later, connecting included."""

from __future__ import annotations

import asyncio
from contextlib import suppress

_CHUNK = 65536


class LongWay:
    """Leads to a port of `address`; the way takes `seconds` in each direction.

    Loopback connects at once, so that the round trip of TCP's handshake is made up for here: the
    server learns of a connection after three ways, and what is sent at once arrives with it.
    """

    def __init__(self, address: str, port: int, seconds: float) -> None:
        self._address, self._port, self._seconds = address, port, seconds
        self._server: asyncio.Server | None = None
        self._walks: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> None:
        """Listen at a port of the same address."""
        self._server = await asyncio.start_server(self._accept, self._address, port)

    async def stop(self) -> None:
        """Stop listening, and drop what is under way."""
        if self._server is not None:
            self._server.close()
        for walk in self._walks:
            walk.cancel()
        await asyncio.gather(*self._walks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        walk = asyncio.current_task()
        assert walk is not None
        self._walks.add(walk)
        try:
            # Cancelled: the end of all, which asyncio's streams would report as an error.
            with suppress(OSError, asyncio.CancelledError):
                await self._lead(reader, writer)
        finally:
            self._walks.discard(walk)
            writer.transport.abort()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # SYN and its answer; then what the client says first is on its way together with its ACK.
        await asyncio.sleep(2 * self._seconds)
        arrives = asyncio.get_running_loop().time() + self._seconds
        there = asyncio.Queue[tuple[float, bytes]]()
        listening = asyncio.create_task(self._note(reader, there))
        await asyncio.sleep(self._seconds)
        far_reader, far_writer = await asyncio.open_connection(self._address, self._port)
        back = asyncio.Queue[tuple[float, bytes]]()
        parts = [
            listening,
            asyncio.create_task(self._note(far_reader, back)),
            asyncio.create_task(_deliver(there, far_writer, not_before=arrives)),
            asyncio.create_task(_deliver(back, writer)),
        ]
        try:
            await asyncio.wait(parts[2:], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            far_writer.transport.abort()

    async def _note(
        self, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        """Put what is read, and its end, on its way."""
        loop = asyncio.get_running_loop()
        chunk = b"-"
        while chunk:
            try:
                chunk = await reader.read(_CHUNK)
            except OSError:
                chunk = b""
            queue.put_nowait((loop.time() + self._seconds, chunk))


async def _deliver(
    queue: asyncio.Queue[tuple[float, bytes]],
    writer: asyncio.StreamWriter,
    not_before: float = 0.0,
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, chunk = await queue.get()
        await asyncio.sleep(max(due, not_before) - loop.time())
        if not chunk:
            return
        writer.write(chunk)
        await writer.drain()
