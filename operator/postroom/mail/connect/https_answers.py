# SPDX-License-Identifier: Apache-2.0
"""What requests over HTTPS have in common: whom they may connect to, what they read of an answer,
and what their errors mean."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from postroom.api.finding_texts import in_full
from postroom.concurrency.patience import PeerDeadline
from postroom.concurrency.shortage import Shortage, shortage_in
from postroom.mail.connect.dial import Resolve, interleaved
from postroom.mail.connect.guard import DialPolicy, judge_addresses

HTTPS_PORT = 443
#: Seconds that one request may take, from asking for the addresses to the last byte.
REQUEST_LIMIT = 10.0
_ADDRESS_LIMIT = 8
#: Seconds; what a server asks for beyond that is kept as this.
_LONGEST_PAUSE = 24 * 3600.0
_WAY = "check the way to it."


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is no answer: `wrong`, and `fix` as in `postroom.mail.report`; `denied` where we
    did not ask because we may not."""

    wrong: str
    denied: bool = False
    fix: str = ""

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, in one text."""
        return in_full(self.wrong, self.fix)


async def judged_addresses(
    host: str, namespace: str, resolve: Resolve, guard: DialPolicy, limit: float
) -> Sequence[str] | NoAnswer:
    """Look a host up once and judge every address, so that rebinding cannot win.

    `namespace` is the tenant whose Services may be meant; `limit` is in seconds.
    """
    try:
        async with PeerDeadline(limit):
            found = await resolve(host)
    except TimeoutError:
        found = None
    except Shortage as lack:
        return NoAnswer(lack.wrong, fix=lack.fix)
    if found is None:
        return NoAnswer(f"The addresses of {host} could not be looked up now.")
    if not found:
        fix = "correct the name, or check DNS."
        return NoAnswer(f"{host} has no address in DNS:", fix=fix)
    denied = judge_addresses(host, found, namespace, guard)
    if denied is not None:
        return NoAnswer(denied.wrong, denied=True, fix=denied.fix)
    return interleaved(found)[:_ADDRESS_LIMIT]


async def json_of(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body of at most `limit` octets; nothing of one that is longer, or no JSON.

    A redirect has nothing to say to us either.
    """
    body = bytearray()
    if not 300 <= response.status < 400 and response.content_type == "application/json":
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                return b""
    return bytes(body)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After (RFC 9110 section 10.2.3), seconds or a date, in seconds."""
    text = headers.get("Retry-After")
    if text is None:
        return None
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), _LONGEST_PAUSE)
    until = date_in(text)
    if until is None:
        return None
    return min(max((until - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_PAUSE)


def date_in(text: str) -> datetime | None:
    """Read a date of HTTP (RFC 9110 section 5.6.7), aware; None where it is none."""
    try:
        read = parsedate_to_datetime(text[:64])
    except (ValueError, TypeError, OverflowError):
        return None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def silent(host: str) -> NoAnswer:
    """Nothing came in time."""
    return NoAnswer(f"{host} does not answer in time:", fix=_WAY)


def fault_of(error: aiohttp.ClientError | OSError, host: str) -> NoAnswer:
    """What an error on the way means; none of them says anything about what was asked."""
    if (lack := shortage_in(error)) is not None:
        return NoAnswer(lack.wrong, fix=lack.fix)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return NoAnswer(
            f"The certificate that is shown for {host} is not trusted:",
            fix="a proxy may be in the way.",
        )
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return NoAnswer(f"TLS with {host} could not be negotiated:", fix=_WAY)
    if isinstance(error, aiohttp.ClientConnectorError):
        return NoAnswer(f"{host} cannot be connected to:", fix=_WAY)
    return NoAnswer(f"{host} breaks the connection off, or does not speak HTTP.")
