# SPDX-License-Identifier: Apache-2.0
"""The SMTP probe: connect, secure, greet, read capabilities, authenticate once, quit. No mail."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosmtplib

from postroom.api.mailserver import ProbeStage, ServerFacts, TLSMode
from postroom.api.reasons import Reason
from postroom.mail import tls
from postroom.mail.certificate import facts_of
from postroom.mail.dial import Failure
from postroom.mail.probe import Probe, recognised
from postroom.mail.replies import enhanced_code, meaning_of_smtp
from postroom.mail.report import Login
from postroom.mail.smtp_session import SmtpSession, ask_for_tls

#: In the order of preference; one attempt with one of them.
_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")
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
_KEYWORD = re.compile(r"[A-Z0-9][A-Z0-9-]{0,63}")
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")


class SmtpProbe(Probe):
    """One probe of one SMTP endpoint; `run` once."""

    where_tls_begins = "set tls.mode to StartTLS, or use the port for implicit TLS (465)"

    async def _talk(self) -> None:
        if self._login is not None and self._endpoint.tls is TLSMode.NONE:
            message = "Credentials are only sent over TLS: set tls.mode to StartTLS or Implicit."
            raise Failure(ProbeStage.AUTH, Reason.ENCRYPTION_REQUIRED, message)
        context = None
        if self._endpoint.tls is not TLSMode.NONE:
            context = await self._trust.context(self._endpoint.ca_bundle)
        implicit = context if self._endpoint.tls is TLSMode.IMPLICIT else None
        connection = await self._dialler.dial(self._endpoint)
        client = SmtpSession(self._endpoint, connection, implicit, self._deadlines.total)
        try:
            greeting = await self._greet(client)
            await self._capabilities(client, greeting)
            if context is not None and implicit is None:
                await self._start_tls(client, context)
                await self._capabilities(client, greeting)
            if self._login is not None:
                await self._authenticate(client, self._login)
            client.say_goodbye()
        finally:
            client.close()
            await tls.let_go(None, connection)

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
            raise self._greeting_refused(error.code, error.message) from None
        except aiosmtplib.SMTPResponseException:
            raise self._not_smtp() from None
        except TimeoutError:
            raise await self._says_nothing() from None
        except (aiosmtplib.SMTPException, OSError) as error:
            if self._stage is ProbeStage.TLS:
                raise await self._tls_failure(error.__cause__ or error) from None
            raise self._broken_off() from None
        return response.message

    def _greeting_refused(self, code: int, text: str) -> Failure:
        if not 400 <= code <= 599:
            return self._not_smtp()
        passing = code < 500
        return Failure(
            ProbeStage.GREETING,
            Reason.SERVICE_UNAVAILABLE,
            f"{self._place} greets with {code}: "
            + (
                "it is not available now; if it stays so, ask its operator."
                if passing
                else "it refuses this client; ask its operator whether our address is blocked."
            ),
            conclusive=not passing,
            code=code,
            enhanced_code=enhanced_code(text),
        )

    def _not_smtp(self) -> Failure:
        message = (
            f"What answers at {self._place} is no SMTP server: correct host, port or tls.mode."
        )
        return self._failure(Reason.UNEXPECTED_GREETING, message)

    async def _says_nothing(self) -> Failure:
        """Tell a server that waits for TLS from one that waits for nothing."""
        if self._stage is ProbeStage.TLS:
            message = (
                f"{self._place} accepts the connection, but no TLS: set tls.mode to StartTLS, or "
                "use the port for implicit TLS (465)."
            )
            return self._failure(Reason.HANDSHAKE_FAILED, message)
        if self._endpoint.tls is not TLSMode.IMPLICIT and await self._shown_certificate():
            message = f"{self._place} waits for TLS from the first byte: set tls.mode to Implicit."
            return self._failure(Reason.UNEXPECTED_GREETING, message)
        message = (
            f"{self._place} accepts the connection, but does not greet: look at its load, and "
            "whether it delays unknown clients."
        )
        return self._failure(Reason.CONNECTION_TIMEOUT, message)

    async def _capabilities(self, client: SmtpSession, greeting: str) -> None:
        async with self._at(ProbeStage.CAPABILITIES, self._deadlines.command):
            response = await client.ehlo()
        size = re.match(r"\d{1,12}", client.esmtp_extensions.get("size", ""))
        offered = {one.upper() for one in client.esmtp_extensions}
        self._server = ServerFacts(
            implementation=recognised(f"{greeting} {response.message}", _IMPLEMENTATIONS),
            capabilities=sorted(filter(_KEYWORD.fullmatch, offered))[:64],
            auth_mechanisms=_mechanisms(client)[:32],
            max_message_size=int(size[0]) if size else None,
        )

    async def _start_tls(self, client: SmtpSession, context: ssl.SSLContext) -> None:
        if not client.supports_extension("starttls"):
            message = (
                f"{self._place} does not offer STARTTLS, and nothing is sent in the clear: correct "
                "the port, or set tls.mode to Implicit."
            )
            raise self._failure(Reason.START_TLS_NOT_OFFERED, message)
        self._stage = ProbeStage.TLS
        try:
            async with asyncio.timeout(self._deadlines.tls):
                await client.starttls(
                    server_hostname=self._endpoint.server_name, tls_context=context
                )
        except TimeoutError:
            message = f"{self._place} offers STARTTLS, but does not finish it: look at its load."
            raise self._passing(Reason.HANDSHAKE_FAILED, message) from None
        except aiosmtplib.SMTPResponseException as error:
            raise self._start_tls_refused(error.code, error.message) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise await self._tls_failure(error.__cause__ or error, ask_for_tls) from None
        self._tls = facts_of(client.secured)

    def _start_tls_refused(self, code: int, text: str) -> Failure:
        if not 400 <= code <= 599:
            return self._not_smtp()
        return Failure(
            self._stage,
            Reason.HANDSHAKE_FAILED,
            f"{self._place} offers STARTTLS, but answers it with {code}: mend its TLS settings.",
            conclusive=code >= 500,
            code=code,
            enhanced_code=enhanced_code(text),
        )

    async def _authenticate(self, client: SmtpSession, login: Login) -> None:
        self._stage = ProbeStage.AUTH
        offered = _mechanisms(client)
        mechanism = next((one for one in _MECHANISMS if one in offered), None)
        if mechanism is None:
            raise self._no_mechanism(offered)
        attempt = {
            "PLAIN": client.auth_plain,
            "LOGIN": client.auth_login,
            "CRAM-MD5": client.auth_crammd5,
        }[mechanism]
        try:
            async with self._at(ProbeStage.AUTH, self._deadlines.auth):
                await attempt(login.username, login.password.reveal())
        except aiosmtplib.SMTPAuthenticationError as error:
            raise self._refused(error.code, error.message) from None
        self._authenticated = True

    def _no_mechanism(self, offered: list[str]) -> Failure:
        if not offered:
            message = f"{self._place} offers no AUTH: use the submission port (587 or 465)."
            return self._failure(Reason.CAPABILITY_MISSING, message)
        message = (
            f"{self._place} offers only {', '.join(offered[:8])}; postroom knows "
            f"{', '.join(_MECHANISMS)}: enable one of these on the server."
        )
        return self._failure(Reason.MECHANISM_UNSUPPORTED, message)

    def _refused(self, code: int, text: str) -> Failure:
        if not 400 <= code <= 599:
            return self._no_verdict()
        meaning = meaning_of_smtp(code, text)
        enhanced = enhanced_code(text)
        answer = f"{code} {enhanced}" if enhanced else str(code)
        self._authenticated = False if meaning.refuses_credentials else None
        return Failure(
            ProbeStage.AUTH,
            meaning.reason,
            f"{self._place} answers AUTH with {answer}. {meaning.hint}",
            conclusive=meaning.conclusive,
            code=code,
            enhanced_code=enhanced,
        )

    def _no_verdict(self) -> Failure:
        message = f"{self._place} answers AUTH neither with yes nor with no: its log may tell why."
        return self._passing(Reason.PROBE_INCONCLUSIVE, message)

    @asynccontextmanager
    async def _at(self, stage: ProbeStage, seconds: float) -> AsyncIterator[None]:
        """Bound a stage, and turn what goes wrong on the way into its failure."""
        self._stage = stage
        try:
            async with asyncio.timeout(seconds):
                yield
        except aiosmtplib.SMTPAuthenticationError:
            raise
        except TimeoutError:
            raise self._silent() from None
        except aiosmtplib.SMTPResponseException as error:
            raise self._answered(error.code, error.message) from None
        except (aiosmtplib.SMTPException, OSError):
            raise self._broken_off() from None

    def _answered(self, code: int, text: str) -> Failure:
        """What an error reply to EHLO means, or one at any stage that is no reply at all."""
        if self._stage is ProbeStage.AUTH:
            return self._no_verdict()
        if not 400 <= code <= 599:
            return self._not_smtp()
        passing = code < 500
        return Failure(
            self._stage,
            Reason.SERVICE_UNAVAILABLE if passing else Reason.CAPABILITY_MISSING,
            f"{self._place} answers EHLO with {code}: "
            + (
                "it is not available now; if it stays so, ask its operator."
                if passing
                else "it knows no extensions, or refuses this client; use the submission port."
            ),
            conclusive=not passing,
            code=code,
            enhanced_code=enhanced_code(text),
        )


def _mechanisms(client: SmtpSession) -> list[str]:
    """The SASL mechanisms offered, sorted; texts that are none are left out."""
    offered = {one.upper() for one in client.server_auth_methods}
    return sorted(filter(_MECHANISM.fullmatch, offered))
