# SPDX-License-Identifier: Apache-2.0
"""Signing in over SMTP: one attempt with one mechanism."""

from __future__ import annotations

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Failure
from postroom.mail.replies import Meaning, Stage, enhanced_code, meaning_of_smtp
from postroom.mail.report import Login
from postroom.mail.session.capabilities import known_mechanisms
from postroom.mail.session.sasl import (
    PROVING,
    SENDING,
    circumstances,
    knows_mechanisms,
    meaning_of_refusal,
    refusal_in,
    status_of,
    token_exchange,
    with_refusal,
)
from postroom.mail.session.scram import SCRAM, ScramExchange
from postroom.mail.smtp.conversation import SmtpConversation, mechanisms
from postroom.mail.smtp.session import SmtpSession

#: RFC 4954 section 4.
_ACCEPTED = 235


class SmtpSignIn(SmtpConversation):
    """A conversation in which we sign in, if there is a login."""

    async def _converse(self, client: SmtpSession) -> None:
        if self._login is not None:
            await self._authenticate(client, self._login)

    async def _authenticate(self, client: SmtpSession, login: Login) -> None:
        self._stage = ProbeStage.AUTH
        offered = mechanisms(client)
        if login.token:
            await self._present_token(client, login, offered)
        else:
            await self._present_password(client, login, offered)
        self._authenticated = True

    async def _present_password(
        self, client: SmtpSession, login: Login, offered: list[str]
    ) -> None:
        mechanism = next((one for one in (*SENDING, *PROVING) if one in offered), None)
        if mechanism is None:
            raise self._no_mechanism(offered)
        exchange = ScramExchange(mechanism, login) if mechanism in SCRAM else None
        async with self._at(ProbeStage.AUTH, self._deadlines.auth):
            if exchange is not None:
                reply = await client.auth_scram(exchange)
            else:
                reply = await client.auth_password(mechanism, login)
        if reply.code != _ACCEPTED:
            raise self._refused(reply.code, reply.message, login)
        if exchange is not None and not exchange.verified:
            raise self._proves_nothing(mechanism)

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
            lacks = "offers no" if self._knows_ehlo else "knows no EHLO, and so no"
            message = f"{self._place} {lacks} AUTH: use the submission port (587 or 465)."
            return self._failure(Reason.CAPABILITY_MISSING, message)
        shown = ", ".join(known_mechanisms(offered)[:8]) or "others"
        message = (
            f"{self._place} offers only {shown}; postroom knows {knows_mechanisms()} for "
            "passwords: enable one of these on the server, or use oauth where it is offered."
        )
        return self._failure(Reason.MECHANISM_UNSUPPORTED, message)

    def _refused(self, code: int, text: str, login: Login, challenge: str | None = None) -> Failure:
        if not 400 <= code <= 599:
            return self._no_verdict()
        self._said = text
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
            retry_after=meaning.wait,
            cause=meaning.cause.value,
        )

    def _no_verdict(self) -> Failure:
        message = f"{self._place} answers AUTH neither with yes nor with no: its log may tell why."
        return self._passing(Reason.PROBE_INCONCLUSIVE, message)

    def _answered(self, code: int, text: str) -> Failure:
        if self._stage is ProbeStage.AUTH:
            return self._no_verdict()
        return super()._answered(code, text)
