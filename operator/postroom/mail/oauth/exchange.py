# SPDX-License-Identifier: Apache-2.0
"""One request to a token endpoint, as guarded as the mail probes.

Only https, only verified, only judged addresses, no redirect, no cookie, no proxy, bounded in time
and size. What it yields is a value; nothing of a request or response is logged.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urlsplit
from weakref import WeakValueDictionary

import aiohttp

from postroom.mail.credentials import host_allowed
from postroom.mail.dial import Failure, Resolve, interleaved
from postroom.mail.guard import DEFAULT_PORTS, DialPolicy, judge_addresses
from postroom.mail.https import pinned_session
from postroom.mail.oauth.errors import read_document
from postroom.mail.oauth.grant import Form
from postroom.mail.tls import TrustStore

logger = logging.getLogger(__name__)

HTTPS_PORT = 443
#: Seconds that one request may take, from asking for the addresses to the last byte.
REQUEST_LIMIT = 10.0
BODY_LIMIT = 256 * 1024
#: Seconds that a request waits for others at the same address.
_WAIT_LIMIT = 30.0
_PER_ADDRESS = 8
_ADDRESS_LIMIT = 8
#: Seconds; what a server asks for beyond that is kept as this.
_LONGEST_PAUSE = 24 * 3600.0
#: Seconds by which clocks may differ before we say so.
_SKEW_LIMIT = 240.0
_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "identity",
    "content-type": "application/x-www-form-urlencoded",
    "user-agent": "postroom",
}


@dataclass(frozen=True, slots=True)
class Answer:
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


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is no answer; `denied` where we did not ask because we may not."""

    sentence: str
    denied: bool = False


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
    ) -> None:
        self._guard, self._resolve, self._limit = guard, resolve, limit
        self._generic_hosts = tuple(generic_hosts)
        self._ports = (guard.allowed_ports - DEFAULT_PORTS) | {HTTPS_PORT}
        self._trust = TrustStore()
        # A semaphore lives as long as somebody holds or awaits it.
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def post(
        self,
        url: str,
        form: Form,
        *,
        namespace: str = "",
        ca_bundle: str | None = None,
        built_in: bool = True,
    ) -> Answer | NoAnswer:
        """Send a form; `built_in` says that the URL is ours and not a user's."""
        host, port = _place(url)
        if not host or port not in self._ports:
            return NoAnswer(
                "The port of the token endpoint may not be dialled: use 443, or have the "
                "operator's --allow-port name it.",
                denied=True,
            )
        if not built_in and not host_allowed(host, self._generic_hosts):
            return NoAnswer(
                f"The operator sends no credentials to {host}: have its list of token hosts name "
                "it.",
                denied=True,
            )
        pinned = await self._addresses(host, namespace)
        if isinstance(pinned, NoAnswer):
            return pinned
        turn = self._turns.setdefault(min(pinned), asyncio.Semaphore(_PER_ADDRESS))
        try:
            async with asyncio.timeout(_WAIT_LIMIT):
                await turn.acquire()
        except TimeoutError:
            return _silent(host)
        try:
            async with asyncio.timeout(self._limit):
                return await self._post(url, host, pinned, form, ca_bundle)
        except TimeoutError:
            return _silent(host)
        finally:
            turn.release()

    async def _addresses(self, host: str, namespace: str) -> Sequence[str] | NoAnswer:
        """Look a host up once and judge every address, so that rebinding cannot win."""
        try:
            async with asyncio.timeout(self._limit):
                found = await self._resolve(host)
        except TimeoutError:
            found = None
        if found is None:
            return NoAnswer(f"The addresses of {host} could not be looked up now.")
        if not found:
            return NoAnswer(f"{host} has no address in DNS: correct the name, or check DNS.")
        denied = judge_addresses(host, found, namespace, self._guard)
        if denied is not None:
            return NoAnswer(denied.sentence, denied=True)
        return interleaved(found)[:_ADDRESS_LIMIT]

    async def _post(
        self, url: str, host: str, pinned: Sequence[str], form: Form, ca_bundle: str | None
    ) -> Answer | NoAnswer:
        try:
            context = await self._trust.context(ca_bundle)
        except Failure as failure:
            return NoAnswer(failure.message)
        try:
            async with (
                pinned_session(pinned, context, self._limit) as session,
                session.post(
                    url, data=_body(form), headers=_HEADERS, allow_redirects=False
                ) as response,
            ):
                return await _read(response)
        except (aiohttp.ClientError, OSError) as error:
            # The type only: some of them carry the request.
            logger.debug("asking %s for a token: %s", host, type(error).__name__)
            return _fault(error, host)


def _place(url: str) -> tuple[str, int]:
    """The host and port of an https URL; an empty host for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or HTTPS_PORT
    except ValueError:
        return "", 0
    fits = parts.scheme == "https" and not parts.username and host[-1:].isalnum()
    # What ends in a digit is an address, which aiohttp would dial without asking the resolver.
    return (host, port) if fits and not host[-1:].isdigit() else ("", 0)


def _body(form: Form) -> bytes:
    revealed = {name: value.reveal() for name, value in form.masked.items()}
    return urlencode({**form.open, **revealed}).encode("ascii")


async def _read(response: aiohttp.ClientResponse) -> Answer:
    """Read a response, no more of its body than a token response can have."""
    retry_after = _pause(response.headers.get("Retry-After"))
    differs = _clock_differs(response.headers.get("Date"))
    body = bytearray()
    # A redirect has nothing to say to us, nor has what is not JSON (RFC 6749 section 5.1).
    if not 300 <= response.status < 400 and response.content_type == "application/json":
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > BODY_LIMIT:
                body.clear()
                break
    return Answer(response.status, read_document(bytes(body)), retry_after, differs)


def _pause(text: str | None) -> float | None:
    """Read Retry-After (RFC 9110 section 10.2.3): seconds, or a date."""
    if text is None:
        return None
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), _LONGEST_PAUSE)
    until = _date(text)
    if until is None:
        return None
    return min(max((until - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_PAUSE)


def _clock_differs(text: str | None) -> bool:
    theirs = _date(text) if text else None
    return theirs is not None and abs((theirs - datetime.now(UTC)).total_seconds()) > _SKEW_LIMIT


def _date(text: str) -> datetime | None:
    try:
        read = parsedate_to_datetime(text[:64])
    except (ValueError, TypeError, OverflowError):
        return None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def _silent(host: str) -> NoAnswer:
    return NoAnswer(f"{host} does not answer in time: check the way to it.")


def _fault(error: aiohttp.ClientError | OSError, host: str) -> NoAnswer:
    """Say what an error on the way means; none of them says anything about the credentials."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return NoAnswer(
            f"The certificate that is shown for {host} is not trusted: a proxy may be in the way."
        )
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return NoAnswer(f"TLS with {host} could not be negotiated: check the way to it.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return NoAnswer(f"{host} cannot be connected to: check the way to it.")
    return NoAnswer(f"{host} breaks the connection off, or does not speak HTTP.")
