# SPDX-License-Identifier: Apache-2.0
"""What every world asks outside of where its objects are: DNS, mail servers, token endpoints."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from postroom.dns.answers import Asker
from postroom.dns.mta_sts_host import PolicyFetcher
from postroom.mail.identities.values import IdentitySource, NoIdentities
from postroom.reconcile.tokens import NoTokens
from postroom.reconcile.world import MailProbes, MessagePolicy, Tokens


@runtime_checkable
class _Closable(Protocol):
    async def close(self) -> None: ...


class WaysOut(NamedTuple):
    """The ways to DNS, mail servers, the hosts of MTA-STS policies, token endpoints and the APIs
    of mail providers.

    `messages` is the policy on messages of our own; None: none is sent.
    """

    dns: Asker
    mail: MailProbes
    policies: PolicyFetcher
    tokens: Tokens = NoTokens()
    identities: IdentitySource = NoIdentities()
    messages: MessagePolicy | None = None

    async def close(self) -> None:
        """Give up connections that are kept for the next question."""
        for one in (self.dns, self.policies, self.tokens, self.identities):
            if isinstance(one, _Closable):
                await one.close()


class ReachesOut:
    """The part of `postroom.reconcile.world.World` that leads outside."""

    def __init__(self, out: WaysOut) -> None:
        self._out = out

    async def close(self) -> None:
        """Give up connections that are kept for the next question."""
        await self._out.close()

    @property
    def dns(self) -> Asker:
        return self._out.dns

    @property
    def mail(self) -> MailProbes:
        return self._out.mail

    @property
    def tokens(self) -> Tokens:
        return self._out.tokens

    @property
    def identities(self) -> IdentitySource:
        return self._out.identities

    @property
    def policies(self) -> PolicyFetcher:
        return self._out.policies

    @property
    def messages(self) -> MessagePolicy | None:
        return self._out.messages
