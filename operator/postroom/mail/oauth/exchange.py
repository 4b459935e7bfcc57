# SPDX-License-Identifier: Apache-2.0
"""One request to a token endpoint, as guarded as the mail probes.

Only https, only verified, only judged addresses, no redirect, no cookie, no proxy, bounded in time
and size. What it yields is a value; nothing of a request or response is logged.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit

import aiohttp

from postroom.concurrency.acting import party
from postroom.concurrency.patience import PeerDeadline
from postroom.concurrency.shards import WHOLE, Shard
from postroom.concurrency.slots import KeyedSlots
from postroom.mail.connect.dial import Failure, Resolve
from postroom.mail.connect.guard import DEFAULT_PORTS, DialPolicy
from postroom.mail.connect.https import pinned_session
from postroom.mail.connect.https_answers import (
    HTTPS_PORT,
    REQUEST_LIMIT,
    NoAnswer,
    date_in,
    fault_of,
    json_of,
    judged_addresses,
    retry_after,
    silent,
)
from postroom.mail.connect.tls import TrustStore
from postroom.mail.credentials import host_allowed
from postroom.mail.oauth.errors import read_document
from postroom.mail.oauth.grant import Form

logger = logging.getLogger(__name__)

BODY_LIMIT = 256 * 1024
#: Seconds that a request waits for others at the same address.
_WAIT_LIMIT = 30.0
_PER_ADDRESS, _PER_NAMESPACE = 32, 8
#: Seconds by which clocks may differ before we say so.
_SKEW_LIMIT = 240.0
_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "identity",
    "content-type": "application/x-www-form-urlencoded",
    "user-agent": "postroom",
}


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What an endpoint answered.

    `document` is None where the body is no JSON object; `retry_after` is in seconds;
    `clock_differs` tells that our clock and the server's are minutes apart.
    """

    status: int
    document: Mapping[str, object] | None
    retry_after: float | None = None
    clock_differs: bool = False

    def __repr__(self) -> str:
        # The document holds tokens.
        return f"Answer({self.status})"


class HttpsExchange:
    """Asks token endpoints.

    `guard` judges addresses; of its ports only those that the operator has added count, beside
    443. `resolve` looks a host up. `generic_hosts` are the hosts of token endpoints that are not
    built in, of which the first label may be ``*``: to no other are credentials sent.
    """

    def __init__(
        self,
        guard: DialPolicy,
        resolve: Resolve,
        *,
        generic_hosts: Sequence[str] = (),
        limit: float = REQUEST_LIMIT,
        trust: TrustStore | None = None,
        shard: Shard = WHOLE,
    ) -> None:
        self._guard, self._resolve, self._limit = guard, resolve, limit
        self._generic_hosts = tuple(generic_hosts)
        self._ports = (guard.allowed_ports - DEFAULT_PORTS) | {HTTPS_PORT}
        self._trust = trust or TrustStore()
        self._turns: KeyedSlots[str] = KeyedSlots(shard.share(_PER_ADDRESS), _PER_NAMESPACE)

    async def post(
        self,
        url: str,
        form: Form,
        *,
        namespace: str = "",
        ca_bundle: str | None = None,
        built_in: bool = True,
    ) -> TokenAnswer | NoAnswer:
        """Send a form; `built_in` says that the URL is ours and not a user's."""
        host, port = place_of(url)
        if not host or port not in self._ports:
            return NoAnswer(
                "The port of the token endpoint may not be dialled:",
                denied=True,
                fix="use 443, or have the operator's --allow-port name it.",
            )
        if not built_in and not host_allowed(host, self._generic_hosts):
            return NoAnswer(
                f"The operator sends no credentials to {host}:",
                denied=True,
                fix="have its list of token hosts name it.",
            )
        pinned = await judged_addresses(host, namespace, self._resolve, self._guard, self._limit)
        if isinstance(pinned, NoAnswer):
            return pinned
        try:
            async with (
                self._turns.slot(min(pinned), party(), _WAIT_LIMIT),
                PeerDeadline(self._limit),
            ):
                return await self._post(url, host, pinned, form, ca_bundle)
        except TimeoutError:
            return silent(host)

    async def _post(
        self, url: str, host: str, pinned: Sequence[str], form: Form, ca_bundle: str | None
    ) -> TokenAnswer | NoAnswer:
        try:
            context = await self._trust.context(ca_bundle)
        except Failure as failure:
            return NoAnswer(failure.wrong, fix=failure.fix)
        revealed = {name: value.reveal() for name, value in form.masked.items()}
        body = urlencode({**form.open, **revealed}).encode("ascii")
        try:
            async with (
                pinned_session(pinned, context, self._limit) as session,
                session.post(url, data=body, headers=_HEADERS, allow_redirects=False) as response,
            ):
                pause = retry_after(response.headers)
                date = response.headers.get("Date")
                theirs = date_in(date) if date else None
                skew = abs((theirs - datetime.now(UTC)).total_seconds()) if theirs else 0.0
                # No more of a body than a token response can have (RFC 6749 section 5.1).
                document = read_document(await json_of(response, BODY_LIMIT))
                differs = skew > _SKEW_LIMIT
                return TokenAnswer(response.status, document, pause, clock_differs=differs)
        except (aiohttp.ClientError, OSError) as error:
            # The type only: some of them carry the request.
            logger.debug("asking %s for a token: %s", host, type(error).__name__)
            return fault_of(error, host)


def place_of(url: str) -> tuple[str, int]:
    """The host and port of an https URL; an empty host for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or HTTPS_PORT
    except ValueError:
        return "", 0
    fits = parts.scheme == "https" and not parts.username and host[-1:].isalnum()
    # What ends in a digit is an address, which aiohttp would dial without asking the resolver.
    return (host, port) if fits and not host[-1:].isdigit() else ("", 0)
