# SPDX-License-Identifier: Apache-2.0
"""One conversation over SMTP: connect, secure, greet, read capabilities; and its commands."""

import re
import ssl
from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

import aiosmtplib
from aiosmtplib import SMTPResponse

from postroom.api.mailserver import ProbeStage, ServerFacts, TLSMode
from postroom.api.reasons import Reason
from postroom.concurrency.patience import PeerDeadline
from postroom.mail.connect.certificate import facts_of
from postroom.mail.connect.dial import Failure
from postroom.mail.operations import Acceptance, Answer
from postroom.mail.replies import Meaning, Stage, enhanced_code, meaning_of_smtp
from postroom.mail.session.capabilities import known_keywords, known_mechanisms
from postroom.mail.session.sasl import circumstances
from postroom.mail.session.state import SessionState, recognised
from postroom.mail.smtp.client import TOO_LONG, Injected, SmtpClient, Unanswered, ask_for_tls
from postroom.mail.smtp.closing_reply import AMBIGUOUS

AnswerT = TypeVar("AnswerT")

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
#: How servers answer EHLO that do not know it (RFC 5321 section 4.2.4).
_NOT_KNOWN = frozenset({500, 502, 504})
#: An EHLO keyword (RFC 5321 section 4.1.1.1) and a SASL mechanism (RFC 4422 section 3.1).
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")


class SmtpSession:
    """One conversation with one SMTP endpoint, on a socket that is connected."""

    def __init__(self, state: SessionState, client: SmtpClient) -> None:
        self.state, self.client = state, client
        state.line_so_far = lambda: client.line_so_far
        #: Why it took HELO alone, which has no extensions; None where it took EHLO.
        self.refused_ehlo: Failure | None = None
        #: What was asked last within a mail transaction, for messages.
        self.asked = "a command"

    async def introduce(self, context: ssl.SSLContext | None) -> None:
        """Greet and secure, so that the sides know each other; raises `Failure`."""
        greeting = await self._greet()
        await self._capabilities(greeting)
        if context is not None and self.state.endpoint.tls is not TLSMode.IMPLICIT:
            await self._start_tls(context)
            await self._capabilities(greeting)

    async def _greet(self) -> str:
        """Connect (with TLS, if implicit) and read the greeting."""
        implicit = self.state.endpoint.tls is TLSMode.IMPLICIT
        self.state.stage = ProbeStage.TLS if implicit else ProbeStage.GREETING
        try:
            async with PeerDeadline(self.state.deadlines.tls) as deadline:

                def opened() -> None:
                    self.state.stage = ProbeStage.GREETING
                    self.state.tls = facts_of(self.client.secured)
                    deadline.begin_anew(self.state.deadlines.greeting)

                self.client.opened = opened
                response = await self.client.connect()
        except aiosmtplib.SMTPConnectResponseError as error:
            raise self._refuses_us(error.code, error.message, "greets with") from None
        except aiosmtplib.SMTPResponseException as error:
            raise self._not_smtp(error.message) from None
        except TimeoutError:
            if self.state.stage is ProbeStage.TLS:
                raise self.state.no_answer_to_tls() from None
            raise await self.state.does_not_greet() from None
        except (aiosmtplib.SMTPException, OSError) as error:
            if self.state.stage is ProbeStage.TLS:
                raise await self.state.tls_failure(error.__cause__ or error) from None
            raise await self.state.gone(error) from None
        return response.message

    def _not_smtp(self, found: str) -> Failure:
        """What is no reply; `found` is what is wrong with it."""
        if self.state.stage is ProbeStage.TLS and found != TOO_LONG:
            # It has greeted, and answered EHLO.
            wrong = f"{self.state.place} offers STARTTLS, but answers it neither with yes nor no:"
            fix = "use the port for implicit TLS (465), or mend the server."
            return self.state.failure(Reason.HANDSHAKE_FAILED, wrong, fix)
        if found == TOO_LONG:
            wrong = (
                f"{self.state.place} answers with more than postroom takes, 8,192 octets a line "
                "and 32 KiB in all (512 a line are allowed, RFC 5321 section 4.5.3.1.5):"
            )
            fix = "if it is an SMTP server, shorten its texts; else correct host and port."
        else:
            wrong = f"What answers at {self.state.place} is no SMTP server:"
            fix = "correct host, port or tls.mode."
        return self.state.failure(Reason.UNEXPECTED_GREETING, wrong, fix)

    async def _capabilities(self, greeting: str) -> None:
        seconds = self.state.deadlines.command
        try:
            response = await self.within(ProbeStage.CAPABILITIES, seconds, self.client.ehlo())
        except Failure as refused:
            # HELO, where EHLO is not known (RFC 5321 section 3.2).
            if refused.code is None or not 500 <= refused.code <= 599:
                raise
            said = self.state.said
            try:
                response = await self.within(ProbeStage.CAPABILITIES, seconds, self.client.helo())
            except Failure:
                self.state.said = said
                raise refused from None
            self.state.said, self.refused_ehlo = None, refused
        size = re.match(r"\d{1,12}", self.client.esmtp_extensions.get("size", ""))
        offered = {extension.upper() for extension in self.client.esmtp_extensions}
        self.state.server = ServerFacts(
            implementation=recognised(f"{greeting} {response.message}", _IMPLEMENTATIONS),
            capabilities=known_keywords(offered)[:64],
            auth_mechanisms=known_mechanisms(self.mechanisms())[:32],
            # Zero: it has no fixed maximum (RFC 1870 section 4).
            max_message_size=(int(size[0]) or None) if size else None,
        )

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        if not self.client.supports_extension("starttls"):
            lacks = self.lacks("does not offer")
            wrong = f"{self.state.place} {lacks} STARTTLS, and nothing is sent in the clear:"
            fix = "correct the port, or set tls.mode to Implicit."
            raise self.state.failure(Reason.START_TLS_NOT_OFFERED, wrong, fix)
        self.state.stage = ProbeStage.TLS
        try:
            async with PeerDeadline(self.state.deadlines.tls):
                await self.client.secure(context, self.state.endpoint.server_name)
        except TimeoutError:
            raise self.state.unfinished_tls() from None
        except Injected:
            raise self.state.injected("use the port for implicit TLS (465)") from None
        except Unanswered as unanswered:
            # As after any command: nothing was said of TLS (RFC 5321 section 3.8).
            raise await self.state.gone(unanswered) from None
        except aiosmtplib.SMTPResponseException as error:
            refused = "offers STARTTLS, but answers it with"
            raise self._refuses_us(error.code, error.message, refused) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise await self.state.tls_failure(error.__cause__ or error, ask_for_tls) from None
        self.state.tls = facts_of(self.client.secured)
        # What was told in the clear anyone could have told (RFC 3207 section 4.2).
        self.state.server = None

    def lacks(self, extension: str) -> str:
        """How to say that an extension is missing; `extension` is the words where EHLO tells so.

        Raises `Failure` where EHLO was refused to us, or to the name that we introduce ourselves
        by: what the server offers to others nobody knows.
        """
        if self.refused_ehlo is None:
            return extension
        if self.refused_ehlo.code not in _NOT_KNOWN:
            raise self.refused_ehlo
        return "knows no EHLO, and so no"

    async def within(
        self, stage: ProbeStage, seconds: float, answer: Awaitable[AnswerT]
    ) -> AnswerT:
        """Await an answer as a stage, for some seconds; what goes wrong is the stage's failure."""
        self.state.stage = stage
        try:
            async with PeerDeadline(seconds):
                return await answer
        except TimeoutError:
            raise self.state.silent() from None
        except aiosmtplib.SMTPResponseException as error:
            if self.state.stage is ProbeStage.AUTH:
                raise self.no_verdict(error.message) from None
            if self.state.stage is ProbeStage.DONE:
                raise self.no_reply(error.message) from None
            raise self._refuses_us(error.code, error.message, "answers EHLO with") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            upgraded = self.state.endpoint.tls is TLSMode.START_TLS
            raise await self.state.gone(error, ask_for_tls if upgraded else None) from None

    def _refuses_us(self, code: int, text: str, does: str) -> Failure:
        """What an error reply before AUTH means; `does` is what the server does with the code."""
        if not 400 <= code <= 599:
            return self._ambiguous(text, does) or self._not_smtp(text)
        self.state.said = text
        about = circumstances(Stage(self.state.stage.value), self.state.endpoint, None)
        meaning = meaning_of_smtp(code, text, about)
        return Failure(
            self.state.stage,
            meaning.reason,
            f"{self.state.place} {does} {code}.",
            conclusive=meaning.conclusive,
            code=code,
            enhanced_code=enhanced_code(text),
            retry_after=meaning.wait,
            cause=meaning.cause.value,
            needs_someone=meaning.needs_someone,
            fix=meaning.hint,
        )

    def mechanisms(self) -> list[str]:
        """The SASL mechanisms offered, sorted; texts that are none are left out."""
        offered = {method.upper() for method in self.client.server_auth_methods}
        return sorted(filter(_MECHANISM.fullmatch, offered))

    async def command(self, *words: bytes) -> SMTPResponse:
        """The reply to a command of a mail transaction; raises `Failure` where there is none."""
        return await self.reply(
            words[0].decode(), self.state.deadlines.command, self.client.execute_command(*words)
        )

    async def reply(
        self, asked: str, seconds: float, reply: Awaitable[SMTPResponse]
    ) -> SMTPResponse:
        """The reply to `asked`; raises `Failure` where none comes in time, or none at all."""
        self.asked = asked
        return await self.within(ProbeStage.DONE, seconds, reply)

    def meaning(self, stage: Stage, reply: SMTPResponse) -> tuple[Meaning, str]:
        """What an error reply to a command means, and what is wrong then; raises `Failure`."""
        if not 400 <= reply.code <= 599:
            raise self.no_reply(reply.message)
        about = replace(
            circumstances(stage, self.state.endpoint, self.state.login),
            authenticated=self.state.authenticated is True,
            offered=bool(self.client.server_auth_methods),
        )
        meaning = meaning_of_smtp(reply.code, reply.message, about)
        enhanced = enhanced_code(reply.message)
        said = f"{reply.code} {enhanced}" if enhanced else str(reply.code)
        return meaning, f"{self.state.place} answers {self.asked} with {said}."

    def no_reply(self, found: str = "") -> Failure:
        """What came is no reply to what was asked; `found` is what is wrong with it."""
        does = f"answers {self.asked} with"
        wrong = f"{self.state.place} {does} what is no reply to it:"
        return self._ambiguous(found, does) or self.state.passing(
            Reason.PROBE_INCONCLUSIVE, wrong, "its log may tell why."
        )

    def no_verdict(self, found: str) -> Failure:
        """What came says nothing of the login; `found` is what is wrong with it."""
        wrong = f"{self.state.place} answers AUTH neither with yes nor with no:"
        return self._ambiguous(found, "answers AUTH with") or self.state.passing(
            Reason.PROBE_INCONCLUSIVE, wrong, "its log may tell why."
        )

    def _ambiguous(self, found: str, does: str) -> Failure | None:
        """A reply of several codes, with which the server `does` something; None for others."""
        if found != AMBIGUOUS:
            return None
        wrong = (
            f"{self.state.place} {does} lines that do not have one code, which some clients take "
            "for a yes and others for a no:"
        )
        fix = "have it give each line of a reply the same code (RFC 5321 section 4.2.1)."
        return self.state.passing(Reason.PROBE_INCONCLUSIVE, wrong, fix)


async def interruption(
    session: SmtpSession, seconds: float, transaction: Awaitable[None]
) -> Answer | None:
    """The answer to what a transaction did not come to in its time; None where it came to all."""
    session.state.stage = ProbeStage.DONE
    try:
        async with PeerDeadline(seconds):
            await transaction
    except Failure as failure:
        end = failure
    except TimeoutError:
        end = session.state.silent()
    else:
        return None
    return Answer(Acceptance.UNKNOWN, end.reason, end.message, end.code, end.enhanced_code)


def refusal(session: SmtpSession, stage: Stage, reply: SMTPResponse) -> Failure:
    """The end of a transaction by an error reply."""
    meaning, wrong = session.meaning(stage, reply)
    return Failure(
        session.state.stage,
        meaning.reason,
        wrong,
        meaning.conclusive,
        reply.code,
        enhanced_code(reply.message),
        fix=meaning.hint,
    )
