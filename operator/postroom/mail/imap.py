# SPDX-License-Identifier: Apache-2.0
"""The IMAP probe: TLS, greeting, capabilities, one login, STATUS and EXAMINE (never SELECT)."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postroom.api.mailserver import ProbeStage, ServerFacts, TLSFacts
from postroom.api.reasons import Reason
from postroom.mail import tls
from postroom.mail.dial import Deadlines, Dialler, Failure
from postroom.mail.imap_protocol import AUTH, ConnectionEnded, GuardedProtocol
from postroom.mail.replies import meaning_of_imap
from postroom.mail.report import Endpoint, Login, Mailbox, ProbeReport

_IMPLEMENTATIONS = (
    (b"dovecot", "Dovecot"),
    (b"gimap", "Gmail"),
    (b"microsoft exchange", "Microsoft Exchange"),
    (b"cyrus", "Cyrus"),
    (b"courier", "Courier"),
    (b"stalwart", "Stalwart"),
    (b"postroom lab", "postroom lab"),
)


class ImapProbe:
    """One probe of one mailbox; `run` once."""

    def __init__(
        self,
        endpoint: Endpoint,
        login: Login | None,
        mailbox: str,
        dialler: Dialler,
        trust: tls.TrustStore,
    ) -> None:
        self._endpoint = endpoint
        self._login = login
        self._mailbox_name = mailbox
        self._dialler = dialler
        self._trust = trust
        self._server: ServerFacts | None = None
        self._tls: TLSFacts | None = None
        self._authenticated: bool | None = None
        self._mailbox: Mailbox | None = None

    @property
    def _deadlines(self) -> Deadlines:
        return self._dialler.deadlines

    @property
    def _place(self) -> str:
        return f"{self._endpoint.host}:{self._endpoint.port}"

    async def run(self) -> ProbeReport:
        """Probe; every failure of server or network is in the report."""
        failure: Failure | None = None
        try:
            await self._talk()
        except Failure as caught:
            failure = caught
        return ProbeReport(
            stage=failure.stage if failure else ProbeStage.DONE,
            reason=failure.reason if failure else Reason.PROBE_SUCCEEDED,
            message=failure.message if failure else f"{self._place} works.",
            conclusive=failure.conclusive if failure else True,
            authenticated=self._authenticated,
            server=self._server,
            tls=self._tls,
            mailbox=self._mailbox,
        )

    async def _talk(self) -> None:
        context = await self._trust.context(self._endpoint.ca_bundle)
        protocol = await self._connect(context)
        try:
            greeting = await self._greet(protocol)
            await self._capabilities(protocol, greeting)
            if self._login is not None:
                await self._authenticate(protocol, self._login)
                await self._look(protocol)
            protocol.send("zz LOGOUT")
        finally:
            protocol.abort()
            # One turn of the loop, so that the transport lets go of the socket.
            await asyncio.sleep(0)

    async def _connect(self, context: ssl.SSLContext) -> GuardedProtocol:
        connection = await self._dialler.dial(self._endpoint)
        try:
            async with asyncio.timeout(self._deadlines.tls):
                _, protocol = await asyncio.get_running_loop().create_connection(
                    GuardedProtocol,
                    sock=connection,
                    ssl=context,
                    server_hostname=self._endpoint.server_name,
                )
        except TimeoutError:
            connection.close()
            message = (
                f"{self._place} accepts the connection, but no TLS: use the port for implicit TLS "
                "(993)."
            )
            raise Failure(ProbeStage.TLS, Reason.HANDSHAKE_FAILED, message) from None
        except OSError as error:
            connection.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                self._tls = await self._certificate()
            raise tls.failure_of(error, self._endpoint, self._tls) from None
        except BaseException:
            connection.close()
            raise
        if protocol.transport is not None:
            self._tls = tls.facts_of(protocol.transport.get_extra_info("ssl_object"))
        return protocol

    async def _certificate(self) -> TLSFacts | None:
        try:
            async with asyncio.timeout(self._deadlines.tls):
                connection = await self._dialler.dial(self._endpoint)
                return await tls.look_at_certificate(connection, self._endpoint)
        except (Failure, TimeoutError, OSError):
            return None

    async def _greet(self, protocol: GuardedProtocol) -> bytes:
        async with self._stage(ProbeStage.GREETING, self._deadlines.greeting):
            greeting = await asyncio.shield(protocol.greeting)
        upper = greeting[:32].upper()
        if upper.startswith(b"* BYE"):
            message = f"{self._place} says goodbye at once: it is not available now."
            raise Failure(ProbeStage.GREETING, Reason.SERVICE_UNAVAILABLE, message)
        if not upper.startswith((b"* OK", b"* PREAUTH")):
            raise self._not_imap()
        return greeting

    def _not_imap(self) -> Failure:
        message = f"What answers at {self._place} is no IMAP server: correct host or port."
        return Failure(ProbeStage.GREETING, Reason.UNEXPECTED_GREETING, message)

    async def _capabilities(self, protocol: GuardedProtocol, greeting: bytes) -> None:
        async with self._stage(ProbeStage.CAPABILITIES, self._deadlines.command):
            result, lines = await protocol.run("CAPABILITY")
        words = {
            word.decode("ascii", "replace").upper()[:256]
            for line in lines
            if line.upper().startswith(b"CAPABILITY")
            for word in line.split()[1:]
        }
        if result != "OK" or not words & {"IMAP4REV1", "IMAP4REV2"}:
            raise self._not_imap()
        protocol.capabilities = words
        self._server = ServerFacts(
            implementation=_implementation(greeting),
            capabilities=sorted(words)[:64],
            auth_mechanisms=sorted(one[5:] for one in words if one.startswith("AUTH="))[:32],
        )

    async def _authenticate(self, protocol: GuardedProtocol, login: Login) -> None:
        """Sign in once: AUTHENTICATE PLAIN, which needs no quoting, else LOGIN."""
        offered: set[str] = protocol.capabilities
        password = login.password.reveal()
        async with self._stage(ProbeStage.AUTH, self._deadlines.auth):
            if "AUTH=PLAIN" in offered:
                token = base64.b64encode(f"\0{login.username}\0{password}".encode())
                if "SASL-IR" in offered:
                    result, lines = await protocol.run("AUTHENTICATE", "PLAIN", token.decode())
                else:
                    result, lines = await protocol.run("AUTHENTICATE", "PLAIN", answers=[token])
            elif "LOGINDISABLED" in offered or not f"{login.username}{password}".isascii():
                raise self._no_mechanism(offered)
            else:
                result, lines = await protocol.run(
                    "LOGIN", quoted(login.username), quoted(password)
                )
        if result == "OK":
            protocol.state, self._authenticated = AUTH, True
            return
        text = lines[-1].decode("utf-8", "replace") if lines else ""
        meaning = meaning_of_imap(text)
        self._authenticated = False if meaning.conclusive else None
        raise Failure(
            ProbeStage.AUTH,
            meaning.reason,
            f"{self._place} refuses the login. {meaning.hint}",
            conclusive=meaning.conclusive,
        )

    def _no_mechanism(self, offered: set[str]) -> Failure:
        known = sorted(one[5:] for one in offered if re.fullmatch(r"AUTH=[A-Z0-9_-]{1,20}", one))
        message = (
            f"{self._place} offers {', '.join(known) or 'no mechanism'} for these credentials; "
            "postroom knows PLAIN and LOGIN."
        )
        return Failure(ProbeStage.AUTH, Reason.MECHANISM_UNSUPPORTED, message)

    async def _look(self, protocol: GuardedProtocol) -> None:
        """Count, and open read-only: authentication alone does not prove that it can be read."""
        name = quoted(modified_utf7(self._mailbox_name))
        async with self._stage(ProbeStage.MAILBOX, self._deadlines.command):
            items = "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY)"
            counted, lines = await protocol.run("STATUS", name, items)
            examined, opened = await protocol.run("EXAMINE", name)
        if examined != "OK":
            text = opened[-1].decode("utf-8", "replace").upper() if opened else ""
            passing = any(code in text for code in ("[UNAVAILABLE]", "[INUSE]", "[SERVERBUG]"))
            reason = Reason.TEMPORARY_FAILURE if passing else Reason.MAILBOX_NOT_FOUND
            message = (
                f"{self._place} signs in, but does not open the mailbox: correct imap.mailbox."
            )
            raise Failure(ProbeStage.MAILBOX, reason, message, conclusive=not passing)
        facts = b" ".join(lines if counted == "OK" else opened)
        exists = _number(rb"\b(\d+) EXISTS", b" ".join(opened))
        self._mailbox = Mailbox(
            name=self._mailbox_name,
            messages=_first(_number(rb"MESSAGES (\d+)", facts), exists, 0),
            unseen=_number(rb"\bUNSEEN (\d+)", facts) if counted == "OK" else None,
            uid_next=_number(rb"UIDNEXT (\d+)", facts),
            uid_validity=_number(rb"UIDVALIDITY (\d+)", facts),
        )

    @asynccontextmanager
    async def _stage(self, stage: ProbeStage, seconds: float) -> AsyncIterator[None]:
        """Bound a stage, and turn what goes wrong on the way into its failure."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            message = f"{self._place} stopped answering."
            conclusive = stage is ProbeStage.GREETING
            raise Failure(
                stage, Reason.CONNECTION_TIMEOUT, message, conclusive=conclusive
            ) from None
        except ConnectionEnded as ended:
            if ended.malformed:
                raise self._not_imap() from None
            message = f"{self._place} closed the connection."
            raise Failure(stage, Reason.PROBE_INCONCLUSIVE, message, conclusive=False) from None


def quoted(text: str) -> str:
    """Write a quoted string (RFC 9051 section 4.3); line ends were refused before."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def modified_utf7(name: str) -> str:
    """Write a mailbox name in the modified UTF-7 of RFC 3501 section 5.1.3."""

    def encode(match: re.Match[str]) -> str:
        if match[0] == "&":
            return "&-"
        packed = base64.b64encode(match[0].encode("utf-16-be")).decode().rstrip("=")
        return f"&{packed.replace('/', ',')}-"

    return re.sub(r"&|[^\x20-\x7e]+", encode, name)


def _number(pattern: bytes, text: bytes) -> int | None:
    found = re.search(pattern, text, re.IGNORECASE)
    return int(found[1][:12]) if found else None


def _first(*numbers: int | None) -> int:
    return next((one for one in numbers if one is not None), 0)


def _implementation(greeting: bytes) -> str | None:
    lowered = greeting.lower()
    return next((name for mark, name in _IMPLEMENTATIONS if mark in lowered), None)
