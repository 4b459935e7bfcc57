# SPDX-License-Identifier: Apache-2.0
"""aiosmtplib's client under our rules.

Never ``login()``: it tries every mechanism and loses a 421. Never ``start_tls=None``: it would go
on in the clear. A socket that we dialled, deadlines of ours, no QUIT that could hang.
"""

import asyncio
import base64
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Literal

import aiosmtplib
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.typing import Default

from postroom.concurrency import threads
from postroom.concurrency.unread import read_all
from postroom.mail.replies import as_text
from postroom.mail.report import Endpoint, Login
from postroom.mail.session.sasl import TokenExchange, cram_md5
from postroom.mail.session.scram import ScramExchange
from postroom.mail.smtp.closing_reply import ClosingReply

#: What we say in EHLO: a name that is no one's (RFC 6761); the pod's is nobody's business.
LOCAL_HOSTNAME = "postroom.invalid"

_REPLY_LIMIT = 64 * 1024
#: Octets of a command line with its end (RFC 5321 section 4.5.3.1.4); what would be longer waits
#: until the server asks for it (RFC 4954 section 4).
_COMMAND_LIMIT = 512
_GO_ON = 334
#: Stands for what is no reply, as aiosmtplib has it.
_NO_REPLY = -1
#: What aiosmtplib says of a line or reply that is longer than it takes.
TOO_LONG = "Response too long"
#: RFC 5321 section 4.2.2.
_READY = 220
#: The server closes the connection (RFC 5321 section 4.2.2).
CLOSING = 421
_COMPLETE_REPLY = re.compile(rb"(?m)^\d{3} .*\r?\n\Z")


class Injected(Exception):
    """More came in the clear than the answer to STARTTLS: RFC 3207 section 4.2."""


class Unanswered(Exception):
    """The connection is gone before STARTTLS was answered: no handshake has begun."""


class SmtpClient(aiosmtplib.SMTP):
    """A client on a connected socket.

    `opened` is called when the connection (with TLS, if implicit) stands and the greeting is
    awaited; aiosmtplib does both in one call, but they have deadlines of their own.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        connection: socket.socket,
        implicit_tls: ssl.SSLContext | None,
    ) -> None:
        self._closing_reply: ClosingReply | None = None
        self.opened: Callable[[], None] = lambda: None
        #: What the server said against a token before its final reply.
        self.challenge: str | None = None
        super().__init__(
            # Only for SNI and verification: the socket is connected already.
            hostname=endpoint.server_name,
            port=None,
            sock=connection,
            use_tls=implicit_tls is not None,
            start_tls=False,
            tls_context=implicit_tls,
            local_hostname=LOCAL_HOSTNAME,
            # Whoever asks sets a deadline around it: a second one each time is a task each time.
            timeout=None,
        )

    def _validate_config(self) -> None:
        """Nothing: these are our own options, and aiosmtplib would look at each three times."""

    async def _create_connection(
        self,
        timeout: float | None,  # noqa: ASYNC109 - theirs
    ) -> aiosmtplib.SMTPResponse:
        """Connect as aiosmtplib does, but hear all that comes, from the first octet on."""
        loop = asyncio.get_running_loop()
        self.protocol = SMTPProtocol(loop, self._on_connection_lost)
        listener = self._closing_reply = ClosingReply(self.protocol)
        self.transport, _ = await loop.create_connection(
            lambda: listener,
            sock=self.sock,
            ssl=self.tls_context,
            server_hostname=self.hostname if self.tls_context is not None else None,
        )
        self.opened()
        greeting = _read_as_text(await self.protocol.read_response())
        if greeting.code != _READY:
            raise aiosmtplib.SMTPConnectResponseError(*greeting)
        return greeting

    @property
    def line_so_far(self) -> bytes:
        """What came of a line that has not ended yet."""
        return self._closing_reply.line_so_far if self._closing_reply is not None else b""

    def _closing(self) -> aiosmtplib.SMTPResponse | None:
        """The 421 with which the server left; None where it left without a word."""
        said = self._closing_reply.text if self._closing_reply is not None else None
        return aiosmtplib.SMTPResponse(CLOSING, said) if said is not None else None

    async def execute_command(
        self,
        *args: bytes,
        timeout: float | Literal[Default.token] | None = Default.token,  # noqa: ASYNC109 - theirs
    ) -> aiosmtplib.SMTPResponse:
        """Send a command, and return the reply, or the 421 that the server said unasked."""
        await read_all(self.transport)
        try:
            return await self._replied(super().execute_command(*args, timeout=timeout))
        except aiosmtplib.SMTPServerDisconnected:
            if (closing := self._closing()) is not None:
                return closing
            raise

    async def _replied(self, reply: Awaitable[aiosmtplib.SMTPResponse]) -> aiosmtplib.SMTPResponse:
        """A reply, or what stands for none."""
        listener = self._closing_reply
        if listener is None:
            return _read_as_text(await reply)
        listener.expect_reply()
        found = _read_as_text(await reply)
        # Who says yes before all of it has left us says it to something else.
        too_early = found.code < 400 and listener.unsent
        return aiosmtplib.SMTPResponse(_NO_REPLY, "") if too_early else found

    async def secure(self, context: ssl.SSLContext, server_name: str) -> None:
        """Go on over TLS, where the server offers STARTTLS.

        Raises `Injected` where more comes before it than the server's answer, and `Unanswered`
        where the server goes before it has answered.
        """
        await read_all(self.transport)
        listener = self._closing_reply
        if listener is not None:
            listener.expect_tls()
        try:
            await self.starttls(server_hostname=server_name, tls_context=context)
        except (aiosmtplib.SMTPException, OSError) as error:
            if listener is not None and listener.injected:
                raise Injected from None
            closing = self._closing()
            if isinstance(error, aiosmtplib.SMTPServerDisconnected) and closing is not None:
                raise aiosmtplib.SMTPResponseException(*closing) from None
            if listener is not None and not listener.answered:
                raise Unanswered from error
            raise
        if self.protocol is not None and isinstance(self.transport, asyncio.Transport):
            # What was said in the clear is forgotten.
            heard = bytes(self.protocol._buffer)
            self.protocol._buffer.clear()
            self._closing_reply = ClosingReply(self.protocol, heard, self.transport)
            self.transport.set_protocol(self._closing_reply)

    async def hand_over(self, content: bytes) -> None:
        """Send the content of a message after 354; it must be as `transparent` makes it.

        What came before it is no reply to it. Raises `aiosmtplib.SMTPServerDisconnected` where
        nothing of it was sent.
        """
        await read_all(self.transport)
        if self.protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Server not connected")
        self.protocol.write(content)

    async def final_reply(self) -> aiosmtplib.SMTPResponse:
        """Await what the server says to the content of a message; set a deadline around it."""
        if self.protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Server not connected")
        try:
            return await self._replied(self.protocol.read_response())
        except aiosmtplib.SMTPServerDisconnected:
            if (closing := self._closing()) is not None:
                return closing
            raise

    async def auth_password(self, mechanism: str, login: Login) -> aiosmtplib.SMTPResponse:
        """Make one attempt with PLAIN, LOGIN or CRAM-MD5, and return the final reply.

        aiosmtplib's own lose what a server says that asks in another way: without heeding the
        initial response, or for the name again.
        """
        username, password = login.username.encode(), login.password.reveal().encode()
        if mechanism == "PLAIN":  # RFC 4616
            packed = base64.b64encode(b"\0" + username + b"\0" + password)
            fits = len(b"AUTH PLAIN \r\n") + len(packed) <= _COMMAND_LIMIT
            reply = await self.execute_command(b"AUTH", b"PLAIN", *([packed] if fits else []))
            # A server that asks all the same has not heeded what came with the command.
            return await self.execute_command(packed) if reply.code == _GO_ON else reply
        if mechanism == "LOGIN":
            name = base64.b64encode(username)
            reply = await self.execute_command(b"AUTH", b"LOGIN", name)
            if reply.code == _GO_ON and asks_for_name(reply.message):
                # Some servers ask for the name although it comes with the command.
                reply = await self.execute_command(name)
            packed = base64.b64encode(password)
            return await self.execute_command(packed) if reply.code == _GO_ON else reply
        reply = await self.execute_command(b"AUTH", mechanism.encode())
        if reply.code != _GO_ON:
            return reply
        try:
            asked = base64.b64decode(reply.message)
        except ValueError:
            return aiosmtplib.SMTPResponse(_NO_REPLY, "")
        return await self.execute_command(base64.b64encode(cram_md5(login, asked)))

    async def auth_scram(self, exchange: ScramExchange) -> aiosmtplib.SMTPResponse:
        """Make one attempt with SCRAM, and return the final reply; `exchange` tells whether the
        server has proven itself."""
        command = b"AUTH " + exchange.mechanism.encode()
        first = base64.b64encode(exchange.first)
        fits = len(command) + len(b" \r\n") + len(first) <= _COMMAND_LIMIT
        reply = await self.execute_command(command, *([first] if fits else []))
        if reply.code == _GO_ON and (not fits or not reply.message.strip()):
            # A server that asks for what came with the command has not heeded it.
            reply = await self.execute_command(first)
        if reply.code != _GO_ON:
            return reply
        try:
            asked = base64.b64decode(reply.message)
            proof = await threads.in_thread(exchange.proof, asked)
        except ValueError:
            return aiosmtplib.SMTPResponse(_NO_REPLY, "")
        reply = await self.execute_command(base64.b64encode(proof))
        if reply.code != _GO_ON:
            return reply
        try:
            exchange.hear(base64.b64decode(reply.message))
        except ValueError:
            return aiosmtplib.SMTPResponse(_NO_REPLY, "")
        return await self.execute_command(b"")

    async def auth_token(self, exchange: TokenExchange) -> aiosmtplib.SMTPResponse:
        """Make one attempt with a token, and return the final reply, whatever it is.

        aiosmtplib's own drops what the server says of the token, and knows XOAUTH2 alone.
        """
        name, packed = exchange.mechanism.encode(), exchange.packed.reveal().encode()
        if len(b"AUTH  \r\n") + len(name) + len(packed) <= _COMMAND_LIMIT:
            reply = await self.execute_command(b"AUTH", name, packed)
        else:
            reply = await self.execute_command(b"AUTH", name)
            if reply.code == _GO_ON:
                reply = await self.execute_command(packed)
        if reply.code == _GO_ON:
            self.challenge = reply.message
            reply = await self.execute_command(exchange.farewell)
        return reply

    def close(self) -> None:
        """Drop the connection at once, where aiosmtplib would wait for the peer's end of TLS."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
        made = self.protocol
        super().close()
        # What is called knows the session, and that knows us: a circle holds what the TLS has. So
        # does the protocol, and each session would be left to the garbage collector.
        self.opened = lambda: None
        if made is not None:
            made._connection_lost_callback = None

    def say_goodbye(self) -> None:
        """Send QUIT and wait for nothing: the verdict stands."""
        if isinstance(self.transport, asyncio.WriteTransport) and not self.transport.is_closing():
            self.transport.write(b"QUIT\r\n")

    @property
    def secured(self) -> ssl.SSLObject | None:
        """The TLS of the connection; None in the clear or when it is gone."""
        transport = self.protocol.transport if self.protocol is not None else None
        found = transport.get_extra_info("ssl_object") if transport is not None else None
        return found if isinstance(found, ssl.SSLObject) else None


def _read_as_text(reply: aiosmtplib.SMTPResponse) -> aiosmtplib.SMTPResponse:
    """A reply whose octets are read as they are meant; aiosmtplib takes them for UTF-8 and escapes
    what is none."""
    if reply.message.isascii():
        return reply
    octets = reply.message.encode("utf-8", "surrogateescape")
    return aiosmtplib.SMTPResponse(reply.code, as_text(octets))


def asks_for_name(prompt: str) -> bool:
    """Whether AUTH LOGIN asks for the name, in base64 or, as some servers do, without."""
    try:
        asked = base64.b64decode(prompt, validate=True).decode("utf-8", "replace").lower()
    except ValueError:
        asked = prompt.lower()
    return re.search(r"user|login|account|benutzer", asked) is not None and "pass" not in asked


async def ask_for_tls(connection: socket.socket) -> bool:
    """Bring a plain connection to the point where TLS begins; False where it does not get there."""
    loop = asyncio.get_running_loop()

    async def reply() -> bytes:
        text = b""
        while not _COMPLETE_REPLY.search(text) and len(text) < _REPLY_LIMIT:
            more = await loop.sock_recv(connection, 4096)
            if not more:
                return b""
            text += more
        return text

    for command in (b"", f"EHLO {LOCAL_HOSTNAME}\r\n".encode(), b"STARTTLS\r\n"):
        if command:
            await loop.sock_sendall(connection, command)
        if not (await reply()).startswith(b"2"):
            return False
    return True
