# SPDX-License-Identifier: Apache-2.0
"""GET with a bearer token, as guarded as asking for the token is.

Only https, only verified, only judged addresses, no redirect, no cookie, no proxy, bounded in time
and size. Nothing of a request or response is logged.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from postroom.api.masked import Masked
from postroom.concurrency.acting import party
from postroom.concurrency.patience import PeerDeadline
from postroom.concurrency.shards import WHOLE, Shard
from postroom.concurrency.slots import Slots
from postroom.mail.connect.dial import Failure, Resolve
from postroom.mail.connect.guard import DEFAULT_PORTS, DialPolicy
from postroom.mail.connect.https import pinned_session
from postroom.mail.connect.https_answers import (
    HTTPS_PORT,
    REQUEST_LIMIT,
    NoAnswer,
    fault_of,
    json_of,
    judged_addresses,
    retry_after,
    silent,
)
from postroom.mail.connect.tls import TrustStore
from postroom.mail.oauth.errors import read_document

logger = logging.getLogger(__name__)

BODY_LIMIT = 1024 * 1024
#: Seconds that a request waits for others, and how many run at a time.
_WAIT_LIMIT = 30.0
_AT_A_TIME, _PER_NAMESPACE = 32, 16


@dataclass(frozen=True, slots=True)
class ApiReply:
    """What an API answered; `document` is None where the body is no JSON object or too long.

    `retry_after` is in seconds.
    """

    status: int
    document: Mapping[str, object] | None
    retry_after: float | None = None

    def __repr__(self) -> str:
        # A document may repeat what it was asked with.
        return f"Reply({self.status})"


class BearerExchange:
    """Asks APIs whose URLs are built in.

    `guard` judges addresses; of its ports only those that the operator has added count, beside
    443. `resolve` looks a host up. `ca_bundle` is trusted instead of the public authorities.
    """

    def __init__(
        self,
        guard: DialPolicy,
        resolve: Resolve,
        *,
        ca_bundle: str | None = None,
        limit: float = REQUEST_LIMIT,
        trust: TrustStore | None = None,
        shard: Shard = WHOLE,
    ) -> None:
        self._guard, self._resolve = guard, resolve
        self._ca_bundle, self._limit = ca_bundle, limit
        self._ports = (guard.allowed_ports - DEFAULT_PORTS) | {HTTPS_PORT}
        self._trust = trust or TrustStore()
        self._turns = Slots(shard.share(_AT_A_TIME), _PER_NAMESPACE)

    async def get(self, url: str, token: Masked) -> ApiReply | NoAnswer:
        """The answer to a GET; the token is shown to nobody but the host of the URL."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or HTTPS_PORT
        if port not in self._ports:
            return NoAnswer(f"The port of {host} may not be dialled.", denied=True)
        whose = party()
        try:
            async with asyncio.timeout(_WAIT_LIMIT):
                await self._turns.acquire(whose)
        except TimeoutError:
            return silent(host)
        try:
            async with PeerDeadline(self._limit):
                # In no namespace: an API of a provider is never a Service.
                pinned = await judged_addresses(host, "", self._resolve, self._guard, self._limit)
                return (
                    pinned if isinstance(pinned, NoAnswer) else await self._get(url, pinned, token)
                )
        except TimeoutError:
            return silent(host)
        finally:
            self._turns.release(whose)

    async def _get(self, url: str, pinned: Sequence[str], token: Masked) -> ApiReply | NoAnswer:
        host = urlsplit(url).hostname or ""
        headers = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "authorization": f"Bearer {token.reveal()}",
            "user-agent": "postroom",
        }
        try:
            context = await self._trust.context(self._ca_bundle)
        except Failure as failure:
            return NoAnswer(failure.wrong, fix=failure.fix)
        try:
            async with (
                pinned_session(pinned, context, self._limit) as session,
                # Encoded as it is: a mailbox in the path stays one segment.
                session.get(
                    URL(url, encoded=True), headers=headers, allow_redirects=False
                ) as response,
            ):
                pause = retry_after(response.headers)
                document = read_document(await json_of(response, BODY_LIMIT))
                return ApiReply(response.status, document, pause)
        except (aiohttp.ClientError, OSError) as error:
            # The type only: some of them carry the request.
            logger.debug("asking %s for identities: %s", host, type(error).__name__)
            return fault_of(error, host)
