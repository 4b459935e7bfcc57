# SPDX-License-Identifier: Apache-2.0
"""What is compared: our probes, and the bare libraries with the same verbs and a shared context."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import aiosmtplib
from aioimaplib import aioimaplib

from bench.mail_servers import (
    FAR,
    IMAP_BARE,
    IMAP_TLS,
    NAME,
    PASSWORD,
    SILENT,
    SMTP_STARTTLS,
    SMTP_TLS,
    USER,
    Place,
)
from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.masked import Masked
from postroom.mail.connect.dial import Deadlines, Dialler
from postroom.mail.connect.guard import DEFAULT_PORTS, DialPolicy
from postroom.mail.connect.tls import TrustStore, build_context
from postroom.mail.imap import probe as imap
from postroom.mail.limits.limiter import ProbeLimiter
from postroom.mail.probes import NetworkProbes
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.session.state import Connector
from postroom.mail.smtp import auth as smtp

#: One probe; the number tells it from the others. Returns whether all went well.
Attempt = Callable[[int], Awaitable[bool]]
LOGIN = Login(USER, Masked(PASSWORD))
#: As many as are probed for at a time.
TENANTS = 50
_MAILBOX = "INBOX"
_COUNTS = "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY)"


@dataclass(frozen=True)
class Ours:
    """Our probes of the servers at a place, without the limits of `NetworkProbes`.

    They are of many tenants: of one, at most twelve would sign in at an address at a time.
    """

    place: Place
    connector: Connector

    async def smtp(self, endpoint: Endpoint) -> ProbeReport:
        return await smtp.check(endpoint, LOGIN, self.connector)

    async def imap(self, endpoint: Endpoint) -> ProbeReport:
        return await imap.check(endpoint, LOGIN, _MAILBOX, self.connector)

    def attempt(self, port: int, mode: TLSMode) -> Attempt:
        """Probe whatever listens at the port, with everything that a check does."""
        target = endpoint(self.place, port, mode)
        targets = [replace(target, namespace=f"tenant{number}") for number in range(TENANTS)]

        async def probe(number: int) -> bool:
            is_imap = port % FAR in (IMAP_TLS, IMAP_BARE)
            target = targets[number % TENANTS]
            made = self.imap(target) if is_imap else self.smtp(target)
            return works(await made)

        return probe


def ours(place: Place, deadlines: Deadlines | None = None, *ports: int) -> Ours:
    """Make what our probes share; `ports` may be dialled besides those of the servers."""
    dialler = Dialler(_policy(*ports), _resolver(place), deadlines or Deadlines())
    return Ours(place, Connector(dialler, TrustStore()))


def limited(
    place: Place, deadlines: Deadlines | None = None, limiter: ProbeLimiter | None = None
) -> NetworkProbes:
    """Our probes with all their limits, for any name of a host."""
    return NetworkProbes(_policy(), _resolver(place), deadlines, limiter=limiter)


def endpoint(place: Place, port: int, mode: TLSMode, host: str = NAME) -> Endpoint:
    return Endpoint(host, port, mode, NAME, place.authority, "bench")


def works(report: ProbeReport) -> bool:
    """Tell whether a probe came to its end: a healthy server that is called ill is a bug."""
    return report.stage is ProbeStage.DONE


def _policy(*ports: int) -> DialPolicy:
    far = (one + FAR for one in (SMTP_TLS, SMTP_STARTTLS, IMAP_TLS))
    allowed = DEFAULT_PORTS | {IMAP_TLS, IMAP_BARE, SILENT, *far, *ports}
    return DialPolicy((ipaddress.ip_network("127.0.0.0/8"),), allowed)


def _resolver(place: Place) -> Callable[[str], Awaitable[tuple[str, ...] | None]]:
    async def resolve(_: str) -> tuple[str, ...] | None:
        return (place.address,)

    return resolve


def bare_smtp(place: Place, mode: TLSMode, port: int | None = None) -> Attempt:
    """aiosmtplib: connect, EHLO, STARTTLS or not, AUTH PLAIN, QUIT; `port` if not the usual."""
    context, implicit = build_context(place.authority), mode is TLSMode.IMPLICIT
    usual = SMTP_TLS if implicit else SMTP_STARTTLS

    async def probe(_: int) -> bool:
        client = aiosmtplib.SMTP(
            hostname=place.address,
            port=port or usual,
            use_tls=implicit,
            start_tls=False,
            tls_context=context,
            local_hostname="bench.invalid",
        )
        await client.connect()
        await client.ehlo()
        if not implicit:
            await client.starttls()
            await client.ehlo()
        answer = await client.auth_plain(USER, PASSWORD)
        transport = client.transport
        await client.quit()
        # aiosmtplib says goodbye in TLS and waits for the server's, maybe after the loop has ended.
        await _hang_up(transport)
        return answer.code == 235

    return probe


def bare_imap(place: Place, *, everything: bool = False) -> Attempt:
    """aioimaplib: CAPABILITY (its own wish), LOGIN, STATUS, EXAMINE, LOGOUT, at a server without
    extensions.

    With `everything`, at one that has them, also the other questions that our check has for it: ID,
    the newest message, NAMESPACE, LIST, GETQUOTAROOT.
    """
    context = build_context(place.authority)

    async def probe(_: int) -> bool:
        port = IMAP_TLS if everything else IMAP_BARE
        client = aioimaplib.IMAP4_SSL(place.address, port, ssl_context=context)
        await client.wait_hello_from_server()
        answers = [await client.login(USER, PASSWORD)]
        if everything:
            answers.append(await client.id(name="bench"))
        answers.append(await client.status(_MAILBOX, _COUNTS))
        if not everything:
            answers.append(await client.examine(_MAILBOX))
        else:
            # Its EXAMINE does not let it go on to FETCH; the cost is the same.
            answers.append(await client.select(_MAILBOX))
            answers.append(await client.uid("fetch", "*", "(UID INTERNALDATE)"))
            answers.append(await client.namespace())
            answers.append(await client.list('""', '"*"'))
            answers.append(await client.getquotaroot(_MAILBOX))
        answers.append(await client.logout())
        # aioimaplib leaves it to the server to hang up, which may be after the loop has ended.
        await _hang_up(client.protocol.transport)
        return all(answer.result == "OK" for answer in answers)

    return probe


def bare_handshake(place: Place) -> Attempt:
    """Connect, shake hands, hang up: below this no probe with TLS can be."""
    context = build_context(place.authority)

    async def probe(_: int) -> bool:
        transport, _protocol = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, place.address, SMTP_TLS, ssl=context, server_hostname=NAME
        )
        secured = isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject)
        await _hang_up(transport)
        return secured

    return probe


async def _hang_up(transport: asyncio.BaseTransport | None) -> None:
    """End a connection without a word, now."""
    if isinstance(transport, asyncio.Transport):
        transport.abort()
        await asyncio.sleep(0)
