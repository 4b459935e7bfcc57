# SPDX-License-Identifier: Apache-2.0
"""The transport over real sockets: many queries at a time over one UDP socket per server.

dnspython opens a socket for every query. Here a connected socket carries all queries to a server,
told apart by id and question; the kernel keeps datagrams of others away from it, and reports a
closed port. It is replaced by one with another random source port after a while, so that a guess
of the port is of no use for long (RFC 5452).
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from contextlib import suppress
from ipaddress import ip_address

from postroom.concurrency.patience import PeerDeadline
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.asking.wire import is_reply

#: A port is given up after so many queries, or seconds.
_PORT_QUERIES, _PORT_SECONDS = 64, 5.0
#: Sockets that are kept open; each query in flight may need one more.
_PORTS_LIMIT = 128
#: Larger than any datagram that we allow for (EDNS payload 1232); more is cut off, and malformed.
_DATAGRAM_LIMIT = 4096
#: Datagrams that are read before other tasks get a turn.
_READ_AT_ONCE = 64
_LENGTH = struct.Struct("!H")


class SocketTransport:
    """Implements `postroom.dns.asking.transport.Transport` over the network."""

    def __init__(self) -> None:
        self._ports: dict[ServerAddress, _Port] = {}

    async def udp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        port = self._ports.get(server)
        if port is None or port.used_up:
            # A process may open only so many: those that nobody waits at go, the oldest first.
            for earlier in list(self._ports.values()):
                if len(self._ports) >= _PORTS_LIMIT:
                    earlier.close_if_idle()
            port = self._ports[server] = _Port(server, self._ports)
        return await port.ask(query, timeout)

    async def tcp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        async with PeerDeadline(timeout):
            reader, writer = await asyncio.open_connection(server.address, server.port)
            try:
                writer.write(_LENGTH.pack(len(query)) + query)
                await writer.drain()
                while True:
                    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                    message = await reader.readexactly(length)
                    if is_reply(query, message):
                        return message
            except asyncio.IncompleteReadError:
                raise ConnectionResetError("the server closed the connection") from None
            finally:
                writer.close()

    def close(self) -> None:
        """Close all sockets; what is still waiting fails."""
        for port in list(self._ports.values()):
            port.close()


class _Socket(socket.socket):
    def __del__(self) -> None:
        # It ends with the event loop it was read by: nobody is left then who could close it.
        self.close()


class _Port:
    """A connected UDP socket, and the queries that wait for replies through it.

    `ports` are those of all servers, among which it is until it is closed or replaced.
    """

    def __init__(self, server: ServerAddress, ports: dict[ServerAddress, _Port]) -> None:
        self.server = server
        self._ports = ports
        self._waiting: dict[int, tuple[bytes, asyncio.Future[bytes]]] = {}
        self._queries = 0
        family = socket.AF_INET6 if ip_address(server.address).version == 6 else socket.AF_INET
        self._socket = _Socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.connect((server.address, server.port))
        except OSError:
            self._socket.close()
            raise
        loop = asyncio.get_running_loop()
        self._expires = loop.time() + _PORT_SECONDS
        loop.add_reader(self._socket, self._read)
        self._timer = loop.call_later(_PORT_SECONDS, self.close_if_idle)

    @property
    def used_up(self) -> bool:
        """Whether new queries must leave from another port."""
        now = asyncio.get_running_loop().time()
        return self._queries >= _PORT_QUERIES or now >= self._expires or self._socket.fileno() < 0

    async def ask(self, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        """Send a query and wait for its reply; one that came in time is not too late for us."""
        self._queries += 1
        number = int.from_bytes(query[:2])
        while number in self._waiting:
            number = secrets.randbits(16)
        sent = number.to_bytes(2) + query[2:]
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (sent, reply)
        try:
            self._socket.send(sent)
            # Not asyncio.timeout: where this process was busy, what was read in the same turn of
            # the loop would be thrown away.
            done, _ = await asyncio.wait({reply}, timeout=timeout)
            if not done:
                raise TimeoutError
            # The asker knows its query by the id that it chose.
            return query[:2] + reply.result()[2:]
        finally:
            del self._waiting[number]
            if self.used_up:
                self.close_if_idle()

    def _read(self) -> None:
        for _ in range(_READ_AT_ONCE):
            try:
                message = self._socket.recv(_DATAGRAM_LIMIT)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._fail(error)
                return
            # What nobody waits for is passed over (RFC 5452).
            sent, reply = self._waiting.get(int.from_bytes(message[:2]), (b"", None))
            if reply is not None and not reply.done() and is_reply(sent, message):
                reply.set_result(message)

    def _fail(self, error: OSError) -> None:
        """Tell all who wait what the kernel learnt, such as that nobody listens there."""
        for _, reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(type(error)(*error.args))

    def close_if_idle(self) -> None:
        """Close the socket if nobody waits for a reply."""
        if not self._waiting:
            self.close()

    def close(self) -> None:
        """Stop reading and close the socket."""
        if self._socket.fileno() < 0:
            return
        self._timer.cancel()
        with suppress(RuntimeError):  # the loop may be closed already, and its reader with it
            asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._fail(ConnectionAbortedError("the transport was closed"))
        if self._ports.get(self.server) is self:
            del self._ports[self.server]
