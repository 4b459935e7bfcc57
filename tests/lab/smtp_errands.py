# SPDX-License-Identifier: Apache-2.0
"""What the tests of SMTP errands share: scripts that sign in, and errands against a server."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from lab.hostile import Hostile, Step, smtp_until_auth
from lab.mail_probing import HOST, LOGIN, SOON, context, endpoint
from postroom.api.mailserver import TLSMode
from postroom.mail.connect.dial import Deadlines, Dialler
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.tls import TrustStore
from postroom.mail.operations import (
    AskSenders,
    EnvelopeReport,
    OutgoingMessage,
    SendMessage,
    SendReport,
)
from postroom.mail.report import Endpoint, Login
from postroom.mail.session.state import Connector
from postroom.mail.smtp import sending
from postroom.mail.smtp.envelope import ask_senders

ME = "user@example.com"
OTHER = "other@example.com"
PLACE = f"{HOST}:"
MESSAGE = OutgoingMessage(ME, ME, b"Subject: x\r\n\r\nhello\r\n")
YES = b"250 2.0.0 Ok\r\n"


def replies(*steps: Step) -> tuple[Step, ...]:
    """Read a command before each reply, after signing in."""
    return tuple(one for step in steps for one in ("read", step))


def signed_in(*steps: Step, offers: Sequence[bytes] = ()) -> tuple[Step, ...]:
    """A script of a server that takes any login, and then plays the rest."""
    after = ("read", b"235 2.7.0 ok\r\n", *steps)
    return smtp_until_auth(b"AUTH PLAIN", *offers, after=after)


def server(*steps: Step, offers: Sequence[bytes] = ()) -> Hostile:
    """A server with implicit TLS that plays steps after signing in."""
    return Hostile(*signed_in(*steps, offers=offers), context=context(), implicit=True)


def dialler(port: int, address: str = "127.0.0.1", deadlines: Deadlines = SOON) -> Dialler:
    """One that may dial loopback and this port, where every name has this address."""

    async def resolve(host: str) -> tuple[str, ...] | None:
        return (address,)

    policy = DialPolicy((ipaddress.ip_network("127.0.0.0/8"),), frozenset({port}))
    return Dialler(policy, resolve, deadlines)


async def ask(
    running: Hostile, *senders: str, recipient: str = ME, login: Login = LOGIN
) -> EnvelopeReport:
    """Ask a scripted server about senders."""
    where = endpoint(running.port, TLSMode.IMPLICIT)
    return await envelope(where, login, senders or (ME,), recipient, dialler(running.port))


async def envelope(
    where: Endpoint, login: Login, senders: Sequence[str], recipient: str, dialling: Dialler
) -> EnvelopeReport:
    connector = Connector(dialling, TrustStore())
    return await ask_senders(where, login, AskSenders(senders, recipient), connector)


async def send(
    running: Hostile, message: OutgoingMessage = MESSAGE, login: Login = LOGIN
) -> SendReport:
    """Send through a scripted server, with little patience."""
    where = endpoint(running.port, TLSMode.IMPLICIT)
    connector = Connector(dialler(running.port), TrustStore())
    return await sending.send(where, login, SendMessage(message), connector, patience=0.4)


def commands(running: Hostile) -> list[bytes]:
    """The first words of what a server read after signing in."""
    return [one.split()[0] for one in running.received[2:] if one.split()]
