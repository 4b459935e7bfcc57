# SPDX-License-Identifier: Apache-2.0
"""What every world asks outside of where its objects are: DNS, mail servers, token endpoints."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from postroom.dns.answers import Asker
from postroom.dns.mta_sts_host import PolicyFetcher
from postroom.mail.connect.dial import Resolve
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.identities.values import IdentitySource, NoIdentities
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.exchange import HttpsExchange
from postroom.mail.oauth.grant import Grant
from postroom.mail.oauth.reasons import FailureClass, OAuthReason
from postroom.mail.oauth.tokens import TokenSource
from postroom.reconcile.world import MailProbes, MessagePolicy, Tokens


class NoTokens:
    """Implements `postroom.reconcile.world.Tokens` where nobody may be asked."""

    async def token(self, grant: Grant) -> AccessToken | TokenFailure:
        """Say that there is none."""
        return TokenFailure(
            OAuthReason.ENDPOINT_DENIED,
            FailureClass.CONFIGURATION,
            "This process asks no token endpoint: use credentialsRef.",
        )

    def drop(self, grant: Grant) -> None:
        """There is nothing to forget."""


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


def token_source(guard: DialPolicy, resolve: Resolve, hosts: tuple[str, ...]) -> TokenSource:
    """Ask the endpoints that are built in, and generic ones on these hosts."""
    return TokenSource(HttpsExchange(guard, resolve, generic_hosts=hosts))
