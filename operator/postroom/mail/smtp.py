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
from postroom.mail.replies import Meaning, Stage, enhanced_code, meaning_of_smtp
from postroom.mail.report import Login
from postroom.mail.sign_in import (
    circumstances,
    meaning_of_refusal,
    refusal_in,
    status_of,
    token_exchange,
    with_refusal,
)
from postroom.mail.smtp_session import SmtpSession, ask_for_tls

#: In the order of preference; one attempt with one of them.
_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")
#: RFC 4954 section 4.
_ACCEPTED = 235
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
        self._keep_login_out_of_the_clear()
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
            raise self._refuses_us(error.code, error.message, "greets with") from None
        except aiosmtplib.SMTPResponseException:
            raise self._not_smtp() from None
        except TimeoutError:
            silent = self._stage is not ProbeStage.TLS
            raise (await self._does_not_greet() if silent else self._no_tls()) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            if self._stage is ProbeStage.TLS:
                raise await self._tls_failure(error.__cause__ or error) from None
            raise self._broken_off() from None
        return response.message

    def _not_smtp(self) -> Failure:
        message = (
            f"What answers at {self._place} is no SMTP server: correct host, port or tls.mode."
        )
        return self._failure(Reason.UNEXPECTED_GREETING, message)

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
            refused = "offers STARTTLS, but answers it with"
            raise self._refuses_us(error.code, error.message, refused) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise await self._tls_failure(error.__cause__ or error, ask_for_tls) from None
        self._tls = facts_of(client.secured)

    async def _authenticate(self, client: SmtpSession, login: Login) -> None:
        self._stage = ProbeStage.AUTH
        offered = _mechanisms(client)
        if login.token:
            await self._present_token(client, login, offered)
        else:
            await self._present_password(client, login, offered)
        self._authenticated = True

    async def _present_password(
        self, client: SmtpSession, login: Login, offered: list[str]
    ) -> None:
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
            raise self._refused(error.code, error.message, login) from None

    async def _present_token(self, client: SmtpSession, login: Login, offered: list[str]) -> None:
        try:
            exchange = token_exchange(offered, self._endpoint, login)
        except ValueError:
            raise self._unsendable() from None
        if exchange is None:
            raise self._takes_no_token(offered) if offered else self._no_mechanism(offered)
        try:
            async with self._at(ProbeStage.AUTH, self._deadlines.auth):
                reply = await client.auth_token(exchange)
        except Failure:
            # A server may hang up once it has said why.
            meaning = meaning_of_refusal(refusal_in(client.challenge))
            if meaning is None:
                raise
            raise self._rejected("a refusal", meaning, client.challenge) from None
        if reply.code != _ACCEPTED:
            raise self._refused(reply.code, reply.message, login, client.challenge)

    def _no_mechanism(self, offered: list[str]) -> Failure:
        if not offered:
            message = f"{self._place} offers no AUTH: use the submission port (587 or 465)."
            return self._failure(Reason.CAPABILITY_MISSING, message)
        message = (
            f"{self._place} offers only {', '.join(offered[:8])}; postroom knows "
            f"{', '.join(_MECHANISMS)} for passwords: enable one of these on the server, or use "
            "oauth where it is offered."
        )
        return self._failure(Reason.MECHANISM_UNSUPPORTED, message)

    def _refused(self, code: int, text: str, login: Login, challenge: str | None = None) -> Failure:
        if not 400 <= code <= 599:
            return self._no_verdict()
        about = circumstances(Stage.AUTH, self._endpoint, login)
        meaning = with_refusal(meaning_of_smtp(code, text, about), refusal_in(challenge))
        enhanced = enhanced_code(text)
        answer = f"{code} {enhanced}" if enhanced else str(code)
        failure = self._rejected(answer, meaning, challenge)
        failure.code, failure.enhanced_code = code, enhanced
        return failure

    def _rejected(self, answer: str, meaning: Meaning, challenge: str | None) -> Failure:
        """What an answer to AUTH means."""
        self._authenticated = False if meaning.refuses_credentials else None
        status = status_of(refusal_in(challenge))
        said = f"{answer} ({status})" if status else answer
        return Failure(
            ProbeStage.AUTH,
            meaning.reason,
            f"{self._place} answers AUTH with {said}. {meaning.hint}",
            conclusive=meaning.conclusive,
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
        return self._refuses_us(code, text, "answers EHLO with")

    def _refuses_us(self, code: int, text: str, does: str) -> Failure:
        """What an error reply before AUTH means; `does` is what the server does with the code."""
        if not 400 <= code <= 599:
            return self._not_smtp()
        about = circumstances(Stage(self._stage.value), self._endpoint, None)
        meaning = meaning_of_smtp(code, text, about)
        return Failure(
            self._stage,
            meaning.reason,
            f"{self._place} {does} {code}. {meaning.hint}",
            conclusive=meaning.conclusive,
            code=code,
            enhanced_code=enhanced_code(text),
        )


def _mechanisms(client: SmtpSession) -> list[str]:
    """The SASL mechanisms offered, sorted; texts that are none are left out."""
    offered = {one.upper() for one in client.server_auth_methods}
    return sorted(filter(_MECHANISM.fullmatch, offered))
