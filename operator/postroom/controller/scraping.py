# SPDX-License-Identifier: Apache-2.0
"""Who may read /metrics and /ui: asked of the API server, as kube-rbac-proxy does.

A TokenReview tells who a bearer token is, a SubjectAccessReview whether that user may ``get`` the
path as a non-resource URL. Without the opt-in everybody who reaches the port may.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from enum import Enum
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol

from postroom.api.masked import Masked
from postroom.concurrency.acting import acting_for
from postroom.concurrency.bounded import ExpiringMap
from postroom.concurrency.flights import Flights
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller import rights
from postroom.controller.client import ApiError

logger = logging.getLogger(__name__)

#: Seconds for which an answer holds, and how many are kept of those that grant, and of those that
#: refuse: scrapers are few, guesses are many.
_HOLDS, _REMEMBERED = 60.0, 128
#: Seconds for which a token counts as one that the API server knows: it is asked about whenever its
#: answer holds no more, however many others are not.
_KNOWN = 3600.0
#: Tokens that nobody knows, by second and at once: those that one sender has asked about, and all.
_RATE_OF_ONE, _AT_ONCE_OF_ONE = 1.0, 10
_RATE, _AT_ONCE = 10.0, 50
#: Bits of an IPv6 address that are of the network (RFC 4291 section 2.5.1); the rest is whatever a
#: host likes, so that one host has 2^64 addresses.
_NETWORK_BITS = 64
#: Characters; a token of a ServiceAccount has about a thousand.
_TOKEN_LIMIT = 16_384


class Permission(Enum):
    """What a request for metrics, or for the page, is answered with."""

    GRANTED = 200
    #: No token, or one that the API server does not know.
    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    #: Too many tokens that nobody knows.
    TOO_MANY = 429
    #: The API server did not say.
    UNKNOWN = 503

    def refusal(self, url: str) -> str:
        """Why nothing is shown to whoever asks for a non-resource URL that is not granted."""
        match self:
            case Permission.UNAUTHENTICATED:
                return "a bearer token is needed that this cluster's API server knows"
            case Permission.FORBIDDEN:
                return f"the token's user may not get the non-resource URL {url}"
            case Permission.TOO_MANY:
                return "too many tokens that nobody knows were asked about; try again later"
            case _:
                return "the API server does not say whose token this is; try again"


class Reviewer(Protocol):
    """The part of `postroom.controller.reviews.Reviews` that answers for tokens."""

    async def review_token(self, token: Masked) -> Mapping[str, Any] | None: ...

    async def may_get(self, user: Mapping[str, Any], path: str) -> bool: ...


class ScrapePermission:
    """Judges the ``Authorization`` header of a request, and keeps the answer for a minute.

    Anybody who reaches the port can send tokens, so that no refusal makes an answer be forgotten
    that grants; among each of the two, a user who has many has his own forgotten first. The API
    server is asked about tokens that it does not know only so often, and so often for a sender.
    """

    def __init__(
        self, reviewer: Reviewer, path: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._reviewer, self._path, self._clock = reviewer, path, clock
        #: By the hash of token and path, so that no token outlives its request.
        self._granted: ExpiringMap[bytes, Permission] = ExpiringMap(_REMEMBERED, clock)
        self._refused: ExpiringMap[bytes, Permission] = ExpiringMap(_REMEMBERED, clock)
        #: Whether it was said that nobody can be let in.
        self._told = False
        self._asking: Flights[bytes, Permission] = Flights()
        #: By the hash of a token.
        self._known: ExpiringMap[bytes, bool] = ExpiringMap(_REMEMBERED, clock)
        self._pace = TokenBucket(_RATE, _AT_ONCE, clock)
        self._paces: ExpiringMap[str, TokenBucket] = ExpiringMap(_REMEMBERED, clock)

    async def of(
        self, authorization: str | None, below: str = "", *, address: str | None = None
    ) -> Permission:
        """Return what the bearer of a header's token may, at the path or at one `below` it; an API
        server that fails grants none. `address` is where the request came from."""
        scheme, _, value = (authorization or "").partition(" ")
        token = value.strip()
        # Octets beyond ASCII are in no token (RFC 6750 section 2.1).
        is_one = token.isascii() and 0 < len(token) <= _TOKEN_LIMIT
        if scheme.lower() != "bearer" or not is_one:
            return Permission.UNAUTHENTICATED
        # No header holds a line break, so that one token's path is no part of another's.
        asked = hashlib.sha256(f"{token}\n{below}".encode()).digest()
        known = self._granted.get(asked) or self._refused.get(asked)
        if known is not None:
            return known
        bearer = hashlib.sha256(token.encode()).digest()
        if asked not in self._asking and not (self._known.get(bearer) or self._in_pace(address)):
            return Permission.TOO_MANY

        async def ask() -> Permission:
            try:
                permission = Permission.UNAUTHENTICATED
                user = await self._reviewer.review_token(Masked(token))
                if user is not None:
                    granted = await self._reviewer.may_get(user, self._path + below)
                    permission = Permission.GRANTED if granted else Permission.FORBIDDEN
            except ApiError as error:
                self._failed(error)
                return Permission.UNKNOWN
            answers = self._granted if permission is Permission.GRANTED else self._refused
            with acting_for(str(user.get("username")) if user else ""):
                answers.put(asked, permission, _HOLDS)
                if user is not None:
                    self._known.put(bearer, True, _KNOWN)
            return permission

        return await self._asking.join(asked, ask)

    def _failed(self, error: ApiError) -> None:
        """Tell once that nobody can be let in: whoever asks is told no more than to try again."""
        if error.status == HTTPStatus.FORBIDDEN and not self._told:
            self._told = True
            logger.error("nobody may read %s: %s (%s)", self._path, rights.TO_REVIEW, error)

    def _in_pace(self, address: str | None) -> bool:
        """Whether the API server may be asked about one more token that may be nobody's."""
        sender = sender_of(address)
        pace = self._paces.get(sender)
        if pace is None:
            pace = TokenBucket(_RATE_OF_ONE, _AT_ONCE_OF_ONE, self._clock)
        self._paces.put(sender, pace, _KNOWN)
        return pace.try_take() and self._pace.try_take()


def sender_of(address: str | None) -> str:
    """Whose address that is: an IPv4 address, also one mapped into IPv6, or the network of an IPv6
    address; all that are none are one."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return ""
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    network = int(found) >> (128 - _NETWORK_BITS)
    # A link-local address has no network but that of its interface.
    return f"{network:x}%{found.scope_id or ''}"
