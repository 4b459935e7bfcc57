# SPDX-License-Identifier: Apache-2.0
"""Access tokens by grant: asked for once at a time, kept while they last, renewed ahead of time."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from postroom.api.masked import Masked
from postroom.api.oauth import OAuthProvider
from postroom.concurrency import threads
from postroom.concurrency.bounded import BoundedMap
from postroom.concurrency.flights import Flights
from postroom.concurrency.shortage import Shortage
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.oauth.answers import (
    OUTLIVED,
    AccessToken,
    TokenFailure,
    no_answer_failure,
    token_from,
)
from postroom.mail.oauth.exchange import TokenAnswer
from postroom.mail.oauth.grant import Form, Grant
from postroom.mail.oauth.jwt import UnusableKey
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.oauth.refresh_token_store import NOT_KEPT, Keeping, RefreshTokenStore, Unreadable
from postroom.mail.replies.model import FailureClass

logger = logging.getLogger(__name__)

#: Seconds before its end at which a token is renewed, or this part of its life if that is less.
_AHEAD, _AHEAD_PART = 300.0, 0.1
#: Seconds without questions after "too many requests" that names no pause.
_PAUSE = 60.0
#: Seconds without questions after an outage, in which a token that still lasts serves.
_BREATHER = 10.0
#: For so many seconds a token that opens many mailboxes counts as new: the refusal of one of them
#: says nothing against it.
_NEW = 60.0
_KEPT = 4096
#: What a refresh token is refused with that has ended, or never was one.
_ENDED = (OAuthReason.GRANT_REVOKED, OAuthReason.GRANT_EXPIRED)

Clock = Callable[[], float]


class Exchange(Protocol):
    """What `postroom.mail.oauth.exchange.HttpsExchange` does."""

    async def post(
        self,
        url: str,
        form: Form,
        *,
        namespace: str = "",
        ca_bundle: str | None = None,
        built_in: bool = True,
    ) -> TokenAnswer | NoAnswer:
        """Send a form."""


@dataclass(slots=True)
class _Kept:
    """What is known of one grant; times are the clock's."""

    token: AccessToken | None = None
    asked_at: float = 0.0
    renew_at: float = 0.0
    ends_at: float = 0.0
    refresh_token: Masked | None = None
    failure: TokenFailure | None = None
    quiet_until: float = 0.0


class TokenSource:
    """Hands out tokens.

    `clock` counts seconds and never jumps; `wall` is the time of day, which assertions carry.
    `spread` returns a number from 0 to 1: renewals of many accounts do not come at once.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
        spread: Callable[[], float] = random.random,
        limit: int = _KEPT,
    ) -> None:
        self._exchange = exchange
        self._store: RefreshTokenStore | None = None
        #: Told of every question to a token endpoint.
        self.asked: Callable[[Grant], None] = lambda grant: None
        self._clock, self._wall, self._spread = clock, wall, spread
        self._kept: BoundedMap[str, _Kept] = BoundedMap(limit)
        self._flights: Flights[str, AccessToken | TokenFailure] = Flights()

    async def token(self, grant: Grant) -> AccessToken | TokenFailure:
        """Return a token that lasts, asking for one if there is none.

        An outage while the kept token still lasts goes unnoticed; a refusal does not.
        """
        key, now = grant.token_key, self._clock()
        kept = self._kept.use(key)
        if kept is not None:
            if kept.token is not None and now < kept.renew_at:
                return replace(kept.token, fresh=grant.is_shared and now - kept.asked_at < _NEW)
            if kept.failure is not None and now < kept.quiet_until:
                return self._instead(kept, kept.failure, now)
        return await self._flights.join(key, lambda: self._fetch(key, grant))

    def drop(self, grant: Grant) -> None:
        """Forget a token that a mail server refused; what was rotated is kept.

        One that opens many mailboxes stays while it is new: a thousand that are closed to it shall
        not ask for a thousand tokens.
        """
        kept = self._kept.get(grant.token_key)
        if kept is not None and not (grant.is_shared and self._clock() - kept.asked_at < _NEW):
            kept.token = None

    def keep_in(self, store: RefreshTokenStore) -> None:
        """Keep the new refresh tokens of grants that want it where they outlive this process."""
        self._store = store

    def keeping(self, grant: Grant) -> Keeping:
        """Return what is known of how a grant's new refresh tokens are kept."""
        return self._store.keeping(grant) if self._store is not None else NOT_KEPT

    async def close(self) -> None:
        """End what is under way, and forget all tokens."""
        await self._flights.close()
        self._kept.clear()

    def _instead(
        self, kept: _Kept, failure: TokenFailure, now: float
    ) -> AccessToken | TokenFailure:
        """The kept token while it lasts, where a failure says nothing against it."""
        if kept.token is not None and now < kept.ends_at and not failure.conclusive:
            return replace(kept.token, fresh=False)
        if failure.retry_after is None:
            return failure
        return replace(failure, retry_after=max(kept.quiet_until - now, 0.0))

    async def _fetch(self, key: str, grant: Grant) -> AccessToken | TokenFailure:
        kept = self._kept.get(key) or _Kept()
        unreadable: Unreadable | None = None
        if self._store is not None and grant.kept_for is not None and kept.refresh_token is None:
            newest = await self._store.newest(grant)
            if isinstance(newest, Unreadable):
                unreadable = newest
            else:
                kept.refresh_token = newest
        asked_at = self._clock()
        got = await self._ask(grant, kept.refresh_token)
        refused = _ended(got) and kept.refresh_token is not None
        if refused:
            # The rotated one was lost on the way; the Secret's may still serve.
            kept.refresh_token, asked_at = None, self._clock()
            got = await self._ask(grant, None)
        elif unreadable is not None and _ended(got):
            # No verdict: a newer one may be where we could not look.
            got = TokenFailure(
                OAuthReason.ENDPOINT_UNAVAILABLE, FailureClass.TRANSIENT, unreadable.sentence
            )
        self._keep(key, kept, got, asked_at)
        if isinstance(got, TokenFailure):
            return self._instead(kept, got, self._clock())
        shown = kept.refresh_token or grant.secrets.refresh_token
        if self._store is not None and grant.kept_for is not None and shown is not None:
            await self._store.keep(grant, shown, refused=refused)
        if self._clock() < kept.ends_at:
            return got
        # No mail server was to be shown it: its refusal would be read as one of the credentials.
        self._keep(key, kept, OUTLIVED, asked_at)
        return OUTLIVED

    def _keep(
        self, key: str, kept: _Kept, got: AccessToken | TokenFailure, asked_at: float
    ) -> None:
        if isinstance(got, AccessToken):
            ahead = min(_AHEAD, got.expires_in * _AHEAD_PART)
            kept.token, kept.failure, kept.asked_at = got, None, asked_at
            kept.ends_at = asked_at + got.expires_in
            kept.renew_at = kept.ends_at - ahead * (1 + self._spread())
            kept.refresh_token = got.rotated or kept.refresh_token
        else:
            kept.failure = got
            pause = got.retry_after if got.retry_after is not None else 0.0
            if got.failure_class is FailureClass.THROTTLED:
                pause = pause or _PAUSE
            elif got.failure_class is FailureClass.TRANSIENT:
                pause = max(pause, _BREATHER)
            kept.quiet_until = self._clock() + pause
            if got.conclusive:
                kept.token = None
        self._kept.put(key, kept)

    async def _ask(self, grant: Grant, rotated: Masked | None) -> AccessToken | TokenFailure:
        try:
            # Reading a key and signing would hold up the loop for milliseconds.
            form = await threads.in_thread(grant.form, self._wall(), rotated)
        except UnusableKey as problem:
            return TokenFailure(
                OAuthReason.CREDENTIALS_INVALID,
                FailureClass.CONFIGURATION,
                f"The private key {problem}:",
                fix="put a PEM key of RSA into the Secret.",
            )
        except Shortage as lack:
            return no_answer_failure(NoAnswer(lack.wrong, fix=lack.fix))
        self.asked(grant)
        answer = await self._exchange.post(
            grant.token_url,
            form,
            namespace=grant.namespace,
            ca_bundle=grant.ca_bundle,
            built_in=grant.provider is not OAuthProvider.GENERIC,
        )
        shown = rotated or grant.secrets.refresh_token
        return token_from(answer, grant.provider, grant.flow, shown)


def _ended(got: AccessToken | TokenFailure) -> bool:
    return isinstance(got, TokenFailure) and got.reason in _ENDED
