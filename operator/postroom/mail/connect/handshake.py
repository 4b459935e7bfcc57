# SPDX-License-Identifier: Apache-2.0
"""A second handshake that accepts anything, to say why the first one failed.

Nothing is sent after it: no name, no password, no command.
"""

import asyncio
import socket
import ssl
import warnings
from dataclasses import dataclass
from typing import Any

from postroom.concurrency.public_trust import take_versions
from postroom.concurrency.shortage import shortage_in
from postroom.mail.connect.certificate import ShownFacts, shown_facts
from postroom.mail.report import Endpoint

#: RFC 8446 section 4: the message, and the content type that it comes in.
_CERTIFICATE_REQUEST, _HANDSHAKE = 13, 22


@dataclass(frozen=True, slots=True)
class Sight:
    """What a server shows to a client that accepts anything; all None where there is no TLS.

    `wants_certificate`: it asks the client for a certificate. `version` and `cipher` are what it
    chose, which may be more than we would accept.
    """

    facts: ShownFacts | None = None
    wants_certificate: bool = False
    version: str | None = None
    cipher: str | None = None

    @property
    def has_forward_secrecy(self) -> bool:
        """Whether what it chose has: all of TLS 1.3 does (RFC 8446 section 1.2)."""
        return self.version == "TLSv1.3" or (self.cipher or "").startswith(("ECDHE-", "DHE-"))

    @property
    def is_old(self) -> bool:
        """Whether it chose a version that is forbidden (RFC 8996)."""
        return self.version in ("SSLv3", "TLSv1", "TLSv1.1")


async def look(connection: socket.socket, endpoint: Endpoint) -> Sight:
    """Shake hands with whatever the server has; closes the socket. Never raises `OSError`, but
    `Shortage`."""
    requested: list[bool] = []
    context = _accepting_anything(requested)
    transport: asyncio.Transport | None = None
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=connection, ssl=context, server_hostname=endpoint.server_name
        )
        secured = transport.get_extra_info("ssl_object")
        cipher = secured.cipher()
        return Sight(
            shown_facts(secured), bool(requested), secured.version(), cipher[0] if cipher else None
        )
    except OSError as error:
        if (lack := shortage_in(error)) is not None:
            raise lack from None
        return Sight(wants_certificate=bool(requested))
    finally:
        await let_go(transport, connection)


def _accepting_anything(requested: list[bool]) -> ssl.SSLContext:
    """A context for one look, which notes whether a certificate was asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        # The ssl module deprecates the versions that are looked for.
        warnings.simplefilter("ignore", DeprecationWarning)
        take_versions(context, ssl.TLSVersion.TLSv1)
    # Not those that show no certificate: a server that prefers them offers others as well.
    context.set_ciphers("ALL:!aNULL:@SECLEVEL=0")
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)

    def note(_: Any, direction: str, __: Any, content: Any, message: Any, ___: bytes) -> None:
        if direction == "read" and (int(content), int(message)) == (
            _HANDSHAKE,
            _CERTIFICATE_REQUEST,
        ):
            requested.append(True)

    # For debugging, says the ssl module of it, and has nothing else that tells; where it is gone
    # one day, only what the server says in an alert is known.
    if hasattr(context, "_msg_callback"):
        context._msg_callback = note
    return context


async def let_go(transport: asyncio.BaseTransport | None, connection: socket.socket) -> None:
    """Drop a connection at once, with all that it still has to say.

    The socket is closed by the transport that owns it, never beneath it: a number that the system
    gives to the next socket while the loop still watches it would mix up two probes.
    """
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
    try:
        # One turn of the loop, in which the transport closes its socket.
        await asyncio.sleep(0)
    finally:
        connection.close()
