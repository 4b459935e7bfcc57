# SPDX-License-Identifier: Apache-2.0
"""How a conversation over SMTP begins: connect, secure, greet, read capabilities."""

from __future__ import annotations

import asyncio
import re
import ssl
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiosmtplib

from postroom.api.mailserver import ProbeStage, ServerFacts, TLSMode
from postroom.api.reasons import Reason
from postroom.mail.connect import tls
from postroom.mail.connect.certificate import facts_of
from postroom.mail.connect.dial import Failure
from postroom.mail.replies import Stage, enhanced_code, meaning_of_smtp
from postroom.mail.session.capabilities import known_keywords, known_mechanisms
from postroom.mail.session.probe import Probe, recognised
from postroom.mail.session.sasl import circumstances
from postroom.mail.smtp.session import TOO_LONG, Injected, SmtpSession, ask_for_tls

#: Greeting or EHLO text -> implementation.
_IMPLEMENTATIONS = (
    ("postfix", "Postfix"),
    ("exim", "Exim"),
    ("dovecot", "Dovecot"),
    ("gsmtp", "Gmail"),
    ("microsoft esmtp", "Microsoft Exchange"),
    ("amazon", "Amazon SES"),
    ("sendgrid", "SendGrid"),
    ("haraka", "Haraka"),
    ("opensmtpd", "OpenSMTPD"),
    ("stalwart", "Stalwart"),
    ("sendmail", "Sendmail"),
    ("postroom lab", "postroom lab"),
)
#: An EHLO keyword (RFC 5321 section 4.1.1.1) and a SASL mechanism (RFC 4422 section 3.1).
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")


class SmtpConversation(Probe):
    """One conversation with one SMTP endpoint; `run` once.

    `_converse` is what the two sides do once they know each other; `_errand` what comes after that,
    with `_errand_seconds` of its own.
    """

    where_tls_begins = "set tls.mode to StartTLS, or use the port for implicit TLS (465)"
    _errand_seconds = 0.0
    #: False where it took HELO alone, which has no extensions.
    _knows_ehlo = True
    _client: SmtpSession | None = None

    @property
    def _allowance(self) -> float:
        return super()._allowance + self._errand_seconds

    @abstractmethod
    async def _converse(self, client: SmtpSession) -> None:
        """Go on after the capabilities are known and TLS stands; raises `Failure`."""

    async def _errand(self, client: SmtpSession) -> None:
        """Do what the conversation is for besides the check; raises `Failure`."""

    async def _talk(self) -> None:
        self._keep_login_out_of_the_clear()
        async with AsyncExitStack() as at_the_end:
            # The errand's time must not be what slow greetings leave of it.
            async with asyncio.timeout(self._deadlines.total):
                client = await self._introduced(at_the_end)
                await self._converse(client)
            await self._errand(client)
            client.say_goodbye()

    def _line_so_far(self) -> bytes:
        return self._client.line_so_far if self._client is not None else b""

    async def _introduced(self, at_the_end: AsyncExitStack) -> SmtpSession:
        """Connect, greet and secure; `at_the_end` closes what was opened."""
        context = None
        if self._endpoint.tls is not TLSMode.NONE:
            context = await self._trust.context(self._endpoint.ca_bundle)
        implicit = context if self._endpoint.tls is TLSMode.IMPLICIT else None
        connection = await self._dialler.dial(self._endpoint)
        at_the_end.push_async_callback(tls.let_go, None, connection)
        client = SmtpSession(self._endpoint, connection, implicit, self._deadlines.total)
        at_the_end.callback(client.close)
        self._client = client
        greeting = await self._greet(client)
        await self._capabilities(client, greeting)
        if context is not None and implicit is None:
            await self._start_tls(client, context)
            await self._capabilities(client, greeting)
        return client

    async def _greet(self, client: SmtpSession) -> str:
        """Connect (with TLS, if implicit) and read the greeting."""
        implicit = self._endpoint.tls is TLSMode.IMPLICIT
        self._stage = ProbeStage.TLS if implicit else ProbeStage.GREETING
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(self._deadlines.tls) as deadline:

                def opened() -> None:
                    self._stage = ProbeStage.GREETING
                    self._tls = facts_of(client.secured)
                    if not deadline.expired():
                        deadline.reschedule(now() + self._deadlines.greeting)

                client.opened = opened
                response = await client.connect()
        except aiosmtplib.SMTPConnectResponseError as error:
            raise self._refuses_us(error.code, error.message, "greets with") from None
        except aiosmtplib.SMTPResponseException as error:
            raise self._not_smtp(error.message) from None
        except TimeoutError:
            silent = self._stage is not ProbeStage.TLS
            raise (await self._does_not_greet() if silent else self._no_tls()) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            if self._stage is ProbeStage.TLS:
                raise await self._tls_failure(error.__cause__ or error) from None
            raise await self._gone(error) from None
        return response.message

    def _not_smtp(self, found: str) -> Failure:
        """What is no reply; `found` is what is wrong with it."""
        if found == TOO_LONG:
            message = (
                f"{self._place} answers with more than postroom takes, 8,192 octets a line and 64 "
                "KiB in all (512 a line are allowed, RFC 5321 section 4.5.3.1.5): if it is an SMTP "
                "server, shorten its texts; else correct host and port."
            )
            return self._failure(Reason.UNEXPECTED_GREETING, message)
        message = (
            f"What answers at {self._place} is no SMTP server: correct host, port or tls.mode."
        )
        return self._failure(Reason.UNEXPECTED_GREETING, message)

    async def _capabilities(self, client: SmtpSession, greeting: str) -> None:
        response = await self._introduce(client)
        size = re.match(r"\d{1,12}", client.esmtp_extensions.get("size", ""))
        offered = {extension.upper() for extension in client.esmtp_extensions}
        self._server = ServerFacts(
            implementation=recognised(f"{greeting} {response.message}", _IMPLEMENTATIONS),
            capabilities=known_keywords(offered)[:64],
            auth_mechanisms=known_mechanisms(mechanisms(client))[:32],
            # Zero: it has no fixed maximum (RFC 1870 section 4).
            max_message_size=(int(size[0]) or None) if size else None,
        )

    async def _introduce(self, client: SmtpSession) -> aiosmtplib.SMTPResponse:
        """Say EHLO, or HELO to a server that does not know that (RFC 5321 section 3.2)."""
        try:
            async with self._at(ProbeStage.CAPABILITIES, self._deadlines.command):
                return await client.ehlo()
        except Failure as refused:
            if refused.code is None or not 500 <= refused.code <= 599:
                raise
            said = self._said
            try:
                async with self._at(ProbeStage.CAPABILITIES, self._deadlines.command):
                    response = await client.helo()
            except Failure:
                self._said = said
                raise refused from None
        self._said, self._knows_ehlo = None, False
        return response

    async def _start_tls(self, client: SmtpSession, context: ssl.SSLContext) -> None:
        if not client.supports_extension("starttls"):
            lacks = "does not offer" if self._knows_ehlo else "knows no EHLO, and so no"
            message = (
                f"{self._place} {lacks} STARTTLS, and nothing is sent in the clear: correct "
                "the port, or set tls.mode to Implicit."
            )
            raise self._failure(Reason.START_TLS_NOT_OFFERED, message)
        self._stage = ProbeStage.TLS
        try:
            async with asyncio.timeout(self._deadlines.tls):
                await client.secure(context, self._endpoint.server_name)
        except TimeoutError:
            message = f"{self._place} offers STARTTLS, but does not finish it: look at its load."
            raise self._passing(Reason.HANDSHAKE_FAILED, message) from None
        except Injected:
            raise self._injected("use the port for implicit TLS (465)") from None
        except aiosmtplib.SMTPResponseException as error:
            refused = "offers STARTTLS, but answers it with"
            raise self._refuses_us(error.code, error.message, refused) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise await self._tls_failure(error.__cause__ or error, ask_for_tls) from None
        self._tls = facts_of(client.secured)

    @asynccontextmanager
    async def _at(self, stage: ProbeStage, seconds: float) -> AsyncIterator[None]:
        """Bound a stage, and turn what goes wrong on the way into its failure."""
        self._stage = stage
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise self._silent() from None
        except aiosmtplib.SMTPResponseException as error:
            raise self._answered(error.code, error.message) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            upgraded = self._endpoint.tls is TLSMode.START_TLS
            raise await self._gone(error, ask_for_tls if upgraded else None) from None

    def _answered(self, code: int, text: str) -> Failure:
        """What an error reply means, or one at any stage that is no reply at all."""
        return self._refuses_us(code, text, "answers EHLO with")

    def _refuses_us(self, code: int, text: str, does: str) -> Failure:
        """What an error reply before AUTH means; `does` is what the server does with the code."""
        if not 400 <= code <= 599:
            return self._not_smtp(text)
        self._said = text
        about = circumstances(Stage(self._stage.value), self._endpoint, None)
        meaning = meaning_of_smtp(code, text, about)
        return Failure(
            self._stage,
            meaning.reason,
            f"{self._place} {does} {code}. {meaning.hint}",
            conclusive=meaning.conclusive,
            code=code,
            enhanced_code=enhanced_code(text),
            retry_after=meaning.wait,
            cause=meaning.cause.value,
        )


def mechanisms(client: SmtpSession) -> list[str]:
    """The SASL mechanisms offered, sorted; texts that are none are left out."""
    offered = {method.upper() for method in client.server_auth_methods}
    return sorted(filter(_MECHANISM.fullmatch, offered))
