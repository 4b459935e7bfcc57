# SPDX-License-Identifier: Apache-2.0
"""The IMAP probe: TLS, greeting, capabilities, one login, STATUS and EXAMINE (never SELECT)."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postroom.api.mailserver import ProbeStage, ServerFacts, TLSMode
from postroom.api.reasons import Reason
from postroom.mail import tls
from postroom.mail.certificate import facts_of
from postroom.mail.dial import Dialler, Failure
from postroom.mail.imap_protocol import AUTH, ConnectionEnded, Ending, GuardedProtocol, ask_for_tls
from postroom.mail.imap_text import (
    LoginCommand,
    capabilities_in,
    mailbox_of,
    mechanisms_among,
    modified_utf7,
    password_command,
    quoted,
    token_command,
)
from postroom.mail.probe import Probe, recognised
from postroom.mail.replies import Circumstances, Meaning, Stage, meaning_of_imap
from postroom.mail.report import Endpoint, Login
from postroom.mail.sign_in import (
    circumstances,
    meaning_of_refusal,
    refusal_in,
    status_of,
    token_exchange,
    with_refusal,
)

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
_IDENTITY = '("name" "postroom")'


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
        self._keep_login_out_of_the_clear()
        context = None
        if self._endpoint.tls is not TLSMode.NONE:
            context = await self._trust.context(self._endpoint.ca_bundle)
        implicit = context if self._endpoint.tls is TLSMode.IMPLICIT else None
        protocol = await self._connect(implicit)
        try:
            greeting = await self._greet(protocol)
            offered = await self._capabilities(protocol, greeting)
            if context is not None and implicit is None:
                await self._start_tls(protocol, context, offered)
                offered = await self._capabilities(protocol, greeting)
            if self._login is not None:
                offered |= await self._authenticate(protocol, self._login, offered)
                await self._look(protocol, offered)
            # Not awaited: the verdict stands.
            protocol.send("zz LOGOUT")
        finally:
            protocol.abort()
            # One turn of the loop, in which the transport closes its socket.
            await asyncio.sleep(0)

    async def _connect(self, implicit: ssl.SSLContext | None) -> GuardedProtocol:
        connection = await self._dialler.dial(self._endpoint)
        self._stage = ProbeStage.GREETING if implicit is None else ProbeStage.TLS
        try:
            async with asyncio.timeout(self._deadlines.tls):
                _, protocol = await asyncio.get_running_loop().create_connection(
                    GuardedProtocol,
                    sock=connection,
                    ssl=implicit,
                    server_hostname=self._endpoint.server_name if implicit else None,
                )
        except TimeoutError:
            await tls.let_go(None, connection)
            raise self._no_tls() from None
        except OSError as error:
            await tls.let_go(None, connection)
            raise await self._tls_failure(error) from None
        except BaseException:
            await tls.let_go(None, connection)
            raise
        self._tls = facts_of(protocol.secured)
        return protocol

    async def _greet(self, protocol: GuardedProtocol) -> bytes:
        async with self._at(ProbeStage.GREETING, self._deadlines.greeting):
            greeting = await asyncio.shield(protocol.greeting)
        kind = greeting[:10].upper()
        if kind.startswith(b"* BYE"):
            raise self._says_goodbye(greeting[5:].decode("utf-8", "replace"))
        if kind.startswith(b"* PREAUTH") and self._endpoint.tls is TLSMode.START_TLS:
            # RFC 9051 section 7.1.4: it is too late for STARTTLS.
            raise self._no_start_tls("signs everyone in at once (PREAUTH), without STARTTLS")
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
        meaning = meaning_of_imap(text, "BYE", self._about(Stage.GREETING))
        message = f"{self._place} says BYE instead of greeting. {meaning.hint}"
        return Failure(self._stage, meaning.reason, message, conclusive=meaning.conclusive)

    def _about(self, stage: Stage) -> Circumstances:
        return circumstances(stage, self._endpoint, self._login)

    def _not_imap(self) -> Failure:
        message = f"What answers at {self._place} is no IMAP server: correct host or port."
        return self._failure(Reason.UNEXPECTED_GREETING, message)

    async def _capabilities(self, protocol: GuardedProtocol, greeting: bytes) -> set[str]:
        async with self._at(ProbeStage.CAPABILITIES, self._deadlines.command):
            result, lines = await protocol.run("CAPABILITY")
        words = capabilities_in(lines)
        if result != "OK" or not words & {"IMAP4REV1", "IMAP4REV2"}:
            raise self._not_imap()
        known = sorted(filter(_CAPABILITY.fullmatch, words))
        self._server = ServerFacts(
            implementation=recognised(greeting.decode("utf-8", "replace"), _IMPLEMENTATIONS),
            capabilities=known[:64],
            auth_mechanisms=mechanisms_among(known)[:32],
        )
        return words

    async def _start_tls(
        self, protocol: GuardedProtocol, context: ssl.SSLContext, offered: set[str]
    ) -> None:
        if "STARTTLS" not in offered:
            raise self._no_start_tls("does not offer STARTTLS")
        self._stage = ProbeStage.TLS
        try:
            async with asyncio.timeout(self._deadlines.tls):
                result, _ = await protocol.run("STARTTLS")
                if result == "OK":
                    await protocol.secure(context, self._endpoint.server_name)
        except TimeoutError:
            message = f"{self._place} offers STARTTLS, but does not finish it: look at its load."
            raise self._passing(Reason.HANDSHAKE_FAILED, message) from None
        except ConnectionEnded as ended:
            raise self._ended(ended.ending) from None
        except OSError as error:
            raise await self._tls_failure(error, ask_for_tls) from None
        if result != "OK":
            raise self._no_start_tls("offers STARTTLS, but refuses it")
        self._tls = facts_of(protocol.secured)

    def _no_start_tls(self, does: str) -> Failure:
        message = (
            f"{self._place} {does}, and nothing is sent in the clear: {self.where_tls_begins}, or "
            "enable STARTTLS on the server."
        )
        return self._failure(Reason.START_TLS_NOT_OFFERED, message)

    async def _authenticate(
        self, protocol: GuardedProtocol, login: Login, offered: set[str]
    ) -> set[str]:
        """Sign in once with one mechanism; return the capabilities that are told on success."""
        self._stage = ProbeStage.AUTH
        command = self._command(login, offered)
        try:
            async with self._at(ProbeStage.AUTH, self._deadlines.auth):
                result, lines = await protocol.run(
                    command.name, *command.arguments, answers=command.answers
                )
        except Failure:
            # A server may hang up once it has said why.
            meaning = meaning_of_refusal(refusal_in(protocol.challenge)) if login.token else None
            if meaning is None:
                raise
            raise self._rejected("a refusal", meaning, protocol.challenge) from None
        if result != "OK":
            raise self._refused(result, _text_of(lines), protocol.challenge)
        protocol.state, self._authenticated = AUTH, True
        return capabilities_in(lines)

    def _command(self, login: Login, offered: set[str]) -> LoginCommand:
        if not login.token:
            command = password_command(login, offered)
            if command is None:
                raise self._no_mechanism(offered)
            return command
        mechanisms = mechanisms_among(sorted(offered))
        try:
            exchange = token_exchange(mechanisms, self._endpoint, login)
        except ValueError:
            raise self._unsendable() from None
        if exchange is None:
            raise self._takes_no_token(mechanisms)
        return token_command(exchange, offered)

    def _refused(self, result: str, text: str, challenge: bytes | None) -> Failure:
        meaning = meaning_of_imap(text, result, self._about(Stage.AUTH))
        token = self._login is not None and self._login.token
        refusal = refusal_in(challenge) if token else None
        answer = "NO" if result == "NO" else "BAD"
        return self._rejected(answer, with_refusal(meaning, refusal), challenge if token else None)

    def _rejected(self, answer: str, meaning: Meaning, challenge: bytes | None) -> Failure:
        """What an answer to the login means."""
        self._authenticated = False if meaning.refuses_credentials else None
        status = status_of(refusal_in(challenge))
        said = f"{answer} ({status})" if status else answer
        message = f"{self._place} answers the login with {said}. {meaning.hint}"
        return Failure(ProbeStage.AUTH, meaning.reason, message, conclusive=meaning.conclusive)

    def _no_mechanism(self, offered: set[str]) -> Failure:
        known = ", ".join(mechanisms_among(sorted(offered))[:8]) or "no mechanism"
        message = (
            f"{self._place} offers {known} and forbids LOGIN; postroom knows PLAIN and LOGIN for "
            "passwords: enable one of these on the server, or use oauth where it is offered."
        )
        return self._failure(Reason.MECHANISM_UNSUPPORTED, message)

    async def _look(self, protocol: GuardedProtocol, offered: set[str]) -> None:
        """Count, and open read-only: authentication alone does not prove that it can be read."""
        name = quoted(modified_utf7(self._mailbox_name))
        async with self._at(ProbeStage.MAILBOX, self._deadlines.command):
            if "ID" in offered:
                # RFC 2971; NetEase opens no mailbox for clients that do not say their name.
                await protocol.run("ID", _IDENTITY)
            counted, lines = await protocol.run("STATUS", name, _COUNTS)
            examined, opened = await protocol.run("EXAMINE", name)
        if examined != "OK":
            raise self._not_opened(examined, _text_of(opened))
        # The last line is the result, which is free text.
        self._mailbox = mailbox_of(
            self._mailbox_name, lines[:-1] if counted == "OK" else [], opened[:-1]
        )

    def _not_opened(self, result: str, text: str) -> Failure:
        meaning = meaning_of_imap(text, result, self._about(Stage.MAILBOX))
        reason = meaning.reason
        if reason is Reason.PROBE_SUCCEEDED:
            # A mere warning elsewhere, such as a full mailbox; here it keeps the mailbox closed.
            reason = Reason.TEMPORARY_FAILURE
        message = f"{self._place} signs in, but does not open the mailbox. {meaning.hint}"
        return Failure(self._stage, reason, message, conclusive=meaning.conclusive)

    @asynccontextmanager
    async def _at(self, stage: ProbeStage, seconds: float) -> AsyncIterator[None]:
        """Bound a stage, and turn what goes wrong on the way into its failure."""
        self._stage = stage
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            if stage is ProbeStage.GREETING:
                raise await self._does_not_greet() from None
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
        if ending is Ending.INJECTED:
            message = (
                f"{self._place} sends more before TLS begins than its answer to STARTTLS, as "
                f"someone in between would: {self.where_tls_begins}, or mend the server."
            )
            return self._failure(Reason.HANDSHAKE_FAILED, message)
        if ending is Ending.CLOSED:
            return self._broken_off()
        if self._stage in (ProbeStage.GREETING, ProbeStage.CAPABILITIES):
            return self._not_imap()
        message = f"{self._place} breaks the rules of IMAP, or answers without end: read its log."
        return self._passing(Reason.PROBE_INCONCLUSIVE, message)


def _text_of(lines: list[bytes]) -> str:
    """The text of a result, which is the last line."""
    return lines[-1].decode("utf-8", "replace") if lines else ""
