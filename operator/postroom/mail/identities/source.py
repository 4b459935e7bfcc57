# SPDX-License-Identifier: Apache-2.0
"""Asks Gmail and Microsoft Graph for the addresses that a mailbox may send as."""

from dataclasses import replace
from typing import Protocol

from postroom.api.oauth import MicrosoftCloud
from postroom.api.reasons import Reason
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.identities.asking import BearerExchange
from postroom.mail.identities.failures import failure_of, no_token
from postroom.mail.identities.providers import Apis, Place, directory
from postroom.mail.identities.reading import read
from postroom.mail.identities.values import Discovered, DiscoveryFailure
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.grant import Grant


class Tokens(Protocol):
    """What `postroom.mail.oauth.tokens.TokenSource` does."""

    async def token(self, grant: Grant) -> AccessToken | TokenFailure:
        """Return a token that lasts, or why there is none."""

    def drop(self, grant: Grant) -> None:
        """Forget a token that was refused."""


class NetworkIdentities:
    """An `IdentitySource` over HTTPS; `apis` are the built-in places unless a test has others."""

    def __init__(self, exchange: BearerExchange, tokens: Tokens, apis: Apis | None = None) -> None:
        self._exchange, self._tokens, self._apis = exchange, tokens, apis

    async def identities(
        self, grant: Grant, cloud: MicrosoftCloud | None
    ) -> Discovered | DiscoveryFailure:
        """See `postroom.mail.identities.values.IdentitySource`.

        A kept token that is refused is replaced once.
        """
        apis = self._apis or directory().apis
        place = apis.place(grant.provider, grant.flow, cloud)
        if place is None:
            return DiscoveryFailure(
                Reason.IDENTITY_UNVERIFIABLE, "The provider has no list that postroom can read."
            )
        asking = grant_for(place, grant)
        for last in (False, True):
            token = await self._tokens.token(asking)
            if isinstance(token, TokenFailure):
                return no_token(token, grant)
            reply = await self._exchange.get(place.url_for(grant.subject), token.value)
            refused = not isinstance(reply, NoAnswer) and reply.status == 401
            if refused:
                self._tokens.drop(asking)
            if not refused or token.fresh or last:
                break
        if isinstance(reply, NoAnswer) or reply.status != 200 or reply.document is None:
            return failure_of(reply, grant)
        return read(grant.provider, reply.document, grant.subject)


def grant_for(place: Place, grant: Grant) -> Grant:
    """Derive the grant of the token that an API takes from that for mail.

    One refresh token of Microsoft can be redeemed for either service, one at a time. Without
    ``offline_access`` nothing is handed out that would have to be kept.
    """
    return replace(grant, scopes=place.scopes) if place.scopes else grant
