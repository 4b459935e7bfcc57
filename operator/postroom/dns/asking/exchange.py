# SPDX-License-Identifier: Apache-2.0
"""One query to one server and its reply: over UDP, over TCP where it did not fit, over HTTPS."""

import asyncio

from postroom.concurrency.shortage import shortage_in
from postroom.dns.answers import Outcome, Question
from postroom.dns.asking import wire
from postroom.dns.asking.health import Health
from postroom.dns.asking.https import HttpsClient, HttpsServer
from postroom.dns.asking.transport import ServerAddress, Transport

#: Whom a query can be sent to.
Server = ServerAddress | HttpsServer

#: Of the time for a question, what TCP gets: so much less that its failure is still noticed.
_TCP_SHARE = 0.5


class Exchange:
    """Sends queries once each; who asks decides about repeating them.

    What is learnt about a server is put into `health`; `over_tcp` is what is being asked over TCP,
    which takes longer than it took until now.
    """

    def __init__(self, transport: Transport, https: HttpsClient, health: Health[Server]) -> None:
        self._transport, self._https, self._health = transport, https, health
        self.over_tcp: set[tuple[Server, Question]] = set()

    async def ask(
        self, server: Server, question: Question, view: wire.View, *, edns: bool, limit: float
    ) -> wire.Reply:
        """Return the reply of one server, asked with EDNS or without.

        Where the server does not understand EDNS it is asked again without (RFC 6891 section
        6.2.2), over TCP where the reply was truncated; TIMEOUT where only TCP does not work. Raises
        `TimeoutError` where nothing comes at all, `OSError` where the server cannot be reached.
        """
        reply = await self._send(server, question, view, edns=edns, limit=limit)
        if edns and wire.rejects_edns(reply):
            plain = await self._send(server, question, view, edns=False, limit=limit)
            if not wire.rejects_edns(plain):
                self._health.without_edns(server)
            return plain
        return reply

    async def _send(
        self, server: Server, question: Question, view: wire.View, *, edns: bool, limit: float
    ) -> wire.Reply:
        query = wire.make_query(question, view, edns=edns)
        clock = asyncio.get_running_loop().time
        started = clock()
        if isinstance(server, HttpsServer):
            message = await self._https.ask(server, query, limit)
        else:
            message = await self._transport.udp(server, query, limit)
        self._health.answered(server, clock() - started)
        if not wire.is_reply(query, message):
            return Outcome.MALFORMED
        if wire.is_truncated(message) and isinstance(server, ServerAddress):
            self.over_tcp.add((server, question))
            try:
                message = await self._transport.tcp(server, query, limit * _TCP_SHARE)
            except OSError as error:
                if shortage_in(error) is not None:
                    raise
                return Outcome.TIMEOUT
            finally:
                self.over_tcp.discard((server, question))
            if not wire.is_reply(query, message):
                return Outcome.MALFORMED
        if wire.is_truncated(message):
            # Where all of it should fit: part of an answer is none, neither a yes nor a no.
            return Outcome.MALFORMED
        return wire.read_reply(message)
