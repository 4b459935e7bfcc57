# SPDX-License-Identifier: Apache-2.0
"""The resolver's point of view: asked afresh, or remembered as long as TTLs say."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from postroom.dns.answers import Answer, Question
from postroom.dns.asking.cache import Clock, SingleFlightCache, kept_for
from postroom.dns.asking.exchange import Server
from postroom.dns.asking.https import HttpsServer
from postroom.dns.asking.retrying import Heard, RetryingClient
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.asking.wire import View

#: Answers about names that many domains share.
_SHARED_LIMIT = 20_000
#: Seconds that a failure to resolve is kept (RFC 9520 section 3.2 asks for at least one).
_FAILURE = 5.0
#: resolv.conf(5): where systems say whom to ask.
_CONFIGURATION = Path("/etc/resolv.conf")


class ResolverView:
    """Asks the resolvers, in their order. Equal questions at the same moment are asked once."""

    def __init__(
        self, resolvers: Sequence[Server], client: RetryingClient, clock: Clock | None
    ) -> None:
        self._resolvers, self._client = tuple(resolvers), client
        self._flights: SingleFlightCache[tuple[Question, View], Heard] = SingleFlightCache()
        self._shared: SingleFlightCache[Question, Answer] = SingleFlightCache(_SHARED_LIMIT, clock)

    async def ask(self, question: Question, view: View = View.RESOLVER) -> Heard:
        """What the resolvers reply at this moment; the answer is never authoritative."""

        async def look() -> tuple[Heard, float]:
            found = await self._client.ask(
                self._resolvers, question, view, lambda heard: heard.answer.conclusive
            )
            answer = replace(found.answer(question), authoritative=False)
            if found.usable is None:
                return Heard(self._resolvers[0], answer.outcome, answer), 0
            return replace(found.usable, answer=answer), 0

        return await self._flights.get((question, view), look)

    async def answer(self, question: Question, view: View = View.RESOLVER) -> Answer:
        """The answer alone, of this moment; it is never authoritative."""
        return (await self.ask(question, view)).answer

    async def shared(self, question: Question) -> Answer:
        """The answer as long as it may be kept: denials as RFC 2308 says, failures for seconds."""

        async def look() -> tuple[Answer, float]:
            answer = await self.answer(question)
            return answer, kept_for(answer.ttl) if answer.conclusive else _FAILURE

        return await self._shared.get(question, look)

    def forget(self, question: Question) -> None:
        """Drop what `shared` keeps of a question."""
        self._shared.forget(question)


def resolvers_of(given: Sequence[tuple[str, int]] | None) -> tuple[Server, ...]:
    """Return the resolvers to ask; those of /etc/resolv.conf where none are given.

    A URL in place of an address is a resolver over HTTPS. Where the system knows none, this host
    itself is asked.
    """
    named = tuple(
        HttpsServer(address) if address.startswith("https://") else ServerAddress(address, port)
        for address, port in given or ()
    )
    return named or tuple(map(ServerAddress, _configured() or ["127.0.0.1"]))


def _configured() -> Sequence[str]:
    """The addresses that /etc/resolv.conf names; what is none there is passed over.

    dnspython could tell them, too, and would load all its ways of asking for it.
    """
    found = []
    with suppress(OSError):
        for line in _CONFIGURATION.read_text("utf-8", "replace").splitlines():
            match line.split():
                case ["nameserver", address, *_]:
                    with suppress(ValueError):
                        found.append(str(ip_address(address)))
    return found
