# SPDX-License-Identifier: Apache-2.0
"""Where an operator gets its tokens from: token endpoints behind the dial guard, or nowhere."""

from __future__ import annotations

from postroom.mail.connect.dial import Resolve
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.exchange import HttpsExchange
from postroom.mail.oauth.grant import Grant
from postroom.mail.oauth.reasons import FailureClass, OAuthReason
from postroom.mail.oauth.tokens import TokenSource


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


def token_source(guard: DialPolicy, resolve: Resolve, hosts: tuple[str, ...]) -> TokenSource:
    """Ask the endpoints that are built in, and generic ones on these hosts."""
    return TokenSource(HttpsExchange(guard, resolve, generic_hosts=hosts))
