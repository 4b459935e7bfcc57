# SPDX-License-Identifier: Apache-2.0
"""The servers of the mail benchmark, on loopback in a process of their own.

SMTP and IMAP of the lab over real TLS, the same behind a network with a long way, and one that
accepts and never says anything.
"""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass
from multiprocessing.connection import Connection

import trustme

from bench.certificates import certified, showing
from bench.mail_delay import LongWay
from bench.server_process import ServerProcess
from loopback import own_address
from postroom.lab.certificates import NAMES
from postroom.lab.imap import LabImap
from postroom.lab.mailboxes import Accounts
from postroom.lab.smtp import LabSmtp

#: Ports on the address of the process; those of the long way are so many higher.
SMTP_TLS, SMTP_STARTTLS, IMAP_TLS, SILENT = 2465, 2587, 2993, 2000
#: IMAP of a server without extensions, which answers no more than what all servers know.
IMAP_BARE = 2994
FAR = 10_000
#: The name in the certificates, besides the address itself.
NAME = NAMES[0]
USER, PASSWORD = "user@example.com", "correct horse Gs8"
#: Another login, with the same password.
OTHER_USER = "other@example.com"
_BACKLOG = 2048


def allow_many_sockets() -> None:
    """Let this process have as many open sockets as the system lets it ask for."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve(orders: Connection, address: str, far: float, pair: bytes) -> None:
    """Serve until `orders` end: the main function of the process.

    `far` is the way to the far ports in seconds, `pair` a key and its certificate in PEM.
    """
    allow_many_sockets()
    asyncio.run(_serve(orders, address, far, pair))


async def _serve(orders: Connection, address: str, far: float, pair: bytes) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    context = showing(pair)
    accounts = Accounts({USER: PASSWORD, OTHER_USER: PASSWORD})
    await LabSmtp(accounts, context, address, SMTP_TLS, implicit=True).start()
    await LabSmtp(accounts, context, address, SMTP_STARTTLS, implicit=False).start()
    await LabImap(accounts, context, address, IMAP_TLS).start()
    await LabImap(accounts, context, address, IMAP_BARE, "IMAP4rev1 AUTH=PLAIN SASL-IR").start()
    for port in (SMTP_TLS, SMTP_STARTTLS, IMAP_TLS):
        await LongWay(address, port, far).start(port + FAR)
    # Accepts, and never says anything.
    await loop.create_server(asyncio.Protocol, address, SILENT, backlog=_BACKLOG)
    loop.add_reader(orders.fileno(), told.set)
    orders.send("ready")
    await told.wait()
    # Conversations that end with this process are no errors.
    loop.set_exception_handler(lambda _loop, _context: None)


@dataclass(frozen=True)
class Place:
    """Where the servers listen and whom to trust: the PEM of the authority."""

    address: str
    authority: str


class MailServers(ServerProcess):
    """The process that serves, to be used as a context manager; `far` in seconds, one way.

    `context` is for servers in this process that are to show the same certificate.
    """

    def __init__(self, far: float) -> None:
        authority, address = trustme.CA(), own_address(7)
        pair = certified(authority, *NAMES, address)
        super().__init__(serve, address, far, pair)
        self.context = showing(pair)
        self.place = Place(address, authority.cert_pem.bytes().decode())
