# SPDX-License-Identifier: Apache-2.0
"""Fetches MTA-STS policies over HTTPS (RFC 8461 section 3.3), as guarded as the mail probes.

A domain names the host, so that whoever may write a SendingDomain could make the operator call
any address: every address is judged by the dial guard before one is dialled, and only judged ones
are. Nothing of a response is trusted: its time and size are bounded.
"""

import logging
import ssl
from collections.abc import Sequence

import aiohttp

from postroom.concurrency.acting import party
from postroom.concurrency.flights import Flights
from postroom.concurrency.patience import PeerDeadline
from postroom.concurrency.shards import WHOLE, Shard
from postroom.concurrency.shortage import shortage_in
from postroom.concurrency.slots import KeyedSlots
from postroom.concurrency.tls_faults import TLSFault, fault_in
from postroom.controller.policy_memory import PolicyMemory
from postroom.dns.tls import mta_sts_host
from postroom.mail.connect.dial import Resolve, interleaved
from postroom.mail.connect.guard import DialPolicy, judge_addresses
from postroom.mail.connect.https import pinned_session
from postroom.mail.connect.tls import TrustStore

logger = logging.getLogger(__name__)

HTTPS_PORT = 443
PATH = "/.well-known/mta-sts.txt"
#: Seconds that one fetch may take, from asking for the addresses to the last byte.
FETCH_LIMIT = 10.0
#: Seconds that a fetch waits for others at the same address: one provider serves thousands.
_WAIT_LIMIT = 30.0
_PER_ADDRESS, _PER_NAMESPACE = 16, 4
_ADDRESS_LIMIT = 8
_HEADERS = {"accept": "text/plain", "accept-encoding": "identity", "user-agent": "postroom"}
#: Statuses below 500 that say "not now" rather than "not there".
_PASSING_STATUSES = frozenset({408, 425, 429})
_CERTIFICATE_FAULTS = {
    TLSFault.EXPIRED: mta_sts_host.CertificateFault.EXPIRED,
    TLSFault.NOT_YET_VALID: mta_sts_host.CertificateFault.NOT_YET_VALID,
    TLSFault.OTHER_NAME: mta_sts_host.CertificateFault.OTHER_NAME,
}
_UNREACHABLE = mta_sts_host.FetchedPolicy(mta_sts_host.PolicyFetchOutcome.UNREACHABLE)


class HttpsPolicyFetcher:
    """Implements `postroom.dns.tls.mta_sts_host.PolicyFetcher`.

    `guard` judges addresses (its ports are those of mail and do not count here: only `port` is
    dialled); `resolve` looks a host up. `ca_bundle` is PEM that is trusted instead of the public
    authorities. A policy that was fetched serves all who ask within five minutes, a fault those
    within seconds; who asks while a fetch is under way waits for that one.
    """

    def __init__(
        self,
        guard: DialPolicy,
        resolve: Resolve,
        *,
        port: int = HTTPS_PORT,
        ca_bundle: str | None = None,
        limit: float = FETCH_LIMIT,
        memory: PolicyMemory | None = None,
        trust: TrustStore | None = None,
        shard: Shard = WHOLE,
    ) -> None:
        self._guard, self._resolve = guard, resolve
        self._port, self._ca_bundle, self._limit = port, ca_bundle, limit
        self._memory = memory or PolicyMemory()
        self._trust = trust or TrustStore()
        self._flights: Flights[tuple[str, str], mta_sts_host.FetchedPolicy] = Flights()
        self._turns: KeyedSlots[str] = KeyedSlots(shard.share(_PER_ADDRESS), _PER_NAMESPACE)

    async def fetch(self, domain: str) -> mta_sts_host.FetchedPolicy:
        """See `postroom.dns.tls.mta_sts_host.PolicyFetcher`."""

        async def fetch() -> mta_sts_host.FetchedPolicy:
            found = await self._fetch(f"mta-sts.{domain}")
            self._memory.put(domain, found)
            return found

        known = self._memory.get(domain)
        if known is not None:
            return known
        # Of the own namespace: that of another may have to wait for what else that one wants.
        return await self._flights.join((party(), domain), fetch)

    async def close(self) -> None:
        """End what is under way; connections outlive no fetch."""
        await self._flights.close()

    async def _fetch(self, host: str) -> mta_sts_host.FetchedPolicy:
        try:
            async with PeerDeadline(self._limit):
                addresses = await self._resolve(host)
        except TimeoutError:
            addresses = None
        if addresses is None:
            return _UNREACHABLE
        if not addresses:
            return mta_sts_host.FetchedPolicy(mta_sts_host.PolicyFetchOutcome.HOST_NOT_FOUND)
        # In no namespace: a policy host is never a Service.
        if judge_addresses(host, addresses, "", self._guard) is not None:
            return mta_sts_host.FetchedPolicy(mta_sts_host.PolicyFetchOutcome.DENIED)
        pinned = interleaved(addresses)[:_ADDRESS_LIMIT]
        try:
            async with (
                self._turns.slot(min(addresses), party(), _WAIT_LIMIT),
                PeerDeadline(self._limit),
            ):
                return await self._get(host, pinned)
        except TimeoutError:
            return _UNREACHABLE

    async def _get(self, host: str, addresses: Sequence[str]) -> mta_sts_host.FetchedPolicy:
        # RFC 8461 section 3.3: a DNS name in subjectAltName; the common name does not count.
        context = await self._trust.context(self._ca_bundle, common_name=False)
        try:
            async with pinned_session(addresses, context, self._limit) as session:
                url = f"https://{host}:{self._port}{PATH}"
                async with session.get(url, headers=_HEADERS, allow_redirects=False) as response:
                    return await _read(response)
        except (aiohttp.ClientError, OSError) as error:
            if (lack := shortage_in(error)) is not None:
                raise lack from None
            found = _fault(error)
            logger.debug("fetching the policy of %s: %s", host, type(error).__name__)
            return found


async def _read(response: aiohttp.ClientResponse) -> mta_sts_host.FetchedPolicy:
    """Judge a response by its head, then read no more of its body than a policy can have."""
    status = response.status
    if status >= 500 or status in _PASSING_STATUSES:
        return mta_sts_host.FetchedPolicy(
            mta_sts_host.PolicyFetchOutcome.UNREACHABLE, status=status
        )
    if 300 <= status < 400:
        return mta_sts_host.FetchedPolicy(mta_sts_host.PolicyFetchOutcome.REDIRECT, status=status)
    if status != 200:
        return mta_sts_host.FetchedPolicy(mta_sts_host.PolicyFetchOutcome.NOT_FOUND, status=status)
    if response.content_type != "text/plain":
        return mta_sts_host.FetchedPolicy(
            mta_sts_host.PolicyFetchOutcome.WRONG_MEDIA_TYPE, status=status
        )
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > mta_sts_host.POLICY_BYTES_LIMIT:
            return mta_sts_host.FetchedPolicy(
                mta_sts_host.PolicyFetchOutcome.TOO_LARGE, status=status
            )
    return mta_sts_host.FetchedPolicy(
        mta_sts_host.PolicyFetchOutcome.FETCHED, body.decode("latin-1"), status
    )


def _fault(error: aiohttp.ClientError | OSError) -> mta_sts_host.FetchedPolicy:
    """What an error means: what TLS shows is definite, all else is a matter of the way."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        fault = _CERTIFICATE_FAULTS.get(
            fault_in(error.certificate_error), mta_sts_host.CertificateFault.UNTRUSTED
        )
        return mta_sts_host.FetchedPolicy(
            mta_sts_host.PolicyFetchOutcome.CERTIFICATE, certificate=fault
        )
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        broken_off = isinstance(error.os_error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        return (
            _UNREACHABLE
            if broken_off
            else mta_sts_host.FetchedPolicy(mta_sts_host.PolicyFetchOutcome.HANDSHAKE)
        )
    return _UNREACHABLE
