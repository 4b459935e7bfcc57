# SPDX-License-Identifier: Apache-2.0
"""Handing one message over, once: MAIL, RCPT, DATA, and what became of it."""

from aiosmtplib import SMTPResponse

from postroom.api.finding_texts import in_full
from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.operations import Acceptance, Answer, OutgoingMessage, SendMessage, SendReport
from postroom.mail.replies import Cause, Stage, meaning_of_cause
from postroom.mail.report import Endpoint, Login
from postroom.mail.session.state import Connector
from postroom.mail.smtp import answers
from postroom.mail.smtp.auth import signed_in, state_of
from postroom.mail.smtp.session import SmtpSession, interruption

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


async def send(
    endpoint: Endpoint,
    login: Login,
    sending: SendMessage,
    connector: Connector,
    patience: float = PATIENCE,
) -> SendReport:
    """What became of a message that is handed over to one server, once.

    `patience` is how many seconds the server may take after the end of the message.
    """
    state = state_of(endpoint, login, connector)
    missing: Answer | None = None
    handover: _Handover | None = None
    async with state.reported(), signed_in(state) as session:
        handover = _Handover(session, sending.message, patience)
        seconds = state.deadlines.total + patience
        missing = await interruption(session, seconds, handover.transact())
    if handover is not None and handover.answer is not None:
        return SendReport(state.report(), handover.answer)
    if handover is not None and handover.all_sent:
        message = (
            f"{state.place} was sent the whole message, but did not confirm it. It may have been "
            "delivered all the same: look for it at the recipient before it is sent again."
        )
        unconfirmed = Answer(Acceptance.UNKNOWN, Reason.MESSAGE_UNCONFIRMED, message)
        return SendReport(state.report(), unconfirmed)
    return sending.not_done(state.report(), missing)


class _Handover:
    """One message on its way; `all_sent` and no `answer`: it may have been delivered or not."""

    def __init__(self, session: SmtpSession, message: OutgoingMessage, patience: float) -> None:
        self._session, self._message, self._patience = session, message, patience
        self._lines = answers.with_line_ends(message.octets)
        self.answer: Answer | None = None
        self.all_sent = False

    async def transact(self) -> None:
        """Note what the server says to the message; raises `Failure` where it says nothing."""
        session = self._session
        self.answer = _FENCED if not self._message.may_be_sent() else self._objection()
        if self.answer is not None:
            return
        parameters = [f"FROM:<{self._message.sender}>"]
        if session.client.supports_extension("size"):
            # Without the doubled dots and the final one (RFC 1870 section 5).
            parameters.append(f"SIZE={len(self._lines)}")
        if not self._lines.isascii() and session.client.supports_extension("8bitmime"):
            parameters.append("BODY=8BITMIME")
        for stage, words in (
            (Stage.MAIL, (b"MAIL", *(parameter.encode() for parameter in parameters))),
            (Stage.RCPT, (b"RCPT", f"TO:<{self._message.recipient}>".encode())),
        ):
            reply = await session.command(*words)
            if not answers.accepts(reply.code, reply.message):
                self._note_refusal(stage, reply)
                return
        reply = await session.command(b"DATA")
        if reply.code != _GO_ON:
            self._note_refusal(Stage.DATA, reply)
            return
        if not self._message.may_be_sent():
            # Without the final dot nothing is delivered (RFC 5321 section 4.1.1.4).
            self.answer = _FENCED
            raise session.no_reply()
        content = session.client.hand_over(answers.transparent(self._lines))
        await session.within(ProbeStage.DONE, self._patience, content)
        self.all_sent = True
        reply = await session.reply("the message", self._patience, session.client.final_reply())
        if answers.accepts(reply.code, reply.message):
            place = session.state.place
            self.answer = answers.accepted(place, "the message", reply.code, reply.message)
        else:
            self._note_refusal(Stage.DATA, reply)

    def _note_refusal(self, stage: Stage, reply: SMTPResponse) -> None:
        meaning, wrong = self._session.meaning(stage, reply)
        message = in_full(wrong, meaning.hint)
        self.answer = answers.answer_to_message(reply.code, reply.message, meaning, message)

    def _objection(self) -> Answer | None:
        """Why the message cannot be offered to this server at all; None where it can."""
        for role, address in (
            ("sender", self._message.sender),
            ("recipient", self._message.recipient),
        ):
            if not answers.fits_an_envelope(address):
                return answers.unusable(role)
        place, server = self._session.state.place, self._session.state.server
        if not self._lines.isascii() and not self._session.client.supports_extension("8bitmime"):
            message = f"{place} takes only messages in ASCII: it lacks 8BITMIME."
            return Answer(Acceptance.UNKNOWN, Reason.CAPABILITY_MISSING, message)
        limit = server.max_message_size if server is not None else None
        if limit is not None and len(self._lines) > limit:
            meaning = meaning_of_cause(Cause.MESSAGE_TOO_LARGE)
            message = f"{place} takes messages of {limit} octets at most. {meaning.hint}"
            return Answer(Acceptance.REFUSED, meaning.reason, message)
        return None
