# SPDX-License-Identifier: Apache-2.0
"""The last door before the network: what may not be dialled is not, whoever asks for it.

`postroom.dns.asking.zones` leaves such servers out, so that nobody should come here with one; what
is new there must not become a way around the guard.
"""

from collections.abc import Callable, Iterable

from postroom.dns.asking.exchange import Server
from postroom.dns.asking.transport import ServerAddress, Transport


class GuardedTransport:
    """Implements `postroom.dns.asking.transport.Transport` over another one.

    `may_ask` tells whether an address may be dialled; `exempt` are the configured resolvers.
    """

    def __init__(
        self, transport: Transport, may_ask: Callable[[str], bool], exempt: Iterable[Server]
    ) -> None:
        self._transport, self._may_ask = transport, may_ask
        self._exempt = frozenset(server for server in exempt if isinstance(server, ServerAddress))

    async def udp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        self._judge(server)
        return await self._transport.udp(server, query, timeout)

    async def tcp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        self._judge(server)
        return await self._transport.tcp(server, query, timeout)

    def _judge(self, server: ServerAddress) -> None:
        if server not in self._exempt and not self._may_ask(server.address):
            raise PermissionError("the dial guard denies the address of this name server")
