# SPDX-License-Identifier: Apache-2.0
"""Who may send: MAIL, RCPT and RSET for each sender. There is no DATA here: nothing is sent."""

from postroom.api.finding_texts import in_full
from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Failure
from postroom.mail.operations import Answer, AskSenders, EnvelopeReport
from postroom.mail.replies import Stage
from postroom.mail.report import Endpoint, Login
from postroom.mail.session.state import Connector
from postroom.mail.smtp.answers import (
    accepted,
    accepts,
    answer_to_sender,
    fits_an_envelope,
    unusable,
)
from postroom.mail.smtp.auth import signed_in, state_of
from postroom.mail.smtp.client import CLOSING
from postroom.mail.smtp.session import SmtpSession, interruption, refusal


async def ask_senders(
    endpoint: Endpoint, login: Login, asked: AskSenders, connector: Connector
) -> EnvelopeReport:
    """An answer for every sender, also for those that could not be asked about.

    MAIL alone proves nothing, because many servers look at the sender only when they know the
    recipient (Postfix: smtpd_delay_reject). That a server accepts a sender proves something only
    where servers of its kind do refuse.
    """
    state, answers = state_of(endpoint, login, connector), dict[str, Answer]()
    missing: Answer | None = None
    async with state.reported(), signed_in(state) as session:
        transaction = _ask(session, asked, answers)
        missing = await interruption(session, state.deadlines.total, transaction)
    report = asked.not_done(state.report(), missing)
    return EnvelopeReport(report.session, {**report.answers, **answers})


async def _ask(session: SmtpSession, asked: AskSenders, answers: dict[str, Answer]) -> None:
    """Note what the server says to each sender; raises `Failure` where it can say no more."""
    if not fits_an_envelope(asked.recipient):
        raise session.state.failure(Reason.INVALID_SPEC, unusable("recipient").message, "")
    for sender in dict.fromkeys(asked.senders):
        if not fits_an_envelope(sender):
            answers[sender] = unusable("sender")
            continue
        answer = answers[sender] = await _verdict(session, sender, asked.recipient)
        if answer.code == CLOSING:
            enhanced = answer.enhanced_code
            stage = session.state.stage
            raise Failure(stage, answer.reason, answer.message, False, CLOSING, enhanced)
        reply = await session.command(b"RSET")
        if not accepts(reply.code, reply.message):
            raise refusal(session, Stage.SEND, reply)


async def _verdict(session: SmtpSession, sender: str, recipient: str) -> Answer:
    for stage, word, argument in (
        (Stage.MAIL, b"MAIL", f"FROM:<{sender}>"),
        (Stage.RCPT, b"RCPT", f"TO:<{recipient}>"),
    ):
        reply = await session.command(word, argument.encode())
        if not accepts(reply.code, reply.message):
            meaning, wrong = session.meaning(stage, reply)
            message = in_full(wrong, meaning.hint)
            return answer_to_sender(reply.code, reply.message, meaning, message)
    return accepted(session.state.place, "the sender", reply.code, reply.message)
