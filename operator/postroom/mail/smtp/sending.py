# SPDX-License-Identifier: Apache-2.0
"""Handing one message over, once: MAIL, RCPT, DATA, and what became of it."""

from __future__ import annotations

from aiosmtplib import SMTPResponse

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.connect import tls
from postroom.mail.connect.dial import Dialler
from postroom.mail.operations import Acceptance, Answer, OutgoingMessage, SendReport
from postroom.mail.replies import Cause, Stage, meaning_of_cause
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.smtp.answers import (
    accepted,
    accepts,
    answer_to_message,
    fits_an_envelope,
    transparent,
    unusable,
    with_line_ends,
)
from postroom.mail.smtp.operation import SmtpErrand
from postroom.mail.smtp.session import SmtpSession

#: How many seconds a server may take to take a message over. RFC 5321 section 4.5.3.2.6 has ten
#: minutes, in which nothing else could be done for the account.
PATIENCE = 60.0
#: RFC 5321 section 4.2.3.
_GO_ON = 354
_FENCED = Answer(
    Acceptance.DEFERRED,
    Reason.NOT_ATTEMPTED,
    "The message was not sent: another process of the operator has taken over.",
)


class SmtpSending(SmtpErrand):
    """Hands a message over to one server; `send` once.

    `patience` is how many seconds the server may take after the end of the message.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        login: Login,
        message: OutgoingMessage,
        dialler: Dialler,
        trust: tls.TrustStore,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(endpoint, login, dialler, trust)
        self._errand_seconds += patience
        self._patience = patience
        self._message = message
        self._lines = with_line_ends(message.octets)
        self._answer: Answer | None = None
        self._handed_over = False

    async def send(self) -> SendReport:
        """Return what became of the message."""
        session = await self.run()
        return SendReport(session, self._answer or self._unanswered(session))

    async def _transact(self, client: SmtpSession) -> None:
        self._answer = _FENCED if not self._message.may_be_sent() else self._objection(client)
        if self._answer is not None:
            return
        for stage, words in (
            (Stage.MAIL, (b"MAIL", *self._mail_parameters(client))),
            (Stage.RCPT, (b"RCPT", f"TO:<{self._message.recipient}>".encode())),
        ):
            reply = await self._command(client, *words)
            if not accepts(reply.code):
                self._note_refusal(stage, reply)
                return
        reply = await self._command(client, b"DATA")
        if reply.code == _GO_ON:
            await self._hand_over(client)
        else:
            self._note_refusal(Stage.DATA, reply)

    async def _hand_over(self, client: SmtpSession) -> None:
        """Send the content, and note what the server says to it."""
        self._asked = "DATA"
        if not self._message.may_be_sent():
            # Without the final dot nothing is delivered (RFC 5321 section 4.1.1.4).
            self._answer = _FENCED
            raise self._no_reply()
        async with self._at(ProbeStage.DONE, self._patience):
            client.hand_over(transparent(self._lines))
        self._handed_over = True
        reply = await self._reply("the message", self._patience, client.final_reply())
        if accepts(reply.code):
            self._answer = accepted(self._place, "the message", reply.code, reply.message)
        else:
            self._note_refusal(Stage.DATA, reply)

    def _note_refusal(self, stage: Stage, reply: SMTPResponse) -> None:
        meaning, message = self._meaning(stage, reply)
        self._answer = answer_to_message(reply.code, reply.message, meaning, message)

    def _mail_parameters(self, client: SmtpSession) -> tuple[bytes, ...]:
        parameters = [f"FROM:<{self._message.sender}>"]
        if client.supports_extension("size"):
            # Without the doubled dots and the final one (RFC 1870 section 5).
            parameters.append(f"SIZE={len(self._lines)}")
        if not self._lines.isascii() and client.supports_extension("8bitmime"):
            parameters.append("BODY=8BITMIME")
        return tuple(parameter.encode() for parameter in parameters)

    def _objection(self, client: SmtpSession) -> Answer | None:
        """Why the message cannot be offered to this server at all; None where it can."""
        for role, address in (
            ("sender", self._message.sender),
            ("recipient", self._message.recipient),
        ):
            if not fits_an_envelope(address):
                return unusable(role)
        if not self._lines.isascii() and not client.supports_extension("8bitmime"):
            message = f"{self._place} takes only messages in ASCII: it lacks 8BITMIME."
            return Answer(Acceptance.UNKNOWN, Reason.CAPABILITY_MISSING, message)
        limit = self._server.max_message_size if self._server is not None else None
        if limit is not None and len(self._lines) > limit:
            meaning = meaning_of_cause(Cause.MESSAGE_TOO_LARGE)
            message = f"{self._place} takes messages of {limit} octets at most. {meaning.hint}"
            return Answer(Acceptance.REFUSED, meaning.reason, message)
        return None

    def _unanswered(self, session: ProbeReport) -> Answer:
        answer = super()._unanswered(session)
        if not self._handed_over:
            return answer
        message = (
            f"{self._place} was sent the whole message, but did not confirm it. It may have been "
            "delivered all the same: look for it at the recipient before it is sent again."
        )
        return Answer(Acceptance.UNKNOWN, Reason.MESSAGE_UNCONFIRMED, message)
