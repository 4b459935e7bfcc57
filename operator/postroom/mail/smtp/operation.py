# SPDX-License-Identifier: Apache-2.0
"""What is done over SMTP after signing in: commands of a mail transaction, each with a deadline."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable

from aiosmtplib import SMTPResponse

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.connect import tls
from postroom.mail.connect.dial import Dialler, Failure
from postroom.mail.operations import Acceptance, Answer
from postroom.mail.replies import Meaning, Stage, enhanced_code, meaning_of_smtp
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.session.sasl import circumstances
from postroom.mail.smtp.auth import SmtpSignIn
from postroom.mail.smtp.session import SmtpSession


class SmtpErrand(SmtpSignIn):
    """Signs in and does something more; what ends that early is no failure of the session."""

    def __init__(
        self, endpoint: Endpoint, login: Login, dialler: Dialler, trust: tls.TrustStore
    ) -> None:
        super().__init__(endpoint, login, dialler, trust)
        self._errand_seconds = self._deadlines.total
        self._interruption: Failure | None = None
        self._asked = "a command"

    @abstractmethod
    async def _transact(self, client: SmtpSession) -> None:
        """Do it, noting what is answered; raises `Failure` where it cannot go on."""

    async def _errand(self, client: SmtpSession) -> None:
        self._stage = ProbeStage.DONE
        try:
            async with asyncio.timeout(self._errand_seconds):
                await self._transact(client)
        except Failure as failure:
            self._interruption = failure
        except TimeoutError:
            self._interruption = self._silent()

    async def _command(self, client: SmtpSession, *words: bytes) -> SMTPResponse:
        """Send a command and return its reply, whatever it is; raises `Failure` without one."""
        return await self._reply(
            words[0].decode(), self._deadlines.command, client.execute_command(*words)
        )

    async def _reply(
        self, asked: str, seconds: float, reply: Awaitable[SMTPResponse]
    ) -> SMTPResponse:
        """Await a reply to `asked`; raises `Failure` where none comes in time, or none at all."""
        self._asked = asked
        async with self._at(ProbeStage.DONE, seconds):
            return await reply

    def _answered(self, code: int, text: str) -> Failure:
        if self._stage is ProbeStage.DONE:
            return self._no_reply()
        return super()._answered(code, text)

    def _no_reply(self) -> Failure:
        message = (
            f"{self._place} answers {self._asked} with what is no reply to it: its log may tell "
            "why."
        )
        return self._passing(Reason.PROBE_INCONCLUSIVE, message)

    def _meaning(self, stage: Stage, reply: SMTPResponse) -> tuple[Meaning, str]:
        """What an error reply means, and the sentence that says so; raises `Failure`."""
        if not 400 <= reply.code <= 599:
            raise self._no_reply()
        about = circumstances(stage, self._endpoint, self._login)
        meaning = meaning_of_smtp(reply.code, reply.message, about)
        enhanced = enhanced_code(reply.message)
        said = f"{reply.code} {enhanced}" if enhanced else str(reply.code)
        return meaning, f"{self._place} answers {self._asked} with {said}. {meaning.hint}"

    def _refusal(self, stage: Stage, reply: SMTPResponse) -> Failure:
        """The end of an errand by an error reply."""
        meaning, message = self._meaning(stage, reply)
        code, enhanced = reply.code, enhanced_code(reply.message)
        return Failure(self._stage, meaning.reason, message, meaning.conclusive, code, enhanced)

    def _unanswered(self, session: ProbeReport) -> Answer:
        """Why something was not asked, or not answered."""
        end = self._interruption
        if end is None:
            return Answer(
                Acceptance.UNKNOWN,
                session.reason,
                session.message,
                session.code,
                session.enhanced_code,
            )
        return Answer(Acceptance.UNKNOWN, end.reason, end.message, end.code, end.enhanced_code)
