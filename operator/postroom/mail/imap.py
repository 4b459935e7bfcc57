# SPDX-License-Identifier: Apache-2.0
"""The IMAP probe: TLS, greeting, capabilities, one login, STATUS and EXAMINE (never SELECT)."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postroom.api.mailserver import ProbeStage, ServerFacts
from postroom.api.reasons import Reason
from postroom.mail import tls
from postroom.mail.certificate import facts_of
from postroom.mail.dial import Dialler, Failure
from postroom.mail.imap_protocol import AUTH, ConnectionEnded, Ending, GuardedProtocol
from postroom.mail.imap_text import login_arguments, mailbox_of, modified_utf7, quoted
from postroom.mail.probe import Probe, recognised
from postroom.mail.replies import meaning_of_imap
from postroom.mail.report import Endpoint, Login

_IMPLEMENTATIONS = (
    ("dovecot", "Dovecot"),
    ("gimap", "Gmail"),
    ("microsoft exchange", "Microsoft Exchange"),
    ("cyrus", "Cyrus"),
    ("courier", "Courier"),
    ("stalwart", "Stalwart"),
    ("postroom lab", "postroom lab"),
)
#: A capability name (RFC 9051 section 9, capability), with what extensions use in it.
_CAPABILITY = re.compile(r"[A-Z0-9][A-Z0-9=+._/:-]{0,63}")
_COUNTS = "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY)"


class ImapProbe(Probe):
    """One probe of one mailbox; `run` once. Without a login it ends after the capabilities."""

    where_tls_begins = "use the port for implicit TLS (993)"

    def __init__(
        self,
        endpoint: Endpoint,
        login: Login | None,
        mailbox: str,
        dialler: Dialler,
        trust: tls.TrustStore,
    ) -> None:
        super().__init__(endpoint, login, dialler, trust)
        self._mailbox_name = mailbox

    async def _talk(self) -> None:
        context = await self._trust.context(self._endpoint.ca_bundle)
        protocol = await self._connect(context)
        try:
            greeting = await self._greet(protocol)
            words = await self._capabilities(protocol, greeting)
            if self._login is not None:
                await self._authenticate(protocol, self._login, words)
                await self._look(protocol)
            # Not awaited: the verdict stands.
            protocol.send("zz LOGOUT")
        finally:
            protocol.abort()
            # One turn of the loop, in which the transport closes its socket.
            await asyncio.sleep(0)

    async def _connect(self, context: ssl.SSLContext) -> GuardedProtocol:
        connection = await self._dialler.dial(self._endpoint)
        self._stage = ProbeStage.TLS
        try:
            async with asyncio.timeout(self._deadlines.tls):
                transport, protocol = await asyncio.get_running_loop().create_connection(
                    GuardedProtocol,
                    sock=connection,
                    ssl=context,
                    server_hostname=self._endpoint.server_name,
                )
        except TimeoutError:
            await tls.let_go(None, connection)
            message = f"{self._place} accepts the connection, but no TLS: {self.where_tls_begins}."
            raise self._failure(Reason.HANDSHAKE_FAILED, message) from None
        except OSError as error:
            await tls.let_go(None, connection)
            raise await self._tls_failure(error) from None
        except BaseException:
            await tls.let_go(None, connection)
            raise
        self._tls = facts_of(transport.get_extra_info("ssl_object"))
        return protocol

    async def _greet(self, protocol: GuardedProtocol) -> bytes:
        async with self._at(ProbeStage.GREETING, self._deadlines.greeting):
            greeting = await asyncio.shield(protocol.greeting)
        kind = greeting[:10].upper()
        if kind.startswith(b"* BYE"):
            raise self._says_goodbye(greeting[5:].decode("utf-8", "replace"))
        if kind.startswith(b"* PREAUTH") and self._login is not None:
            message = (
                f"{self._place} signs everyone in without asking (PREAUTH), so that credentials "
                "cannot be checked: use a port that asks for them."
            )
            raise self._failure(Reason.CAPABILITY_MISSING, message)
        if not kind.startswith((b"* OK", b"* PREAUTH")):
            raise self._not_imap()
        return greeting

    def _says_goodbye(self, text: str) -> Failure:
        """BYE instead of a greeting: the server takes no connection (RFC 9051 section 7.1.5)."""
        message = (
            f"{self._place} says BYE instead of greeting: it is not available to us; if it stays "
            "so, ask its operator."
        )
        passing = meaning_of_imap(text, "BYE").reason is Reason.TEMPORARY_FAILURE
        return Failure(self._stage, Reason.SERVICE_UNAVAILABLE, message, conclusive=not passing)

    def _not_imap(self) -> Failure:
        message = f"What answers at {self._place} is no IMAP server: correct host or port."
        return self._failure(Reason.UNEXPECTED_GREETING, message)

    async def _capabilities(self, protocol: GuardedProtocol, greeting: bytes) -> set[str]:
        async with self._at(ProbeStage.CAPABILITIES, self._deadlines.command):
            result, lines = await protocol.run("CAPABILITY")
        words = {
            word.decode("ascii", "replace").upper()
            for line in lines
            if line[:11].upper() == b"CAPABILITY "
            for word in line.split()[1:]
        }
        if result != "OK" or not words & {"IMAP4REV1", "IMAP4REV2"}:
            raise self._not_imap()
        known = sorted(filter(_CAPABILITY.fullmatch, words))
        self._server = ServerFacts(
            implementation=recognised(greeting.decode("utf-8", "replace"), _IMPLEMENTATIONS),
            capabilities=known[:64],
            auth_mechanisms=_mechanisms(known)[:32],
        )
        return words

    async def _authenticate(
        self, protocol: GuardedProtocol, login: Login, offered: set[str]
    ) -> None:
        """Sign in once: AUTHENTICATE PLAIN, which needs no quoting, else LOGIN."""
        self._stage = ProbeStage.AUTH
        password = login.password.reveal()
        name, arguments, answers = "LOGIN", *login_arguments(login.username, password)
        if "AUTH=PLAIN" in offered:
            token = base64.b64encode(f"\0{login.username}\0{password}".encode())
            name, arguments, answers = "AUTHENTICATE", ["PLAIN"], [token]
            if "SASL-IR" in offered:
                arguments, answers = ["PLAIN", token.decode()], []
        elif "LOGINDISABLED" in offered:
            raise self._no_mechanism(offered)
        async with self._at(ProbeStage.AUTH, self._deadlines.auth):
            result, lines = await protocol.run(name, *arguments, answers=answers)
        if result != "OK":
            raise self._refused(result, lines[-1].decode("utf-8", "replace") if lines else "")
        protocol.state, self._authenticated = AUTH, True

    def _refused(self, result: str, text: str) -> Failure:
        meaning = meaning_of_imap(text, result)
        self._authenticated = False if meaning.refuses_credentials else None
        return Failure(
            ProbeStage.AUTH,
            meaning.reason,
            f"{self._place} answers the login with {'NO' if result == 'NO' else 'BAD'}. "
            f"{meaning.hint}",
            conclusive=meaning.conclusive,
        )

    def _no_mechanism(self, offered: set[str]) -> Failure:
        known = ", ".join(_mechanisms(sorted(offered))[:8]) or "no mechanism"
        message = (
            f"{self._place} offers {known} and forbids LOGIN; postroom knows PLAIN and LOGIN: "
            "enable one of these on the server."
        )
        return self._failure(Reason.MECHANISM_UNSUPPORTED, message)

    async def _look(self, protocol: GuardedProtocol) -> None:
        """Count, and open read-only: authentication alone does not prove that it can be read."""
        name = quoted(modified_utf7(self._mailbox_name))
        async with self._at(ProbeStage.MAILBOX, self._deadlines.command):
            counted, lines = await protocol.run("STATUS", name, _COUNTS)
            examined, opened = await protocol.run("EXAMINE", name)
        if examined != "OK":
            raise self._not_opened(opened[-1].decode("utf-8", "replace") if opened else "")
        # The last line is the result, which is free text.
        self._mailbox = mailbox_of(
            self._mailbox_name, lines[:-1] if counted == "OK" else [], opened[:-1]
        )

    def _not_opened(self, text: str) -> Failure:
        if meaning_of_imap(text, "BAD").reason is Reason.TEMPORARY_FAILURE:
            message = f"{self._place} signs in, but cannot open the mailbox now."
            return self._passing(Reason.TEMPORARY_FAILURE, message)
        message = (
            f"{self._place} signs in, but does not open the mailbox: correct imap.mailbox, or "
            "grant the right to read it."
        )
        return self._failure(Reason.MAILBOX_NOT_FOUND, message)

    @asynccontextmanager
    async def _at(self, stage: ProbeStage, seconds: float) -> AsyncIterator[None]:
        """Bound a stage, and turn what goes wrong on the way into its failure."""
        self._stage = stage
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            if stage is ProbeStage.GREETING:
                message = f"{self._place} accepts TLS, but does not greet: look at its load."
                raise self._failure(Reason.CONNECTION_TIMEOUT, message) from None
            raise self._silent() from None
        except ConnectionEnded as ended:
            raise self._ended(ended.ending) from None

    def _ended(self, ending: Ending) -> Failure:
        if ending is Ending.GOODBYE:
            message = (
                f"{self._place} says BYE: it is not available to us now; if it stays so, ask its "
                "operator."
            )
            return self._passing(Reason.SERVICE_UNAVAILABLE, message)
        if ending is Ending.CLOSED:
            return self._broken_off()
        if self._stage in (ProbeStage.GREETING, ProbeStage.CAPABILITIES):
            return self._not_imap()
        message = f"{self._place} breaks the rules of IMAP, or answers without end: read its log."
        return self._passing(Reason.PROBE_INCONCLUSIVE, message)


def _mechanisms(capabilities: list[str]) -> list[str]:
    """The SASL mechanisms among capabilities (RFC 4422 section 3.1), in their order."""
    found = (re.fullmatch(r"AUTH=([A-Z0-9_-]{1,20})", one) for one in capabilities)
    return [one[1] for one in found if one]
