# SPDX-License-Identifier: Apache-2.0
"""The seam under the DNS client: one message to one server and the reply to it, as bytes."""

from typing import NamedTuple, Protocol


class ServerAddress(NamedTuple):
    """Where a DNS server listens."""

    address: str
    port: int = 53

    def __str__(self) -> str:
        return f"{self.address}:{self.port}" if self.port != 53 else self.address


class Transport(Protocol):
    """Carries a query in wire format to a server and brings a reply back, unparsed.

    Both raise `TimeoutError` after `timeout` seconds without a reply and `OSError` where the
    server cannot be reached. A reply to another query (by id) is never returned.
    """

    async def udp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        """Send one datagram and wait for the reply; no retransmission."""
        ...

    async def tcp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        """The reply over TCP; messages without the two-byte length prefix, both ways."""
        ...
