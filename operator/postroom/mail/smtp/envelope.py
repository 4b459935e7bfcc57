# SPDX-License-Identifier: Apache-2.0
"""Who may send: MAIL, RCPT and RSET for each sender. There is no DATA here: nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence

from postroom.api.reasons import Reason
from postroom.mail.connect import tls
from postroom.mail.connect.dial import Dialler, Failure
from postroom.mail.operations import Answer, EnvelopeReport
from postroom.mail.replies import Stage
from postroom.mail.report import Endpoint, Login
from postroom.mail.smtp.answers import (
    accepted,
    accepts,
    answer_to_sender,
    fits_an_envelope,
    unusable,
)
from postroom.mail.smtp.operation import SmtpErrand
from postroom.mail.smtp.session import CLOSING, SmtpSession


class SmtpEnvelope(SmtpErrand):
    """Asks one server about some senders; `ask` once.

    MAIL alone proves nothing, because many servers look at the sender only when they know the
    recipient (Postfix: smtpd_delay_reject). That a server accepts a sender proves something only
    where servers of its kind do refuse.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        login: Login,
        senders: Sequence[str],
        recipient: str,
        dialler: Dialler,
        trust: tls.TrustStore,
    ) -> None:
        super().__init__(endpoint, login, dialler, trust)
        self._senders = tuple(dict.fromkeys(senders))
        self._recipient = recipient
        self._answers: dict[str, Answer] = {}

    async def ask(self) -> EnvelopeReport:
        """Return an answer for every sender, also for those that could not be asked about."""
        session = await self.run()
        missing = self._unanswered(session)
        answers = {sender: self._answers.get(sender, missing) for sender in self._senders}
        return EnvelopeReport(session, answers)

    async def _transact(self, client: SmtpSession) -> None:
        if not fits_an_envelope(self._recipient):
            raise self._failure(Reason.INVALID_SPEC, unusable("recipient").message)
        for sender in self._senders:
            if fits_an_envelope(sender):
                await self._ask_about(client, sender)
            else:
                self._answers[sender] = unusable("sender")

    async def _ask_about(self, client: SmtpSession, sender: str) -> None:
        """Note what the server says to a sender; raises `Failure` where it can say no more."""
        answer = await self._verdict(client, sender)
        self._answers[sender] = answer
        if answer.code == CLOSING:
            raise Failure(
                self._stage, answer.reason, answer.message, False, CLOSING, answer.enhanced_code
            )
        reply = await self._command(client, b"RSET")
        if not accepts(reply.code):
            raise self._refusal(Stage.SEND, reply)

    async def _verdict(self, client: SmtpSession, sender: str) -> Answer:
        for stage, word, argument in (
            (Stage.MAIL, b"MAIL", f"FROM:<{sender}>"),
            (Stage.RCPT, b"RCPT", f"TO:<{self._recipient}>"),
        ):
            reply = await self._command(client, word, argument.encode())
            if not accepts(reply.code):
                meaning, message = self._meaning(stage, reply)
                return answer_to_sender(reply.code, reply.message, meaning, message)
        return accepted(self._place, "the sender", reply.code, reply.message)
